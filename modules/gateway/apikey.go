package gateway

import (
	"net/http"
	"strings"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
)

// codeAPIKey marks the refusals that are written in the gateway's own dialect.
const codeAPIKey = "api_key"

func noAPIKey() error {
	return apierr.New(http.StatusUnauthorized, codeAPIKey, "No API key found in request").
		WithHint("No `apikey` request header or url param was found.")
}

func badAPIKey(cause error) error {
	return apierr.New(http.StatusUnauthorized, codeAPIKey, "Invalid API key").
		WithHint("Double check your Supabase `anon` or `service_role` API key.").Because(cause)
}

func browserSecret() error {
	return apierr.New(http.StatusUnauthorized, codeAPIKey, "Forbidden use of secret API key in browser").
		WithHint("A secret API key gives full access to the project's data: replace this one, and use it on servers only.")
}

func noSchema() error {
	return apierr.New(http.StatusUnauthorized, codeAPIKey, "Access to schema is forbidden").
		WithHint("Accessing the schema via the Data API is only allowed using a secret API key.")
}

// describesAPI reports whether r asks for the description of the whole REST API.
func describesAPI(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Trim(r.URL.Path, "/") == "rest/v1"
}

// authorize checks r's API key. That of a project whose keys are not known here is
// for its worker to check.
func (m *Module) authorize(r *http.Request) (string, error) {
	keys := m.deps.Keys(r)
	if keys == nil {
		return claims.APIKey(r), nil
	}
	return Authorize(r, keys, m.cfg.RequireAPIKey)
}

// Authorize checks r's API key and leaves on r the Authorization header that the
// worker is to judge: the caller's own, or else the key's token. It returns the
// key, empty where an open route goes without or with an unknown one; required
// says that the others may not.
func Authorize(r *http.Request, keys *claims.Keys, required bool) (string, error) {
	authorization := r.Header.Get("Authorization")
	bearer, isBearer := cutBearer(authorization)
	key := claims.APIKey(r)
	hideKey(r)
	if key == "" && isBearer && standsAlone(keys, bearer) {
		key = bearer // a bearer that is itself an API key needs no second one
	}
	if key == "" {
		if required && needsKey(r) {
			return "", noAPIKey()
		}
		if describesAPI(r) {
			return "", noSchema()
		}
		return "", nil
	}
	token, role, err := keyToken(keys, key)
	if err != nil {
		if !needsKey(r) {
			return "", nil // open routes judge for themselves what they are given
		}
		return "", badAPIKey(err)
	}
	if strings.HasPrefix(key, "sb_secret_") && fromBrowser(r) {
		return "", browserSecret()
	}
	if role != claims.RoleService && describesAPI(r) {
		return "", noSchema()
	}
	// Auth asks who calls. A key of the old kind does not say that, and what
	// comes with nothing else is told so; one of the new kind stands for a bearer.
	keyCalls := !strings.HasPrefix(r.URL.Path, "/auth/v1/") || strings.HasPrefix(key, "sb_")
	if authorization == "" && keyCalls || isBearer && strings.HasPrefix(bearer, "sb_") {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if strings.HasPrefix(r.URL.Path, "/realtime/v1/") {
		r.Header.Set("X-Api-Key", token) // a socket's key comes in the URL only
	}
	return key, nil
}

// keyToken returns the token that an API key stands for and its role, if the key
// is one of the project's: an sb_ key, or a JWT of the API roles.
func keyToken(keys *claims.Keys, key string) (token, role string, err error) {
	if token, err = keys.Exchange(key); err != nil {
		return "", "", err
	}
	caller, err := keys.Verify(token)
	if err != nil {
		return "", "", err
	}
	if caller.Role != claims.RoleAnon && caller.Role != claims.RoleService {
		return "", "", claims.ErrUnknownKey
	}
	return token, caller.Role, nil
}

// standsAlone reports whether a bearer is an API key rather than a user's token.
// A foreign sb_ key counts, so that it is called invalid and not missing.
func standsAlone(keys *claims.Keys, bearer string) bool {
	if strings.HasPrefix(bearer, "sb_") {
		return true
	}
	_, _, err := keyToken(keys, bearer)
	return err == nil
}

func cutBearer(authorization string) (token string, found bool) {
	scheme, token, found := strings.Cut(authorization, " ")
	if !found || !strings.EqualFold(scheme, "bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}

// fromBrowser recognises a page's request by the two headers that scripts cannot drop.
func fromBrowser(r *http.Request) bool {
	return r.Header.Get("Origin") != "" && strings.Contains(r.UserAgent(), "Mozilla")
}

// hideKey takes ?apikey= out of the query, where PostgREST would take it for a
// filter. Sockets keep it: the worker reads it there.
func hideKey(r *http.Request) {
	if !strings.Contains(r.URL.RawQuery, "apikey=") || strings.HasPrefix(r.URL.Path, "/realtime/v1/") {
		return
	}
	var kept []string
	for part := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if !strings.HasPrefix(part, "apikey=") {
			kept = append(kept, part)
		}
	}
	r.URL.RawQuery = strings.Join(kept, "&")
}
