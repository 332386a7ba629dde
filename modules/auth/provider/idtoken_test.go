package provider_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/auth/provider"
)

// signer makes ID tokens of any issuer that a world knows.
type signer struct {
	t   *testing.T
	key *rsa.PrivateKey
}

func newSigner(t *testing.T) signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return signer{t, key}
}

// issuer adds an issuer to a world.
func (s signer) issuer(w world, issuer string) {
	host := strings.TrimPrefix(issuer, "https://")
	w[host+"/.well-known/openid-configuration"] = `{"issuer":"` + issuer + `","authorization_endpoint":"` + issuer + `/a","token_endpoint":"` + issuer +
		`/t","jwks_uri":"` + issuer + `/keys","id_token_signing_alg_values_supported":["RS256","HS256","none"]}`
	w[host+"/keys"] = `{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":"k","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(s.key.N.Bytes()) + `"}]}`
}

func (s signer) token(claims string) string {
	var all map[string]any
	if err := json.Unmarshal([]byte(claims), &all); err != nil {
		s.t.Fatal(err)
	}
	if all["exp"] == nil {
		all["exp"] = time.Now().Add(time.Hour).Unix()
	}
	all["aud"] = "app"
	text, _ := json.Marshal(all)
	body := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + base64.RawURLEncoding.EncodeToString(text)
	sum := sha256.Sum256([]byte(body))
	sig, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		s.t.Fatal(err)
	}
	return body + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestIssuersTellWhoItIs(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	const tenant = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"
	for name, tt := range map[string]struct{ issuer, claims, email, data string }{
		"google":            {"https://accounts.google.com", `"sub":"1","email":"g@x.io","email_verified":true,"name":"Go","picture":"p","hd":"x.io"`, "g@x.io true", `{"iss":"https://accounts.google.com","sub":"1","name":"Go","picture":"p","avatar_url":"p","full_name":"Go","provider_id":"1","custom_claims":{"hd":"x.io"},"email_verified":false,"phone_verified":false}`},
		"google unverified": {"https://accounts.google.com", `"sub":"1","email":"g@x.io"`, "g@x.io false", `{"iss":"https://accounts.google.com","sub":"1","provider_id":"1","email_verified":false,"phone_verified":false}`},
		"apple":             {"https://appleid.apple.com", `"sub":"a","email":"a@x.io","is_private_email":"true","auth_time":5`, "a@x.io true", `{"iss":"https://appleid.apple.com","sub":"a","provider_id":"a","custom_claims":{"is_private_email":true,"auth_time":5},"email_verified":false,"phone_verified":false}`},
		"azure":             {tenant, `"sub":"z","email":"z@x.io","name":"Az","preferred_username":"az","tid":"t","oid":"o"`, "z@x.io true", `{"iss":"` + tenant + `","sub":"z","provider_id":"z","preferred_username":"az","full_name":"Az","custom_claims":{"email":"z@x.io","tid":"t","oid":"o"},"email_verified":false,"phone_verified":false}`},
		"azure, no owner":   {tenant, `"sub":"z","email":"z@x.io","xms_edov":false`, "z@x.io false", `{"iss":"` + tenant + `","sub":"z","provider_id":"z","custom_claims":{"email":"z@x.io","xms_edov":false},"email_verified":false,"phone_verified":false}`},
		"facebook":          {"https://www.facebook.com", `"sub":"f","email":"f@x.io","name":"Fa","picture":"p"`, "f@x.io true", `{"iss":"https://www.facebook.com","sub":"f","name":"Fa","picture":"p","provider_id":"f","email_verified":false,"phone_verified":false}`},
		"kakao":             {"https://kauth.kakao.com", `"sub":"k","email":"k@x.io","nickname":"Ka"`, "k@x.io true", `{"iss":"https://kauth.kakao.com","sub":"k","name":"Ka","preferred_username":"Ka","provider_id":"k","email_verified":false,"phone_verified":false}`},
		"linkedin":          {"https://www.linkedin.com/oauth", `"sub":"l","email":"l@x.io","email_verified":"true","given_name":"Li","family_name":"In"`, "l@x.io true", `{"iss":"https://www.linkedin.com/oauth","sub":"l","name":"Li In","given_name":"Li","family_name":"In","provider_id":"l","email_verified":false,"phone_verified":false}`},
		"vercel":            {"https://marketplace.vercel.com", `"sub":"v","global_user_id":"g","user_email":"v@x.io","user_name":"Ve","user_avatar_url":"a"`, "v@x.io true", `{"iss":"https://marketplace.vercel.com","sub":"global_user_id:g","name":"Ve","picture":"a","provider_id":"global_user_id:g","email_verified":false,"phone_verified":false}`},
		"any":               {"https://id.example.com", `"sub":"x","email":"x@x.io","email_verified":"true","name":{"a":1},"role":"admin","app_metadata":{"a":1}`, "x@x.io true", ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world{}
			s.issuer(w, tt.issuer)
			token, err := w.services().Verify(t.Context(), tt.issuer, "", s.token(`{"iss":"`+tt.issuer+`",`+tt.claims+`}`), "")
			if err != nil {
				t.Fatal(err)
			}
			e := token.Identity.Emails[0]
			if got := e.Address + map[bool]string{true: " true", false: " false"}[e.Verified]; got != tt.email || !e.Primary || !token.For("app") || token.For("other", "") {
				t.Errorf("got %s, %+v", got, token)
			}
			if tt.data != "" {
				same(t, token.Identity.Claims, tt.data)
			}
			data, _ := token.Identity.Claims.Data()
			if data["role"] != nil || data["app_metadata"] != nil {
				t.Error(data)
			}
		})
	}
}

func TestIDTokensThatProveNothing(t *testing.T) {
	t.Parallel()
	s, stranger := newSigner(t), newSigner(t)
	w := world{}
	s.issuer(w, "https://id.example.com")
	for name, token := range map[string]string{
		"another issuer":  s.token(`{"iss":"https://evil.example.com","sub":"x"}`),
		"another's key":   stranger.token(`{"iss":"https://id.example.com","sub":"x"}`),
		"expired":         s.token(`{"iss":"https://id.example.com","sub":"x","exp":1}`),
		"not valid yet":   s.token(`{"iss":"https://id.example.com","sub":"x","nbf":99999999999}`),
		"nothing like it": "x",
	} {
		if _, err := w.services().Verify(t.Context(), "https://id.example.com", "", token, ""); !errors.Is(err, provider.ErrIDToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w["evil.example.com/.well-known/openid-configuration"] = w["id.example.com/.well-known/openid-configuration"]
	if _, err := w.services().Verify(t.Context(), "https://evil.example.com", "", s.token(`{"iss":"https://id.example.com","sub":"x"}`), ""); err == nil {
		t.Error("one issuer described another")
	}
}

// Whose tokens an app may bring is decided by whole issuers, not by what looks like one.
func TestDirectIssuers(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for issuer, name := range map[string]string{
		"https://login.microsoftonline.com/tenant/v2.0":             "azure",
		"https://sts.windows.net/tenant/":                           "azure",
		"https://login.microsoftonline.com.evil.net/tenant/v2.0":    "",
		"https://login.microsoftonline.com/a/../../b/v2.0":          "",
		"https://login.microsoftonline.com/tenant/v2.0?x=/v2.0":     "",
		"https://evil.net/https://login.microsoftonline.com/a/v2.0": "",
		"http://login.microsoftonline.com/tenant/v2.0":              "",
	} {
		got, err := provider.FindDirect("azure", "", s.token(`{"iss":"`+issuer+`"}`), "", "https://login.microsoftonline.com/common")
		if (err == nil) != (name != "") || err == nil && (got.Name != name || got.Issuer != issuer) {
			t.Errorf("%s: %+v %v", issuer, got, err)
		}
	}
	if _, err := provider.FindDirect("apple", "", s.token(`{"iss":"https://appleid.apple.com.evil.net"}`), "", ""); !errors.Is(err, provider.ErrForeignIssuer) {
		t.Error(err)
	}
	if _, err := provider.FindDirect("keycloak", "https://x", "a.b.c", "", ""); err != nil {
		t.Error(err)
	}
}

// Where the setting names a tenant by its id, another's people do not come in by an ID token either.
func TestFindDirectOfOneTenant(t *testing.T) {
	const tenant, other = "11111111-aaaa-4bbb-8ccc-222222222222", "99999999-aaaa-4bbb-8ccc-222222222222"
	s := newSigner(t)
	for issuer, want := range map[string]bool{
		"https://login.microsoftonline.com/" + tenant + "/v2.0": true, "https://sts.windows.net/" + tenant + "/": true,
		"https://login.microsoftonline.com/" + other + "/v2.0": false, "https://sts.windows.net/" + other + "/": false,
		"https://login.microsoftonline.com/contoso/v2.0": false,
	} {
		_, err := provider.FindDirect("azure", "", s.token(`{"iss":"`+issuer+`"}`), "", "https://login.microsoftonline.com/"+strings.ToUpper(tenant))
		if want != (err == nil) || !want && !errors.Is(err, provider.ErrForeignIssuer) {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

// FuzzIssuer reads what anybody sends as an ID token.
func FuzzIssuer(f *testing.F) {
	f.Add("a.b.c")
	f.Add("." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"x"}`)) + ".")
	f.Fuzz(func(t *testing.T, text string) {
		issuer, err := provider.Issuer(text)
		if err != nil && (issuer != "" || !errors.Is(err, provider.ErrIDToken)) {
			t.Errorf("%q %v", issuer, err)
		}
	})
}

// FuzzClaims reads what a service says of a person: only the names that are known get through.
func FuzzClaims(f *testing.F) {
	f.Add(`{"sub":"x","aud":["a"],"email_verified":"true","updated_at":"2020-01-01T00:00:00Z","custom_claims":{"a":1}}`)
	f.Add(`{"role":"admin","updated_at":1e300,"aud":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		var c provider.Claims
		_ = json.Unmarshal([]byte(text), &c)
		data, err := c.Data()
		if err != nil {
			return
		}
		for _, name := range []string{"role", "app_metadata", "id", "is_super_admin"} {
			if _, found := data[name]; found {
				t.Errorf("%s got through", name)
			}
		}
	})
}
