package auth

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/httpx"
)

// auditScopes are what the audit log can be searched by, with the members of the payload that are looked at.
var auditScopes = map[string][]string{
	"author": {"actor_username", "actor_name"}, "action": {"action"}, "type": {"log_type"},
}

// adminAudit answers GET /admin/audit: a page of the audit log, newest first.
func (m *Module) adminAudit(c echo.Context, _ admin) error {
	query := c.QueryParams()
	number, size, err := paging(query)
	if err != nil {
		return err
	}
	page := store.AuditPage{Members: []string{}, Limit: size, Offset: (max(number, 1) - 1) * size}
	if asked := query.Get("query"); asked != "" {
		scope, text, found := strings.Cut(asked, ":")
		if page.Members = auditScopes[scope]; page.Members == nil || !found {
			return invalid("Invalid query scope: " + strings.ToValidUTF8(asked, "\uFFFD"))
		}
		page.Text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "\uFFFD")
	}
	entries, total, err := store.ListAudit(c.Request().Context(), projectOf(c).DB.Auth, page)
	if err != nil {
		return databaseError("Error searching for audit logs", err)
	}
	pageHeaders(c, "/admin/audit", number, size, total)
	return httpx.JSON(c, http.StatusOK, entries)
}

// maxPage bounds how many rows a page may have.
const maxPage = 10000

// paging reads the number and the size of the page that is asked for.
func paging(query url.Values) (number, size int, err error) {
	if number, err = parsePaging(query.Get("page"), 1); err == nil {
		size, err = parsePaging(query.Get("per_page"), defaultPageSize)
	}
	if err != nil {
		return 0, 0, invalid("Bad Pagination Parameters: " + err.Error())
	}
	if size == 0 {
		size = defaultPageSize
	}
	return number, min(size, maxPage), nil
}

// pageHeaders says how many rows and pages there are.
func pageHeaders(c echo.Context, path string, number, size, total int) {
	h := c.Response().Header()
	h.Set("Link", pageLinks(path, c.QueryParams(), number, (total+size-1)/size))
	h.Set("X-Total-Count", strconv.Itoa(total))
}
