package auth_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/ratelimit"
)

func TestErrorDialects(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	weak := map[string]any{"email": "a@example.com", "password": "short"}
	for version, codes := range map[string]bool{"": false, "2023-12-31": false, "today": false, "2024-01-01": true, "2026-05-05": true} {
		a := s.call("GET", "/user", "", nil, "X-Supabase-Api-Version", version)
		w := s.call("POST", "/signup", "", weak, "X-Supabase-Api-Version", version)
		equal(t, "header", a.header.Get("X-Sb-Error-Code"), "no_authorization")
		if !codes {
			equal(t, "legacy", a.body, map[string]any{"code": 401, "error_code": "no_authorization", "msg": "This endpoint requires a valid Bearer token"})
			equal(t, "version", a.header.Get("X-Supabase-Api-Version"), "")
			equal(t, "weak", w.body, map[string]any{
				"code": 422, "error_code": "weak_password", "msg": "Password should be at least 6 characters.", "weak_password": map[string]any{"reasons": []string{"length"}},
			})
			continue
		}
		equal(t, "new", a.body, map[string]any{"code": "no_authorization", "message": "This endpoint requires a valid Bearer token"})
		equal(t, "version", a.header.Get("X-Supabase-Api-Version"), "2024-01-01")
		equal(t, "weak", w.body, map[string]any{
			"code": "weak_password", "message": "Password should be at least 6 characters.", "weak_password": map[string]any{"reasons": []string{"length"}},
		})
	}
}

func TestOpenRoutes(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	equal(t, "health", s.call("GET", "/health", "", nil).want(200, "").at("name"), "GoTrue")
	jwks := s.call("GET", "/.well-known/jwks.json", "", nil).want(200, "")
	equal(t, "jwks", jwks.body, map[string]any{"keys": []any{}})
	equal(t, "cache", jwks.header.Get("Cache-Control"), "public, max-age=600")
	settings := s.call("GET", "/settings", "", nil).want(200, "")
	external := settings.at("external").(map[string]any)
	equal(t, "providers", len(external), 26)
	equal(t, "email", []any{external["email"], external["anonymous_users"], external["google"], settings.at("mailer_autoconfirm")}, []any{true, false, false, true})
}

func TestUnknownRoutesAndMethods(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	for _, path := range []string{"/nothing", "/health/", "/"} {
		a := s.call("GET", path, "", nil)
		equal(t, path, []any{a.status, a.text, strings.HasPrefix(a.header.Get("Content-Type"), "text/plain")}, []any{404, "404 page not found\n", true})
	}
	for _, route := range []string{"GET /token", "GET /signup", "POST /settings", "PATCH /admin/users"} {
		method, path, _ := strings.Cut(route, " ")
		a := s.call(method, path, "", nil)
		equal(t, route, []any{a.status, a.text}, []any{405, ""})
	}
	s.call("DELETE", "/user", "", nil).want(401, "no_authorization")
	equal(t, "DELETE /user", s.call("DELETE", "/user", s.signup("a@example.com", "secret1").str("access_token"), nil).status, 405)
}

func TestConfigNamesItsFaults(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Flow.OTPLength, cfg.JWTExp, cfg.JWTAudience, cfg.RateLimitOTP, cfg.PasswordMinLength = 5, 0, "", -1, 73
	err := cfg.Validate()
	for _, name := range []string{
		"GOTRUE_MAILER_OTP_LENGTH", "GOTRUE_JWT_EXP", "GOTRUE_JWT_AUD", "GOTRUE_RATE_LIMIT_OTP", "GOTRUE_PASSWORD_MIN_LENGTH",
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
	if _, err := auth.New(cfg, auth.Deps{}); err == nil {
		t.Error("New took it")
	}
	cfg = config()
	cfg.SMS.Provider, cfg.DBDriver, cfg.DBNamespace, cfg.SiteURL = "pigeon", "mysql", "public", "app.example.com"
	err = cfg.Validate()
	for _, name := range []string{"GOTRUE_SMS_PROVIDER", "GOTRUE_DB_DRIVER", "GOTRUE_DB_NAMESPACE", "GOTRUE_SITE_URL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
	cfg = config()
	cfg.DBDriver, cfg.DBNamespace, cfg.SiteURL = "postgres", "auth", "myapp://home"
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	if err := config().Validate(); err != nil {
		t.Error(err)
	}
}

// limiter refuses from the fourth use of a key.
type limiter struct{ memory *ratelimit.Memory }

func (l limiter) Allow(ctx context.Context, key string, limit ratelimit.Limit) (ratelimit.Decision, error) {
	limit.Burst = 3
	return l.memory.Allow(ctx, key, limit)
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	s := start(t, config(), func(d *auth.Deps) {
		d.Limiter = limiter{ratelimit.NewMemory(100)}
		d.ClientIP = func(r *http.Request) string { return r.Header.Get("X-Test-IP") }
	})
	body := map[string]any{"email": "a@example.com", "password": "x"}
	for i, want := range []int{400, 400, 400, 429} {
		a := s.call("POST", "/token?grant_type=password", "", body, "X-Test-IP", "192.0.2.1")
		equal(t, "status", []int{i, a.status}, []int{i, want})
		if want == 429 {
			equal(t, "code", []any{a.at("error_code"), a.header.Get("Retry-After")}, []any{"over_request_rate_limit", "2"})
		}
	}
	s.call("POST", "/token?grant_type=password", "", body, "X-Test-IP", "192.0.2.2").want(400, "invalid_credentials")
	for i, ip := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"} { // one subscriber
		a := s.call("POST", "/signup", "", body, "X-Test-IP", ip)
		equal(t, "status", a.status, map[bool]int{true: 422, false: 429}[i < 3])
	}
	for range 5 {
		s.call("POST", "/signup", "", body, "X-Test-IP", "127.0.0.1").want(422, "weak_password")
	}
}

func TestRateLimitOnLoopback(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.RateLimitLoopback = true
	s := start(t, cfg, func(d *auth.Deps) {
		d.Limiter = limiter{ratelimit.NewMemory(100)}
		d.ClientIP = func(*http.Request) string { return "127.0.0.1" }
	})
	for _, want := range []int{400, 400, 400, 429} {
		a := s.call("POST", "/token?grant_type=password", "", map[string]any{"email": "a@example.com", "password": "x"})
		equal(t, "status", a.status, want)
	}
}

func TestRateLimitByHeader(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.RateLimitHeader = "X-Rate-Key"
	s := start(t, cfg, func(d *auth.Deps) { d.Limiter = limiter{ratelimit.NewMemory(100)} })
	body := map[string]any{"email": "a@example.com", "password": "x"}
	for range 5 {
		s.call("POST", "/token?grant_type=password", "", body).want(400, "invalid_credentials")
	}
	for range 3 {
		s.call("POST", "/token?grant_type=password", "", body, "X-Rate-Key", "k, other").want(400, "invalid_credentials")
	}
	s.call("POST", "/token?grant_type=password", "", body, "X-Rate-Key", "k").want(429, "over_request_rate_limit")
	for i := range 4 { // one subscriber
		a := s.call("POST", "/token?grant_type=password", "", body, "X-Rate-Key", "2001:db8::"+strconv.Itoa(i))
		equal(t, "status", a.status, map[bool]int{true: 400, false: 429}[i < 3])
	}
}

// Strangers fill no table with sign-ins that they begin and leave.
func TestSignInsLeftAtServices(t *testing.T) {
	t.Parallel()
	s := start(t, startHub(t).github(config()), func(d *auth.Deps) {
		d.Limiter = limiter{ratelimit.NewMemory(100)}
		d.ClientIP = func(*http.Request) string { return "192.0.2.1" }
	})
	s.f.Exec(t, `INSERT INTO auth.flow_state (id, provider_type, authentication_method, created_at)
		SELECT gen_random_uuid(), 'github', 'oauth', now() - age FROM (VALUES (interval '49 hours'), ('47 hours')) a (age)`)
	s.f.Exec(t, `INSERT INTO auth.oauth_client_states (id, provider_type, created_at)
		SELECT gen_random_uuid(), 'used', now() - age FROM (VALUES (interval '25 hours'), ('23 hours')) a (age)`)
	for range 3 {
		s.begin("")
	}
	s.call("GET", "/authorize?provider=github", "", nil).want(429, "over_request_rate_limit")
	equal(t, "flows", s.count(`SELECT count(*) FROM auth.flow_state`), 1+3)
	err := store.InsertClientState(t.Context(), s.f.DB.Auth, store.ClientState{ID: uuid.NewString(), Provider: "github", Kept: "verifier"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "states", s.count(`SELECT count(*) FROM auth.oauth_client_states`), 1+1)
}

// Who leaves the header out gets past no limit.
func TestRateLimitWithoutTheHeader(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.RateLimitHeader = "X-Rate-Key"
	s := start(t, cfg, func(d *auth.Deps) {
		d.Limiter = limiter{ratelimit.NewMemory(100)}
		d.ClientIP = func(*http.Request) string { return "192.0.2.1" }
	})
	for _, want := range []int{400, 400, 400, 429} {
		a := s.call("POST", "/token?grant_type=password", "", map[string]any{"email": "a@example.com", "password": "x"})
		equal(t, "status", a.status, want)
	}
}
