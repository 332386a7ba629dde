package rest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/rest/render"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/rls"
)

// visit is a request on its way through the surface: the settings that hold for
// it from its beginning to its end, and its stopwatch.
type visit struct {
	*surface
	// authenticated says that the caller has another role than the anonymous.
	authenticated bool

	parts   [numParts]time.Duration
	running time.Time
}

// The parts of a request in the header Server-Timing, in its order.
const (
	partJWT = iota
	partParse
	partPlan
	partTransaction
	partResponse
	numParts
)

var partNames = [numParts]string{"jwt", "parse", "plan", "transaction", "response"}

const visitKey = "madbase.rest.visit"

// visitOf is the request's visit, which enter has made.
func visitOf(c echo.Context) *visit { return c.Get(visitKey).(*visit) }

// enter is the middleware that begins a visit.
func (m *Module) enter(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		v := &visit{surface: m.surface(project.From(r.Context()))}
		if v.ServerTiming {
			v.running = time.Now()
		}
		c.Set(visitKey, v)
		if v.TraceHeader != "" {
			c.Response().Header().Set(v.TraceHeader, r.Header.Get(v.TraceHeader))
		}
		return next(c)
	}
}

// took ends a part: all the time since the end of the part before was its.
func (v *visit) took(part int) {
	if v.running.IsZero() {
		return
	}
	now := time.Now()
	v.parts[part] += now.Sub(v.running)
	v.running = now
}

// respond writes r after the commit, which is a part of the transaction.
func (v *visit) respond(r *render.Response) rls.Responder {
	v.took(partResponse)
	return func(c echo.Context) error {
		v.took(partTransaction)
		if v.ServerTiming {
			c.Response().Header().Set("Server-Timing", v.timing())
		}
		return r.Write(c.Response())
	}
}

// timing is the header Server-Timing (W3C), in milliseconds.
func (v *visit) timing() string {
	var b strings.Builder
	for i, took := range v.parts {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s;dur=%.1f", partNames[i], float64(took.Microseconds())/1000)
	}
	return b.String()
}

// What pages of other origins may send and see.
const (
	corsMethods = "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD"
	corsExposed = "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, Range-Unit"
	corsSeconds = "86400"
)

// cors is the middleware that answers pages of other origins in place of
// PostgREST; behind the gateway that does it.
func (m *Module) cors(next echo.HandlerFunc) echo.HandlerFunc {
	if !m.deps.DropIn {
		return next
	}
	return func(c echo.Context) error {
		r, h := c.Request(), c.Response().Header()
		origin, wanted := r.Header.Get("Origin"), r.Header.Get("Access-Control-Request-Method")
		if origin == "" || !visitOf(c).allowOrigin(h, origin) {
			return next(c)
		}
		if r.Method != http.MethodOptions || wanted == "" {
			h.Set("Access-Control-Expose-Headers", corsExposed)
			return next(c)
		}
		headers := "Authorization"
		for name := range strings.SplitSeq(r.Header.Get("Access-Control-Request-Headers"), ",") {
			if name = strings.TrimSpace(name); name != "" {
				headers += ", " + name
			}
		}
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", headers+", Accept, Accept-Language, Content-Language")
		h.Set("Access-Control-Max-Age", corsSeconds)
		return c.NoContent(http.StatusOK)
	}
}

// allowOrigin names the origin in h when it is an allowed one.
func (s *surface) allowOrigin(h http.Header, origin string) bool {
	if len(s.CORSOrigins) == 0 {
		h.Set("Access-Control-Allow-Origin", "*")
		return true
	}
	for _, allowed := range s.CORSOrigins {
		if allowed == origin {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
			return true
		}
	}
	return false
}
