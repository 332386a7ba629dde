package gateway_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/gateway"
)

// lines is a log that a test reads while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "answer")
	})
	cfg, log := config(w.URL), &lines{}
	cfg.TrustedProxies = []string{"127.0.0.1"}
	cfg.Limits = gateway.Limits{BodyTimeout: time.Second}
	d := open(t, cfg, func(deps *gateway.Deps) {
		deps.Log = slog.New(slog.NewJSONHandler(log, nil))
		deps.Project = func(*http.Request) string { return "abc" }
	})
	key := d.Keys.API().Publishable.Reveal()
	user := sign(t, d.Keys, map[string]any{"role": "authenticated", "sub": "u", "exp": time.Now().Add(time.Hour).Unix()})
	res := d.do(t, d.request(t, http.MethodPost, "/rest/v1/a?apikey="+key+"&token=geheim", io.NopCloser(strings.NewReader("twelve bytes")),
		"apikey", "", "Authorization", "Bearer "+user, "Cookie", "c=geheim", "X-Request-Id", "my-id", "X-Forwarded-For", "203.0.113.7"))
	_ = readAll(t, res)
	eventually(t, "a line", func() bool { return strings.Contains(log.text(), `"msg":"request"`) })
	var line map[string]any
	if err := json.Unmarshal([]byte(log.text()), &line); err != nil {
		t.Fatal(err, log.text())
	}
	for name, want := range map[string]any{
		"request_id": "my-id", "method": "POST", "path": "/rest/v1/a", "route": "/rest/v1/*", "status": 200.0, "project": "abc", "class": "rest",
		"upstream": strings.TrimPrefix(w.URL, "http://"), "client": "203.0.113.7", "bytes": 6.0, "bytes_in": 12.0, "level": "INFO",
	} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
	if took, waited := line["took"].(float64), line["waited"].(float64); waited <= 0 || took < waited {
		t.Errorf("took %v, waited %v", took, waited)
	}
	for _, secret := range []string{key, user, "geheim"} {
		if strings.Contains(log.text(), secret) {
			t.Errorf("a secret is logged: %s", log.text())
		}
	}
}
