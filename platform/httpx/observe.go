package httpx

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// HeaderRequestID names the request in every answer and log line.
const HeaderRequestID = "X-Request-Id"

// observe gives the request its id, its span, its metrics and its log line.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		r := c.Request()
		id := requestID(r)
		r.Header.Set(HeaderRequestID, id)
		c.Response().Header().Set(HeaderRequestID, id)
		ctx := context.WithValue(r.Context(), tripKey{}, &Trip{id: id, BytesIn: r.ContentLength})
		ctx, span := s.startSpan(ctx, r)
		defer span.End()
		c.SetRequest(r.WithContext(ctx))
		s.inFlight.Inc()
		defer s.inFlight.Dec() // deferred with record, as a cut stream leaves by a panic
		defer s.record(c, span, start)
		if err := next(c); err != nil {
			c.Error(err) // written here, so that the recorded status is the answer's
		}
		return nil
	}
}

// requestID takes the caller's id when it is short and printable, else makes one.
func requestID(r *http.Request) string {
	id := r.Header.Get(HeaderRequestID)
	if id == "" || len(id) > 128 {
		return uuid.NewString()
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return uuid.NewString()
		}
	}
	return id
}

func (s *Server) startSpan(ctx context.Context, r *http.Request) (context.Context, trace.Span) {
	if s.deps.Tracer == nil {
		return ctx, trace.SpanFromContext(ctx)
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	return s.deps.Tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", r.Method), attribute.String("url.path", r.URL.Path)))
}

// record closes the request's books. Routes are labelled by their pattern, so
// that callers cannot make metrics grow.
func (s *Server) record(c echo.Context, span trace.Span, start time.Time) {
	took := time.Since(start)
	status, route := c.Response().Status, c.Path()
	if route == "" {
		route = "unmatched"
	}
	if span.IsRecording() {
		span.SetName(c.Request().Method + " " + route)
		span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
	}
	s.series(methodLabel(c.Request().Method), route, status).Update(took.Seconds())
	s.accessLog(c, route, took)
}

func (s *Server) series(method, route string, status int) *metrics.Histogram {
	return s.deps.Metrics.GetOrCreateHistogram(`madbase_http_request_duration_seconds{role="` + s.deps.Role + `",method="` + method +
		`",route="` + route + `",status="` + strconv.Itoa(status) + `"}`)
}

// methodLabel keeps made-up methods out of the metrics.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// recoverPanics makes a panic an internal error. http.ErrAbortHandler stays one:
// it is how a streaming handler cuts the connection.
func recoverPanics(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler { //nolint:errorlint // a panic's value, compared as net/http does
				panic(v)
			}
			err = fmt.Errorf("httpx: panic: %v\n%s", v, debug.Stack())
		}()
		return next(c)
	}
}
