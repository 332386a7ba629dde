package httpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
)

// JSONType is the content type of every JSON answer.
const JSONType = "application/json; charset=utf-8"

// writeJSON writes v without HTML escapes, without a final line feed and with
// its length, as the services that madbase stands in for do.
func writeJSON(c echo.Context, status int, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("httpx: encode answer: %w", err)
	}
	body := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(len(body)))
	return c.Blob(status, JSONType, body)
}

// JSON answers with v as JSON.
func JSON(c echo.Context, status int, v any) error { return writeJSON(c, status, v) }

// ErrBadJSON is the reason of every fault in a request body that should be JSON.
var ErrBadJSON = errors.New("httpx: body is not the JSON that was expected")

// ReadJSON decodes the request body of at most limit bytes into v. An empty body
// leaves v as it is. The error wraps ErrBadJSON or *http.MaxBytesError.
func ReadJSON(c echo.Context, limit int64, v any) error {
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, limit))
	if err != nil {
		return fmt.Errorf("httpx: read body: %w", err)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: %w", ErrBadJSON, err)
	}
	return nil
}
