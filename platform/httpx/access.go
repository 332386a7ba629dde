package httpx

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// AccessConfig says which requests get a line in the log.
type AccessConfig struct {
	Level  string  `env:"MADBASE_ACCESS_LOG" default:"debug" doc:"Level at which answered requests are logged: debug, info or off. Answers of 5xx are warnings, unless it is off." group:"optional"`
	Sample float64 `env:"MADBASE_ACCESS_LOG_SAMPLE" default:"1" doc:"Share of the answered requests that are logged, from 0 to 1; answers of 5xx all are." group:"optional"`
}

// Validate names every fault of the settings.
func (c AccessConfig) Validate() error {
	var errs []error
	switch c.Level {
	case "debug", "info", "off":
	default:
		errs = append(errs, errors.New("MADBASE_ACCESS_LOG must be debug, info or off"))
	}
	if c.Sample < 0 || c.Sample > 1 {
		errs = append(errs, errors.New("MADBASE_ACCESS_LOG_SAMPLE must be from 0 to 1"))
	}
	return errors.Join(errs...)
}

// Trip is what is noted of a request on its way, for its line in the log. What
// stays empty is left out there.
type Trip struct {
	// Project is whose request it is, Class the kind of surface, Upstream who
	// answered and Client the address that the request came from.
	Project, Class, Upstream, Client string
	// BytesIn is the size of the request's body as far as it was read; -1 is unknown.
	BytesIn int64
	// Waited is how long Upstream took to the header of its answer.
	Waited time.Duration

	id string
}

type tripKey struct{}

// TripOf is the trip of the request that ctx belongs to. Outside a request it is
// one that nobody reads.
func TripOf(ctx context.Context) *Trip {
	if trip, ok := ctx.Value(tripKey{}).(*Trip); ok {
		return trip
	}
	return &Trip{}
}

// RequestID is the request's id, empty outside a request.
func RequestID(ctx context.Context) string {
	trip, ok := ctx.Value(tripKey{}).(*Trip)
	if !ok {
		return ""
	}
	return trip.id
}

// accessLog writes the request's line: no query and no header, as those hold secrets.
func (s *Server) accessLog(c echo.Context, route string, took time.Duration) {
	level, wanted := s.accessLevel(c.Response().Status)
	r := c.Request()
	if !wanted || !s.deps.Log.Enabled(r.Context(), level) {
		return
	}
	trip := TripOf(r.Context())
	attrs := append(make([]slog.Attr, 0, 16), slog.String("request_id", trip.id), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.String("route", route), slog.Int("status", c.Response().Status), slog.Int64("bytes", c.Response().Size), slog.Duration("took", took))
	for _, part := range [...]struct{ name, value string }{{"client", trip.Client}, {"project", trip.Project}, {"class", trip.Class}, {"upstream", trip.Upstream}} {
		if part.value != "" {
			attrs = append(attrs, slog.String(part.name, part.value))
		}
	}
	if trip.BytesIn > 0 {
		attrs = append(attrs, slog.Int64("bytes_in", trip.BytesIn))
	}
	if trip.Waited > 0 {
		attrs = append(attrs, slog.Duration("waited", trip.Waited))
	}
	s.deps.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// accessLevel is the level of a line about an answer of status, if there is to be one.
func (s *Server) accessLevel(status int) (level slog.Level, wanted bool) {
	a := s.deps.Access
	switch {
	case a.Level == "off":
		return 0, false
	case status >= http.StatusInternalServerError:
		return slog.LevelWarn, true
	case a.Level == "info":
		level = slog.LevelInfo
	default:
		level = slog.LevelDebug
	}
	return level, a.Sample >= 1 || rand.Float64() < a.Sample //nolint:gosec // chance, no secret
}
