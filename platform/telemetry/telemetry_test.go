package telemetry_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/labstack/echo/v4"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/rls"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/telemetry"
	"github.com/madbase/madbase/platform/testkit"
)

// fakeCollector keeps the spans that it is sent over OTLP/HTTP.
type fakeCollector struct {
	mu       sync.Mutex
	spans    []*tracepb.Span
	services []string
	headers  http.Header
}

func (f *fakeCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var in collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &in) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.headers = r.Header
	for _, rs := range in.GetResourceSpans() {
		for _, a := range rs.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				f.services = append(f.services, a.GetValue().GetStringValue())
			}
		}
		for _, ss := range rs.GetScopeSpans() {
			f.spans = append(f.spans, ss.GetSpans()...)
		}
	}
}

// named returns the spans whose name begins with prefix.
func (f *fakeCollector) named(prefix string) []*tracepb.Span {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []*tracepb.Span
	for _, s := range f.spans {
		if strings.HasPrefix(s.GetName(), prefix) {
			found = append(found, s)
		}
	}
	return found
}

// reader is a module that reaches the database in both ways that handlers have.
type reader struct {
	module.Base
	pool db.Queryer
}

func (reader) Name() string { return "reader" }

func (m reader) Routes(g *echo.Group) {
	g.GET("/read", rls.Handle(func(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
		ctx := c.Request().Context()
		if _, err := tx.Once(ctx, rls.Statement{SQL: "SELECT $1::text", Args: [][]byte{[]byte("confidential")}}); err != nil {
			return nil, err
		}
		_, err := m.pool.Exec(ctx, "/* store */ SELECT 1")
		return func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, err
	}), rls.Middleware(rls.Options{}))
}

func TestTraceparentReachesTheSQLSpan(t *testing.T) {
	t.Parallel()
	fake := &fakeCollector{}
	web := httptest.NewServer(fake)
	defer web.Close()
	tel, err := telemetry.New(t.Context(), telemetry.Config{Endpoint: web.URL, Headers: "x-key=a%20b", Ratio: 1}, "worker", "test", testkit.Log())
	if err != nil {
		t.Fatal(err)
	}
	f := testkit.NewProject(t)
	pool, err := db.Open(t.Context(), db.PoolConfig{URL: f.OwnerURL, Name: "traced", MaxConns: 1, Tracer: tel.SQL()})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	server := httpx.New(httpx.Deps{Log: testkit.Log(), Metrics: metrics.NewSet(), Tracer: tel.Tracer, Role: "worker"})
	server.Echo().Use(project.NewDirectory(f.Project).Resolve())
	server.Mount("", reader{pool: pool})

	const traceID, clientSpan = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	r := httptest.NewRequest(http.MethodGet, "/read", nil)
	r.Header.Set("traceparent", "00-"+traceID+"-"+clientSpan+"-01")
	w := httptest.NewRecorder()
	server.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusNoContent {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	request := fake.named("GET /read")
	if len(request) != 1 || hex.EncodeToString(request[0].GetTraceId()) != traceID || hex.EncodeToString(request[0].GetParentSpanId()) != clientSpan {
		t.Fatalf("request spans: %v", request)
	}
	for _, name := range []string{"SQL SELECT", "SQL STATEMENT"} { // rls' pipeline, pgx's own
		spans := fake.named(name)
		if len(spans) != 1 || hex.EncodeToString(spans[0].GetTraceId()) != traceID || !bytes.Equal(spans[0].GetParentSpanId(), request[0].GetSpanId()) {
			t.Errorf("%s: %v", name, spans)
		}
		if strings.Contains(spans[0].String(), "confidential") || strings.Contains(spans[0].String(), "store") {
			t.Errorf("statement or parameter is in the span: %v", spans[0])
		}
	}
	if fake.services[0] != "madbase-worker" || fake.headers.Get("X-Key") != "a b" {
		t.Errorf("got %v %v", fake.services, fake.headers)
	}
}

func TestWithoutAnEndpointNothingIsTraced(t *testing.T) {
	t.Parallel()
	tel, err := telemetry.New(t.Context(), telemetry.Config{}, "all", "test", testkit.Log())
	if err != nil || tel.Tracer != nil || tel.SQL() != nil || tel.Shutdown(t.Context()) != nil {
		t.Errorf("got %+v %v", tel, err)
	}
}

func TestAMissingCollectorIsOneWarning(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var out bytes.Buffer
	tel, err := telemetry.New(t.Context(), telemetry.Config{Endpoint: gone.URL, Ratio: 1}, "all", "test", slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, span := tel.Tracer.Start(t.Context(), "x")
		span.End()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // the exporter would retry for longer
	defer cancel()
	_ = tel.Shutdown(ctx) // the deadline is the exporter's way to give up
	if n := strings.Count(out.String(), "traces cannot be sent"); n != 1 {
		t.Errorf("%d warnings: %s", n, out.String())
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []telemetry.Config{{Endpoint: "collector:4318"}, {Ratio: 2}, {Headers: secret.String("nope")}} {
		if err := c.Validate(); err == nil || strings.Contains(err.Error(), "nope") {
			t.Errorf("%+v: got %v", c, err)
		}
	}
	if err := (telemetry.Config{Endpoint: "http://collector:4318", Headers: "a=b,c=d", Ratio: 0.1}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestMetricsTellOfPoolsAndTheProcess(t *testing.T) {
	t.Parallel()
	f := testkit.NewProject(t)
	set := metrics.NewSet()
	telemetry.PoolMetrics(set, "api", f.DB.API.Pool)
	telemetry.PoolMetrics(set, "api", f.DB.API.Pool)
	telemetry.PostgresMetrics(set, f.DB.API.Pool)
	if err := f.DB.API.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	telemetry.Metrics(set).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`madbase_db_pool_connections{pool="api"} 1`, `madbase_db_pool_connections_max{pool="api"} 6`, "process_resident_memory_bytes", "go_goroutines", "madbase_pg_up 1", "madbase_pg_size_bytes ", "madbase_pg_commits_total "} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is missing in:\n%s", want, w.Body)
		}
	}
	if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
		t.Errorf("content type %q", got)
	}
}
