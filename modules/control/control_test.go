package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/madbase/madbase/modules/control"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/ratelimit"
)

const (
	jwtSecret = "a-secret-of-more-than-32-characters-for-tests"
	password  = "correct horse"
)

func config() control.Config {
	return control.Config{
		AdminPassword: password, SessionTTL: time.Hour, LoginsPerMin: 5,
		LogsTimeout: 5 * time.Second, LogsMaxSize: 1 << 20,
	}
}

type plane struct {
	URL  string
	Keys claims.APIKeys
}

func open(t *testing.T, cfg control.Config, parts ...control.Part) *plane {
	t.Helper()
	return openWith(t, cfg, func(d *control.Deps) { d.Parts = parts })
}

func openWith(t *testing.T, cfg control.Config, change func(*control.Deps)) *plane {
	t.Helper()
	keys, err := claims.NewKeys(claims.Config{Secret: jwtSecret})
	if err != nil {
		t.Fatal(err)
	}
	proxies, err := httpx.ParseProxies([]string{httpx.PrivateRanges})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	transport := httpx.NewTransport(httpx.TransportConfig{DialTimeout: time.Second, MaxIdle: 4})
	deps := control.Deps{
		Projects: project.NewDirectory(&project.Project{Ref: "default", Keys: keys, PublicURL: "http://localhost:8000"}),
		Log:      log, Limiter: ratelimit.NewMemory(100), Transport: transport, Proxies: proxies, JWTSecret: jwtSecret,
	}
	change(&deps)
	m, err := control.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	s := httpx.New(httpx.Deps{Log: log, Metrics: metrics.NewSet(), Role: "control"})
	s.Mount("/platform/v1", m)
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() { server.Close(); transport.CloseIdleConnections() })
	return &plane{server.URL + "/platform/v1", keys.API()}
}

// call sends a request with headers given as name, value pairs and returns status, header and body.
func (p *plane) call(t *testing.T, method, path, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := (&http.Client{}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(got)
}

const loginBody = `{"password":"` + password + `"}`

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// login returns a session's token and cookie.
func (p *plane) login(t *testing.T) (string, *http.Cookie) {
	t.Helper()
	status, header, body := p.call(t, http.MethodPost, "/login", loginBody, "Content-Type", "application/json")
	var answer struct{ Token, ExpiresAt string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 || answer.Token == "" {
		t.Fatalf("%d %s", status, body)
	}
	cookie, err := http.ParseSetCookie(header.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	return answer.Token, cookie
}

func TestLoginFlow(t *testing.T) {
	t.Parallel()
	p := open(t, config())
	token, cookie := p.login(t)
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/platform/v1/" || cookie.Secure || cookie.Value != token {
		t.Errorf("cookie %+v", cookie)
	}
	pair := cookie.Name + "=" + cookie.Value
	for name, headers := range map[string][]string{
		"session": bearer(token), "password": bearer(password), "cookie": {"Cookie", pair},
	} {
		if status, _, body := p.call(t, http.MethodGet, "/projects", "", headers...); status != 200 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	for name, test := range map[string]struct {
		want    int
		headers []string
	}{
		"a sibling's page": {403, []string{"Origin", "https://app.example", "Sec-Fetch-Site", "same-site"}},
		"another origin":   {403, []string{"Origin", "https://app.example"}},
		"its own page":     {200, []string{"Origin", strings.TrimSuffix(p.URL, "/platform/v1"), "Sec-Fetch-Site", "same-origin"}},
		"a link":           {200, []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"}},
	} {
		if status, _, _ := p.call(t, http.MethodGet, "/projects", "", append(test.headers, "Cookie", pair)...); status != test.want {
			t.Errorf("read by %s: %d", name, status)
		}
	}
	status, header, _ := p.call(t, http.MethodPost, "/logout", "", "Cookie", pair)
	if gone, err := http.ParseSetCookie(header.Get("Set-Cookie")); err != nil || status != 204 || gone.MaxAge >= 0 || gone.Path != cookie.Path {
		t.Errorf("logout: %d %+v %v", status, gone, err)
	}
	if status, _, _ := p.call(t, http.MethodPost, "/logout", "", "Cookie", pair, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); status != 403 {
		t.Errorf("logout from another site: %d", status)
	}
}

func TestSecureCookieBehindTLS(t *testing.T) {
	t.Parallel()
	p := open(t, config())
	_, header, _ := p.call(t, http.MethodPost, "/login", loginBody, "Content-Type", "application/json", "X-Forwarded-Proto", "https", "X-Forwarded-Prefix", "/db/")
	if cookie, err := http.ParseSetCookie(header.Get("Set-Cookie")); err != nil || !cookie.Secure || cookie.Path != "/db/platform/v1/" {
		t.Errorf("%+v %v", cookie, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.LoginsPerMin = 100
	p := open(t, cfg)
	token, _ := p.login(t)
	changed := cfg
	changed.AdminPassword = "another"
	other, _ := open(t, cfg).login(t)
	for name, test := range map[string]struct {
		headers []string
		want    int
	}{
		"nothing":           {nil, 401},
		"wrong password":    {bearer("wrong"), 401},
		"part of it":        {bearer(password[:5]), 401},
		"an API key":        {bearer(p.Keys.Service.Reveal()), 401},
		"tampered session":  {bearer(token[:len(token)-2] + "xx"), 401},
		"nonsense session":  {bearer("mbs_"), 401},
		"bad cookie":        {[]string{"Cookie", "madbase_session=" + password}, 401},
		"basic":             {[]string{"Authorization", "Basic " + password}, 401},
		"another process":   {bearer(other), 200},
		"the right session": {bearer(token), 200},
	} {
		status, header, body := p.call(t, http.MethodGet, "/projects", "", test.headers...)
		if status != test.want || strings.Contains(body, password) {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if status == 401 && (header.Get("WWW-Authenticate") == "" || !strings.Contains(body, `"code":401`)) {
			t.Errorf("%s: %v %s", name, header, body)
		}
		if header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached", name)
		}
	}
	if status, _, _ := open(t, changed).call(t, http.MethodGet, "/projects", "", bearer(token)...); status != 401 {
		t.Errorf("a session outlived its password: %d", status)
	}
	for name, test := range map[string]struct {
		body    string
		headers []string
		want    int
	}{
		"form":       {"password=" + password, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		"cross site": {loginBody, []string{"Content-Type", "application/json", "Sec-Fetch-Site", "cross-site"}, 403},
		"no JSON":    {"{", []string{"Content-Type", "application/json"}, 400},
		"empty":      {"", []string{"Content-Type", "application/json"}, 401},
		"too large":  {`{"password":"` + strings.Repeat("x", 5000) + `"}`, []string{"Content-Type", "application/json"}, 413},
	} {
		if status, header, body := p.call(t, http.MethodPost, "/login", test.body, test.headers...); status != test.want || header.Get("Set-Cookie") != "" {
			t.Errorf("login, %s: %d %s", name, status, body)
		}
	}
}

func TestSessionsExpire(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.SessionTTL = time.Millisecond // cut to whole seconds: over at once
	p := open(t, cfg)
	token, _ := p.login(t)
	if status, _, body := p.call(t, http.MethodGet, "/projects", "", bearer(token)...); status != 401 {
		t.Errorf("%d %s", status, body)
	}
}

func TestLoginRateLimit(t *testing.T) {
	t.Parallel()
	p := open(t, config())
	from := func(ip string) []string {
		return []string{"Content-Type", "application/json", "X-Forwarded-For", ip}
	}
	for range 5 {
		if status, _, _ := p.call(t, http.MethodPost, "/login", `{"password":"guess"}`, from("203.0.113.1")...); status != 401 {
			t.Fatal(status)
		}
	}
	for _, body := range []string{`{"password":"guess"}`, loginBody} {
		status, header, got := p.call(t, http.MethodPost, "/login", body, from("203.0.113.1")...)
		if status != 429 || header.Get("Retry-After") == "" {
			t.Errorf("%d %s", status, got)
		}
	}
	if status, _, _ := p.call(t, http.MethodGet, "/projects", "", append(from("203.0.113.1"), bearer(password)...)...); status != 429 {
		t.Errorf("by bearer: %d", status)
	}
	for i := range 6 { // the addresses of one IPv6 subscriber count as one
		want := map[bool]int{true: 401, false: 429}[i < 5]
		if status, _, _ := p.call(t, http.MethodPost, "/login", `{"password":"guess"}`, from(fmt.Sprintf("2001:db8::%d", i+1))...); status != want {
			t.Errorf("guess %d: %d", i+1, status)
		}
	}
	for range 20 { // another address; the right password is not counted again
		if status, _, _ := p.call(t, http.MethodGet, "/projects", "", append(from("203.0.113.2"), bearer(password)...)...); status != 200 {
			t.Fatal(status)
		}
	}
}

func TestWithoutPasswordAllIsClosed(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.AdminPassword = ""
	p := open(t, cfg)
	for _, path := range []string{"/projects", "/projects/default", "/projects/default/api-keys", "/logs?query=x"} {
		for _, token := range []string{"", "x"} {
			status, _, body := p.call(t, http.MethodGet, path, "", bearer(token)...)
			if status != 503 || !strings.Contains(body, "ADMIN_PASSWORD") {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
	}
	if status, _, _ := p.call(t, http.MethodPost, "/login", `{"password":""}`, "Content-Type", "application/json"); status != 503 {
		t.Errorf("login: %d", status)
	}
	if status, _, body := p.call(t, http.MethodGet, "/health", ""); status != 200 {
		t.Errorf("health: %d %s", status, body)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var fails atomic.Bool
	var checks atomic.Int64
	parts := []control.Part{
		{Name: "database", Check: func(context.Context) error {
			checks.Add(1)
			if fails.Load() {
				return errors.New("dial postgres://owner:geheim@db")
			}
			return nil
		}},
		{Name: "redis", Check: func(context.Context) error { return nil }},
	}
	p := open(t, config(), parts...)
	if status, _, body := p.call(t, http.MethodGet, "/health", ""); status != 200 || body != `{"status":"healthy"}` {
		t.Errorf("%d %s", status, body)
	}
	status, _, body := p.call(t, http.MethodGet, "/health", "", bearer(password)...)
	if status != 200 || !strings.Contains(body, `"name":"database","status":"healthy"`) || !strings.Contains(body, `"name":"redis"`) {
		t.Errorf("%d %s", status, body)
	}
	if checks.Load() != 1 {
		t.Errorf("%d checks within a second", checks.Load())
	}
	fails.Store(true)
	p = open(t, config(), parts...)
	if status, _, body := p.call(t, http.MethodGet, "/health", "", bearer("wrong")...); status != 503 || body != `{"status":"unhealthy"}` {
		t.Errorf("%d %s", status, body)
	}
	status, _, body = p.call(t, http.MethodGet, "/health", "", bearer(password)...)
	if status != 503 || !strings.Contains(body, `"name":"database","status":"unhealthy","reason":"failed"`) || strings.Contains(body, "geheim") {
		t.Errorf("%d %s", status, body)
	}
}

func TestProjectsAndKeys(t *testing.T) {
	t.Parallel()
	p := openRegistered(t)
	want := `{"id":"default","ref":"default","name":"default","api_url":"http://localhost:8000","status":"UNKNOWN","database":{"host":""}}`
	if _, _, body := p.call(t, http.MethodGet, "/projects", "", bearer(password)...); body != "["+want+"]" {
		t.Errorf("got %s", body)
	}
	if _, _, body := p.call(t, http.MethodGet, "/projects/default", "", bearer(password)...); body != want {
		t.Errorf("got %s", body)
	}
	if status, _, body := p.call(t, http.MethodGet, "/projects/other/api-keys", "", bearer(password)...); status != 404 || body != `{"error":"No such project","code":404}` {
		t.Errorf("%d %s", status, body)
	}
	for query, secret := range map[string]string{"": p.Keys.Secret.Reveal()[:15] + "···", "?reveal=true": p.Keys.Secret.Reveal()} {
		var keys []struct{ Name, Type, APIKey string }
		_, _, body := p.call(t, http.MethodGet, "/projects/default/api-keys"+query, "", bearer(password)...)
		if err := json.Unmarshal([]byte(strings.ReplaceAll(body, "api_key", "apikey")), &keys); err != nil {
			t.Fatal(err)
		}
		for i, want := range []struct{ name, kind, key string }{
			{"anon", "legacy", p.Keys.Anon.Reveal()},
			{"service_role", "legacy", p.Keys.Service.Reveal()},
			{"default", "publishable", p.Keys.Publishable.Reveal()},
			{"default", "secret", secret},
		} {
			if len(keys) != 4 || keys[i].Name != want.name || keys[i].Type != want.kind || keys[i].APIKey != want.key {
				t.Errorf("%d: %s", i, body)
			}
		}
	}
}
