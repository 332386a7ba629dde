package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/auth/provider"
)

// hub is a service like GitHub: the code that it is given is the person.
type hub struct{ *httptest.Server }

// hubUser is somebody as hub knows them.
type hubUser struct {
	ID       int    `json:"id"`
	Login    string `json:"login"`
	Name     string `json:"name"`
	Email    string `json:"email"`
	Verified bool   `json:"verified"`
	// Second is a further address, verified and not the primary one.
	Second string `json:"second,omitempty"`
}

func (p hubUser) code() string {
	text, _ := json.Marshal(p)
	return base64.RawURLEncoding.EncodeToString(text)
}

func startHub(t *testing.T) *hub {
	t.Helper()
	write := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	who := func(w http.ResponseWriter, r *http.Request) (p hubUser, ok bool) {
		text, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if err != nil || json.Unmarshal(text, &p) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return p, false
		}
		return p, true
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/login/oauth/access_token", func(w http.ResponseWriter, r *http.Request) {
		code := r.PostFormValue("code")
		if _, err := base64.RawURLEncoding.DecodeString(code); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		write(w, map[string]any{"access_token": code, "token_type": "bearer", "refresh_token": "hub-refresh"})
	})
	mux.HandleFunc("/api/v3/user", func(w http.ResponseWriter, r *http.Request) {
		if p, ok := who(w, r); ok {
			write(w, map[string]any{
				"id": p.ID, "login": p.Login, "name": p.Name, "avatar_url": "https://hub.example.com/a.png",
				"role": "service_role", "app_metadata": map[string]any{"admin": true}, "is_super_admin": true, "aud": "other",
			})
		}
	})
	mux.HandleFunc("/api/v3/user/emails", func(w http.ResponseWriter, r *http.Request) {
		if p, ok := who(w, r); ok && p.Email != "" {
			emails := []map[string]any{{"email": p.Email, "verified": p.Verified, "primary": true}}
			if p.Second != "" {
				emails = append(emails, map[string]any{"email": p.Second, "verified": true, "primary": false})
			}
			write(w, emails)
		} else if ok {
			write(w, []int{})
		}
	})
	h := &hub{httptest.NewServer(mux)}
	t.Cleanup(h.Close)
	return h
}

// github are the settings for hub in the place of GitHub.
func (h *hub) github(cfg auth.Config) auth.Config {
	cfg.SiteURL = "https://app.example.com"
	cfg.External.GitHub = provider.Config{Enabled: true, ClientID: []string{"client"}, Secret: "hub-secret", URL: h.URL}
	return cfg
}

// begin goes to /authorize with a query and returns the state.
func (s *server) begin(query string) string {
	s.t.Helper()
	a := s.call("GET", "/authorize?provider=github"+query, "", nil)
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusFound || to.Query().Get("state") == "" {
		s.t.Fatalf("authorize: %d %q %s", a.status, a.header.Get("Location"), a.text)
	}
	return to.Query().Get("state")
}

// landing is where the browser is sent in the end.
type landing struct {
	*url.URL
	status          int
	query, fragment url.Values
}

func (s *server) comeBack(query string) landing {
	s.t.Helper()
	return landed(s.t, s.call("GET", "/callback?"+query, "", nil))
}

func landed(t *testing.T, a answer) landing {
	t.Helper()
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status < 300 || a.status > 399 {
		t.Fatalf("callback: %d %s", a.status, a.text)
	}
	f, err := url.ParseQuery(to.EscapedFragment())
	if err != nil {
		t.Fatal(err)
	}
	return landing{to, a.status, to.Query(), f}
}

// enter signs p in by the implicit flow.
func (s *server) enter(p hubUser) landing {
	s.t.Helper()
	return s.comeBack("state=" + s.begin("") + "&code=" + p.code())
}

func (l landing) wantError(t *testing.T, name, code string) {
	t.Helper()
	if l.query.Get("error") != name || l.query.Get("error_code") != code || l.fragment.Get("access_token") != "" || l.query.Get("code") != "" {
		t.Fatalf("got %s, want error %q %q", l.URL, name, code)
	}
}

func (l landing) wantTokens(t *testing.T) string {
	t.Helper()
	if l.fragment.Get("access_token") == "" || l.query.Get("error") != "" {
		t.Fatalf("no tokens: %s", l.URL)
	}
	return l.fragment.Get("access_token")
}

func TestSignInAtServiceImplicitly(t *testing.T) {
	t.Parallel()
	s := start(t, startHub(t).github(config()))
	l := s.enter(hubUser{ID: 7, Login: "octo", Name: "Octo Cat", Email: "Octo@Example.com", Verified: true})
	token := l.wantTokens(t)
	if l.Scheme+"://"+l.Host != "https://app.example.com" || l.status != http.StatusFound {
		t.Errorf("ended at %s with %d", l.URL, l.status)
	}
	for _, name := range []string{"refresh_token", "expires_in", "expires_at", "provider_token", "provider_refresh_token"} {
		if l.fragment.Get(name) == "" {
			t.Errorf("%s is missing", name)
		}
	}
	equal(t, "token_type", l.fragment.Get("token_type"), "bearer")
	if !l.fragment.Has("sb") {
		t.Error("sb is missing")
	}
	user := s.call("GET", "/user", token, nil).want(200, "")
	equal(t, "email", user.str("email"), "octo@example.com")
	equal(t, "app_metadata", user.at("app_metadata"), map[string]any{"provider": "github", "providers": []string{"github"}})
	data := user.at("identities", "0", "identity_data").(map[string]any)
	if !strings.HasSuffix(data["iss"].(string), "/api/v3") {
		t.Error(data["iss"])
	}
	delete(data, "iss")
	equal(t, "identity_data", data, map[string]any{
		"sub": "7", "name": "Octo Cat", "preferred_username": "octo", "email": "octo@example.com", "email_verified": true,
		"phone_verified": false, "avatar_url": "https://hub.example.com/a.png", "full_name": "Octo Cat", "provider_id": "7", "user_name": "octo",
	})
	equal(t, "amr", payload(t, token)["amr"].([]any)[0].(map[string]any)["method"], "oauth")
	equal(t, "flows left", s.count(`SELECT count(*) FROM auth.flow_state`), 0)

	again := s.enter(hubUser{ID: 7, Login: "octo2", Name: "Octo", Email: "elsewhere@example.com", Verified: true})
	same := s.call("GET", "/user", again.wantTokens(t), nil).want(200, "")
	equal(t, "same user", same.str("id"), user.str("id"))
	equal(t, "new name", same.str("user_metadata", "user_name"), "octo2")
	equal(t, "old address", same.str("email"), "octo@example.com")
}

func TestSignInAtServiceWithPKCE(t *testing.T) {
	t.Parallel()
	s := start(t, startHub(t).github(config()))
	const verifier = "a-verifier-that-is-long-enough-to-be-taken-by-the-server"
	state := s.begin("&code_challenge=" + challengeOf(verifier) + "&code_challenge_method=s256")
	l := s.comeBack("state=" + state + "&code=" + hubUser{ID: 1, Login: "a", Email: "a@example.com", Verified: true}.code())
	code := l.query.Get("code")
	if code == "" || l.fragment.Get("access_token") != "" {
		t.Fatalf("no code: %s", l.URL)
	}
	exchange := func(verifier string) answer {
		return s.call("POST", "/token?grant_type=pkce", "", map[string]any{"auth_code": code, "code_verifier": verifier})
	}
	exchange(verifier+"x").want(400, "bad_code_verifier")
	session := exchange(verifier).want(200, "")
	if session.str("provider_token") == "" || session.str("provider_refresh_token") != "hub-refresh" {
		t.Error(session.text)
	}
	exchange(verifier).want(404, "flow_state_not_found")
	s.comeBack("state="+state+"&code=x").wantError(t, "invalid_request", "bad_oauth_state")
}

// A state serves once, for its own service, within its time, and for nobody who
// makes one up. What fails uses it up too.
func TestStateServesOnce(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	s := start(t, h.github(config()))
	good := hubUser{ID: 5, Login: "b", Email: "b@example.com", Verified: true}.code()

	l := s.comeBack("code=x")
	l.wantError(t, "invalid_request", "bad_oauth_callback")
	if l.status != http.StatusSeeOther || l.Host != "app.example.com" {
		t.Errorf("%d %s", l.status, l.URL)
	}
	s.comeBack("code=x&state=nope").wantError(t, "invalid_request", "bad_oauth_state")
	s.comeBack("code=x&state=00000000-0000-4000-8000-000000000001").wantError(t, "invalid_request", "bad_oauth_state")

	state := s.begin("")
	s.comeBack("state=" + state + "&code=" + good).wantTokens(t)
	s.comeBack("state="+state+"&code="+good).wantError(t, "invalid_request", "bad_oauth_state")

	for _, failure := range []string{"error=access_denied&error_description=no", "", "code=%21%21"} {
		state := s.begin("")
		l := s.comeBack("state=" + state + "&" + failure)
		if l.query.Get("error") == "" || l.fragment.Get("error") != l.query.Get("error") || !l.fragment.Has("sb") {
			t.Errorf("%q: %s", failure, l.URL)
		}
		s.comeBack("state="+state+"&code="+good).wantError(t, "invalid_request", "bad_oauth_state")
	}

	late := s.begin("")
	s.f.Exec(t, `UPDATE auth.flow_state SET created_at = now() - interval '6 minutes' WHERE id = $1`, late)
	s.comeBack("state="+late+"&code="+good).wantError(t, "invalid_request", "bad_oauth_state")

	other := s.begin("")
	s.f.Exec(t, `UPDATE auth.flow_state SET authentication_method = 'magiclink' WHERE id = $1`, other)
	s.comeBack("state="+other+"&code="+good).wantError(t, "invalid_request", "bad_oauth_state")
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 1)
}

// Of many who come back with one state at once, one gets in.
func TestStateServesOneOfMany(t *testing.T) {
	t.Parallel()
	s := start(t, startHub(t).github(config()))
	state, code := s.begin(""), hubUser{ID: 5, Login: "b", Email: "b@example.com", Verified: true}.code()
	won := make(chan bool)
	for range 8 {
		go func() {
			a := s.call("GET", "/callback?state="+state+"&code="+code, "", nil)
			won <- strings.Contains(a.header.Get("Location"), "access_token=")
		}()
	}
	n := 0
	for range 8 {
		if <-won {
			n++
		}
	}
	equal(t, "winners", n, 1)
	equal(t, "sessions", s.count(`SELECT count(*) FROM auth.sessions`), 1)
}

// Two callbacks of the same new person at once make one account.
func TestSamePersonTwiceAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, startHub(t).github(config()))
	code, done := hubUser{ID: 5, Login: "b", Email: "b@example.com", Verified: true}.code(), make(chan string)
	for range 6 {
		state := s.begin("")
		go func() { done <- s.call("GET", "/callback?state="+state+"&code="+code, "", nil).header.Get("Location") }()
	}
	for range 6 {
		if to := <-done; !strings.Contains(to, "access_token=") {
			t.Error(to)
		}
	}
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 1)
	equal(t, "identities", s.count(`SELECT count(*) FROM auth.identities`), 1)
}

func TestCallbackLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	cfg := startHub(t).github(config())
	cfg.URIAllowList = []string{"https://ok.example.com/**"}
	s := start(t, cfg)
	p := hubUser{ID: 3, Login: "c", Email: "c@example.com", Verified: true}
	for asked, want := range map[string]string{
		"https://ok.example.com/in":          "ok.example.com",
		"https://evil.example.net/":          "app.example.com",
		"https://app.example.com.evil.net/":  "app.example.com",
		"https://app.example.com@evil.net/":  "app.example.com",
		"javascript:alert(1)":                "app.example.com",
		"//evil.example.net":                 "app.example.com",
		"https://ok.example.com.evil.net/in": "app.example.com",
	} {
		state := s.begin("&redirect_to=" + url.QueryEscape(asked))
		if l := s.comeBack("state=" + state + "&code=" + p.code() + "&redirect_to=" + url.QueryEscape(asked)); l.Host != want {
			t.Errorf("%s led to %s", asked, l.URL)
		}
		state = s.begin("&redirect_to=" + url.QueryEscape(asked))
		if l := s.comeBack("state=" + state + "&error=access_denied"); l.Host != want {
			t.Errorf("%s led to %s after an error", asked, l.URL)
		}
	}
}

func TestAuthorizeKeepsItsOwnParameters(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	s := start(t, h.github(config()))
	a := s.call("GET", "/authorize?provider=GitHub&scopes=repo,gist&prompt=consent&state=evil&STATE=evil&redirect_uri=https://evil.example.net&"+
		"Client_ID=evil&response_type=token&code_challenge_method=&invite_token=", "", nil)
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusFound {
		t.Fatal(a.status, a.text)
	}
	q := to.Query()
	equal(t, "at", to.Scheme+"://"+to.Host+to.Path, h.URL+"/login/oauth/authorize")
	equal(t, "client", q.Get("client_id"), "client")
	equal(t, "type", q.Get("response_type"), "code")
	equal(t, "scope", q.Get("scope"), "user:email repo gist")
	equal(t, "prompt", q.Get("prompt"), "consent")
	if !strings.HasSuffix(q.Get("redirect_uri"), "/auth/v1/callback") || strings.Contains(to.RawQuery, "evil") {
		t.Error(to)
	}
	s.call("GET", "/authorize", "", nil).want(400, "validation_failed")
	s.call("GET", "/authorize?provider=nowhere", "", nil).want(400, "validation_failed")
	s.call("GET", "/authorize?provider=google", "", nil).want(400, "validation_failed")
	s.call("GET", "/authorize?provider=custom:nothing", "", nil).want(400, "validation_failed")
	s.call("GET", "/authorize?provider=github&code_challenge=short&code_challenge_method=s256", "", nil).want(400, "validation_failed")
	s.call("GET", "/authorize?provider=github&invite_token=nope", "", nil).want(404, "user_not_found")
}

func TestSettingsNameServices(t *testing.T) {
	t.Parallel()
	s := start(t, startHub(t).github(config()))
	a := s.call("GET", "/settings", "", nil).want(200, "")
	equal(t, "github", a.at("external", "github"), true)
	equal(t, "google", a.at("external", "google"), false)
	equal(t, "names", len(a.at("external").(map[string]any)), 26)
}

// Apple sends a form, and from another site.
func TestCallbackByForm(t *testing.T) {
	t.Parallel()
	s := start(t, startHub(t).github(config()))
	send := func(form url.Values) landing {
		return landed(t, s.call("POST", "/callback", "", form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Origin", "https://appleid.apple.com"))
	}
	state := s.begin("")
	send(url.Values{"state": {state}, "code": {hubUser{ID: 1, Login: "a", Email: "a@example.com", Verified: true}.code()}}).wantTokens(t)
	send(url.Values{"state": {state}, "code": {"x"}}).wantError(t, "invalid_request", "bad_oauth_state")
	send(url.Values{}).wantError(t, "invalid_request", "bad_oauth_callback")
	if a := s.call("POST", "/callback", "", "state="+strings.Repeat("x", 2<<20), "Content-Type", "application/x-www-form-urlencoded"); a.status != http.StatusBadRequest {
		t.Error(a.status, a.text)
	}
}

// What a service or anybody else writes into the address is told as data: no line
// breaks into headers, and no end.
func TestCallbackTellsLittle(t *testing.T) {
	t.Parallel()
	s := start(t, startHub(t).github(config()))
	l := s.comeBack("state=" + s.begin("") + "&error=" + strings.Repeat("a", 5000) + "&error_description=x%0d%0aSet-Cookie:%20a=b%23%26code=evil")
	if len(l.query.Get("error")) > 500 || l.query.Get("code") != "" || l.Host != "app.example.com" || !strings.Contains(l.query.Get("error_description"), "Set-Cookie: a=b#&code=evil") {
		t.Error(l.URL)
	}
	a := s.call("GET", "/callback?state="+s.begin("")+"&error=x%0d%0aX-Evil:%201", "", nil)
	if a.header.Get("X-Evil") != "" || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Referrer-Policy") != "no-referrer" {
		t.Error(a.header)
	}
}

// The app's hook may refuse somebody new, and is not asked about who is known.
func TestHookJudgesNewcomers(t *testing.T) {
	t.Parallel()
	cfg := startHub(t).github(config())
	asked := 0
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"error":{"http_code":403,"message":"not you"}}`))
	}))
	defer app.Close()
	cfg.Hooks.BeforeUserCreatedEnabled, cfg.Hooks.BeforeUserCreatedURI = true, app.URL
	cfg.Hooks.BeforeUserCreatedSecrets = "v1,whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	s := start(t, cfg)
	l := s.enter(hubUser{ID: 1, Login: "a", Email: "a@example.com", Verified: true})
	if l.query.Get("error") != "access_denied" || l.query.Get("error_description") != "not you" || asked != 1 {
		t.Error(l.URL, asked)
	}
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 0)
	s.call("POST", "/admin/users", s.service(), map[string]any{"email": "a@example.com", "email_confirm": true}).want(200, "")
	s.enter(hubUser{ID: 1, Login: "a", Email: "a@example.com", Verified: true}).wantTokens(t)
	equal(t, "asked", asked, 1)
}

// A link with somebody's own state and code does not bring another's browser into
// their account, where the setting binds sign-ins to browsers.
func TestStateOfAnotherBrowser(t *testing.T) {
	t.Parallel()
	cfg := startHub(t).github(config())
	cfg.External.BindBrowser = true
	s := start(t, cfg)
	begun := s.call("GET", "/authorize?provider=github", "", nil)
	to, err := url.Parse(begun.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	cookies := (&http.Response{Header: begun.header}).Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].Path != "/auth/v1/callback" || cookies[0].SameSite != http.SameSiteLaxMode {
		t.Fatal(cookies)
	}
	query := "state=" + to.Query().Get("state") + "&code=" + hubUser{ID: 1, Login: "m", Email: "m@example.com", Verified: true}.code()
	s.comeBack(query).wantError(t, "invalid_request", "bad_oauth_state")
	landed(t, s.call("GET", "/callback?"+query, "", nil, "Cookie", "madbase-state-00000000-0000-4000-8000-000000000001=1")).wantError(t, "invalid_request", "bad_oauth_state")
	own := landed(t, s.call("GET", "/callback?"+query, "", nil, "Cookie", cookies[0].Name+"=1"))
	own.wantTokens(t)
	landed(t, s.call("GET", "/callback?"+query, "", nil, "Cookie", cookies[0].Name+"=1")).wantError(t, "invalid_request", "bad_oauth_state")
}
