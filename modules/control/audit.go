package control

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/registry"
)

const (
	auditEntries    = 100
	maxAuditEntries = 1000
)

type auditEntry struct {
	ID      int64  `json:"id"`
	At      string `json:"at"`
	Actor   string `json:"actor"`
	Address string `json:"address,omitempty"`
	Project string `json:"project,omitempty"`
	Action  string `json:"action"`
	Detail  any    `json:"detail"`
}

// showAudit tells who changed what, the newest first: ?project=, ?action= (settings. is
// all that begin so), ?limit=, and ?before= the next of an earlier answer.
func (m *Module) showAudit(c echo.Context) error {
	q := registry.AuditQuery{Project: c.QueryParam("project"), Action: c.QueryParam("action"), Limit: auditEntries}
	var err error
	if text := c.QueryParam("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > maxAuditEntries {
			return apierr.Newf(http.StatusBadRequest, "bad_parameter", "Parameter limit must be a number from 1 to %d", maxAuditEntries)
		}
	}
	if text := c.QueryParam("before"); text != "" {
		if q.Before, err = strconv.ParseInt(text, 10, 64); err != nil || q.Before < 1 {
			return apierr.New(http.StatusBadRequest, "bad_parameter", "Parameter before must be the next of an earlier answer")
		}
	}
	if !printable(q.Project+q.Action, maxKeyName) {
		return apierr.New(http.StatusBadRequest, "bad_parameter", "Parameters project and action must be short names")
	}
	found, err := m.deps.Registry.Audit(c.Request().Context(), q)
	if err != nil {
		return err
	}
	answer := struct {
		Entries []auditEntry `json:"entries"`
		Next    *int64       `json:"next"`
	}{Entries: []auditEntry{}}
	for _, e := range found {
		answer.Entries = append(answer.Entries, auditEntry{e.ID, timestamp(e.At), e.Actor, e.Address, e.Project, e.Action, e.Detail})
	}
	if len(found) == q.Limit {
		answer.Next = &found[len(found)-1].ID
	}
	return httpx.JSON(c, http.StatusOK, answer)
}
