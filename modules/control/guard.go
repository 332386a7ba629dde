package control

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/ratelimit"
)

// cookieName holds the session's token in browsers.
const cookieName = "madbase_session"

// knownFor is how long the right password spares a client address its attempts.
const knownFor = 5 * time.Minute

func closed() error {
	return apierr.New(http.StatusServiceUnavailable, "closed", "The control plane is closed: ADMIN_PASSWORD is not set")
}

func unauthorized(message string) error {
	return apierr.New(http.StatusUnauthorized, "unauthorized", message).WithHeader("WWW-Authenticate", `Bearer realm="madbase"`)
}

// guard lets only the administrator pass.
func (m *Module) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := m.authenticate(c.Request()); err != nil {
			return err
		}
		return next(c)
	}
}

// authenticate accepts a session in the bearer or the cookie, or the password in
// the bearer. A cookie comes with whatever page sends a request, so with it only
// requests of the same origin count.
func (m *Module) authenticate(r *http.Request) error {
	if m.cfg.AdminPassword == "" {
		return closed()
	}
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if bearer = strings.TrimSpace(bearer); strings.EqualFold(scheme, "bearer") && bearer != "" {
		if m.sessions.valid(bearer) {
			return nil
		}
		if strings.HasPrefix(bearer, sessionPrefix) && !m.cfg.AdminPassword.Equal(bearer) {
			return unauthorized("The session has ended")
		}
		return m.checkPassword(r, bearer)
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil || !m.sessions.valid(cookie.Value) {
		return unauthorized("A session or the admin password is required")
	}
	return sameOrigin(r)
}

// sameOrigin refuses requests that a browser sends for another site's page: those
// that change something, and those with an Origin, whose answer the page may be let
// read by the gateway's CORS headers.
func sameOrigin(r *http.Request) error {
	judged := *r
	if r.Header.Get("Origin") != "" {
		judged.Method = http.MethodPost // which is judged by where it comes from
	}
	if err := http.NewCrossOriginProtection().Check(&judged); err != nil {
		return apierr.New(http.StatusForbidden, "cross_origin", "Requests from other sites are refused").Because(err)
	}
	return nil
}

// checkPassword takes an attempt of the client's address before it compares, so
// that refusals tell nothing about the guess. An address that has just shown the
// password is spared until it gives a wrong one: scripts may send it each time.
func (m *Module) checkPassword(r *http.Request, given string) error {
	address := httpx.Subscriber(m.deps.Proxies.ClientIP(r))
	if _, known := m.known.Get(address); !known {
		if err := m.takeAttempt(r, address); err != nil {
			return err
		}
	}
	if !m.cfg.AdminPassword.Equal(given) {
		m.known.Delete(address)
		m.deps.Log.WarnContext(r.Context(), "wrong admin password", "client", address)
		return unauthorized("The password is wrong")
	}
	m.known.Put(address, struct{}{}, time.Now().Add(knownFor))
	return nil
}

func (m *Module) takeAttempt(r *http.Request, address string) error {
	limit := ratelimit.Limit{Rate: m.cfg.LoginsPerMin, Period: time.Minute}
	d, err := m.deps.Limiter.Allow(r.Context(), "control-login/"+address, limit)
	if err != nil {
		return fmt.Errorf("control: limit logins: %w", err)
	}
	if !d.Allowed {
		return apierr.New(http.StatusTooManyRequests, "too_many_attempts", "Too many attempts, try again later").
			WithHeader("Retry-After", strconv.Itoa(int(math.Ceil(d.RetryAfter.Seconds()))))
	}
	return nil
}
