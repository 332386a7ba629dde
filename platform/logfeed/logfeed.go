// Package logfeed lets the control plane search what the other processes of one
// madbase remember of their own logs (log.Recent).
package logfeed

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/log"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/secret"
)

// Path is where each process answers.
const Path = "/internal/logs"

// maxAnswer bounds what one process may answer in bytes.
const maxAnswer = 32 << 20

// Token is what the control plane shows. Whoever knows JWT_SECRET has it.
func Token(jwtSecret secret.String) secret.String { return jwtSecret.Derive("logs", 32) }

// Feed answers for one process. It is a module without a life of its own.
type Feed struct {
	module.Base
	recent *log.Recent
	token  secret.String
}

// NewFeed returns the Feed of recent for those who show token.
func NewFeed(recent *log.Recent, token secret.String) *Feed {
	return &Feed{recent: recent, token: token}
}

// Name is "logs".
func (f *Feed) Name() string { return "logs" }

// Routes has Path.
func (f *Feed) Routes(g *echo.Group) { g.GET(Path, f.search) }

// answer is a line each, the newest first.
type answer struct {
	Lines []json.RawMessage `json:"lines"`
}

func (f *Feed) search(c echo.Context) error {
	scheme, bearer, _ := strings.Cut(c.Request().Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || !f.token.Equal(strings.TrimSpace(bearer)) {
		return apierr.New(http.StatusUnauthorized, "unauthorized", "This is for madbase's own control plane")
	}
	q, err := log.ParseQuery(c.QueryParams(), time.Now())
	if err != nil {
		return apierr.New(http.StatusBadRequest, "bad_parameter", "The query has faults").Because(err)
	}
	a := answer{Lines: []json.RawMessage{}}
	for _, line := range f.recent.Find(q) {
		a.Lines = append(a.Lines, line.JSON)
	}
	return httpx.JSON(c, http.StatusOK, a)
}

// Ask returns the lines of q that the process at base remembers. It honours ctx's end.
func Ask(ctx context.Context, transport http.RoundTripper, base string, token secret.String, q log.Query) ([]log.Line, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+Path+"?"+q.Values().Encode(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("logfeed: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+token.Reveal())
	res, err := transport.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("logfeed: ask: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("logfeed: the process answers %d", res.StatusCode)
	}
	var a answer
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&a); err != nil {
		return nil, fmt.Errorf("logfeed: read: %w", err)
	}
	lines := make([]log.Line, 0, len(a.Lines))
	for _, raw := range a.Lines {
		var line struct {
			Time time.Time `json:"time"`
		}
		if err := json.Unmarshal(raw, &line); err != nil {
			return nil, fmt.Errorf("logfeed: read a line: %w", err)
		}
		lines = append(lines, log.Line{Time: line.Time, JSON: raw})
	}
	return lines, nil
}
