package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/madbase/madbase/modules/gateway"
)

func TestCORSPreflight(t *testing.T) {
	t.Parallel()
	w := newWorker(t, ok)
	d := open(t, config(w.URL))
	res, body := d.get(t, http.MethodOptions, "/rest/v1/items", "apikey", "", "Origin", "https://app.example.com",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "apikey,x-anything,x-client-info")
	if res.StatusCode != http.StatusNoContent || body != "" || w.Requests.Load() != 0 {
		t.Errorf("%d %q", res.StatusCode, body)
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "apikey,x-anything,x-client-info", "Access-Control-Max-Age": "3600",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, method := range []string{"POST", "PATCH", "DELETE", "PUT"} {
		if !strings.Contains(res.Header.Get("Access-Control-Allow-Methods"), method) {
			t.Errorf("%s is not allowed", method)
		}
	}
}

func TestOptionsOfNoPreflightPasses(t *testing.T) {
	t.Parallel()
	w := newWorker(t, ok)
	d := open(t, config(w.URL))
	if res, body := d.get(t, http.MethodOptions, "/rest/v1/items"); res.StatusCode != 200 || body != "ok" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
}

func TestCORSOnEveryAnswer(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://upstream.example")
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Access-Control-Expose-Headers", "X-Upstream")
		w.WriteHeader(http.StatusTeapot)
	})
	d := open(t, config(w.URL))
	for path, want := range map[string]int{"/rest/v1/items": 418, "/nowhere": 404, "/graphql/v1": 501, "/platform/v1/health": 503, "/": 200} {
		res, _ := d.get(t, http.MethodGet, path, "Origin", "https://app.example.com")
		if res.StatusCode != want {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
		if got := res.Header.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "*" {
			t.Errorf("%s: origin %v", path, got)
		}
		exposed := strings.ToLower(strings.Join(res.Header.Values("Access-Control-Expose-Headers"), ";"))
		for _, name := range []string{"content-range", "x-total-count", "link", "x-relay-error", "x-supabase-api-version", "location", "upload-offset"} {
			if !strings.Contains(exposed, name) {
				t.Errorf("%s: %s is not exposed", path, name)
			}
		}
		if strings.Contains(exposed, "x-upstream") || res.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: the upstream's CORS passed: %v", path, res.Header)
		}
	}
	if res, _ := d.get(t, http.MethodGet, "/rest/v1/items", "apikey", "", "Origin", "https://app.example.com"); res.StatusCode != 401 || res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("refused key: %d %v", res.StatusCode, res.Header)
	}
}

func TestAllowedOrigins(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Vary", "Accept, origin") })
	cfg := config(w.URL)
	cfg.AllowedOrigins = []string{"https://App.example.com", "https://*.preview.example.com"}
	d := open(t, cfg)
	for origin, allowed := range map[string]bool{
		"https://app.example.com": true, "https://x.preview.example.com": true, "https://preview.example.com": false,
		"http://app.example.com": false, "https://evil.com/.preview.example.com": false, "https://app.example.com.evil.com": false, "null": false, "": false,
	} {
		res, _ := d.get(t, http.MethodGet, "/rest/v1/items", "Origin", origin)
		want := ""
		if allowed {
			want = origin
		}
		if got := res.Header.Get("Access-Control-Allow-Origin"); got != want || (res.Header.Get("Access-Control-Allow-Credentials") == "true") != allowed {
			t.Errorf("%q: %v", origin, res.Header)
		}
		if got := res.Header.Values("Vary"); len(got) != 1 || got[0] != "Accept, origin" {
			t.Errorf("Vary %v", got)
		}
		res, _ = d.get(t, http.MethodOptions, "/rest/v1/items", "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-a")
		if got := res.Header.Get("Access-Control-Allow-Headers"); (got != "") != allowed {
			t.Errorf("preflight of %q allows %q", origin, got)
		}
	}
}

func TestConfigFaultsAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	err := gateway.Config{
		Workers: []string{"worker:8002", "http://u:geheim@w:1"}, Control: "http://c/path", AllowedOrigins: []string{"example.com", "https://a.*.com"},
		TrustedProxies: []string{"10.0.0.0/99"}, UpstreamConfig: gateway.UpstreamConfig{Balance: "luck", HealthInterval: -1, EjectAfter: 1, RetryBudget: 101, RestTimeout: -1},
	}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"WORKER_UPSTREAM_URLS", "CONTROL_UPSTREAM_URL", "ALLOWED_ORIGINS", "TRUSTED_PROXIES", "MADBASE_HEALTH_INTERVAL", "MADBASE_EJECT_FOR", "MADBASE_BALANCE", "MADBASE_RETRY_BUDGET", "HEADER_TIMEOUT"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "geheim") {
		t.Errorf("a password is shown: %v", err)
	}
	if _, err := gateway.New(gateway.Config{UpstreamConfig: gateway.UpstreamConfig{Balance: "turns"}}, gateway.Deps{}); err == nil || !strings.Contains(err.Error(), "WORKER_UPSTREAM_URLS") {
		t.Errorf("without workers: %v", err)
	}
}
