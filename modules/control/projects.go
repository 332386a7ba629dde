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
)

// projectInfo has the names that Supabase's management API uses.
type projectInfo struct {
	ID       string       `json:"id"`
	Ref      string       `json:"ref"`
	Name     string       `json:"name"`
	APIURL   string       `json:"api_url"`
	Status   string       `json:"status"`
	Database databaseInfo `json:"database"`
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
	return httpx.JSON(c, http.StatusOK, list)
}

func (m *Module) showProject(c echo.Context) error {
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
	conn := p.DB.API.Config().ConnConfig
	info.Database = databaseInfo{Host: conn.Host, Port: conn.Port, Name: conn.Database}
	if strings.HasPrefix(conn.Host, "/") { // a socket's folder is nobody's business
		info.Database.Host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	info.Status = "ACTIVE_HEALTHY"
	if err := p.DB.API.Ping(ctx); err != nil {
		info.Status = "ACTIVE_UNHEALTHY"
	}
	return info
}
