package httpx

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// TransportConfig are the limits of the one client that a process talks to
// other processes with.
type TransportConfig struct {
	DialTimeout   time.Duration `env:"MADBASE_UPSTREAM_DIAL_TIMEOUT" default:"2s" doc:"How long connecting to another process may take." group:"optional"`
	HeaderTimeout time.Duration `env:"MADBASE_UPSTREAM_HEADER_TIMEOUT" default:"150s" doc:"How long another process may take from the end of a request to the header of its answer; bodies that move have no limit." group:"optional"`
	MaxIdle       int           `env:"MADBASE_UPSTREAM_MAX_IDLE" default:"512" doc:"Idle connections kept per upstream." group:"optional"`
}

// Validate names every fault of the limits.
func (c TransportConfig) Validate() error {
	var errs []error
	if c.DialTimeout <= 0 {
		errs = append(errs, errors.New("MADBASE_UPSTREAM_DIAL_TIMEOUT must be positive"))
	}
	if c.HeaderTimeout < 0 {
		errs = append(errs, errors.New("MADBASE_UPSTREAM_HEADER_TIMEOUT must not be negative"))
	}
	if c.MaxIdle < 1 {
		errs = append(errs, fmt.Errorf("MADBASE_UPSTREAM_MAX_IDLE must be at least 1, not %d", c.MaxIdle))
	}
	return errors.Join(errs...)
}

// upstreamIdle is less than the IdleTimeout that madbase's servers have, so that
// the side that may send next is the one that closes.
const upstreamIdle = 90 * time.Second

// NewTransport returns the process's shared client transport. It speaks HTTP/1.1
// without compressing or decompressing, so that what passes stays as it is, and
// takes no proxy from the environment.
func NewTransport(cfg TransportConfig) *http.Transport {
	dialer := &net.Dialer{Timeout: cfg.DialTimeout, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    cfg.DialTimeout,
		ResponseHeaderTimeout:  cfg.HeaderTimeout,
		MaxIdleConnsPerHost:    cfg.MaxIdle,
		IdleConnTimeout:        upstreamIdle,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 256 << 10,
	}
}
