package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/project"
)

// maxBody is the longest request body in bytes.
const maxBody = 1 << 20

// readBody decodes the request's JSON body into v, whatever its content type says.
func readBody(c echo.Context, v any) error {
	body, err := wholeBody(c)
	if err != nil {
		return err
	}
	return decode(body, v)
}

// readOptionalBody is readBody that leaves v as it is when the body is empty.
func readOptionalBody(c echo.Context, v any) error {
	body, err := wholeBody(c)
	if err != nil || len(body) == 0 {
		return err
	}
	return decode(body, v)
}

func wholeBody(c echo.Context) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, tooLargeBody(err)
	}
	if err != nil {
		return nil, badRequest(codeBadJSON, "Could not read request body").Because(err)
	}
	return body, nil
}

func tooLargeBody(cause error) error {
	return apierr.Newf(http.StatusRequestEntityTooLarge, codeTooLarge, "Request body too large (max %d bytes)", maxBody).Because(cause)
}

// decode reads JSON as Go does, with bytes that are no UTF-8 replaced: PostgreSQL takes none.
func decode(body []byte, v any) error {
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	if err := json.Unmarshal(body, v); err != nil {
		return badRequest(codeBadJSON, fmt.Sprintf("Could not parse request body as JSON: %v", err))
	}
	return nil
}

// client is who sends a request, as sessions note it.
type client struct{ userAgent, ip string }

func (m *Module) client(r *http.Request) client {
	c := client{userAgent: strings.ToValidUTF8(r.UserAgent(), "\uFFFD")}
	if ip, err := netip.ParseAddr(m.clientIP(r)); err == nil {
		c.ip = ip.WithZone("").Unmap().String()
	}
	return c
}

// headerAudience names the audience that a request is about, where it is not the default one.
const headerAudience = "X-JWT-AUD"

func (m *Module) audience(r *http.Request) string {
	if asked := r.Header.Get(headerAudience); asked != "" {
		return strings.ToValidUTF8(asked, "\uFFFD")
	}
	return m.cfg.JWTAudience
}

func projectOf(c echo.Context) *project.Project { return project.From(c.Request().Context()) }

// Addresses as HTML's email inputs take them (WHATWG HTML, section "valid e-mail address").
var emailPattern = regexp.MustCompile("^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$")

// maxEmail is the width of the column.
const maxEmail = 255

// parseEmail checks an address and returns it in lower case, as it is stored.
func parseEmail(text string) (string, error) {
	switch {
	case text == "":
		return "", invalid("An email address is required")
	case len(text) > maxEmail:
		return "", invalid("An email address is too long")
	case !emailPattern.MatchString(text):
		return "", invalid("Unable to validate email address: invalid format")
	}
	return strings.ToLower(text), nil
}

var phonePattern = regexp.MustCompile(`^[1-9][0-9]{1,14}$`)

// parsePhone checks a number in E.164 and returns it without plus and spaces, as it is stored.
func parsePhone(text string) (string, error) {
	digits := strings.ReplaceAll(strings.TrimPrefix(text, "+"), " ", "")
	if !phonePattern.MatchString(digits) {
		return "", invalid("Invalid phone number format (E.164 required)")
	}
	return digits, nil
}

// ownIdentity is the identity_data of a user's own address or number.
func ownIdentity(userID, field, value string) map[string]any {
	data := map[string]any{"sub": userID, "email_verified": false, "phone_verified": false}
	if field == store.ProviderEmail {
		data["email"] = value
	} else {
		data["phone"] = value
	}
	return data
}
