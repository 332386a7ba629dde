package auth_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestAdminRoutesNeedAnAdmin(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	user := s.signup("a@example.com", "secret1").str("access_token")
	for _, route := range []string{
		"GET /admin/users", "POST /admin/users", "GET /admin/users/x", "PUT /admin/users/x", "DELETE /admin/users/x",
	} {
		method, path, _ := strings.Cut(route, " ")
		s.call(method, path, "", nil).want(401, "no_authorization")
		s.call(method, path, user, nil).want(403, "not_admin")
		s.call(method, path, s.f.Keys.API().Anon.Reveal(), nil).want(403, "not_admin")
	}
	s.call("GET", "/admin/users", s.service(), nil).want(200, "")
	s.call("GET", "/admin/users", s.f.Keys.API().Secret.Reveal(), nil).want(200, "")

	// A user of an admin role is one, while the session lives.
	s.f.Exec(t, `UPDATE auth.users SET role = 'service_role'`)
	boss := s.signin("a@example.com", "secret1").want(200, "").str("access_token")
	s.call("GET", "/admin/users", boss, nil).want(200, "")
	s.f.Exec(t, `DELETE FROM auth.sessions`)
	s.call("GET", "/admin/users", boss, nil).want(403, "session_not_found")
}

func TestAdminCreates(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	create := func(body map[string]any) answer { return s.call("POST", "/admin/users", s.service(), body) }
	const id = "0fb4a2a0-0a76-4a2e-9d2e-5d3a9f3a0b11"
	a := create(map[string]any{
		"id": id, "email": "A@example.com", "phone": "+1 555 123 4567", "password": "secret1", "email_confirm": true, "phone_confirm": true,
		"user_metadata": map[string]any{"k": "v"}, "app_metadata": map[string]any{"plan": "pro"}, "role": "editor",
	}).want(200, "")
	for name, want := range map[string]any{
		"id": id, "email": "a@example.com", "phone": "15551234567", "role": "editor", "aud": "authenticated",
		"user_metadata": map[string]any{"k": "v", "email_verified": true},
		"app_metadata":  map[string]any{"plan": "pro", "provider": "email", "providers": []string{"email", "phone"}},
	} {
		equal(t, name, a.at(name), want)
	}
	if a.at("email_confirmed_at") == nil || a.at("phone_confirmed_at") == nil || a.at("confirmed_at") == nil || a.at("identities", "1", "id") != id {
		t.Errorf("not confirmed: %s", a.text)
	}
	equal(t, "role claim", payload(t, s.signin("a@example.com", "secret1").want(200, "").str("access_token"))["role"], "editor")

	create(map[string]any{"email": "a@example.com"}).want(422, "email_exists")
	create(map[string]any{"phone": "15551234567"}).want(422, "phone_exists")
	create(map[string]any{"email": "b@example.com", "id": id}).want(422, "user_already_exists")
	create(map[string]any{}).want(400, "validation_failed")
	create(map[string]any{"email": "b@example.com", "id": "x"}).want(400, "validation_failed")
	create(map[string]any{"email": "b@example.com", "id": "00000000-0000-0000-0000-000000000000"}).want(400, "validation_failed")
	create(map[string]any{"email": "b@example.com", "password": "x", "password_hash": "y"}).want(400, "validation_failed")
	create(map[string]any{"email": "b@example.com", "password_hash": "y"}).want(400, "validation_failed")
	create(map[string]any{"email": "b@example.com", "password": strings.Repeat("x", 73)}).want(400, "validation_failed")
	create(map[string]any{"email": "b@example.com", "ban_duration": "soon"}).want(400, "validation_failed")
	create(map[string]any{"email": "b@example.com", "role": strings.Repeat("x", 300)}).want(400, "validation_failed")
	create(map[string]any{"email": "b@example.com", "ban_duration": "24h", "email_confirm": true, "password": "secret1"}).want(200, "")
	s.signin("b@example.com", "secret1").want(400, "user_banned")
	equal(t, "audit", s.count(`SELECT count(*) FROM auth.audit_log_entries WHERE payload ->> 'actor_username' = 'service_role'
		AND payload -> 'traits' ->> 'user_email' = 'a@example.com'`), 1)
}

func TestAdminUpdates(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	a := s.signup("a@example.com", "secret1")
	id := a.str("user", "id")
	update := func(body map[string]any) answer { return s.call("PUT", "/admin/users/"+id, s.service(), body) }
	s.signup("taken@example.com", "secret1")

	b := update(map[string]any{"user_metadata": map[string]any{"k": 1, "email": nil}, "app_metadata": map[string]any{"plan": "pro"}, "role": "editor"}).want(200, "")
	equal(t, "metadata", []any{b.at("user_metadata", "k"), b.at("user_metadata", "email"), b.at("app_metadata", "plan"), b.at("role")}, []any{1, nil, "pro", "editor"})
	update(map[string]any{"email": "taken@example.com"}).want(422, "email_exists")
	update(map[string]any{"password": "short"}).want(422, "weak_password")
	update(map[string]any{"ban_duration": "1 day"}).want(400, "validation_failed")
	update(map[string]any{"email": "no"}).want(400, "validation_failed")
	c := update(map[string]any{"email": "b@example.com", "phone": "15551234567", "email_confirm": true}).want(200, "")
	equal(t, "address as read again", s.call("GET", "/admin/users/"+id, s.service(), nil).at("identities", "0", "identity_data", "email"), "b@example.com")
	equal(t, "address", []any{c.at("email"), c.at("phone"), c.at("identities", "1", "provider")}, []any{"b@example.com", "15551234567", "phone"})

	update(map[string]any{"ban_duration": "1h"}).want(200, "")
	s.call("GET", "/user", a.str("access_token"), nil).want(403, "user_banned")
	if free := update(map[string]any{"ban_duration": "none"}).want(200, ""); free.at("banned_until") != nil {
		t.Error("still banned")
	}
	s.call("GET", "/user", a.str("access_token"), nil).want(200, "")
	update(map[string]any{"password": "secret2"}).want(200, "")
	s.call("GET", "/user", a.str("access_token"), nil).want(403, "session_not_found")
	s.signin("b@example.com", "secret2").want(200, "")
	s.call("PUT", "/admin/users/0fb4a2a0-0a76-4a2e-9d2e-5d3a9f3a0b11", s.service(), map[string]any{}).want(404, "user_not_found")
	s.call("PUT", "/admin/users/me", s.service(), map[string]any{}).want(404, "validation_failed")
}

func TestAdminDeletes(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	hard, soft := s.signup("a@example.com", "secret1"), s.signup("b@example.com", "secret1")
	equal(t, "answer", s.call("DELETE", "/admin/users/"+hard.str("user", "id"), s.service(), nil).want(200, "").text, "{}")
	s.call("GET", "/admin/users/"+hard.str("user", "id"), s.service(), nil).want(404, "user_not_found")
	s.call("GET", "/user", hard.str("access_token"), nil).want(403, "user_not_found")
	s.refresh(hard.str("refresh_token")).want(400, "refresh_token_not_found")

	id := soft.str("user", "id")
	s.call("DELETE", "/admin/users/"+id, s.service(), map[string]any{"should_soft_delete": true}).want(200, "")
	gone := s.call("GET", "/admin/users/"+id, s.service(), nil).want(200, "")
	if strings.Contains(gone.text, "example.com") || gone.at("deleted_at") == nil {
		t.Errorf("left over: %s", gone.text)
	}
	s.call("GET", "/user", soft.str("access_token"), nil).want(403, "session_not_found")
	s.signup("b@example.com", "secret1")
	s.call("DELETE", "/admin/users/"+id, s.service(), map[string]any{"should_soft_delete": true}).want(200, "")
}

func TestAdminLists(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	for i := range 5 {
		s.call("POST", "/admin/users", s.service(), map[string]any{
			"email": fmt.Sprintf("u%d@example.com", i), "password_hash": "$2a$04$zVHmKQtGGQob.b/Nc7l9NO8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy",
			"user_metadata": map[string]any{"full_name": fmt.Sprintf("Person %c", 'A'+i)},
		}).want(200, "")
	}
	list := func(query string) answer { return s.call("GET", "/admin/users"+query, s.service(), nil) }
	emails := func(a answer) (out []string) {
		for _, u := range a.want(200, "").body["users"].([]any) {
			out = append(out, u.(map[string]any)["email"].(string))
		}
		return out
	}
	all := list("")
	equal(t, "newest first", emails(all), []string{"u4@example.com", "u3@example.com", "u2@example.com", "u1@example.com", "u0@example.com"})
	if identities, there := all.at("users", "0").(map[string]any)["identities"]; !there || identities != nil {
		t.Errorf("identities must be there and null: %v", all.at("users", "0"))
	}
	page := list("?page=2&per_page=2&sort=created_at+asc")
	equal(t, "page", emails(page), []string{"u2@example.com", "u3@example.com"})
	equal(t, "count", page.header.Get("X-Total-Count"), "5")
	equal(t, "link", page.header.Get("Link"), `</admin/users?page=3&per_page=2&sort=created_at+asc>; rel="next", </admin/users?page=3&per_page=2&sort=created_at+asc>; rel="last"`)
	equal(t, "last link", list("?page=3&per_page=2").header.Get("Link"), `</admin/users?page=3&per_page=2>; rel="last"`)
	equal(t, "by address", emails(list("?filter=u3@")), []string{"u3@example.com"})
	equal(t, "by name", emails(list("?filter=person+b")), []string{"u1@example.com"})
	equal(t, "other audience", list("?filter=u").header.Get("X-Total-Count"), "5")
	equal(t, "audience", len(s.call("GET", "/admin/users", s.service(), nil, "X-JWT-AUD", "other").want(200, "").body["users"].([]any)), 0)
	for _, bad := range []string{"?page=x", "?per_page=-1", "?page=99999999999", "?sort=email", "?sort=created_at+up"} {
		list(bad).want(400, "validation_failed")
	}
	list("?page=0&per_page=0").want(200, "")
	list("?filter=%00%ff").want(200, "")
	list("?page=2147483647&per_page=2147483647").want(200, "")
}
