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
