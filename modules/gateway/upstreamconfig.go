package gateway

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The ways to choose among upstreams.
const (
	balanceLeast = "least"
	balanceTurns = "turns"
)

// UpstreamConfig says how requests are shared out among upstreams, and when one
// is left out.
type UpstreamConfig struct {
	Balance   string        `env:"MADBASE_BALANCE" default:"least" doc:"How an upstream is chosen: least (of two at random, the one with fewer requests under way) or turns (one after the other)." group:"optional"`
	SlowStart time.Duration `env:"MADBASE_SLOW_START" default:"10s" doc:"How long an upstream that is new or back gets less than its share of requests, growing from a tenth; 0 turns this off." group:"optional"`

	HealthInterval time.Duration `env:"MADBASE_HEALTH_INTERVAL" default:"2s" doc:"Time between two health checks of an upstream; 0 turns them off." group:"optional"`
	HealthTimeout  time.Duration `env:"MADBASE_HEALTH_TIMEOUT" default:"1s" doc:"How long an upstream may take to answer a health check." group:"optional"`
	HealthRise     int           `env:"MADBASE_HEALTH_RISE" default:"2" doc:"Good health checks in a row that bring an upstream back." group:"optional"`
	HealthFall     int           `env:"MADBASE_HEALTH_FALL" default:"3" doc:"Unanswered health checks in a row that take an upstream out; an answer other than 2xx does so at once." group:"optional"`
	EjectAfter     int           `env:"MADBASE_EJECT_AFTER" default:"5" doc:"Requests in a row that break on an upstream before it gets none for a while; 0 turns this off." group:"optional"`
	EjectFor       time.Duration `env:"MADBASE_EJECT_FOR" default:"10s" doc:"How long such an upstream gets no requests; doubles each time, up to 5 minutes. The last one left stays." group:"optional"`
	RetryBudget    int           `env:"MADBASE_RETRY_BUDGET" default:"20" doc:"Requests that may be sent to a second upstream, in per cent of all; 0 to 100." group:"optional"`

	AuthTimeout     time.Duration `env:"MADBASE_AUTH_HEADER_TIMEOUT" default:"30s" doc:"How long a worker may take from the end of a request below /auth/v1 to the header of its answer." group:"optional"`
	RestTimeout     time.Duration `env:"MADBASE_REST_HEADER_TIMEOUT" default:"60s" doc:"The same below /rest/v1." group:"optional"`
	StorageTimeout  time.Duration `env:"MADBASE_STORAGE_HEADER_TIMEOUT" default:"150s" doc:"The same below /storage/v1." group:"optional"`
	RealtimeTimeout time.Duration `env:"MADBASE_REALTIME_HEADER_TIMEOUT" default:"30s" doc:"The same below /realtime/v1." group:"optional"`
	PlatformTimeout time.Duration `env:"MADBASE_PLATFORM_HEADER_TIMEOUT" default:"60s" doc:"The same of the control plane, below /platform/v1." group:"optional"`
}

// Validate names every fault of the settings.
func (c UpstreamConfig) Validate() error {
	var errs []error
	if c.Balance != balanceLeast && c.Balance != balanceTurns {
		errs = append(errs, fmt.Errorf("MADBASE_BALANCE: %q is neither %s nor %s", c.Balance, balanceLeast, balanceTurns))
	}
	if c.HealthInterval < 0 || c.HealthInterval > 0 && c.HealthTimeout <= 0 {
		errs = append(errs, errors.New("MADBASE_HEALTH_INTERVAL must not be negative and MADBASE_HEALTH_TIMEOUT be positive"))
	}
	if c.HealthInterval > 0 && (c.HealthRise < 1 || c.HealthFall < 1) {
		errs = append(errs, errors.New("MADBASE_HEALTH_RISE and MADBASE_HEALTH_FALL must be at least 1"))
	}
	if c.EjectAfter < 0 || c.EjectAfter > 0 && c.EjectFor <= 0 {
		errs = append(errs, errors.New("MADBASE_EJECT_AFTER must not be negative and MADBASE_EJECT_FOR be positive"))
	}
	if c.RetryBudget < 0 || c.RetryBudget > 100 {
		errs = append(errs, errors.New("MADBASE_RETRY_BUDGET must be from 0 to 100"))
	}
	if min(c.SlowStart, c.AuthTimeout, c.RestTimeout, c.StorageTimeout, c.RealtimeTimeout, c.PlatformTimeout) < 0 {
		errs = append(errs, errors.New("MADBASE_SLOW_START and the MADBASE_*_HEADER_TIMEOUTs must not be negative"))
	}
	return errors.Join(errs...)
}

// headerTimeout is how long the answer's header to a request of path may take; 0:
// as long as the transport waits.
func (c *UpstreamConfig) headerTimeout(path string) time.Duration {
	class, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch class {
	case "auth", ".well-known":
		return c.AuthTimeout
	case "rest":
		return c.RestTimeout
	case "storage":
		return c.StorageTimeout
	case "realtime":
		return c.RealtimeTimeout
	case "platform":
		return c.PlatformTimeout
	}
	return 0
}
