package e2e_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/madbase/madbase/platform/testkit"
)

// behindPrefix is a proxy that serves target under /supabase, as a common one does:
// it takes the prefix off and says little of how it was reached.
func behindPrefix(t *testing.T, target string) string {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(http.StripPrefix("/supabase", &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(to)
		p.Out.Host = "example.com"
		p.Out.Header.Set("X-Forwarded-For", "203.0.113.7")
	}}))
	t.Cleanup(proxy.Close)
	return proxy.URL + "/supabase"
}

// through sends what is meant for the public address to the proxy there.
func through(proxy string) http.RoundTripper {
	address := strings.TrimSuffix(strings.TrimPrefix(proxy, "http://"), "/supabase")
	return &http.Transport{DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
}

// TestPublicURLs finds the public URL in everything that leaves, behind another
// proxy that serves madbase under a path of its own.
func TestPublicURLs(t *testing.T) {
	t.Parallel()
	const public = "https://example.com/supabase"
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s := alone(t, testkit.DataDir(t), "MADBASE_PUBLIC_URL="+public+"/", "TRUSTED_PROXIES=127.0.0.1", "ADMIN_PASSWORD=an admin's password",
		"GOTRUE_EXTERNAL_GITHUB_ENABLED=true", "GOTRUE_EXTERNAL_GITHUB_CLIENT_ID=id", "GOTRUE_EXTERNAL_GITHUB_SECRET=secret",
		"GOTRUE_SAML_ENABLED=true", "GOTRUE_SAML_PRIVATE_KEY="+base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(key)),
		"S3_PROTOCOL_ACCESS_KEY_ID=access", "S3_PROTOCOL_ACCESS_KEY_SECRET=s3 secret", "GOTRUE_OAUTH_SERVER_ENABLED=true", "GOTRUE_OAUTH_SERVER_AUTHORIZATION_PATH=/consent", "GOTRUE_SITE_URL=https://app.example.com")
	base := behindPrefix(t, s.url)
	do := func(method, path, body string, headers ...string) (http.Header, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("apikey", s.keys.Service.Reveal())
		r.Header.Set("Authorization", "Bearer "+s.keys.Service.Reveal())
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode >= http.StatusBadRequest {
			t.Errorf("%s %s: %s %s %v", method, path, res.Status, text, err)
		}
		return res.Header, string(text)
	}
	member := func(text, name string) string {
		t.Helper()
		var all map[string]any
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Errorf("%v in %s", err, text)
		}
		value, _ := all[name].(string)
		return value
	}
	begins := func(what, got, want string) {
		t.Helper()
		if got != want && !strings.HasPrefix(got, want+"/") && !strings.HasPrefix(got, want+"?") {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	do("POST", "/storage/v1/bucket", `{"name":"b"}`)

	header, _ := do("POST", "/storage/v1/upload/resumable", "", "Tus-Resumable", "1.0.0", "Upload-Length", "5", "Upload-Metadata", "bucketName Yg==,objectName YQ==")
	begins("TUS", header.Get("Location"), public+"/storage/v1/upload/resumable")
	do("PATCH", strings.TrimPrefix(header.Get("Location"), public), "hello", "Tus-Resumable", "1.0.0", "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")

	_, signed := do("POST", "/storage/v1/object/sign/b/a", `{"expiresIn":60}`) // relative: clients put it behind their own address
	begins("signed URL", member(signed, "signedURL"), "/object/sign/b/a")
	if _, text := do("GET", "/storage/v1"+member(signed, "signedURL"), "", "apikey", "", "Authorization", ""); text != "hello" {
		t.Errorf("by the signed URL: %q", text)
	}
	_, signed = do("POST", "/storage/v1/object/upload/sign/b/c", `{}`)
	begins("signed upload", member(signed, "url"), "/object/upload/sign/b/c")

	signer := s3.New(s3.Options{
		BaseEndpoint: aws.String(public + "/storage/v1/s3"), Region: "stub", UsePathStyle: true, HTTPClient: &http.Client{Transport: through(base)},
		Credentials: credentials.NewStaticCredentialsProvider("access", "s3 secret", ""),
	})
	if list, err := signer.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("b")}); err != nil || len(list.Contents) != 1 {
		t.Errorf("S3: %+v %v", list, err)
	}

	_, link := do("POST", "/auth/v1/admin/generate_link", `{"type":"invite","email":"ann@example.com"}`)
	begins("mail link", member(link, "action_link"), public+"/auth/v1/verify")

	header, _ = do("GET", "/auth/v1/authorize?provider=github", "", "apikey", "", "Authorization", "")
	to, err := url.Parse(header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	begins("OAuth redirect", to.Query().Get("redirect_uri"), public+"/auth/v1/callback")

	_, saml := do("GET", "/auth/v1/sso/saml/metadata", "", "apikey", "", "Authorization", "")
	for _, want := range []string{`entityID="` + public + `/auth/v1/sso/saml/metadata"`, `Location="` + public + `/auth/v1/sso/saml/acs"`} {
		if !strings.Contains(saml, want) {
			t.Errorf("SAML: no %s in %s", want, saml)
		}
	}
	for _, path := range []string{
		"/auth/v1/.well-known/openid-configuration", "/auth/v1/.well-known/oauth-authorization-server",
		"/.well-known/oauth-authorization-server/auth/v1", "/.well-known/oauth-authorization-server/supabase/auth/v1",
	} {
		_, text := do("GET", path, "", "apikey", "", "Authorization", "")
		for _, name := range []string{"issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"} {
			begins(path+" "+name, member(text, name), public+"/auth/v1")
		}
	}
	_, session := do("POST", "/auth/v1/signup", `{"email":"bob@example.com","password":"a password"}`)
	parts := strings.Split(member(session, "access_token"), ".")
	if len(parts) != 3 {
		t.Fatal(session)
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	begins("token's issuer", member(string(claims), "iss"), public+"/auth/v1")

	_, description := do("GET", "/rest/v1/", "")
	if host, path := member(description, "host"), member(description, "basePath"); strings.TrimSuffix(host, ":443") != "example.com" || path != "/supabase/rest/v1" {
		t.Errorf("OpenAPI: %s %s", host, path)
	}
	if !strings.Contains(description, `"schemes":["https"]`) {
		t.Error("OpenAPI: not by https")
	}
	header, _ = do("POST", "/platform/v1/login", `{"password":"an admin's password"}`)
	if cookie := header.Get("Set-Cookie"); !strings.Contains(cookie, "Path=/supabase/platform/v1/") || !strings.Contains(cookie, "Secure") {
		t.Errorf("the administrator's cookie: %s", cookie)
	}
}
