package auth

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/ratelimit"
)

// limitBurst is how many requests a caller may make at once, GoTrue's for every limit.
const limitBurst = 30

// allow counts the request against its caller's limit for the flow.
func (m *Module) allow(r *http.Request, flow string, rate int, period time.Duration) error {
	caller := m.limitedCaller(r)
	if caller == "" {
		return nil
	}
	return m.take(r.Context(), flow+"/"+caller, ratelimit.Limit{Rate: rate, Period: period, Burst: limitBurst}, tooMany)
}

// take counts a use of what key names against a limit; refused makes the error of
// one that is too many. Without a limiter none is.
func (m *Module) take(ctx context.Context, key string, limit ratelimit.Limit, refused func(after time.Duration) *apierr.Error) error {
	if m.deps.Limiter == nil {
		return nil
	}
	decision, err := m.deps.Limiter.Allow(ctx, "auth/"+key, limit)
	if err != nil {
		return fmt.Errorf("auth: rate limit: %w", err)
	}
	if !decision.Allowed {
		return refused(decision.RetryAfter)
	}
	return nil
}

// allowOTP counts a request that sends codes; each such flow has a count of its own.
func (m *Module) allowOTP(c echo.Context, flow string) error {
	return m.allow(c.Request(), flow, m.cfg.RateLimitOTP, 5*time.Minute)
}

// limitedCaller tells callers apart; those that are empty have no limit. Who leaves
// the header out, by which the settings tell them apart, is known by address.
func (m *Module) limitedCaller(r *http.Request) string {
	if ip := m.forwardedFor(r); ip != "" {
		return httpx.Subscriber(ip)
	}
	if m.cfg.RateLimitHeader != "" {
		first, _, _ := strings.Cut(r.Header.Get(m.cfg.RateLimitHeader), ",")
		if first = strings.TrimSpace(first); first != "" {
			return httpx.Subscriber(first)
		}
	}
	address := m.deps.ClientIP(r)
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Unmap().IsLoopback() && !m.cfg.RateLimitLoopback {
		return ""
	}
	return httpx.Subscriber(address)
}

// clientIP is the caller's address, as far as it is known.
func (m *Module) clientIP(r *http.Request) string {
	if ip := m.forwardedFor(r); ip != "" {
		return ip
	}
	return m.deps.ClientIP(r)
}

// forwardedFor is the address in Sb-Forwarded-For, where the settings believe it.
func (m *Module) forwardedFor(r *http.Request) string {
	if !m.cfg.SBForwardedFor {
		return ""
	}
	first, _, _ := strings.Cut(r.Header.Get("Sb-Forwarded-For"), ",")
	ip, err := netip.ParseAddr(strings.TrimSpace(first))
	if err != nil {
		return ""
	}
	return ip.WithZone("").Unmap().String()
}
