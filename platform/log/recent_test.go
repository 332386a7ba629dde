package log_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/log"
)

// messages are those of the lines that q finds, the newest first.
func messages(t *testing.T, r *log.Recent, q log.Query) string {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	var found []string
	for _, line := range r.Find(q) {
		var v struct{ Msg string }
		if err := json.Unmarshal(line.JSON, &v); err != nil {
			t.Fatalf("%s: %v", line.JSON, err)
		}
		found = append(found, v.Msg)
	}
	return strings.Join(found, " ")
}

func TestRecentLinesAreFound(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		recent := log.NewRecent(log.RecentConfig{Bytes: 1 << 20, Age: time.Hour})
		var out bytes.Buffer
		id := ""
		l := log.New(log.Config{Level: "info", Format: format}, log.Deps{Out: &out, Recent: recent, Role: "worker", RequestID: func(context.Context) string { return id }})
		l.Debug("hidden")
		l.Info("one", "path", "/Rest/v1")
		id = "r2"
		l.Warn("two")
		id = "r22"
		l.With("project", "blog").Error("three")
		for want, q := range map[string]log.Query{
			"three two one": {Level: slog.LevelDebug},
			"three two":     {Level: slog.LevelWarn},
			"one":           {Level: slog.LevelDebug, Text: "/rest/V1"},
			"two":           {RequestID: "r2"},
			"three":         {Text: `"project":"blog"`},
			"":              {Until: time.Now().Add(-time.Minute)},
		} {
			if got := messages(t, recent, q); got != want {
				t.Errorf("%s, %+v: got %q, want %q", format, q, got, want)
			}
		}
		if got := messages(t, recent, log.Query{Limit: 1}); got != "three" {
			t.Errorf("%s: the last line: got %q", format, got)
		}
		if !strings.Contains(out.String(), "three") || !strings.Contains(string(recent.Find(log.Query{Limit: 1})[0].JSON), `"role":"worker"`) {
			t.Errorf("%s: got %s", format, out.String())
		}
	}
}

func TestRecentIsBounded(t *testing.T) {
	t.Parallel()
	const most = 256 << 10
	recent := log.NewRecent(log.RecentConfig{Bytes: most, Age: time.Hour})
	l := log.New(log.Config{Level: "info", Format: "json"}, log.Deps{Out: io.Discard, Recent: recent})
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for i := range 2000 {
				l.Info(fmt.Sprint(i), "filler", strings.Repeat("x", 100))
				if i%500 == 0 {
					recent.Find(log.Query{Limit: 10})
				}
			}
		})
	}
	l.Info("too long", "filler", strings.Repeat("x", 100<<10))
	wait.Wait()
	size := 0
	lines := recent.Find(log.Query{Limit: log.MaxLines})
	for _, line := range lines {
		size += len(line.JSON) + 1
	}
	if size > most || size < most/2 || !strings.Contains(string(lines[0].JSON), `"msg":"1999"`) {
		t.Errorf("%d bytes in %d lines, the last %s", size, len(lines), lines[0].JSON)
	}
	if got := messages(t, recent, log.Query{Text: "too long"}); got != "" {
		t.Error("a line longer than a chunk is remembered")
	}
	off := log.NewRecent(log.RecentConfig{Age: time.Hour})
	if n, err := off.Write([]byte("{}\n")); n != 3 || err != nil || len(off.Find(log.Query{Limit: 1})) != 0 {
		t.Error("lines are remembered where none should be")
	}
}

func TestOldLinesAreNotFound(t *testing.T) {
	t.Parallel()
	recent := log.NewRecent(log.RecentConfig{Bytes: 1 << 20, Age: time.Minute})
	for _, ago := range []time.Duration{2 * time.Minute, time.Second} {
		_, _ = fmt.Fprintf(recent, `{"time":%q,"level":"INFO","msg":"%s"}`+"\n", time.Now().Add(-ago).Format(time.RFC3339Nano), ago)
	}
	if got := messages(t, recent, log.Query{}); got != "1s" {
		t.Errorf("got %s", got)
	}
}
