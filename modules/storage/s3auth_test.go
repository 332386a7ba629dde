package storage_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/modules/storage/accesskey"
	"github.com/madbase/madbase/platform/claims"
)

const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// signS3 signs a GET of url, as the client knows it.
func signS3(t *testing.T, url, id, secret, token string, when time.Time) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", emptySHA256)
	r.Header.Set("Accept-Encoding", "identity")
	credential := aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(context.Background(), credential, r, emptySHA256, "s3", "eu-west-3", when); err != nil {
		t.Fatal(err)
	}
	return r
}

// arrive sends r as a proxy passes it on: to path on the server, with headers given as "Name: value".
func (b *bench) arrive(r *http.Request, path string, headers ...string) (int, string) {
	b.t.Helper()
	origin, _, _ := strings.Cut(b.url, prefix)
	out, err := http.NewRequestWithContext(b.t.Context(), r.Method, origin+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	out.Header = r.Header.Clone()
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			out.Host = value
			continue
		}
		out.Header.Set(name, value)
	}
	res, err := b.http.Do(out)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// TestS3SignaturesSurviveProxies has a client sign one address and a request arrive
// under another, as proxies make of it.
func TestS3SignaturesSurviveProxies(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *storage.Config) {
		c.S3 = storage.S3Config{Enabled: true, HostHeader: "X-Signed-Host", Forwarded: true, Prefix: "/supabase"}
	})
	own := accesskey.Config{}.Pair(b.p.Keys)
	b.do("POST", "/bucket", b.service, map[string]any{"name": "docs"})
	for _, name := range []string{"storage", "supabase", "dir"} {
		b.do("POST", "/bucket", b.service, map[string]any{"name": name})
	}
	for name, test := range map[string]struct {
		signed, arrives string
		headers         []string
		want            int
	}{
		"as it is":               {"http://h/storage/v1/s3/docs", "/storage/v1/s3/docs", []string{"Host: h"}, 200},
		"another host":           {"http://h/storage/v1/s3/docs", "/storage/v1/s3/docs", []string{"Host: i"}, 403},
		"half an address":        {"http://h/storage/v1/s3/docs", "/storage/v1/s3/docs", []string{"Host: i", "X-Forwarded-Host: [h"}, 403},
		"public URL":             {"http://localhost:8000/storage/v1/s3/docs", "/storage/v1/s3/docs", []string{"Host: inner:8002"}, 200},
		"forwarded host":         {"https://s3.example.com/storage/v1/s3/docs", "/storage/v1/s3/docs", []string{"Host: inner", "X-Forwarded-Host: s3.example.com"}, 200},
		"forwarded port":         {"http://h:8443/storage/v1/s3/docs", "/storage/v1/s3/docs", []string{"Host: inner", "X-Forwarded-Host: h", "X-Forwarded-Port: 8443"}, 200},
		"a port that is wrong":   {"http://h:8443/storage/v1/s3/docs", "/storage/v1/s3/docs", []string{"Host: inner", "X-Forwarded-Host: h:8443", "X-Forwarded-Port: 80"}, 200},
		"usual port was added":   {"https://h/storage/v1/s3/docs", "/storage/v1/s3/docs", []string{"Host: h:443"}, 200},
		"header of the setting":  {"http://h/storage/v1/s3/docs", "/storage/v1/s3/docs", []string{"Host: inner", "X-Signed-Host: h"}, 200},
		"Forwarded":              {"http://h/storage/v1/s3/docs", "/storage/v1/s3/docs", []string{"Host: inner", `Forwarded: for=1.2.3.4;host="h", host=i`}, 200},
		"prefix was added":       {"http://h/s3/docs", "/storage/v1/s3/docs", []string{"Host: h"}, 200},
		"at the root":            {"http://h/docs", "/storage/v1/s3/docs", []string{"Host: h"}, 200},
		"all at the root":        {"http://h/", "/storage/v1/s3/", []string{"Host: h"}, 200},
		"prefix was cut":         {"http://h/pre/storage/v1/s3/docs", "/storage/v1/s3/docs", []string{"Host: h", "X-Forwarded-Prefix: /pre/"}, 200},
		"prefix of the setting":  {"http://h/supabase/s3/docs", "/storage/v1/s3/docs", []string{"Host: h"}, 200},
		"unknown prefix":         {"http://h/else/s3/docs", "/storage/v1/s3/docs", []string{"Host: h"}, 403},
		"another bucket":         {"http://h/storage/v1/s3/docs", "/storage/v1/s3/other", []string{"Host: h"}, 403},
		"bucket like a prefix":   {"http://h/storage/v1/s3/docs", "/storage/v1/s3/storage/v1/s3/docs", []string{"Host: h"}, 403},
		"such a bucket, escaped": {"http://h/storage/v1/s3/docs", "/storage/v1/s3/%73torage/v1/s3/docs", []string{"Host: h"}, 403},
		"bucket like a setting":  {"http://h/supabase/s3/docs", "/storage/v1/s3/supabase/s3/docs", []string{"Host: h"}, 403},
		"prefix with a bucket":   {"http://h/storage/v1/s3/docs/dir", "/storage/v1/s3/dir", []string{"Host: h", "X-Forwarded-Prefix: /storage/v1/s3/docs"}, 403},
		"prefix with an object":  {"http://h/storage/v1/s3/docs/a", "/storage/v1/s3", []string{"Host: h", "X-Forwarded-Prefix: /storage/v1/s3/docs/a"}, 403},
		"prefix in other words":  {"http://h/s3/docs/dir", "/storage/v1/s3/dir", []string{"Host: h", "X-Forwarded-Prefix: /%73%33/docs"}, 403},
		"prefix at the root":     {"http://h/docs/dir", "/storage/v1/s3/dir", []string{"Host: h", "X-Forwarded-Prefix: /docs"}, 403},
		"encoding was changed":   {"http://h/storage/v1/s3/docs", "/storage/v1/s3/docs", []string{"Host: h", "Accept-Encoding: br, gzip"}, 200},
	} {
		r, err := http.NewRequest(http.MethodGet, test.signed, nil)
		if err != nil {
			t.Fatal(err)
		}
		r = signS3(t, r.URL.String(), own.AccessKey, own.SecretKey.Reveal(), "", time.Now())
		if status, body := b.arrive(r, test.arrives, test.headers...); status != test.want {
			t.Errorf("%s: got %d %s", name, status, body)
		}
	}
}

func TestS3Signers(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *storage.Config) { c.S3.Enabled = true })
	b.do("POST", "/bucket", b.service, map[string]any{"name": "docs"})
	own := accesskey.Config{}.Pair(b.p.Keys)
	id, token := b.user()
	if _, err := b.p.Owner.Exec(t.Context(), "CREATE POLICY mine ON storage.buckets FOR SELECT TO authenticated USING (auth.uid() = '"+id+"')"); err != nil {
		t.Fatal(err)
	}
	keyring := accesskey.New(accesskey.Config{}, nil, sealer(t))
	made, err := keyring.Create(t.Context(), b.p.Project, "for the user", map[string]any{"role": claims.RoleAuthenticated, "sub": id})
	if err != nil {
		t.Fatal(err)
	}
	_, stranger := b.user()
	stale := b.token(map[string]any{"role": claims.RoleAuthenticated, "exp": time.Now().Add(-time.Hour).Unix()})
	now := time.Now()
	for name, test := range map[string]struct {
		id, secret, token string
		when              time.Time
		status            int
		says              string
	}{
		"service":         {own.AccessKey, own.SecretKey.Reveal(), "", now, 200, "<Name>docs</Name>"},
		"wrong secret":    {own.AccessKey, "x", "", now, 403, "<Code>SignatureDoesNotMatch</Code>"},
		"unknown key":     {"x", "x", "", now, 403, "<Message>Invalid Access Key</Message>"},
		"old":             {own.AccessKey, own.SecretKey.Reveal(), "", now.Add(-time.Hour), 403, "<Code>RequestTimeTooSkewed</Code>"},
		"user":            {"default", b.anon, token, now, 200, "<Name>docs</Name>"},
		"publishable key": {"default", b.p.Keys.API().Publishable.Reveal(), token, now, 200, "<Name>docs</Name>"},
		"made key":        {made.AccessKey, made.SecretKey.Reveal(), "", now, 200, "<Name>docs</Name>"},
		"another user":    {"default", b.anon, stranger, now, 200, "<Buckets"},
		"stale session":   {"default", b.anon, stale, now, 403, "&quot;exp&quot; claim timestamp check failed"},
		"forged session":  {"default", b.anon, token + "x", now, 403, "<Code>AccessDenied</Code>"},
		"session, wrong":  {"default", "x", token, now, 403, "<Code>SignatureDoesNotMatch</Code>"},
	} {
		status, body := b.arrive(signS3(t, b.url+"/s3", test.id, test.secret, test.token, test.when), prefix+"/s3")
		if status != test.status || !strings.Contains(strings.ReplaceAll(body, "&#34;", "&quot;"), test.says) {
			t.Errorf("%s: got %d %s", name, status, body)
		}
		if name == "another user" && strings.Contains(body, "docs") {
			t.Errorf("policies do not apply: %s", body)
		}
	}
	plain, err := http.NewRequest(http.MethodGet, "http://h/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := b.arrive(plain, prefix+"/s3"); status != 403 || !strings.Contains(body, "<Message>Missing signature</Message>") {
		t.Errorf("unsigned: %d %s", status, body)
	}
}
