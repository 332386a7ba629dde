package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/ratelimit"
)

// Limits are what one client, key or project may ask of the gateway. Zero is no limit.
type Limits struct {
	Header       int64 `env:"MADBASE_LIMIT_HEADER" default:"65536" doc:"Largest sum of a request's header fields in bytes at the gateway, answered with 431; 0: MADBASE_MAX_HEADER_BYTES alone counts." group:"optional"`
	BodyAuth     int64 `env:"MADBASE_LIMIT_BODY_AUTH" default:"1048576" doc:"Largest body of a request to /auth/v1 in bytes that the gateway takes; 0: any." group:"optional"`
	BodyREST     int64 `env:"MADBASE_LIMIT_BODY_REST" default:"67108864" doc:"Largest body of a request to /rest/v1, /realtime/v1 or /functions/v1 in bytes that the gateway takes; 0: any. Workers have MADBASE_REST_MAX_BODY." group:"optional"`
	BodyPlatform int64 `env:"MADBASE_LIMIT_BODY_PLATFORM" default:"8388608" doc:"Largest body of a request to /platform/v1 in bytes that the gateway takes; 0: any." group:"optional"`

	PerIP      int `env:"MADBASE_LIMIT_IP_RPS" default:"0" doc:"Requests a second from one client address, or one /64 network of IPv6; 0: any number. Counted over all proxies with REDIS_URL." group:"optional"`
	IPBurst    int `env:"MADBASE_LIMIT_IP_BURST" default:"0" doc:"Requests that one client may have saved up; 0: twice MADBASE_LIMIT_IP_RPS." group:"optional"`
	PerKey     int `env:"MADBASE_LIMIT_KEY_RPS" default:"0" doc:"Requests a second with one API key, by all its users together; 0: any number. Counted over all proxies with REDIS_URL." group:"optional"`
	KeyBurst   int `env:"MADBASE_LIMIT_KEY_BURST" default:"0" doc:"Requests that one API key may have saved up; 0: twice MADBASE_LIMIT_KEY_RPS." group:"optional"`
	Concurrent int `env:"MADBASE_LIMIT_PROJECT_CONCURRENT" default:"0" doc:"Requests of one project under way at once in this process, without WebSockets; 0: any number." group:"optional"`
	Sockets    int `env:"MADBASE_LIMIT_PROJECT_SOCKETS" default:"0" doc:"WebSockets of one project open at once in this process; 0: any number." group:"optional"`

	BodyTimeout time.Duration `env:"MADBASE_BODY_TIMEOUT" default:"30s" doc:"How long a client may leave off sending a request body that it has begun, answered with 408; 0: for ever." group:"optional"`
	BodyRate    int64         `env:"MADBASE_BODY_MIN_RATE" default:"240" doc:"Bytes a second that a request body comes with at least, on average and after MADBASE_BODY_TIMEOUT; 0: any." group:"optional"`
}

// Validate names every fault of the limits.
func (l Limits) Validate() error {
	var errs []error
	for name, value := range map[string]int64{
		"MADBASE_LIMIT_HEADER": l.Header, "MADBASE_LIMIT_BODY_AUTH": l.BodyAuth, "MADBASE_LIMIT_BODY_REST": l.BodyREST,
		"MADBASE_LIMIT_BODY_PLATFORM": l.BodyPlatform, "MADBASE_LIMIT_IP_RPS": int64(l.PerIP), "MADBASE_LIMIT_IP_BURST": int64(l.IPBurst),
		"MADBASE_LIMIT_KEY_RPS": int64(l.PerKey), "MADBASE_LIMIT_KEY_BURST": int64(l.KeyBurst),
		"MADBASE_LIMIT_PROJECT_CONCURRENT": int64(l.Concurrent), "MADBASE_LIMIT_PROJECT_SOCKETS": int64(l.Sockets), "MADBASE_BODY_TIMEOUT": int64(l.BodyTimeout), "MADBASE_BODY_MIN_RATE": l.BodyRate,
	} {
		if value < 0 {
			errs = append(errs, fmt.Errorf("%s must not be negative", name))
		}
	}
	if l.BodyRate > 0 && l.BodyTimeout == 0 {
		errs = append(errs, errors.New("MADBASE_BODY_MIN_RATE needs MADBASE_BODY_TIMEOUT"))
	}
	return errors.Join(errs...)
}

// perSecond is a bucket of rate requests a second that holds burst, or twice the rate.
func perSecond(rate, burst int) ratelimit.Limit {
	if burst == 0 {
		burst = 2 * rate
	}
	return ratelimit.Limit{Rate: rate, Period: time.Second, Burst: burst}
}

// limits are the Limits at work.
type limits struct {
	Limits
	limiter ratelimit.Limiter
	byIP    ratelimit.Limit
	byKey   ratelimit.Limit

	requests, sockets tally
}

func newLimits(cfg Limits, limiter ratelimit.Limiter) *limits {
	return &limits{
		Limits: cfg, limiter: limiter, byIP: perSecond(cfg.PerIP, cfg.IPBurst), byKey: perSecond(cfg.PerKey, cfg.KeyBurst),
		requests: tally{most: cfg.Concurrent, underWay: map[string]int{}}, sockets: tally{most: cfg.Sockets, underWay: map[string]int{}},
	}
}

// checkHeader refuses a header that is larger than the gateway takes. It counts
// what HTTP/2 does (RFC 9113, section 6.5.2): names, values and 32 bytes for each field.
func (l *limits) checkHeader(r *http.Request) error {
	if l.Header == 0 {
		return nil
	}
	size := int64(len(r.RequestURI))
	for name, values := range r.Header {
		for _, value := range values {
			size += int64(len(name)+len(value)) + 32
		}
	}
	if size > l.Header {
		return apierr.Newf(http.StatusRequestHeaderFieldsTooLarge, "header_too_large", "Request header exceeds %d bytes", l.Header)
	}
	return nil
}

// allowIP counts a request of the client at address.
func (l *limits) allowIP(ctx context.Context, address string) error {
	return l.allow(ctx, "gateway:ip:", httpx.Subscriber(address), l.byIP)
}

// allowKey counts a request with an API key, which no store gets to see.
func (l *limits) allowKey(ctx context.Context, key string) error {
	sum := sha256.Sum256([]byte(key))
	return l.allow(ctx, "gateway:key:", hex.EncodeToString(sum[:16]), l.byKey)
}

func (l *limits) allow(ctx context.Context, kind, name string, limit ratelimit.Limit) error {
	d, err := l.limiter.Allow(ctx, kind+name, limit)
	if err != nil || d.Allowed {
		return err
	}
	return tooMany("rate_limited", "Too many requests", d.RetryAfter)
}

// enter counts a request of project, or a WebSocket, as under way until leave is called.
func (l *limits) enter(project string, socket bool) (leave func(), err error) {
	if socket {
		return l.sockets.enter(project, "WebSockets")
	}
	return l.requests.enter(project, "requests")
}

// tally counts what is under way by project.
type tally struct {
	most     int // 0: any number
	mu       sync.Mutex
	underWay map[string]int
}

func (t *tally) enter(project, what string) (leave func(), err error) {
	if t.most == 0 {
		return func() {}, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.underWay[project] >= t.most {
		return nil, tooMany("too_many_concurrent", "Too many "+what+" of this project at once", time.Second)
	}
	t.underWay[project]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.underWay[project]--; t.underWay[project] == 0 {
			delete(t.underWay, project)
		}
	}, nil
}

func tooMany(code, message string, wait time.Duration) error {
	seconds := max(int(math.Ceil(wait.Seconds())), 1)
	return apierr.New(http.StatusTooManyRequests, code, message).WithHeader("Retry-After", strconv.Itoa(seconds))
}

// limitBody refuses a body that is announced as larger than most bytes, and
// watches over the size and pace of what comes until end is called.
func (l *limits) limitBody(c echo.Context, most int64) (end func(), err error) {
	r := c.Request()
	if r.Body == nil || r.ContentLength == 0 {
		return func() {}, nil
	}
	if most > 0 && r.ContentLength > most {
		return nil, &http.MaxBytesError{Limit: most}
	}
	end = func() {}
	if l.BodyTimeout > 0 {
		paced := &pacedBody{ReadCloser: r.Body, conn: http.NewResponseController(c.Response().Writer), idle: l.BodyTimeout, rate: l.BodyRate}
		r.Body, end = paced, func() {
			paced.end()
			httpx.TripOf(r.Context()).BytesIn = paced.read.Load()
		}
	}
	if most > 0 && r.ContentLength < 0 {
		r.Body = http.MaxBytesReader(c.Response().Writer, r.Body, most)
	}
	return end, nil
}
