package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/project"
)

// Orphans finds what the rows and the bytes of a project's objects disagree about.
type Orphans interface {
	// FindOrphans calls found with some at a time, and with none now and then to
	// tell that it works. An error of found ends it.
	FindOrphans(ctx context.Context, p *project.Project, s OrphanSearch, found func([]Orphan) error) error
}

// OrphanSearch says what to look for.
type OrphanSearch struct {
	Bucket string
	// Before leaves alone what is younger.
	Before time.Time
	// Remove removes bytes that no row names, and looks for nothing else.
	Remove bool
}

// Orphan is a version of an object whose bytes have no row or, with Row, whose row
// has no bytes.
type Orphan struct {
	Row     bool   `json:"-"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Size    int64  `json:"size"`
}

const (
	// orphanGrace is how old orphans are unless the caller says otherwise.
	orphanGrace = time.Hour
	// orphanPing is how often a sweep without findings tells that it works.
	orphanPing    = 10 * time.Second
	maxOrphanBody = 4 << 10
)

// listOrphans answers GET /projects/:ref/buckets/:bucket/orphan-objects with lines
// of JSON, as supabase/storage's admin API does.
func (m *Module) listOrphans(c echo.Context) error {
	return m.findOrphans(c, c.QueryParam("before"), false)
}

// removeOrphans answers DELETE of the same. Rows without bytes are told by the
// list and never removed: the bytes may be in a backup.
func (m *Module) removeOrphans(c echo.Context) error {
	var body struct {
		DeleteS3Keys bool   `json:"deleteS3Keys"`
		DeleteDBKeys bool   `json:"deleteDbKeys"`
		Before       string `json:"before"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(c.Response(), c.Request().Body, maxOrphanBody)).Decode(&body); err != nil {
		return apierr.New(http.StatusBadRequest, "bad_body", "The body must be a JSON object").Because(err)
	}
	if body.DeleteDBKeys || !body.DeleteS3Keys {
		return apierr.New(http.StatusBadRequest, "bad_body", "deleteS3Keys must be true, and deleteDbKeys is not offered")
	}
	return m.findOrphans(c, body.Before, true)
}

func (m *Module) findOrphans(c echo.Context, before string, remove bool) error {
	p, err := m.project(c)
	if err != nil {
		return err
	}
	if m.deps.Orphans == nil {
		return apierr.New(http.StatusNotImplemented, "no_storage", "Storage is not in this process: use the command madbase storage sweep")
	}
	search := OrphanSearch{Bucket: c.Param("bucket"), Before: time.Now().Add(-orphanGrace), Remove: remove}
	if before != "" {
		if search.Before, err = time.Parse(time.RFC3339, before); err != nil {
			return apierr.New(http.StatusBadRequest, "bad_parameter", "before must be a time as RFC 3339")
		}
	}
	lines := &orphanLines{c: c}
	err = m.deps.Orphans.FindOrphans(c.Request().Context(), p, search, lines.found)
	switch {
	case err == nil:
		lines.begin()
		return nil
	case !lines.begun:
		return err
	case errors.Is(err, context.Canceled):
		return nil
	}
	m.deps.Log.ErrorContext(c.Request().Context(), "orphaned objects could not be found", "bucket", search.Bucket, "error", err)
	return lines.write(map[string]any{"event": "error", "error": "Internal server error"})
}

// orphanLines writes the answer while it comes.
type orphanLines struct {
	c     echo.Context
	begun bool
	last  time.Time
}

func (l *orphanLines) begin() {
	if !l.begun {
		l.begun = true
		l.c.Response().Header().Set("Content-Type", "application/x-ndjson; charset=utf-8")
		l.c.Response().WriteHeader(http.StatusOK)
	}
}

func (l *orphanLines) found(orphans []Orphan) error {
	kinds := map[bool][]Orphan{}
	for _, o := range orphans {
		kinds[o.Row] = append(kinds[o.Row], o)
	}
	for row, name := range map[bool]string{false: "s3Orphans", true: "dbOrphans"} {
		if len(kinds[row]) == 0 {
			continue
		}
		if err := l.write(map[string]any{"event": "data", "type": name, "value": kinds[row]}); err != nil {
			return err
		}
	}
	if time.Since(l.last) < orphanPing {
		return nil
	}
	return l.write(map[string]any{"event": "ping"})
}

func (l *orphanLines) write(line map[string]any) error {
	l.last = time.Now()
	l.begin()
	if err := json.NewEncoder(l.c.Response()).Encode(line); err != nil {
		return fmt.Errorf("control: orphans: %w", err)
	}
	l.c.Response().Flush()
	return nil
}
