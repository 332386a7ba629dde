package httpx_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/VictoriaMetrics/metrics"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/module"
)

type surface struct {
	module.Base
	shape  apierr.Shape
	routes func(*echo.Group)
}

func (surface) Name() string               { return "surface" }
func (s surface) Routes(g *echo.Group)     { s.routes(g) }
func (s surface) ErrorShape() apierr.Shape { return s.shape }

func loud(_ *http.Request, e *apierr.Error, h http.Header) (int, any) {
	h.Set("X-Loud", "yes")
	return e.Status, map[string]string{"shout": strings.ToUpper(e.Message)}
}

// server has one surface at /loud and one route of its own; it logs to the returned buffer.
func server(t *testing.T) (*httpx.Server, *metrics.Set, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	set := metrics.NewSet()
	s := httpx.New(httpx.Deps{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Metrics: set, Role: "test", Access: httpx.AccessConfig{Level: "debug", Sample: 1}})
	s.Mount("/loud", surface{shape: loud, routes: func(g *echo.Group) {
		g.GET("/refused", func(echo.Context) error { return apierr.New(409, "", "taken") })
		g.GET("/leak", func(echo.Context) error { return errors.New("password=hunter2") })
		g.GET("/gone", func(c echo.Context) error {
			c.Response().WriteHeader(http.StatusOK)
			return fmt.Errorf("write: %w", syscall.EPIPE)
		})
		g.GET("/slow", func(echo.Context) error {
			return apierr.New(400, "", "bad").Because(fmt.Errorf("read: %w", httpx.ErrSlowBody))
		})
		g.GET("/panic", func(echo.Context) error { panic("hunter2") })
		g.POST("/read", func(c echo.Context) error {
			var v struct{ A int }
			if err := httpx.ReadJSON(c, 16, &v); err != nil {
				return err
			}
			return httpx.JSON(c, 200, v)
		})
	}})
	s.Echo().GET("/own", func(echo.Context) error { return apierr.New(400, "", "x") })
	return s, set, &log
}

func do(s *httpx.Server, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestErrorsInTheDialectOfTheirSurface(t *testing.T) {
	t.Parallel()
	s, _, log := server(t)
	for _, test := range []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"GET", "/loud/refused", "", 409, `{"shout":"TAKEN"}`},
		{"GET", "/loud/leak", "", 500, `{"shout":"INTERNAL SERVER ERROR"}`},
		{"GET", "/loud/slow", "", 408, `{"shout":"THE REQUEST BODY TOOK TOO LONG TO ARRIVE"}`},
		{"GET", "/loud/panic", "", 500, `{"shout":"INTERNAL SERVER ERROR"}`},
		{"GET", "/loud/none", "", 404, `{"shout":"NOT FOUND"}`},
		{"PUT", "/loud/refused", "", 405, `{"shout":"METHOD NOT ALLOWED"}`},
		{"POST", "/loud/read", `{"A":1}`, 200, `{"A":1}`},
		{"POST", "/loud/read", `{"A":1,"B":"` + strings.Repeat("x", 20) + `"}`, 413, `{"shout":"REQUEST BODY EXCEEDS 16 BYTES"}`},
		{"GET", "/own", "", 400, `{"error":"x","code":400}`},
		{"GET", "/loudly", "", 404, `{"error":"Not Found","code":404}`},
	} {
		w := do(s, test.method, test.target, test.body)
		if got := w.Body.String(); w.Code != test.status || got != test.want {
			t.Errorf("%s %s: got %d %s, want %d %s", test.method, test.target, w.Code, got, test.status, test.want)
		}
	}
	if !strings.Contains(log.String(), "hunter2") {
		t.Error("the cause of an internal error is not in the log")
	}
}

func TestClientsThatLeaveAreNoFault(t *testing.T) {
	t.Parallel()
	s, _, log := server(t)
	do(s, "GET", "/loud/gone", "")
	if text := log.String(); strings.Contains(text, "level=ERROR") || !strings.Contains(text, "broken pipe") {
		t.Errorf("logged: %s", text)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	s, _, log := server(t)
	if got := do(s, "GET", "/own", "", httpx.HeaderRequestID, "abc-1").Header().Get(httpx.HeaderRequestID); got != "abc-1" {
		t.Errorf("the caller's id became %q", got)
	}
	if !strings.Contains(log.String(), "request_id=abc-1") {
		t.Errorf("log lacks the id: %s", log)
	}
	for _, bad := range []string{"", strings.Repeat("x", 200), "a b", "a\nb"} {
		if got := do(s, "GET", "/own", "", httpx.HeaderRequestID, bad).Header().Get(httpx.HeaderRequestID); got == bad || len(got) != 36 {
			t.Errorf("id %q became %q", bad, got)
		}
	}
}

func TestMetricsAreBounded(t *testing.T) {
	t.Parallel()
	s, set, _ := server(t)
	for _, target := range []string{"/loud/a", "/loud/b", "/c", "/own?x=1"} {
		do(s, "GET", target, "")
		do(s, "BREW", target, "")
	}
	var b bytes.Buffer
	set.WritePrometheus(&b)
	text, _ := io.ReadAll(&b)
	for _, label := range []string{`route="/own",status="400"`, `method="other"`} {
		if !strings.Contains(string(text), label) {
			t.Errorf("metrics lack %s:\n%s", label, text)
		}
	}
	for _, label := range []string{"/loud/a", "BREW"} {
		if strings.Contains(string(text), label) {
			t.Errorf("a caller made the series %s:\n%s", label, text)
		}
	}
}

func TestAccessLogLevels(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		access httpx.AccessConfig
		want   string // the levels of a refusal's and a failure's lines
	}{
		{httpx.AccessConfig{Level: "debug", Sample: 1}, "DEBUG WARN"},
		{httpx.AccessConfig{Level: "info", Sample: 1}, "INFO WARN"},
		{httpx.AccessConfig{Level: "info", Sample: 0}, "WARN"},
		{httpx.AccessConfig{Level: "off", Sample: 1}, ""},
		{httpx.AccessConfig{}, "WARN"},
	} {
		var log bytes.Buffer
		s := httpx.New(httpx.Deps{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Metrics: metrics.NewSet(), Access: test.access})
		s.Echo().GET("/refused", func(echo.Context) error { return apierr.New(400, "", "x") })
		s.Echo().GET("/failed", func(echo.Context) error { return errors.New("x") })
		do(s, "GET", "/refused?token=geheim", "")
		do(s, "GET", "/failed", "")
		var levels []string
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "msg=request ") {
				level, _, _ := strings.Cut(line[strings.Index(line, "level=")+len("level="):], " ")
				levels = append(levels, level)
			}
		}
		if got := strings.Join(levels, " "); got != test.want || strings.Contains(log.String(), "geheim") {
			t.Errorf("%+v: %q, want %q", test.access, got, test.want)
		}
	}
	if (httpx.Config{Access: httpx.AccessConfig{Level: "loud", Sample: 2}}).Validate() == nil {
		t.Error("accepted")
	}
}
