package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
)

const (
	allowMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
	// exposed are the answer headers that Supabase's clients and TUS (1.0, section
	// "Headers") read.
	exposed = "Content-Range, Range-Unit, X-Total-Count, Link, Location, Content-Location, ETag, Accept-Ranges, Preference-Applied, " +
		"X-Relay-Error, X-Supabase-Api-Version, X-Request-Id, Retry-After, WWW-Authenticate, Proxy-Status, Content-Disposition, " +
		"Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Upload-Offset, Upload-Length, Upload-Metadata, Upload-Expires, Upload-Concat, Upload-Defer-Length"
	preflightAge = "3600"
)

// origins are the web origins that may call.
type origins struct {
	any      bool
	exact    map[string]bool
	patterns []string
}

func newOrigins(list []string) origins {
	o := origins{exact: map[string]bool{}}
	for _, origin := range list {
		origin = strings.TrimSuffix(strings.ToLower(origin), "/")
		switch {
		case origin == "*":
			o.any = true
		case strings.Contains(origin, "*"):
			o.patterns = append(o.patterns, origin)
		default:
			o.exact[origin] = true
		}
	}
	return o
}

// checkOrigin accepts *, scheme://host[:port] and scheme://*.host[:port].
func checkOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	u, err := url.Parse(strings.TrimSuffix(strings.Replace(origin, "://*.", "://any.", 1), "/"))
	if err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || strings.Contains(u.Host, "*") {
		return fmt.Errorf("%q must be *, or look like https://app.example.com or https://*.example.com", origin)
	}
	return nil
}

func (o origins) allow(origin string) bool {
	origin = strings.ToLower(origin)
	if o.exact[origin] {
		return true
	}
	for _, pattern := range o.patterns {
		before, after, _ := strings.Cut(pattern, "*")
		middle, found := strings.CutPrefix(origin, before)
		middle, end := strings.CutSuffix(middle, after)
		if found && end && middle != "" && !strings.ContainsAny(middle, "/:@?#") {
			return true
		}
	}
	return false
}

// write sets the CORS headers of an answer to origin.
func (o origins) write(h http.Header, origin string) {
	if o.any {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		addVary(h, "Origin")
		if origin == "" || !o.allow(origin) {
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	h.Set("Access-Control-Expose-Headers", exposed)
}

// cors puts the CORS headers on every answer, also on errors, in place of the
// upstream's own, and answers preflights. They are written last, with the
// request id, so that whatever wrote the answer cannot double or lose them.
func (m *Module) cors(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r, res := c.Request(), c.Response()
		origin := r.Header.Get("Origin")
		preflight := r.Method == http.MethodOptions && origin != "" && r.Header.Get("Access-Control-Request-Method") != ""
		id := httpx.RequestID(r.Context())
		res.Before(func() {
			h := res.Header()
			for name := range h {
				if strings.HasPrefix(name, "Access-Control-") {
					delete(h, name)
				}
			}
			if id != "" {
				h.Set(httpx.HeaderRequestID, id)
			}
			m.origins.write(h, origin)
			if preflight {
				m.origins.writePreflight(h, r)
			}
		})
		if preflight {
			return c.NoContent(http.StatusNoContent)
		}
		return next(c)
	}
}

// writePreflight allows every method and reflects the headers that were asked
// for: client libraries send any number of x- headers.
func (o origins) writePreflight(h http.Header, r *http.Request) {
	addVary(h, "Access-Control-Request-Headers")
	if h.Get("Access-Control-Allow-Origin") == "" {
		return
	}
	h.Del("Access-Control-Expose-Headers")
	h.Set("Access-Control-Allow-Methods", allowMethods)
	h.Set("Access-Control-Max-Age", preflightAge)
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
}

// addVary adds name to Vary unless it is there.
func addVary(h http.Header, name string) {
	for _, value := range h.Values("Vary") {
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.TrimSpace(part); part == "*" || strings.EqualFold(part, name) {
				return
			}
		}
	}
	h.Add("Vary", name)
}
