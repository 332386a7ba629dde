package gateway_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/madbase/madbase/modules/gateway"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/httpx"
)

// With tracing on, the worker's parent is the gateway's span, in the client's trace.
func TestProxyPutsItselfIntoTheTrace(t *testing.T) {
	t.Parallel()
	worker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Traceparent"))
	}))
	defer worker.Close()
	keys := testKeys(t)
	m, err := gateway.New(config(worker.URL), gateway.Deps{
		Log: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet(), Transport: httpx.NewTransport(httpx.TransportConfig{MaxIdle: 4}),
		Keys: func(*http.Request) *claims.Keys { return keys },
	})
	if err != nil {
		t.Fatal(err)
	}
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	server := httpx.New(httpx.Deps{Log: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet(), Role: "proxy", Tracer: provider.Tracer("test")})
	server.Mount("", m)
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Stop(context.Background()) }()

	const traceID, clientSpan = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	r := httptest.NewRequest(http.MethodGet, "/rest/v1/notes", nil)
	r.Header.Set("Traceparent", "00-"+traceID+"-"+clientSpan+"-01")
	r.Header.Set("Apikey", keys.API().Anon.Reveal())
	w := httptest.NewRecorder()
	server.Handler().ServeHTTP(w, r)

	ended := spans.Ended()
	if w.Code != http.StatusOK || len(ended) != 1 {
		t.Fatalf("%d %s, %d spans", w.Code, w.Body, len(ended))
	}
	if got := ended[0].Parent().SpanID().String(); got != clientSpan {
		t.Errorf("the gateway's parent is %s", got)
	}
	if want := "00-" + traceID + "-" + ended[0].SpanContext().SpanID().String() + "-01"; !strings.EqualFold(w.Body.String(), want) {
		t.Errorf("the worker got %q, want %q", w.Body, want)
	}
}
