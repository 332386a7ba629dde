package app_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/app"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/testkit"
)

// slow has a route that answers when it is told to.
type slow struct {
	module.Base
	entered, answer chan struct{}
	stopped         chan struct{}
}

func (*slow) Name() string { return "slow" }

func (s *slow) Routes(g *echo.Group) {
	g.GET("/slow", func(c echo.Context) error {
		close(s.entered)
		<-s.answer
		return c.String(http.StatusOK, "done")
	})
}

func (s *slow) Stop(context.Context) error {
	close(s.stopped)
	return nil
}

func TestRunDrains(t *testing.T) {
	t.Parallel()
	m := &slow{entered: make(chan struct{}), answer: make(chan struct{}), stopped: make(chan struct{})}
	ctx, end := context.WithCancel(t.Context())
	url, serving, ended := run(t, ctx, m, nil)
	<-serving
	if got := status(t, url+"/readyz"); got != http.StatusOK {
		t.Errorf("ready: %d", got)
	}
	answered := make(chan int)
	go func() { answered <- status(t, url+"/slow") }()
	<-m.entered
	end()
	for !t.Failed() && status(t, url+"/readyz") != http.StatusServiceUnavailable { // the delay keeps it reachable
	}
	select {
	case <-m.stopped:
		t.Error("the module was stopped with a request in flight")
	default:
	}
	close(m.answer)
	if got := <-answered; got != http.StatusOK {
		t.Errorf("the request in flight got %d", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	<-m.stopped
}

// A client that has connected and sends its request only when nobody else can
// connect any more has its answer, and is told that it is the last.
func TestRunAnswersWhoHasConnected(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/healthz", "/before"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			answersWhoHasConnected(t, path)
		})
	}
}

func answersWhoHasConnected(t *testing.T, path string) {
	t.Helper()
	m := &slow{stopped: make(chan struct{})}
	ctx, end := context.WithCancel(t.Context())
	url, serving, ended := run(t, ctx, m, nil)
	<-serving
	address, dialer := strings.TrimPrefix(url, "http://"), &net.Dialer{}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	end()
	for refused := false; !refused; <-time.After(10 * time.Millisecond) {
		other, err := dialer.DialContext(t.Context(), "tcp", address)
		if refused = err != nil; !refused {
			other.Close()
		}
	}
	_, _ = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || !res.Close {
		t.Errorf("%d, last %t", res.StatusCode, res.Close)
	}
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestRunEndsWithWhatItStandsOn(t *testing.T) {
	t.Parallel()
	m := &slow{stopped: make(chan struct{})}
	failed := make(chan error, 1)
	_, serving, ended := run(t, t.Context(), m, failed)
	<-serving
	gone := errors.New("the database is gone")
	failed <- gone
	if err := <-ended; !errors.Is(err, gone) {
		t.Errorf("ended with %v", err)
	}
	<-m.stopped
}

func run(t *testing.T, ctx context.Context, m module.Module, failed chan error) (url string, serving chan struct{}, ended chan error) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httpx.New(httpx.Deps{Log: testkit.Log(), Metrics: metrics.NewSet(), Role: "test"})
	server.Mount("", m)
	server.Wrap(func(next http.Handler) http.Handler { // as what serves projects stands before the routes
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/before" {
				next.ServeHTTP(w, r)
			}
		})
	})
	serving, ended = make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- app.Run(ctx, app.Options{
			Log: testkit.Log(), Server: server, Listener: listener, Set: module.NewSet(m), Metrics: http.NotFoundHandler(),
			DrainDelay: 2 * time.Second, ShutdownTimeout: 10 * time.Second,
			Serving: func() { close(serving) }, Failed: failed,
		})
	}()
	return "http://" + listener.Addr().String(), serving, ended
}

func status(t *testing.T, url string) int {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Error(err)
		return 0
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}
