package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/control"
	"github.com/madbase/madbase/platform/log"
)

func TestRecentLogsOfAllProcesses(t *testing.T) {
	t.Parallel()
	source := func(name string, ages ...time.Duration) control.LogSource {
		recent := log.NewRecent(log.RecentConfig{Bytes: 1 << 20, Age: time.Hour})
		for _, age := range ages {
			_, _ = fmt.Fprintf(recent, `{"time":%q,"level":"WARN","msg":"%s %s","request_id":"r1"}`+"\n", time.Now().Add(-age).Format(time.RFC3339Nano), name, age)
		}
		return control.LogSource{Process: name, Find: func(_ context.Context, q log.Query) ([]log.Line, error) { return recent.Find(q), nil }}
	}
	broken := control.LogSource{Process: "proxy", Find: func(context.Context, log.Query) ([]log.Line, error) { return nil, errors.New("secret cause") }}
	p := openWith(t, config(), func(d *control.Deps) {
		d.LogSources = func(context.Context) ([]control.LogSource, error) {
			return []control.LogSource{source("a", 30*time.Second, 10*time.Second), source("b", 20*time.Second), broken}, nil
		}
	})
	ask := func(query string) string {
		t.Helper()
		status, _, body := p.call(t, http.MethodGet, "/logs"+query, "", bearer(password)...)
		var found struct {
			Processes []struct {
				Name   string
				Failed bool
			}
			Lines []struct {
				Process string
				Line    struct{ Msg string }
			}
		}
		if err := json.Unmarshal([]byte(body), &found); err != nil || status != 200 || strings.Contains(body, "secret cause") {
			t.Fatalf("%d %s", status, body)
		}
		if len(found.Processes) != 3 || !found.Processes[2].Failed || found.Processes[1].Failed {
			t.Errorf("processes: %s", body)
		}
		text := ""
		for _, line := range found.Lines {
			text += line.Process + "=" + line.Line.Msg + " "
		}
		return text
	}
	for query, want := range map[string]string{
		"":                          "a=a 10s b=b 20s a=a 30s ",
		"?limit=2":                  "a=a 10s b=b 20s ",
		"?since=15s&level=warn":     "a=a 10s ",
		"?text=B+20S&request_id=r1": "b=b 20s ",
		"?level=error":              "",
		"?request_id=r":             "",
	} {
		if got := ask(query); got != want {
			t.Errorf("%s: got %s", query, got)
		}
	}
	status, _, body := p.call(t, http.MethodGet, "/logs?level=loud&since=now&limit=0", "", bearer(password)...)
	if status != 400 || !strings.Contains(body, "level must") || !strings.Contains(body, "since must") || !strings.Contains(body, "limit must") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := p.call(t, http.MethodGet, "/logs", ""); status != 401 {
		t.Errorf("without a password: %d", status)
	}
}
