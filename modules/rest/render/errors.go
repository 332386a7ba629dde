package render

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/madbase/madbase/platform/apierr"
)

// errorBody is PostgREST's error: all four members, null where there is nothing to say.
type errorBody struct {
	Code    string  `json:"code"`
	Details any     `json:"details"`
	Hint    *string `json:"hint"`
	Message string  `json:"message"`
}

type briefBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// codeInternal is the code of what is nobody's business but the operator's.
const codeInternal = "PGRSTX00"

// Shape is the dialect that the REST surface writes errors in; brief ones have
// neither details nor hint.
func Shape(r *http.Request, e *apierr.Error, h http.Header, brief bool) (int, any) {
	body, status := bodyOf(e), e.Status
	if body.Code == "" { // the router's own
		switch status {
		case http.StatusNotFound, http.StatusMethodNotAllowed: // all paths have routes, for the methods that the router knows
			status = http.StatusMethodNotAllowed
			body.Code, body.Message = "PGRST117", "Unsupported HTTP method: "+r.Method
		default:
			body.Code = codeInternal
		}
	}
	h.Set("Proxy-Status", "PostgREST; error="+body.Code)
	if brief {
		return status, briefBody{body.Code, body.Message}
	}
	return status, body
}

func bodyOf(e *apierr.Error) errorBody {
	body := errorBody{Code: e.Code, Details: e.Detail, Message: e.Message}
	if e.Hint != "" {
		body.Hint = &e.Hint
	}
	if body.Code == "internal_error" {
		body.Code = codeInternal
	}
	return body
}

// errorJSON is e as a body, for an answer that is not otherwise an error.
func errorJSON(e *apierr.Error) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(bodyOf(e)) != nil { // strings always marshal
		return nil
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
