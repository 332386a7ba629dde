// Package telemetry tells the outside what a process does: traces over OTLP and
// metrics in Prometheus' text format.
package telemetry

import (
	"errors"
	"net/url"

	"github.com/madbase/madbase/platform/secret"
)

// Config says where traces go. Without an endpoint there are none, at no cost.
type Config struct {
	Endpoint string        `env:"OTEL_EXPORTER_OTLP_ENDPOINT" doc:"Base URL of an OpenTelemetry collector that takes traces over OTLP/HTTP, as http://collector:4318; empty: no traces." group:"optional"`
	Headers  secret.String `env:"OTEL_EXPORTER_OTLP_HEADERS" doc:"Headers for the collector as key=value,key=value." group:"optional"`
	Ratio    float64       `env:"OTEL_TRACES_SAMPLER_ARG" default:"1" doc:"Part of the traces begun here that is kept, from 0 to 1; a caller's own decision is followed." group:"optional"`
}

// Enabled reports whether traces are sent at all.
func (c Config) Enabled() bool { return c.Endpoint != "" }

// Validate names every fault of the settings.
func (c Config) Validate() error {
	var errs []error
	if u, err := url.Parse(c.Endpoint); c.Enabled() && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
		errs = append(errs, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT: not an http or https URL"))
	}
	if c.Ratio < 0 || c.Ratio > 1 {
		errs = append(errs, errors.New("OTEL_TRACES_SAMPLER_ARG: must be from 0 to 1"))
	}
	if _, err := parseHeaders(c.Headers.Reveal()); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
