package auth_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/madbase/madbase/modules/auth/store"
)

func TestOAuthPKCEIsNoOptionToTheClient(t *testing.T) {
	s := start(t, oauthConfig())
	user := s.signup("ann@example.com", "secret-1").str("access_token")
	client := s.register(nil)
	for name, changes := range map[string][]string{
		"no challenge": {"code_challenge", "", "code_challenge_method", ""}, "no method": {"code_challenge_method", ""}, "only a method": {"code_challenge", ""},
		"unknown method": {"code_challenge_method", "none"}, "short": {"code_challenge", "abc"}, "long": {"code_challenge", strings.Repeat("a", 129)},
		"strange characters": {"code_challenge", strings.Repeat("a", 42) + "="},
	} {
		a := client.authorize(changes...)
		q := located(t, a.header.Get("Location"), callback)
		if q.Get("error") != "invalid_request" || q.Get("state") != "st" || q.Get("code") != "" {
			t.Errorf("%s: %v", name, q)
		}
	}
	code := client.code(user)
	for name, presented := range map[string]string{"nothing": "", "the challenge itself": challengeOf(verifier), "another": verifier + "x"} {
		if a := client.redeem(code, "code_verifier", presented, "code_challenge_method", "plain"); a.status != 400 || a.str("error") != "invalid_grant" {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	client.redeem(code).want(200, "")

	plain := client.code(user, "code_challenge", verifier, "code_challenge_method", "plain")
	client.redeem(plain, "code_verifier", challengeOf(verifier)).refused("invalid_grant")
	client.redeem(plain).want(200, "")
}

func TestOAuthCodeIsGoodOnce(t *testing.T) {
	s := start(t, oauthConfig())
	user := s.signup("ann@example.com", "secret-1").str("access_token")
	client, other := s.register(nil), s.register(nil)
	code := client.code(user)

	other.redeem(code).refused("invalid_grant") // injected into another app
	other.redeem(code, "client_id", client.id).refused("invalid_grant")
	tokens := client.redeem(code).want(200, "")
	s.call("GET", "/oauth/userinfo", tokens.str("access_token"), nil).want(200, "")

	other.redeem(code).refused("invalid_grant")
	s.call("GET", "/oauth/userinfo", tokens.str("access_token"), nil).want(200, "") // another app ends nothing
	client.redeem(code).refused("invalid_grant")
	s.call("GET", "/oauth/userinfo", tokens.str("access_token"), nil).want(403, "session_not_found")
	client.token("grant_type", "refresh_token", "refresh_token", tokens.str("refresh_token")).refused("invalid_grant")
	equal(t, "own session", s.call("GET", "/user", user, nil).status, 200)
}

func TestOAuthCodeAtOnce(t *testing.T) {
	s := start(t, oauthConfig())
	user := s.signup("ann@example.com", "secret-1").str("access_token")
	client := s.register(nil)
	code := client.code(user)
	var answers [8]answer
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = client.redeem(code) })
	}
	wg.Wait()
	good := 0
	for _, a := range answers {
		if a.status == 200 {
			good++
		}
	}
	if good != 1 {
		t.Errorf("%d of %d exchanges of one code succeeded", good, len(answers))
	}
	equal(t, "sessions that are left of a code that was used again", s.count(`SELECT count(*) FROM auth.sessions WHERE oauth_client_id IS NOT NULL`), 0)
}

func TestOAuthTimeIsOver(t *testing.T) {
	s := start(t, oauthConfig())
	user := s.signup("ann@example.com", "secret-1").str("access_token")
	client := s.register(nil)
	path, code := client.request(), client.code(user)
	shown := client.request("scope", "phone")
	s.call("GET", shown, user, nil).want(200, "")
	s.f.Exec(t, `UPDATE auth.oauth_authorizations SET created_at = created_at - interval '1 hour', expires_at = expires_at - interval '1 hour'`)
	s.call("GET", path, user, nil).want(404, "oauth_authorization_not_found")
	s.call("POST", shown+"/consent", user, map[string]any{"action": "approve"}).want(404, "oauth_authorization_not_found")
	client.redeem(code).refused("invalid_grant")
	equal(t, "marked", s.count(`SELECT count(*) FROM auth.oauth_authorizations WHERE status = 'expired'`), 2)
}

func TestOAuthRedirectIsExact(t *testing.T) {
	s := start(t, oauthConfig())
	client := s.register(map[string]any{"redirect_uris": []string{callback, "http://localhost:3000/cb", "com.example.app://cb"}})
	for _, uri := range []string{
		callback + "/", callback + "?x=1", callback + "#f", callback + "/../evil", strings.ToUpper(callback), "https://client.example.com:443/cb",
		"https://client.example.com", "https://evil.example.net/cb", "https://client.example.com@evil.example.net/cb", "https://client.example.com.evil.example.net/cb",
		"https://client.example.com%2f@evil.example.net/cb", "//client.example.com/cb", "http://client.example.com/cb", " " + callback, callback + "%00",
		"http://localhost:3001/cb", "http://127.0.0.1:3000/cb", "com.example.app://cb/x", "javascript:alert(1)", callback + ",http://localhost:3000/cb",
		"https://client.example.com\\@evil.example.net/cb",
	} {
		for _, more := range [][]string{nil, {"response_type", "token"}, {"code_challenge", ""}} { // errors lead nowhere else either
			a := client.authorize(append([]string{"redirect_uri", uri}, more...)...)
			if a.status != 400 || a.str("error_code") != "validation_failed" || a.header.Get("Location") != "" {
				t.Errorf("%q: %d %s %s", uri, a.status, a.header.Get("Location"), a.text)
			}
		}
	}
	equal(t, "twice: the first counts", client.call("GET", "/oauth/authorize?client_id="+client.id+"&redirect_uri="+url.QueryEscape("https://evil.example.net")+
		"&redirect_uri="+url.QueryEscape(callback), "", nil).status, 400)
	// A row of elsewhere, where one address with a comma was taken.
	s.f.Exec(t, `UPDATE auth.oauth_clients SET redirect_uris = 'https://client.example.com/cb,javascript:alert(1)' WHERE id = $1`, client.id)
	client.authorize("redirect_uri", "javascript:alert(1)").want(400, "validation_failed")
	equal(t, "kept", s.count(`SELECT count(*) FROM auth.oauth_authorizations`), 0)
}

func TestOAuthRegistrationRefuses(t *testing.T) {
	s := start(t, oauthConfig())
	for _, uri := range []string{
		"", "cb", "/cb", "//host/cb", "https://", "https:///cb", "javascript:alert(1)", "javascript://host/%0aalert(1)", "JavaScript://host/cb", "data://text/html,x",
		"file:///etc/passwd", "file://host/etc/passwd", "vbscript://x/y", "blob:https://host/x", "about:blank", "http://client.example.com/cb",
		"http://localhost.evil.example.net/cb", "http://127.0.0.1.nip.io/cb", "http://2130706433/cb", "https://host/cb#f", "https://host/cb#", "https://user@host/cb",
		"https://host/cb,javascript:alert(1)", "https://host\\@evil/cb", "https://host/c b", "https://host/cb\nx", "https://host/\u202ecb", "https://h\u00f6st/cb",
		"https://host/" + strings.Repeat("a", 2048),
	} {
		a := s.call("POST", "/oauth/clients/register", "", map[string]any{"redirect_uris": []string{uri}})
		if a.status != 400 || a.str("error_code") != "validation_failed" || a.str("error") != "invalid_redirect_uri" {
			t.Errorf("%q: %d %s", uri, a.status, a.text)
		}
	}
	many := make([]string, 11)
	for i := range many {
		many[i] = fmt.Sprintf("https://host/%d", i)
	}
	good := []string{callback}
	for name, body := range map[string]map[string]any{
		"no addresses": {}, "empty": {"redirect_uris": []string{}}, "too many": {"redirect_uris": many}, "grant": {"redirect_uris": good, "grant_types": []string{"implicit"}},
		"name": {"redirect_uris": good, "client_name": strings.Repeat("a", 1025)}, "logo": {"redirect_uris": good, "logo_uri": "javascript:alert(1)"},
		"page": {"redirect_uris": good, "client_uri": "https://host/" + strings.Repeat("a", 2048)}, "method": {"redirect_uris": good, "token_endpoint_auth_method": "x"},
		"type": {"redirect_uris": good, "client_type": "root"}, "disagree": {"redirect_uris": good, "client_type": "public", "token_endpoint_auth_method": "client_secret_post"},
	} {
		a := s.call("POST", "/oauth/clients/register", "", body)
		if a.status != 400 || a.str("error_code") != "validation_failed" || a.str("error") != "invalid_client_metadata" {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	s.call("POST", "/oauth/clients/register", "", "[").want(400, "bad_json")
	equal(t, "registered", s.count(`SELECT count(*) FROM auth.oauth_clients`), 0)
}

func TestOAuthRegistrationSetsNothingElse(t *testing.T) {
	s := start(t, oauthConfig())
	a := s.call("POST", "/oauth/clients/register", "", map[string]any{
		"redirect_uris": []string{callback}, "client_id": "00000000-0000-4000-8000-000000000001", "client_secret": "mine", "client_secret_hash": "mine",
		"registration_type": "manual", "id": "00000000-0000-4000-8000-000000000001", "created_at": "2001-01-01T00:00:00Z", "deleted_at": nil, "response_types": []string{"token"},
	}).want(201, "")
	equal(t, "registration", a.str("registration_type"), "dynamic")
	equal(t, "responses", a.at("response_types"), []string{"code"})
	if a.str("client_id") == "00000000-0000-4000-8000-000000000001" || a.str("client_secret") == "mine" || len(a.str("client_secret")) != 43 {
		t.Errorf("registered as: %s", a.text)
	}
	equal(t, "the secret is not in the database", s.count(`SELECT count(*) FROM auth.oauth_clients WHERE client_secret_hash = $1`, a.str("client_secret")), 0)
	equal(t, "cache", a.header.Get("Cache-Control"), "no-store")

	cfg := oauthConfig()
	cfg.OAuthServer.DynamicRegistration = false
	start(t, cfg).call("POST", "/oauth/clients/register", "", map[string]any{"redirect_uris": []string{callback}}).
		want(403, "oauth_dynamic_client_registration_disabled")
}

func TestOAuthClientMustProveItself(t *testing.T) {
	s := start(t, oauthConfig())
	user := s.signup("ann@example.com", "secret-1").str("access_token")
	basic, post, public := s.register(nil), s.register(map[string]any{"token_endpoint_auth_method": "client_secret_post"}), s.register(map[string]any{"client_type": "public"})
	if public.secret != "" {
		t.Error("a public app was given a secret")
	}
	send := func(form string, headers ...string) answer {
		return s.call("POST", "/oauth/token", "", form, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
	}
	authorization := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
	}
	for name, a := range map[string]answer{
		"nobody":         send("grant_type=authorization_code"),
		"in the query":   s.call("POST", "/oauth/token?client_id="+public.id, "", "grant_type=refresh_token", "Content-Type", "application/x-www-form-urlencoded"),
		"no id":          send("grant_type=authorization_code&client_id=x"),
		"unknown":        send("client_id=00000000-0000-4000-8000-000000000001"),
		"no secret":      send("client_id=" + basic.id),
		"by post":        send(formOf("client_id", basic.id, "client_secret", basic.secret)),
		"by basic":       send("", "Authorization", authorization(post.id, post.secret)),
		"wrong":          send("", "Authorization", authorization(basic.id, basic.secret+"x")),
		"empty":          send("", "Authorization", authorization(basic.id, "")),
		"another's":      send("", "Authorization", authorization(basic.id, post.secret)),
		"public, secret": send(formOf("client_id", public.id, "client_secret", "x")),
		"no base64":      send("", "Authorization", "Basic !"),
		"no colon":       send("", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(basic.id))),
	} {
		if a.status != 400 || a.str("error_code") != "invalid_credentials" || a.str("error") != "invalid_client" {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	basic.token("x", "y").refused("invalid_request")
	basic.token("grant_type", "password").refused("unsupported_grant_type")
	basic.token("grant_type", "authorization_code").refused("invalid_request")
	basic.token("grant_type", "refresh_token").refused("invalid_request")
	basic.redeem("no-such-code").refused("invalid_grant")
	s.call("POST", "/oauth/token", "", "{", "Content-Type", "application/json").refused("invalid_request")

	code := public.code(user)
	body := map[string]any{"grant_type": "authorization_code", "code": code, "client_id": public.id, "code_verifier": verifier, "extra": 1}
	s.call("POST", "/oauth/token", "", body, "Content-Type", "application/json; charset=utf-8").want(200, "")
	code = post.code(user)
	send(formOf("grant_type", "authorization_code", "code", code, "client_id", post.id, "client_secret", post.secret, "code_verifier", verifier)).want(200, "")

	only := s.register(map[string]any{"grant_types": []string{"refresh_token"}})
	only.redeem(code).refused("unsupported_grant_type")
}

func TestOAuthRefreshTokenIsItsClients(t *testing.T) {
	s := start(t, oauthConfig())
	in := s.signup("ann@example.com", "secret-1")
	client, other := s.register(nil), s.register(nil)
	tokens := client.redeem(client.code(in.str("access_token"))).want(200, "")
	other.token("grant_type", "refresh_token", "refresh_token", tokens.str("refresh_token")).refused("invalid_client")
	client.token("grant_type", "refresh_token", "refresh_token", in.str("refresh_token")).refused("invalid_client")
	s.refresh(tokens.str("refresh_token")).refused("invalid_client")
	client.token("grant_type", "refresh_token", "refresh_token", "rubbish").refused("invalid_grant")
	client.token("grant_type", "refresh_token", "refresh_token", tokens.str("refresh_token")).want(200, "") // none of this was a use
	s.refresh(in.str("refresh_token")).want(200, "")
}

func TestOAuthConsentIsTheUsersOwn(t *testing.T) {
	s := start(t, oauthConfig())
	ann, bob := s.signup("ann@example.com", "secret-1").str("access_token"), s.signup("bob@example.com", "secret-1").str("access_token")
	client := s.register(nil)
	appsToken := client.redeem(client.code(ann)).want(200, "").str("access_token")
	approve := map[string]any{"action": "approve"}
	path := client.request("scope", "phone")

	for _, origin := range []string{"https://evil.example.net", "https://app.example.com.evil.example.net", "http://app.example.com", "null", "https://app.example.com:8443"} {
		s.call("GET", path, ann, nil, "Origin", origin).want(400, "validation_failed")
		s.call("POST", path+"/consent", ann, approve, "Origin", origin).want(400, "validation_failed")
	}
	s.call("GET", path, appsToken, nil).want(403, "bad_jwt") // an app grants nothing, to itself or others
	s.call("POST", path+"/consent", appsToken, approve).want(403, "bad_jwt")
	s.call("GET", "/user/oauth/grants", appsToken, nil).want(403, "bad_jwt")
	s.call("DELETE", "/user/oauth/grants?client_id="+client.id, appsToken, nil).want(403, "bad_jwt")
	for _, change := range []map[string]any{{"password": "secret-2"}, {"email": "app@example.com"}, {"phone": "4915112345678"}} { // nor does it become the user
		s.call("PUT", "/user", appsToken, change).want(403, "bad_jwt")
	}
	s.call("PUT", "/user", appsToken, map[string]any{"data": map[string]any{"theme": "dark"}}).want(200, "")
	s.call("GET", "/user/identities/authorize?provider=github", appsToken, nil).want(403, "bad_jwt")
	s.call("POST", "/token?grant_type=id_token", appsToken, map[string]any{"provider": "google", "id_token": "a.b.c", "link_identity": true}).want(403, "bad_jwt")
	s.call("GET", path, "", nil).want(401, "no_authorization")
	s.call("POST", path+"/consent", ann, approve).want(404, "oauth_authorization_not_found") // not shown to anybody yet

	s.call("GET", path, ann, nil, "Origin", site).want(200, "")
	s.call("GET", path, bob, nil).want(404, "oauth_authorization_not_found")
	s.call("POST", path+"/consent", bob, approve).want(404, "oauth_authorization_not_found")
	s.call("POST", path+"/consent", ann, "{").want(400, "bad_json")
	s.call("POST", path+"/consent", ann, approve, "Origin", site).want(200, "")
}

func TestOAuthUserIsGone(t *testing.T) {
	s := start(t, oauthConfig())
	in := s.signup("ann@example.com", "secret-1")
	client := s.register(nil)
	code := client.code(in.str("access_token"))
	tokens := client.redeem(client.code(in.str("access_token"))).want(200, "")
	s.f.Exec(t, `UPDATE auth.users SET banned_until = now() + interval '1 day'`)
	client.redeem(code).refused("access_denied")
	client.token("grant_type", "refresh_token", "refresh_token", tokens.str("refresh_token")).refused("invalid_grant")
	s.f.Exec(t, `UPDATE auth.users SET banned_until = NULL, deleted_at = now()`)
	client.redeem(code).refused("invalid_grant")
	s.f.Exec(t, `DELETE FROM auth.users`)
	client.redeem(code).refused("invalid_grant")
}

func TestOAuthHostileParameters(t *testing.T) {
	s := start(t, oauthConfig())
	client := s.register(nil)
	for name, changes := range map[string][]string{
		"response": {"response_type", "token"}, "scope": {"scope", "admin"}, "scopes": {"scope", "email service_role"}, "blank scope": {"scope", "  "},
		"state": {"state", strings.Repeat("s", 4097)}, "nonce": {"nonce", strings.Repeat("n", 256)}, "resource": {"resource", "https://x/" + strings.Repeat("r", 2048)},
		"relative resource": {"resource", "/x"}, "resource with fragment": {"resource", "https://x/#y"}, "resource with query": {"resource", "https://x/?y"},
		"nul": {"nonce", "a\x00b"}, "no text": {"state", "a\xffb"},
	} {
		if q := located(t, client.authorize(changes...).header.Get("Location"), callback); q.Get("error") != "invalid_request" {
			t.Errorf("%s: %v", name, q)
		}
	}
	for _, id := range []string{"x", "00000000-0000-4000-8000-000000000001", "' OR 1=1 --"} {
		client.authorize("client_id", id).want(400, "oauth_client_not_found")
	}
	client.authorize("client_id", "").want(400, "validation_failed")
	client.authorize("redirect_uri", "").want(400, "validation_failed")
	s.call("POST", "/oauth/token", "", strings.Repeat("a", 1<<20+1)).want(http.StatusRequestEntityTooLarge, "request_entity_too_large")
	state := "a&b=c\r\nSet-Cookie: x=1#<>\"'\u00e9"
	if q := located(t, client.authorize("state", state, "scope", "x").header.Get("Location"), callback); q.Get("state") != state {
		t.Errorf("state came back as %q", q.Get("state"))
	}
}

func TestOAuthRequestsAreCleanedUp(t *testing.T) {
	s := start(t, oauthConfig())
	user := s.signup("ann@example.com", "secret-1").str("access_token")
	client := s.register(nil)
	tokens := client.redeem(client.code(user)).want(200, "")
	client.request()
	s.f.Exec(t, `UPDATE auth.oauth_authorizations SET created_at = created_at - interval '2 days', expires_at = expires_at - interval '2 days'`)
	fresh := client.request()
	if _, err := store.CleanUp(t.Context(), s.f.DB.Auth, store.Cleanup{}); err != nil {
		t.Fatal(err)
	}
	equal(t, "left", s.count(`SELECT count(*) FROM auth.oauth_authorizations`), 1)
	s.call("GET", fresh, user, nil).want(200, "")
	s.call("GET", "/oauth/userinfo", tokens.str("access_token"), nil).want(200, "")
}
