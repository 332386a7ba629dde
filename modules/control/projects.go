package control

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/registry"
)

// projectInfo has the names that Supabase's management API uses.
type projectInfo struct {
	ID     string `json:"id"`
	Ref    string `json:"ref"`
	Name   string `json:"name"`
	APIURL string `json:"api_url"`
	Status string `json:"status"`
	// CreatedAt is empty for the default project.
	CreatedAt string       `json:"created_at,omitempty"`
	Database  databaseInfo `json:"database"`
}

type databaseInfo struct {
	Host string `json:"host"`
	Port uint16 `json:"port,omitempty"`
	Name string `json:"name,omitempty"`
}

func (m *Module) listProjects(c echo.Context) error {
	list := []projectInfo{}
	for _, p := range m.deps.Projects.All() {
		list = append(list, describe(c.Request().Context(), p))
	}
	if m.deps.Registry != nil {
		for _, p := range m.deps.Registry.Snapshot().Projects() {
			if p.Ref != registry.DefaultRef {
				list = append(list, m.describeRegistered(p))
			}
		}
	}
	return httpx.JSON(c, http.StatusOK, list)
}

func (m *Module) showProject(c echo.Context) error {
	if m.deps.Registry != nil && c.Param("ref") != registry.DefaultRef {
		_, p, err := m.registered(c)
		if err != nil {
			return err
		}
		return httpx.JSON(c, http.StatusOK, m.describeRegistered(p))
	}
	p, err := m.project(c)
	if err != nil {
		return err
	}
	return httpx.JSON(c, http.StatusOK, describe(c.Request().Context(), p))
}

func (m *Module) project(c echo.Context) (*project.Project, error) {
	for _, p := range m.deps.Projects.All() {
		if p.Ref == c.Param("ref") {
			return p, nil
		}
	}
	return nil, apierr.New(http.StatusNotFound, "no_project", "No such project")
}

func describe(ctx context.Context, p *project.Project) projectInfo {
	info := projectInfo{ID: p.Ref, Ref: p.Ref, Name: p.Ref, APIURL: p.PublicURL, Status: "UNKNOWN"}
	if p.DB.API == nil {
		return info
	}
	info.Database = location(p)
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	info.Status = "ACTIVE_HEALTHY"
	if err := p.DB.API.Ping(ctx); err != nil {
		info.Status = "ACTIVE_UNHEALTHY"
	}
	return info
}

// location is where p's database is.
func location(p *project.Project) databaseInfo {
	if p.DB.API == nil {
		return databaseInfo{}
	}
	conn := p.DB.API.Config().ConnConfig
	where := databaseInfo{Host: conn.Host, Port: conn.Port, Name: conn.Database}
	if strings.HasPrefix(conn.Host, "/") { // a socket's folder is nobody's business
		where.Host = "localhost"
	}
	return where
}
