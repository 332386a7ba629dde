package auth_test

import (
	"strings"
	"testing"
)

// What PostgreSQL cannot store is the sender's fault, and no reason for a 5xx:
// clients take one as "try again later".
func TestTextThatCannotBeStored(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	token := s.signup("a@example.com", "secret1").str("access_token")
	service := s.f.Project.Keys.API().Service.Reveal()
	deep := strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000)
	for _, test := range []struct{ method, path, token, body string }{
		{"POST", "/token?grant_type=password", "", `{"email":"a\u0000@example.com","password":"secret1"}`},
		{"POST", "/token?grant_type=password", "", `{"email":"a@example.com","password":"secret1\u0000"}`},
		{"POST", "/signup", "", `{"email":"b@example.com","password":"secret1","data":{"name":"\u0000"}}`},
		{"POST", "/signup", "", `{"email":"b@example.com","password":"secret1","data":{"\u0000":1}}`},
		{"POST", "/signup", "", `{"email":"b@example.com","password":"secret1","data":` + deep + `}`},
		{"PUT", "/user", token, `{"data":{"name":"\u0000"}}`},
		{"PUT", "/user", token, `{"data":{"\u0000":null}}`},
		{"PUT", "/user", token, `{"data":` + deep + `}`},
		{"POST", "/admin/users", service, `{"email":"c@example.com","user_metadata":{"name":"\u0000"}}`},
		{"POST", "/admin/users", service, `{"email":"c@example.com","role":"a\u0000b"}`},
		{"POST", "/admin/users", service, `{"email":"c@example.com","aud":"a\u0000b"}`},
		{"POST", "/admin/users", service, `{"email":"c@example.com","ban_duration":"9999999h"}`},
		{"GET", "/admin/users?filter=%00", service, ""},
	} {
		if a := s.call(test.method, test.path, test.token, test.body); a.status >= 500 {
			t.Errorf("%s %s %.80s: %d %s", test.method, test.path, test.body, a.status, a.text)
		}
	}
}

// Whoever signs up says nothing about their rights: neither beside nor in their metadata.
func TestSignUpGrantsNothing(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	body := `{"email":"a@example.com","password":"secret1","role":"service_role","aud":"admins","app_metadata":{"admin":true},"is_super_admin":true,
		"data":{"role":"service_role","app_metadata":{"admin":true},"sub":"00000000-0000-0000-0000-000000000001"}}`
	a := s.call("POST", "/signup", "", body).want(200, "")
	user := a.at("user").(map[string]any)
	equal(t, "role and aud", []any{user["role"], user["aud"]}, []any{"authenticated", "authenticated"})
	equal(t, "app_metadata", user["app_metadata"], map[string]any{"provider": "email", "providers": []any{"email"}})
	equal(t, "sub", a.at("user", "user_metadata", "sub"), user["id"])
	caller, err := s.f.Project.Keys.Verify(a.str("access_token"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "claims", []any{caller.Role, caller.Subject, caller.Payload["app_metadata"]}, []any{"authenticated", user["id"], user["app_metadata"]})
	s.call("GET", "/admin/users", a.str("access_token"), nil).want(403, "not_admin")
	s.call("PUT", "/user", a.str("access_token"), `{"role":"service_role","data":{"role":"service_role"}}`).want(200, "")
	var role string
	if err := s.f.Owner.QueryRow(t.Context(), `SELECT role FROM auth.users`).Scan(&role); err != nil {
		t.Fatal(err)
	}
	equal(t, "stored role", role, "authenticated")
}
