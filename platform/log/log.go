// Package log makes the process's logger: text on a terminal, JSON elsewhere,
// with the request's and the trace's id in every line that has a context.
package log

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/term"
)

// Config is how much is logged and in which form.
type Config struct {
	Level  string `env:"LOG_LEVEL,RUST_LOG,PGRST_LOG_LEVEL,GOTRUE_LOG_LEVEL" default:"info" names:"first" doc:"Least severe level that is logged: debug, info, warn or error. Of a list of directives as RUST_LOG has them, the first plain level counts. LOG_LEVEL wins over the other names." group:"optional"`
	Format string `env:"LOG_FORMAT" default:"auto" doc:"Form of log lines: text, json, or auto (text on a terminal, json elsewhere)." group:"optional"`
	Recent RecentConfig
}

// Validate names every fault of the settings.
func (c Config) Validate() error {
	err := c.Recent.Validate()
	switch c.Format {
	case "auto", "text", "json":
		return err
	}
	return errors.Join(err, fmt.Errorf("LOG_FORMAT: %q is none of auto, text, json", c.Format))
}

// Deps are what the logger writes to and asks.
type Deps struct {
	// Out receives the lines; os.Stderr when nil.
	Out io.Writer
	// RequestID returns the id of ctx's request, empty outside one; may be nil.
	RequestID func(ctx context.Context) string
	// Role is the process's role, in every line when set.
	Role string
	// Recent remembers the lines; may be nil.
	Recent *Recent
}

// New returns the logger that cfg describes. Every process, and every server in
// a test, has its own: there is no global level.
func New(cfg Config, deps Deps) *slog.Logger {
	out := deps.Out
	if out == nil {
		out = os.Stderr
	}
	options := &slog.HandlerOptions{Level: ParseLevel(cfg.Level), ReplaceAttr: readable}
	var h slog.Handler
	if cfg.Format == "json" || cfg.Format != "text" && !isTerminal(out) {
		if deps.Recent != nil {
			out = both{out, deps.Recent}
		}
		h = slog.NewJSONHandler(out, options)
	} else {
		h = slog.NewTextHandler(out, options)
		if deps.Recent != nil {
			h = slog.NewMultiHandler(h, slog.NewJSONHandler(deps.Recent, options))
		}
	}
	l := slog.New(&contextHandler{Handler: h, requestID: deps.RequestID})
	if deps.Role != "" {
		l = l.With("role", deps.Role)
	}
	return l
}

// both writes each line to out and remembers it, whether out takes it or not.
type both struct {
	out    io.Writer
	recent *Recent
}

func (b both) Write(line []byte) (int, error) {
	_, _ = b.recent.Write(line) // never fails
	return b.out.Write(line)
}

// readable writes durations as 1.5s in JSON too, where slog would count nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ParseLevel reads a level, or a list of directives such as "debug,hyper=warn",
// of which the first plain level counts. What says none is info: a strange
// RUST_LOG must not stop the process.
func ParseLevel(text string) slog.Level {
	for directive := range strings.SplitSeq(strings.ToLower(text), ",") {
		switch strings.TrimSpace(directive) {
		case "trace", "debug":
			return slog.LevelDebug
		case "info":
			return slog.LevelInfo
		case "warn", "warning":
			return slog.LevelWarn
		case "error", "err", "crit", "critical", "fatal", "panic":
			return slog.LevelError
		case "off":
			return slog.LevelError + 4
		}
	}
	return slog.LevelInfo
}

// contextHandler adds what the context knows.
type contextHandler struct {
	slog.Handler
	requestID func(ctx context.Context) string
}

// Handle adds request_id, unless the caller gave it, and the trace's ids.
func (h *contextHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.requestID != nil && !has(r, "request_id") {
		if id := h.requestID(ctx); id != "" {
			r.AddAttrs(slog.String("request_id", id))
		}
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func has(r slog.Record, key string) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}

// WithAttrs keeps the context's attributes in derived loggers.
func (h *contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &contextHandler{Handler: h.Handler.WithAttrs(attrs), requestID: h.requestID}
}

// WithGroup keeps the context's attributes in derived loggers.
func (h *contextHandler) WithGroup(name string) slog.Handler {
	return &contextHandler{Handler: h.Handler.WithGroup(name), requestID: h.requestID}
}
