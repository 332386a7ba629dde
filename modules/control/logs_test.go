package control_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// fakeLoki is a log store that answers with h and keeps the last request's URL.
func fakeLoki(t *testing.T, h http.HandlerFunc) (base string, last func() *url.URL) {
	t.Helper()
	seen := make(chan *url.URL, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.URL
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, func() *url.URL { return <-seen }
}

func TestLogsAreQueried(t *testing.T) {
	t.Parallel()
	const answer = `{"status":"success","data":{"resultType":"streams","result":[]}}`
	base, last := fakeLoki(t, func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "u" || pass != "p" || r.Header.Get("Cookie") != "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, answer)
	})
	cfg := config()
	cfg.LokiURL = strings.Replace(base, "http://", "http://u:p@", 1) + "/store/"
	p := open(t, cfg)
	const logQL = `{job="x"} |= "a&limit=9" # ?`
	query := url.Values{"query": {logQL}, "start": {"2026-01-01T00:00:00Z"}, "end": {"1767229200.5"}, "limit": {"7"}, "direction": {"forward"}, "step": {"1"}}
	status, header, body := p.call(t, http.MethodGet, "/logs?"+query.Encode(), "", bearer(password)...)
	if status != 200 || body != answer || !strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		t.Fatalf("%d %s", status, body)
	}
	got := last()
	want := url.Values{"query": {logQL}, "start": {"1767225600000000000"}, "end": {"1767229200500000000"}, "limit": {"7"}, "direction": {"forward"}}
	if got.Path != "/store/loki/api/v1/query_range" || got.Query().Encode() != want.Encode() {
		t.Errorf("asked %s", got)
	}
	p.call(t, http.MethodGet, "/logs?query=x", "", bearer(password)...)
	if got := last().RawQuery; got != "direction=backward&limit=100&query=x" {
		t.Errorf("asked %s", got)
	}
}

func TestLogParameters(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.LokiURL = "http://127.0.0.1:1"
	p := open(t, cfg)
	for _, query := range []string{
		"", "query=", "query=+", "query=" + strings.Repeat("x", 8193), "query=x&start=yesterday", "query=x&start=-1", "query=x&end=1e99", "query=x&start=NaN",
		"query=x&start=20&end=10", "query=x&limit=0", "query=x&limit=5001", "query=x&limit=a", "query=x&direction=up",
	} {
		if status, _, body := p.call(t, http.MethodGet, "/logs?"+query, "", bearer(password)...); status != 400 || !strings.Contains(body, `"code":400`) {
			t.Errorf("%.40s: %d %s", query, status, body)
		}
	}
	if status, _, _ := p.call(t, http.MethodGet, "/logs?query=x", ""); status != 401 {
		t.Errorf("without password: %d", status)
	}
}

func TestLogStoreFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		h    http.HandlerFunc
		want int
		text string
	}{
		"its refusal": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "parse error at line 1", 400) }, 400, "parse error at line 1"},
		"its fault":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "geheim", 500) }, 502, "cannot be queried"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/geheim", http.StatusFound)
		}, 502, "cannot be queried"},
		"no JSON":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, 502, "cannot be queried"},
		"too much": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) }, 502, "larger than 1048576"},
		"a cut":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 502, "cannot be queried"},
		"silence":  {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 504, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.LokiURL, _ = fakeLoki(t, test.h)
			cfg.LogsTimeout = 300 * time.Millisecond
			status, _, body := open(t, cfg).call(t, http.MethodGet, "/logs?query=x", "", bearer(password)...)
			if status != test.want || !strings.Contains(body, test.text) || strings.Contains(body, "geheim") {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	status, _, body := open(t, config()).call(t, http.MethodGet, "/logs?query=x&source=loki", "", bearer(password)...)
	if status != 501 || !strings.Contains(body, "LOKI_URL") {
		t.Errorf("without a store: %d %s", status, body)
	}
}
