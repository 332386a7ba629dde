package control

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/log"
)

// LogSource is a process whose recent log can be searched.
type LogSource struct {
	// Process names it: control, worker http://worker-1:8002.
	Process string
	// Find returns the lines of a query, the newest first. It honours its context's end.
	Find func(context.Context, log.Query) ([]log.Line, error)
}

// logSourceTimeout is how long one process may take to answer.
const logSourceTimeout = 3 * time.Second

type recentLine struct {
	Process string          `json:"process"`
	Line    json.RawMessage `json:"line"`
	at      time.Time
}

type askedProcess struct {
	Name   string `json:"name"`
	Lines  int    `json:"lines"`
	Failed bool   `json:"failed,omitempty"`
}

// recentLogs searches what the processes remember of their own logs: by ?level=, ?text=,
// ?request_id=, ?since= and ?until=. A process that does not answer is named.
func (m *Module) recentLogs(c echo.Context) error {
	q, err := log.ParseQuery(c.QueryParams(), time.Now())
	if err != nil {
		return faults("The query has faults", faultsOf(err)...)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), logSourceTimeout)
	defer cancel()
	sources, err := m.deps.LogSources(ctx)
	if err != nil {
		return err
	}
	found := make(chan []recentLine, len(sources))
	asked := make([]askedProcess, len(sources))
	for i, source := range sources {
		go func() {
			lines, err := source.Find(ctx, q)
			if err != nil {
				m.deps.Log.WarnContext(ctx, "a process does not tell of its log", "process", source.Process, "error", err)
			}
			asked[i] = askedProcess{Name: source.Process, Lines: len(lines), Failed: err != nil}
			found <- named(source.Process, lines)
		}()
	}
	all := []recentLine{}
	for range sources {
		all = append(all, <-found...)
	}
	slices.SortStableFunc(all, func(a, b recentLine) int { return b.at.Compare(a.at) })
	return httpx.JSON(c, http.StatusOK, struct {
		Source    string         `json:"source"`
		Processes []askedProcess `json:"processes"`
		Lines     []recentLine   `json:"lines"`
	}{"recent", asked, all[:min(len(all), q.Limit)]})
}

func named(process string, lines []log.Line) []recentLine {
	list := make([]recentLine, 0, len(lines))
	for _, line := range lines {
		list = append(list, recentLine{process, line.JSON, line.Time})
	}
	return list
}
