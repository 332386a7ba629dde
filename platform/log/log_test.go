package log_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"

	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/log"
)

func TestParseLevel(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "DEBUG": slog.LevelDebug, "trace": slog.LevelDebug, "info": slog.LevelInfo, "warning": slog.LevelWarn,
		"error": slog.LevelError, "crit": slog.LevelError, "off": slog.LevelError + 4,
		"debug,hyper=warn": slog.LevelDebug, "hyper=warn, error": slog.LevelError, "hyper=warn": slog.LevelInfo, "": slog.LevelInfo, "loud": slog.LevelInfo,
	} {
		if got := log.ParseLevel(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestLinesCarryWhatTheContextKnows(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := log.New(log.Config{Level: "info", Format: "auto"}, log.Deps{Out: &out, Role: "worker", RequestID: func(context.Context) string { return "r1" }})
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	l.With("a", 1).InfoContext(ctx, "hello")
	l.InfoContext(ctx, "own id", "request_id", "r2", "took", 1500*time.Millisecond)
	l.DebugContext(ctx, "unseen")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d lines: %s", len(lines), out.String())
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil { // auto is JSON where Out is no terminal
		t.Fatal(err)
	}
	if line["request_id"] != "r1" || line["role"] != "worker" || line["a"] != 1.0 || line["trace_id"] != "01000000000000000000000000000000" {
		t.Errorf("got %v", line)
	}
	if strings.Count(lines[1], "request_id") != 1 || !strings.Contains(lines[1], `"request_id":"r2","took":"1.5s"`) {
		t.Errorf("got %s", lines[1])
	}
}

func TestTextFormat(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log.New(log.Config{Format: "text"}, log.Deps{Out: &out}).Info("hello", "a", 1)
	if !strings.Contains(out.String(), "msg=hello a=1") {
		t.Errorf("got %s", out.String())
	}
	if (log.Config{Format: "xml"}).Validate() == nil || (log.Config{Format: "auto"}).Validate() != nil {
		t.Error("LOG_FORMAT is not validated")
	}
}

// lines is a writer that several requests may log to.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// serverAt is one role's server with its own log level, and what it logged.
func serverAt(role, level string) (http.Handler, *lines) {
	out := &lines{}
	l := log.New(log.Config{Level: level, Format: "json"}, log.Deps{Out: out, Role: role, RequestID: httpx.RequestID})
	s := httpx.New(httpx.Deps{Log: l, Metrics: metrics.NewSet(), Role: role, Access: httpx.AccessConfig{Level: "debug", Sample: 1}})
	s.Echo().GET("/thing", func(c echo.Context) error {
		l.DebugContext(c.Request().Context(), "detail")
		return c.NoContent(http.StatusNoContent)
	})
	return s.Handler(), out
}

// Each role logs in detail when its own LOG_LEVEL says debug, whatever the others do.
func TestLogLevelPerRole(t *testing.T) {
	t.Parallel()
	roles := []string{"proxy", "control", "worker"}
	for _, verbose := range roles {
		t.Run(verbose, func(t *testing.T) {
			t.Parallel()
			for _, role := range roles {
				level := "info"
				if role == verbose {
					level = "debug"
				}
				server, out := serverAt(role, level)
				r := httptest.NewRequest(http.MethodGet, "/thing", nil)
				r.Header.Set(httpx.HeaderRequestID, "id-of-"+role)
				server.ServeHTTP(httptest.NewRecorder(), r)
				for _, text := range []string{`"msg":"detail"`, `"msg":"request"`, `"role":"` + role + `"`, `"request_id":"id-of-` + role + `"`} {
					if got, want := out.has(text), role == verbose; got != want {
						t.Errorf("%s at %s: line with %s: got %v, want %v", role, level, text, got, want)
					}
				}
			}
		})
	}
}
