package auth_test

import (
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/platform/testkit"
)

func TestUnknownRoutes(t *testing.T) {
	s := start(t, config())
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH"} {
		a := s.call(method, "/nothing", "", nil)
		equal(t, method+" unknown", []any{a.status, a.text, a.header.Get("Content-Type")}, []any{404, "404 page not found\n", "text/plain; charset=UTF-8"})
	}
	for _, path := range []string{"/health/", "/user/", "/admin", "/oauth", "//user"} {
		equal(t, path, s.call("GET", path, "", nil).status, 404)
	}
	for path, method := range map[string]string{"/signup": "GET", "/token": "GET", "/health": "POST", "/settings": "DELETE", "/oauth/token": "GET"} {
		a := s.call(method, path, "", nil)
		equal(t, method+" "+path, []any{a.status, a.text}, []any{405, ""})
	}
	s.call("GET", "/scim/v2/Schemas", "", nil).want(404, "feature_disabled")
}

// In place of GoTrue there is no gateway: pages of any origin call auth itself.
func TestCORS(t *testing.T) {
	cfg := config()
	cfg.CORS.AllowedHeaders = []string{"X-Mine"}
	m, err := auth.New(cfg, auth.Deps{Log: testkit.Log()})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	e.Use(m.CORS)
	m.Routes(e.Group(""))
	ask := func(method, path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		return w
	}
	const origin = "https://any.example.com"
	preflight := func(path, method, headers string) *httptest.ResponseRecorder {
		return ask("OPTIONS", path, "Origin", origin, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", headers)
	}
	for _, path := range []string{"/user", "/token?grant_type=password", "/admin/users/x", "/nothing"} {
		w := preflight(path, "PUT", "authorization,x-mine")
		equal(t, "status", w.Code, 204)
		equal(t, "origin", w.Header().Get("Access-Control-Allow-Origin"), "*")
		equal(t, "methods", w.Header().Get("Access-Control-Allow-Methods"), "PUT")
		equal(t, "headers", w.Header().Get("Access-Control-Allow-Headers"), "authorization,x-mine")
	}
	equal(t, "foreign header", preflight("/user", "GET", "x-other").Header().Get("Access-Control-Allow-Origin"), "")
	equal(t, "foreign method", preflight("/user", "TRACE", "").Header().Get("Access-Control-Allow-Origin"), "")
	for _, path := range []string{"/health", "/signup", "/nothing"} {
		w := ask("GET", path, "Origin", origin)
		equal(t, "origin", w.Header().Get("Access-Control-Allow-Origin"), "*")
		equal(t, "exposed", w.Header().Get("Access-Control-Expose-Headers"), "X-Total-Count, Link, X-Supabase-Api-Version")
	}
	equal(t, "no page", ask("GET", "/health").Header().Get("Access-Control-Allow-Origin"), "")
}
