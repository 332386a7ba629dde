package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Telemetry is what a process reports traces with.
type Telemetry struct {
	// Tracer is nil when no traces are sent.
	Tracer trace.Tracer

	provider *sdktrace.TracerProvider
}

// New connects to cfg's collector, on first use: a collector that is away delays
// nothing and costs one warning. role and version name the process in traces.
func New(ctx context.Context, cfg Config, role, version string, log *slog.Logger) (*Telemetry, error) {
	if !cfg.Enabled() {
		return &Telemetry{}, nil
	}
	headers, err := parseHeaders(cfg.Headers.Reveal())
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(strings.TrimRight(cfg.Endpoint, "/")+"/v1/traces"),
		otlptracehttp.WithHeaders(headers), otlptracehttp.WithTimeout(5*time.Second))
	if err != nil {
		return nil, fmt.Errorf("telemetry: collector: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&quietExporter{SpanExporter: exporter, log: log}),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.Ratio))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "madbase-"+role), attribute.String("service.version", version))))
	return &Telemetry{Tracer: provider.Tracer("madbase"), provider: provider}, nil
}

// quietExporter keeps a missing collector out of the SDK's own error log, which
// is global and writes once per batch.
type quietExporter struct {
	sdktrace.SpanExporter
	log  *slog.Logger
	away atomic.Bool
}

// ExportSpans sends spans; those that cannot be sent are dropped.
func (e *quietExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if away := err != nil; e.away.Swap(away) != away {
		if away {
			e.log.WarnContext(ctx, "traces cannot be sent and are dropped until the collector answers", "error", err)
		} else {
			e.log.InfoContext(ctx, "traces are sent again")
		}
	}
	return nil
}

// parseHeaders reads OpenTelemetry's list of key=value with percent-encoded values.
func parseHeaders(text string) (map[string]string, error) {
	headers := map[string]string{}
	for item := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(item) == "" {
			continue
		}
		key, value, found := strings.Cut(item, "=")
		decoded, err := url.PathUnescape(strings.TrimSpace(value))
		if !found || err != nil {
			return nil, errors.New("OTEL_EXPORTER_OTLP_HEADERS: not a list of key=value")
		}
		headers[strings.TrimSpace(key)] = decoded
	}
	return headers, nil
}

// Propagator carries traces in the W3C headers traceparent and tracestate.
func Propagator() propagation.TextMapPropagator { return propagation.TraceContext{} }

// Shutdown sends what was not sent yet. It is fine on a Telemetry without traces.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if t == nil || t.provider == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("telemetry: flush traces: %w", err)
	}
	return nil
}
