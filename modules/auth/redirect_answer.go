package auth

import (
	"cmp"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// withTokens is the address with the tokens of a sign-in as its fragment, which
// browsers keep to themselves (RFC 6749, section 4.2.2), beside the members of
// extra, which it may change and may be nil. The empty sb says whose tokens they are.
func (m *Module) withTokens(address string, in *issued, extra url.Values) string {
	if extra == nil {
		extra = url.Values{}
	}
	for name, value := range map[string]string{
		"access_token": in.access, "token_type": "bearer", "expires_in": strconv.FormatInt(m.secondsLeft(in), 10),
		"expires_at": strconv.FormatInt(in.expires.Unix(), 10), "refresh_token": in.refresh, "sb": "",
	} {
		extra.Set(name, value)
	}
	return withoutFragment(address) + "#" + extra.Encode()
}

func withoutFragment(address string) string {
	address, _, _ = strings.Cut(address, "#")
	return address
}

// withCode is the address with the code of a flow in its query.
func withCode(address, code string) string { return withQuery(address, url.Values{"code": {code}}) }

// withQuery sets members of an address's query. An address that is none is returned as it is.
func withQuery(address string, values url.Values) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	q := u.Query()
	for name := range values {
		q.Set(name, values.Get(name))
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// errorValues are what an address tells of an error when a browser is sent there:
// OAuth's name for it, GoTrue's code and text. Nothing of an internal error's
// cause gets out; all of it is logged.
func (m *Module) errorValues(c echo.Context, err error) url.Values {
	e, ctx := apierr.From(err), c.Request().Context()
	code, message := e.Code, e.Message
	level := slog.LevelInfo
	if e.Status >= http.StatusInternalServerError {
		level = slog.LevelError
		if code == "" || code == "internal_error" {
			code = codeUnexpected
		}
	}
	m.deps.Log.Log(ctx, level, "sign-in refused", "error", err, "request_id", httpx.RequestID(ctx))
	return url.Values{"error": {oauthName(e.Status, code)}, "error_code": {code}, "error_description": {message}}
}

// oauthNames are RFC 6749's names (section 4.1.2.1) for the statuses of errors.
var oauthNames = map[int]string{
	http.StatusBadRequest: oauthInvalidRequest, http.StatusUnauthorized: "unauthorized_client", http.StatusForbidden: oauthAccessDenied,
	http.StatusInternalServerError: oauthServerFailed, http.StatusServiceUnavailable: "temporarily_unavailable",
}

// oauthName is OAuth's name for an error (RFC 6749, section 4.1.2.1).
func oauthName(status int, code string) string {
	switch code {
	case codeSignupDisabled, codeUserBanned, codeProviderEmail:
		return oauthAccessDenied
	}
	return cmp.Or(oauthNames[status], oauthServerFailed)
}
