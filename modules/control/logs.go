package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

const (
	maxLogQuery  = 8 << 10
	maxLogLines  = 5000 // Loki's own default limit
	logLines     = 100
	maxLokiFault = 500
)

// queryLogs answers what the log store answers to query_range
// (Loki's HTTP API, GET /loki/api/v1/query_range). Without a log store, and with
// ?source=recent, the processes are asked for what they remember.
func (m *Module) queryLogs(c echo.Context) error {
	source := c.QueryParam("source")
	if source == "recent" || source == "" && m.loki == nil {
		return m.recentLogs(c)
	}
	if m.loki == nil {
		return apierr.New(http.StatusNotImplemented, "no_log_store", "Logs cannot be queried: LOKI_URL is not set")
	}
	query, err := logQuery(c.QueryParams())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), m.cfg.LogsTimeout)
	defer cancel()
	body, err := m.askLoki(ctx, query)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, httpx.JSONType, body)
}

// logQuery checks the caller's parameters and keeps those that the log store knows.
func logQuery(in url.Values) (url.Values, error) {
	bad := func(name, want string) error {
		return apierr.Newf(http.StatusBadRequest, "bad_parameter", "Parameter %s must be %s", name, want)
	}
	query := in.Get("query")
	if strings.TrimSpace(query) == "" || len(query) > maxLogQuery {
		return nil, bad("query", fmt.Sprintf("a LogQL query of at most %d bytes", maxLogQuery))
	}
	out := url.Values{"query": {query}, "limit": {strconv.Itoa(logLines)}, "direction": {"backward"}}
	var times [2]time.Time
	for i, name := range []string{"start", "end"} {
		text := in.Get(name)
		if text == "" {
			continue
		}
		var ok bool
		if times[i], ok = logTime(text); !ok {
			return nil, bad(name, "a time as RFC 3339, or Unix seconds or nanoseconds")
		}
		out.Set(name, strconv.FormatInt(times[i].UnixNano(), 10))
	}
	if !times[0].IsZero() && !times[1].IsZero() && !times[0].Before(times[1]) {
		return nil, bad("start", "before end")
	}
	if text := in.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLogLines {
			return nil, bad("limit", fmt.Sprintf("a number from 1 to %d", maxLogLines))
		}
		out.Set("limit", strconv.Itoa(n))
	}
	if text := in.Get("direction"); text != "" {
		if text != "forward" && text != "backward" {
			return nil, bad("direction", "forward or backward")
		}
		out.Set("direction", text)
	}
	return out, nil
}

// logTime reads a time as Loki does: RFC 3339, Unix seconds with a fraction, or
// Unix nanoseconds.
func logTime(text string) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, t.Year() >= 1970 && t.Year() < 2200
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		if n < 1e11 {
			return time.Unix(n, 0), n < 7e9
		}
		return time.Unix(0, n), true
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f >= 0 && f < 7e9 {
		seconds, fraction := math.Modf(f)
		return time.Unix(int64(seconds), int64(fraction*1e9)), true
	}
	return time.Time{}, false
}

// askLoki returns the log store's answer, at most LogsMaxSize bytes of JSON.
func (m *Module) askLoki(ctx context.Context, query url.Values) ([]byte, error) {
	target := m.loki.JoinPath("loki/api/v1/query_range")
	target.User, target.RawQuery = nil, query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("control: log query: %w", err)
	}
	if password, ok := m.loki.User.Password(); ok {
		r.SetBasicAuth(m.loki.User.Username(), password)
	}
	res, err := m.deps.Transport.RoundTrip(r)
	if err != nil {
		return nil, lokiFault(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, m.cfg.LogsMaxSize+1))
	switch {
	case err != nil:
		return nil, lokiFault(err)
	case res.StatusCode == http.StatusBadRequest: // the query's fault, in the store's words
		return nil, apierr.New(http.StatusBadRequest, "bad_query", "The log store refuses the query").
			WithDetail(strings.ToValidUTF8(string(body[:min(len(body), maxLokiFault)]), ""))
	case res.StatusCode != http.StatusOK:
		return nil, lokiFault(fmt.Errorf("control: log store answers %d", res.StatusCode))
	case int64(len(body)) > m.cfg.LogsMaxSize:
		return nil, apierr.Newf(http.StatusBadGateway, "answer_too_large", "The answer is larger than %d bytes: ask for less", m.cfg.LogsMaxSize)
	case !json.Valid(body):
		return nil, lokiFault(errors.New("control: log store's answer is not JSON"))
	}
	return body, nil
}

func lokiFault(cause error) error {
	if errors.Is(cause, context.DeadlineExceeded) {
		return apierr.New(http.StatusGatewayTimeout, "log_store_timeout", "The log store took too long to answer").Because(cause)
	}
	if errors.Is(cause, context.Canceled) {
		return cause
	}
	return apierr.New(http.StatusBadGateway, "log_store_fault", "The log store cannot be queried").Because(cause)
}
