package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const forbiddenSchema = `{"message":"Access to schema is forbidden","hint":"Accessing the schema via the Data API is only allowed using a secret API key."}`

// The description of the REST API tells every column: it is for keys of the service only.
func TestSchemaIsForSecretKeys(t *testing.T) {
	t.Parallel()
	d := open(t, config(newWorker(t, ok).URL))
	api := d.Keys.API()
	user := sign(t, d.Keys, map[string]any{"role": "authenticated", "sub": "u", "exp": time.Now().Add(time.Hour).Unix()})
	for _, test := range []struct {
		method, path, key, bearer, want string
	}{
		{"GET", "/rest/v1/", api.Anon.Reveal(), "", forbiddenSchema},
		{"GET", "/rest/v1", api.Publishable.Reveal(), "", forbiddenSchema},
		{"GET", "/rest/v1//", api.Publishable.Reveal(), "", forbiddenSchema},
		{"GET", "/rest/v1/?select=a", api.Anon.Reveal(), "Bearer " + user, forbiddenSchema},
		{"GET", "/rest/v1/", "", "Bearer " + api.Publishable.Reveal(), forbiddenSchema},
		{"HEAD", "/rest/v1/", api.Anon.Reveal(), "", ""},
		{"GET", "/rest/v1/", "", "", missingKey},
		{"GET", "/rest/v1/", api.Service.Reveal(), "", "ok"},
		{"GET", "/rest/v1/", api.Secret.Reveal(), "Bearer " + api.Secret.Reveal(), "ok"},
		{"GET", "/rest/v1/", "", "Bearer " + api.Service.Reveal(), "ok"},
		{"POST", "/rest/v1/", api.Anon.Reveal(), "", "ok"}, // none of the gateway's business
		{"GET", "/rest/v1/rest", api.Anon.Reveal(), "", "ok"},
	} {
		headers := []string{"apikey", test.key}
		if test.bearer != "" {
			headers = append(headers, "Authorization", test.bearer)
		}
		res, body := d.get(t, test.method, test.path, headers...)
		if (res.StatusCode == http.StatusOK) != (test.want == "ok") || body != test.want || test.want == "" && res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s %s: %d %s, want %s", test.method, test.path, res.StatusCode, body, test.want)
		}
	}
	cfg := config(newWorker(t, ok).URL)
	cfg.RequireAPIKey = false
	if res, body := open(t, cfg).get(t, http.MethodGet, "/rest/v1/", "apikey", ""); res.StatusCode != http.StatusUnauthorized || body != forbiddenSchema {
		t.Errorf("keyless: %d %s", res.StatusCode, body)
	}
}

// What Supabase's clients say of themselves and of a request reaches the worker.
func TestClientHeadersPass(t *testing.T) {
	t.Parallel()
	d := open(t, config(newWorker(t, echoHeaders).URL))
	sent := []string{
		"X-Client-Info", "supabase-js/2.99.0; runtime=deno", "X-Supabase-Api-Version", "2024-01-01", "X-Retry-Count", "2", "X-Region", "eu-west-1",
		"Accept-Profile", "app", "Content-Profile", "app", "Prefer", "return=representation,count=exact", "Accept", "application/vnd.pgrst.object+json",
		"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate", "a=b,c=d", "Baggage", "user=u,tier=t", "Range", "0-9", "X-Upsert", "true",
		"Tus-Resumable", "1.0.0", "Upload-Metadata", "bucketName YQ==", "If-None-Match", `"a"`, "X-Metadata", "e30=", "Cache-Control", "max-age=3600",
	}
	for _, path := range []string{"/rest/v1/a", "/auth/v1/user", "/storage/v1/object/list/b", "/functions/v1/f"} {
		_, got := d.get(t, http.MethodGet, path, sent...)
		for i := 0; i < len(sent); i += 2 {
			if want := strings.ToLower(sent[i]) + ": " + sent[i+1] + "\n"; !strings.Contains(got, want) {
				t.Errorf("%s: no %q in\n%s", path, want, got)
			}
		}
	}
}

// A page reads every answer, whoever wrote it, and may send every header.
func TestEveryAnswerIsReadableInBrowsers(t *testing.T) {
	t.Parallel()
	d := open(t, config(newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, "{}")
	}).URL))
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/rest/v1/a", 200, "{}"},
		{"POST", "/auth/v1/token", 500, "{}"},
		{"HEAD", "/storage/v1/object/b/k", 200, ""},
		{"GET", "/rest/v1/", 401, forbiddenSchema},
		{"GET", "/graphql/v1", 501, `{"error":"GraphQL is not available here","code":501,"detail":"The tables and functions of the database are served at /rest/v1"}`},
		{"POST", "/graphql/v1", 501, `{"error":"GraphQL is not available here","code":501,"detail":"The tables and functions of the database are served at /rest/v1"}`},
		{"GET", "/platform/v1/projects", 503, `{"error":"No control is configured","code":503}`},
		{"GET", "/nowhere", 404, `{"error":"Not Found","code":404}`},
		{"GET", "/rest/v2/a", 404, `{"error":"Not Found","code":404}`},
		{"PROPFIND", "/rest/v1/a", 405, `{"error":"Method Not Allowed","code":405}`},
		{"POST", "/", 405, `{"error":"Method Not Allowed","code":405}`},
		{"GET", "/", 200, `{"name":"madbase","version":"test"}`},
	} {
		res, body := d.get(t, test.method, test.path, "Origin", "https://app.example.com")
		if res.StatusCode != test.status || body != test.body {
			t.Errorf("%s %s: %d %s", test.method, test.path, res.StatusCode, body)
		}
		if res.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(res.Header.Get("Access-Control-Expose-Headers"), "Content-Range") || res.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s %s: %v", test.method, test.path, res.Header)
		}
		const asked = "apikey, x-client-info, x-anything-at-all, traceparent"
		res, body = d.get(t, http.MethodOptions, test.path, "apikey", "", "Origin", "https://app.example.com",
			"Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", asked)
		if res.StatusCode != http.StatusNoContent || body != "" || res.Header.Get("Access-Control-Allow-Headers") != asked || res.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("preflight of %s: %d %s %v", test.path, res.StatusCode, body, res.Header)
		}
	}
}
