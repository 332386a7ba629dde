package hook

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/madbase/madbase/platform/apierr"
)

// Metadata begins every payload.
type Metadata struct {
	ID   string    `json:"uuid"`
	Time time.Time `json:"time"`
	Name Name      `json:"name"`
	// IP is the client's address, empty when it is not known.
	IP string `json:"ip_address,omitempty"`
}

// About returns the metadata of a call for the client at ip.
func About(name Name, ip string) Metadata {
	return Metadata{ID: uuid.NewString(), Time: time.Now(), Name: name, IP: ip}
}

// UserInput is the payload of BeforeUserCreated and AfterUserCreated. User has
// the API's JSON of a user.
type UserInput struct {
	Metadata Metadata `json:"metadata"`
	User     any      `json:"user"`
}

// PasswordInput is the payload of PasswordVerification.
type PasswordInput struct {
	Metadata Metadata `json:"metadata"`
	UserID   string   `json:"user_id"`
	Valid    bool     `json:"valid"`
}

// MFAInput is the payload of MFAVerification.
type MFAInput struct {
	Metadata   Metadata `json:"metadata"`
	UserID     string   `json:"user_id"`
	FactorID   string   `json:"factor_id"`
	FactorType string   `json:"factor_type"`
	Valid      bool     `json:"valid"`
}

// Verdict is the answer of PasswordVerification and MFAVerification.
type Verdict struct {
	Decision string `json:"decision"`
	Message  string `json:"message"`
	// Logout asks to end the user's sessions; PasswordVerification only.
	Logout bool `json:"should_logout_user"`
}

// Rejected reports whether the app refuses the attempt.
func (v Verdict) Rejected() bool { return v.Decision == "reject" }

// TokenInput is the payload of CustomAccessToken.
type TokenInput struct {
	Metadata Metadata `json:"metadata"`
	UserID   string   `json:"user_id"`
	Claims   any      `json:"claims"`
	Method   string   `json:"authentication_method"`
}

// TokenOutput is the answer of CustomAccessToken: the claims that the token gets.
type TokenOutput struct {
	Claims map[string]any `json:"claims"`
}

// UnmarshalJSON keeps numbers as they are written.
func (o *TokenOutput) UnmarshalJSON(text []byte) error {
	type plain TokenOutput
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode((*plain)(o))
}

// required are the claims without which madbase's own surfaces and GoTrue's
// clients cannot do, with the JSON types that they may have; optional ones must
// have theirs where they are there. GoTrue's schema has the same.
var required = map[string][]string{
	"aud": {"string", "array"}, "exp": {"integer"}, "iat": {"integer"}, "sub": {"string"}, "email": {"string"}, "phone": {"string"},
	"role": {"string"}, "aal": {"string"}, "session_id": {"string"}, "is_anonymous": nil,
}

var optional = map[string][]string{
	"jti": {"string"}, "iss": {"string"}, "nbf": {"integer"}, "app_metadata": {"object"}, "user_metadata": {"object"}, "amr": {"array"}, "client_id": {"string"},
}

// Check refuses claims that lack a required one or have one of another type.
func (o TokenOutput) Check() error {
	if o.Claims == nil {
		return apierr.New(http.StatusInternalServerError, codeUnexpected, "output claims field is missing")
	}
	for name, types := range required {
		value, there := o.Claims[name]
		if !there {
			return badClaims("(root): " + name + " is required")
		}
		if !hasType(value, types) {
			return badClaims(name + ": Invalid type")
		}
	}
	for name, types := range optional {
		if value, there := o.Claims[name]; there && !hasType(value, types) {
			return badClaims(name + ": Invalid type")
		}
	}
	return nil
}

func badClaims(what string) error {
	return apierr.New(http.StatusInternalServerError, codeUnexpected, "output claims do not conform to the expected schema: \n- "+what+"\n")
}

func hasType(value any, types []string) bool {
	if len(types) == 0 {
		return true
	}
	is := ""
	switch v := value.(type) {
	case string:
		is = "string"
	case []any:
		is = "array"
	case map[string]any:
		is = "object"
	case json.Number:
		if _, err := v.Int64(); err == nil {
			is = "integer"
		}
	}
	for _, t := range types {
		if t == is {
			return true
		}
	}
	return false
}
