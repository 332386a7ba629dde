package control_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/control"
	"github.com/madbase/madbase/platform/project"
)

// finder finds the same at each search, and keeps what it was asked.
type finder struct {
	asked control.OrphanSearch
	fails error
}

func (f *finder) FindOrphans(_ context.Context, p *project.Project, s control.OrphanSearch, found func([]control.Orphan) error) error {
	f.asked = s
	if f.fails != nil && s.Remove {
		return f.fails
	}
	if err := found(nil); err != nil {
		return err
	}
	if err := found([]control.Orphan{{Name: p.Ref + "/a", Version: "v", Size: 3}, {Row: true, Name: "b", Version: "w"}}); err != nil {
		return err
	}
	return f.fails
}

func TestOrphanObjects(t *testing.T) {
	t.Parallel()
	f := &finder{}
	p := openWith(t, config(), func(d *control.Deps) { d.Orphans = f })
	const path = "/projects/default/buckets/docs/orphan-objects"
	auth := []string{"Authorization", "Bearer " + password}
	status, header, body := p.call(t, "GET", path, "", auth...)
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "application/x-ndjson") || len(lines) != 3 || lines[0] != `{"event":"ping"}` ||
		!strings.Contains(body, `{"event":"data","type":"s3Orphans","value":[{"name":"default/a","version":"v","size":3}]}`) ||
		!strings.Contains(body, `{"event":"data","type":"dbOrphans","value":[{"name":"b","version":"w","size":0}]}`) {
		t.Errorf("%d %v %s", status, header, body)
	}
	if f.asked.Bucket != "docs" || f.asked.Remove || (time.Since(f.asked.Before)-time.Hour).Abs() > time.Minute {
		t.Errorf("%+v", f.asked)
	}
	if status, _, body := p.call(t, "DELETE", path, `{"deleteS3Keys":true,"before":"2026-01-02T03:04:05Z"}`, auth...); status != http.StatusOK || !f.asked.Remove || f.asked.Before.Year() != 2026 {
		t.Errorf("%d %s %+v", status, body, f.asked)
	}
	f.fails = errors.New("connection string of nobody's business")
	if status, _, body := p.call(t, "GET", path, "", auth...); status != http.StatusOK || !strings.HasSuffix(body, `{"error":"Internal server error","event":"error"}`+"\n") {
		t.Errorf("%d %s", status, body)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"DELETE", path, `{"deleteS3Keys":true}`, 500},
		{"DELETE", path, `{"deleteDbKeys":true,"deleteS3Keys":true}`, 400},
		{"DELETE", path, `{}`, 400},
		{"DELETE", path, ``, 400},
		{"DELETE", path, `{"deleteS3Keys":true,"before":"yesterday"}`, 400},
		{"DELETE", path, `{"before":"` + strings.Repeat("x", 5000) + `"}`, 400},
		{"GET", path + "?before=1", "", 400},
		{"GET", "/projects/none/buckets/docs/orphan-objects", "", 404},
	} {
		if status, _, body := p.call(t, c.method, c.path, c.body, auth...); status != c.want || strings.Contains(body, "nobody's") {
			t.Errorf("%s %s %.60s: %d %s", c.method, c.path, c.body, status, body)
		}
	}
	if status, _, _ := p.call(t, "GET", path, ""); status != http.StatusUnauthorized {
		t.Errorf("without the password: %d", status)
	}
	if status, _, body := openWith(t, config(), func(*control.Deps) {}).call(t, "GET", path, "", auth...); status != http.StatusNotImplemented {
		t.Errorf("without storage: %d %s", status, body)
	}
}
