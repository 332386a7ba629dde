package storage

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
)

// status says that the process is there.
func (m *Module) status(c echo.Context) error { return c.NoContent(http.StatusOK) }

// version is madbase's, for clients that ask.
func (m *Module) version(c echo.Context) error { return c.String(http.StatusOK, "madbase") }

// health asks the database and the blob store.
func (m *Module) health(rq *call) error {
	err := rq.project.DB.Storage.Ping(rq.ctx())
	if err == nil {
		err = m.Ready(rq.ctx())
	}
	if err != nil {
		m.log.WarnContext(rq.ctx(), "storage is not healthy", "error", err)
	}
	return httpx.JSON(rq, http.StatusOK, struct {
		Healthy bool `json:"healthy"`
	}{err == nil})
}
