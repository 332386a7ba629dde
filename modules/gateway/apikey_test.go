package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/claims"
)

const (
	missingKey = `{"message":"No API key found in request","hint":"No ` + "`apikey`" + ` request header or url param was found."}`
	invalidKey = `{"message":"Invalid API key","hint":"Double check your Supabase ` + "`anon` or `service_role`" + ` API key."}`
)

func sign(t testing.TB, keys *claims.Keys, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := keys.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Header.Get("Authorization") + " " + r.RequestURI))
	})
	d := open(t, config(w.URL))
	api := d.Keys.API()
	anon, service, publishable, secret := api.Anon.Reveal(), api.Service.Reveal(), api.Publishable.Reveal(), api.Secret.Reveal()
	forAnon, forService := exchange(t, d.Keys, publishable), exchange(t, d.Keys, secret)
	user := sign(t, d.Keys, map[string]any{"role": "authenticated", "sub": "u", "exp": time.Now().Add(time.Hour).Unix()})
	expired := sign(t, d.Keys, map[string]any{"role": "anon", "exp": time.Now().Add(-time.Hour).Unix()})
	foreign := anon[:len(anon)-4] + "AAAA"
	for name, test := range map[string]struct {
		path        string
		key, bearer string
		want        string // the Authorization and URI that arrive, or the body of a 401
	}{
		"anon key":                     {"/rest/v1/a", anon, "", "Bearer " + anon + " /rest/v1/a"},
		"anon key with itself":         {"/rest/v1/a", anon, "Bearer " + anon, "Bearer " + anon + " /rest/v1/a"},
		"anon key with a user":         {"/rest/v1/a", anon, "Bearer " + user, "Bearer " + user + " /rest/v1/a"},
		"publishable":                  {"/rest/v1/a", publishable, "", "Bearer " + forAnon + " /rest/v1/a"},
		"publishable as both":          {"/auth/v1/token", publishable, "Bearer " + publishable, "Bearer " + forAnon + " /auth/v1/token"},
		"secret as both":               {"/storage/v1/bucket", secret, "Bearer " + secret, "Bearer " + forService + " /storage/v1/bucket"},
		"secret with a user":           {"/rest/v1/a", secret, "Bearer " + user, "Bearer " + user + " /rest/v1/a"},
		"key as bearer only":           {"/rest/v1/a", "", "Bearer " + publishable, "Bearer " + forAnon + " /rest/v1/a"},
		"legacy key as bearer only":    {"/rest/v1/a", "", "Bearer " + service, "Bearer " + service + " /rest/v1/a"},
		"legacy key is no caller":      {"/auth/v1/user", anon, "", " /auth/v1/user"},
		"nor the service's":            {"/auth/v1/admin/users", service, "", " /auth/v1/admin/users"},
		"publishable is one":           {"/auth/v1/user", publishable, "", "Bearer " + forAnon + " /auth/v1/user"},
		"another scheme passes":        {"/auth/v1/user", anon, "Basic eDp5", "Basic eDp5 /auth/v1/user"},
		"in the query":                 {"/rest/v1/a?select=b&apikey=" + publishable + "&c=eq.1", "", "", "Bearer " + forAnon + " /rest/v1/a?select=b&c=eq.1"},
		"in the query alone":           {"/rest/v1/a?apikey=" + anon, "", "", "Bearer " + anon + " /rest/v1/a"},
		"a socket keeps its key":       {"/realtime/v1/websocket?apikey=" + anon, "", "", "Bearer " + anon + " /realtime/v1/websocket?apikey=" + anon},
		"missing":                      {"/rest/v1/a", "", "", missingKey},
		"missing with a user":          {"/rest/v1/a", "", "Bearer " + user, missingKey},
		"user's token as key":          {"/rest/v1/a", user, "", invalidKey},
		"expired":                      {"/rest/v1/a", expired, "", invalidKey},
		"foreign signature":            {"/rest/v1/a", foreign, "", invalidKey},
		"foreign secret":               {"/rest/v1/a", "sb_secret_foreign", "", invalidKey},
		"foreign secret as bearer":     {"/rest/v1/a", "", "Bearer sb_secret_foreign", invalidKey},
		"nonsense":                     {"/auth/v1/settings", "x", "Bearer " + user, invalidKey},
		"health is not open":           {"/auth/v1/health", "", "", missingKey},
		"upload by bearer":             {"/storage/v1/upload/resumable", "", "Bearer " + user, "Bearer " + user + " /storage/v1/upload/resumable"},
		"a function's own rule":        {"/functions/v1/hook", "", "", " /functions/v1/hook"},
		"a bad key on an open route":   {"/auth/v1/verify?token=x", "sb_publishable_old", "", " /auth/v1/verify?token=x"},
		"dots do not open routes":      {"/auth/v1/sso/saml/../../admin/users", "", "", missingKey},
		"nor at the end":               {"/auth/v1/sso/saml/..", "", "", missingKey},
		"nor encoded":                  {"/auth/v1/sso/saml/%2e%2e/%2E%2e/admin/users", "", "", missingKey},
		"nor with an encoded slash":    {"/auth/v1/sso/saml/..%2f../admin/users", "", "", missingKey},
		"nor do semicolons":            {"/auth/v1/admin/users;/auth/v1/verify", "", "", missingKey},
		"case counts":                  {"/auth/v1/VERIFY", "", "", missingKey},
		"a longer name is not open":    {"/auth/v1/verify-all", "", "", missingKey},
		"storage's lists need a key":   {"/storage/v1/bucket", "", "", missingKey},
		"realtime needs a key":         {"/realtime/v1/websocket", "", "", missingKey},
		"the root of a surface counts": {"/rest/v1", "", "", missingKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := d.request(t, http.MethodGet, "/", nil, "apikey", test.key, "Authorization", test.bearer)
			var err error
			path, query, _ := strings.Cut(test.path, "?")
			r.URL.RawQuery = query
			r.URL.RawPath = path
			if r.URL.Path, err = url.PathUnescape(path); err != nil {
				t.Fatal(err)
			}
			res := d.do(t, r)
			body := readAll(t, res)
			want := http.StatusOK
			if test.want == missingKey || test.want == invalidKey {
				want = http.StatusUnauthorized
			}
			if body != test.want || res.StatusCode != want {
				t.Errorf("%d %s\nwant %s", res.StatusCode, body, test.want)
			}
		})
	}
}

func TestOpenRoutes(t *testing.T) {
	t.Parallel()
	w := newWorker(t, ok)
	d := open(t, config(w.URL))
	for _, test := range []struct {
		method, path string
		open         bool
	}{
		{"GET", "/auth/v1/verify?token=a&type=signup", true},
		{"POST", "/auth/v1/verify", true},
		{"GET", "/auth/v1/callback?code=a", true},
		{"GET", "/auth/v1/authorize?provider=github", true},
		{"POST", "/auth/v1/sso/saml/acs", true},
		{"GET", "/auth/v1/.well-known/jwks.json", true},
		{"GET", "/.well-known/oauth-authorization-server/auth/v1", true},
		{"POST", "/auth/v1/token?grant_type=password", false},
		{"GET", "/storage/v1/object/public/b/k", true},
		{"HEAD", "/storage/v1/object/public/b/k", true},
		{"GET", "/storage/v1/object/sign/b/k?token=t", true},
		{"GET", "/storage/v1/object/b/k", true},
		{"GET", "/storage/v1/render/image/public/b/k", true},
		{"GET", "/storage/v1/render/image/sign/b/k?token=t", true},
		{"PUT", "/storage/v1/object/upload/sign/b/k?token=t", true},
		{"POST", "/storage/v1/object/upload/sign/b/k", false},
		{"POST", "/storage/v1/object/sign/b/k", false},
		{"POST", "/storage/v1/object/b/k", false},
		{"DELETE", "/storage/v1/object/b/k", false},
		{"GET", "/storage/v1/render/image/authenticated/b/k", false},
		{"PATCH", "/storage/v1/upload/resumable/sign/abc", true},
		{"OPTIONS", "/storage/v1/upload/resumable", true},
		{"POST", "/storage/v1/upload/resumable", false},
		{"GET", "/storage/v1/s3/b/k", true},
		{"POST", "/functions/v1/hook", true},
	} {
		res, body := d.get(t, test.method, test.path, "apikey", "")
		if open := res.StatusCode == 200; open != test.open {
			t.Errorf("%s %s: %d %s", test.method, test.path, res.StatusCode, body)
		}
	}
}

// Spellings that name no surface are nobody's, whatever they decode to.
func TestOddSpellings(t *testing.T) {
	t.Parallel()
	w := newWorker(t, ok)
	d := open(t, config(w.URL))
	for _, path := range []string{"//rest/v1/a", "/REST/v1/a", "/rest%2fv1/a", "/rest/v1%2fa", "/%72est/v1/a", "/./rest/v1/a", "/x/../rest/v1/a", "/rest/v1;a"} {
		r := d.request(t, http.MethodGet, "/", nil)
		r.URL.Opaque = "//" + r.URL.Host + path
		if res := d.do(t, r); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

// exchange is the token that an opaque key stands for.
func exchange(t *testing.T, keys *claims.Keys, key string) string {
	t.Helper()
	token, err := keys.Exchange(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// A client cannot have the gateway drop what it sets by naming it in Connection.
func TestConnectionNamesAuthorization(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Authorization")) })
	d := open(t, config(w.URL))
	api := d.Keys.API()
	_, body := d.get(t, http.MethodGet, "/rest/v1/a", "apikey", api.Publishable.Reveal(), "Connection", "Authorization, X-Real-Ip")
	if body != "Bearer "+exchange(t, d.Keys, api.Publishable.Reveal()) {
		t.Errorf("got %q", body)
	}
}

func TestSecretKeyFromBrowser(t *testing.T) {
	t.Parallel()
	w := newWorker(t, ok)
	d := open(t, config(w.URL))
	secret := d.Keys.API().Secret.Reveal()
	for _, test := range []struct {
		agent, origin string
		want          int
	}{
		{"Mozilla/5.0 (X11)", "https://app.example.com", 401},
		{"Mozilla/5.0 (X11)", "", 200},
		{"node", "https://app.example.com", 200},
	} {
		res, body := d.get(t, http.MethodGet, "/rest/v1/a", "apikey", secret, "User-Agent", test.agent, "Origin", test.origin)
		if res.StatusCode != test.want || strings.Contains(body, secret) {
			t.Errorf("%+v: %d %s", test, res.StatusCode, body)
		}
	}
}

func TestKeylessRequestsWhereAllowed(t *testing.T) {
	t.Parallel()
	w := newWorker(t, echoHeaders)
	cfg := config(w.URL)
	cfg.RequireAPIKey = false
	d := open(t, cfg)
	if res, body := d.get(t, http.MethodGet, "/rest/v1/a", "apikey", ""); res.StatusCode != 200 || strings.Contains(body, "authorization") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if res, _ := d.get(t, http.MethodGet, "/rest/v1/a", "apikey", "wrong"); res.StatusCode != 401 {
		t.Errorf("a wrong key: %d", res.StatusCode)
	}
}
