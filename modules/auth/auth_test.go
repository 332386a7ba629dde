package auth_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/auth/sms"
	"github.com/madbase/madbase/platform/testkit"
)

// server is a running auth module on a database of its own.
type server struct {
	t   *testing.T
	f   *testkit.Project
	url string
}

// config is the module's default configuration, as config/ would read it.
func config() auth.Config {
	return auth.Config{
		EmailEnabled: true, Autoconfirm: true, JWTExp: 3600, JWTAudience: "authenticated", JWTAdminRoles: []string{"service_role"},
		JWTDefaultGroupName: "authenticated", PasswordMinLength: 6, RefreshRotation: true, RefreshReuseInterval: 10,
		Flow:                  auth.FlowConfig{MagicLinkEnabled: true, OTPExp: 86400, OTPLength: 6, SecureEmailChange: true},
		RateLimitTokenRefresh: 150, RateLimitOTP: 30, RateLimitAnonymousUsers: 30,
		External: auth.ExternalConfig{CustomEnabled: true},
		SMS:      sms.Config{Template: "Your code is {{ .Code }}", OTPLength: 6, OTPExp: 60, MaxEvery: time.Minute, RateSent: "30"},
	}
}

func start(t *testing.T, cfg auth.Config, change ...func(*auth.Deps)) *server {
	t.Helper()
	f := testkit.NewProject(t, "auth")
	deps := auth.Deps{Log: testkit.Log(), Version: "test", BcryptCost: bcrypt.MinCost, MailSecret: testkit.JWTSecret}
	for _, c := range change {
		c(&deps)
	}
	m, err := auth.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return &server{t, f, testkit.Serve(t, f.Project, "/auth/v1", m) + "/auth/v1"}
}

// again is the same project's module with other settings.
func (s *server) again(cfg auth.Config) *server {
	s.t.Helper()
	m, err := auth.New(cfg, auth.Deps{Log: testkit.Log(), Version: "test", BcryptCost: bcrypt.MinCost, MailSecret: testkit.JWTSecret})
	if err != nil {
		s.t.Fatal(err)
	}
	return &server{s.t, s.f, testkit.Serve(s.t, s.f.Project, "/auth/v1", m) + "/auth/v1"}
}

// answer is a response with its decoded body.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	text   string
	body   map[string]any
}

// call sends body (JSON of it, or a string as it is) with a bearer token.
func (s *server) call(method, path, token string, body any, headers ...string) answer {
	s.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, r)
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	a := answer{t: s.t, status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &a.body)
	return a
}

// want checks the status and the error code; code is empty for none.
func (a answer) want(status int, code string) answer {
	a.t.Helper()
	if got, _ := a.body["error_code"].(string); a.status != status || got != code {
		a.t.Fatalf("got %d %q, want %d %q; body: %s", a.status, got, status, code, a.text)
	}
	return a
}

// at returns the body's member at a path of names and list positions 0-9.
func (a answer) at(path ...string) any {
	var v any = a.body
	for _, name := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			i := int(name[0] - '0')
			if i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func (a answer) str(path ...string) string {
	s, _ := a.at(path...).(string)
	return s
}

func (s *server) signup(email, password string) answer {
	s.t.Helper()
	return s.call("POST", "/signup", "", map[string]any{"email": email, "password": password}).want(200, "")
}

func (s *server) signin(email, password string) answer {
	s.t.Helper()
	return s.call("POST", "/token?grant_type=password", "", map[string]any{"email": email, "password": password})
}

func (s *server) refresh(token string) answer {
	s.t.Helper()
	return s.call("POST", "/token?grant_type=refresh_token", "", map[string]any{"refresh_token": token})
}

func (s *server) service() string { return s.f.Keys.API().Service.Reveal() }

// count runs a query for one number as the database's owner.
func (s *server) count(sql string, args ...any) (n int) {
	s.t.Helper()
	if err := s.f.Owner.QueryRow(s.t.Context(), sql, args...).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// payload decodes a JWT's claims.
func payload(t *testing.T, jwt string) map[string]any {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %q", jwt)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if !bytes.Equal(g, w) {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}
