package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// adminUserGet answers GET /admin/users/{user_id}.
func (m *Module) adminUserGet(c echo.Context, _ admin) error {
	user, err := m.namedUser(c)
	if err != nil {
		return err
	}
	return httpx.JSON(c, http.StatusOK, user)
}

// namedUser finds the user that the path names.
func (m *Module) namedUser(c echo.Context) (*store.User, error) {
	id, err := uuid.Parse(c.Param("user_id"))
	if err != nil {
		return nil, apierr.New(http.StatusNotFound, codeValidation, "user_id must be an UUID")
	}
	user, err := store.UserByID(c.Request().Context(), projectOf(c).DB.Auth, id.String())
	if errors.Is(err, store.ErrNotFound) {
		return nil, noUser()
	}
	if err != nil {
		return nil, fmt.Errorf("auth: find user: %w", err)
	}
	return user, nil
}

func noUser() error { return apierr.New(http.StatusNotFound, codeUserNotFound, "User not found") }

// adminUserList answers GET /admin/users: a page of an audience's users, newest first.
func (m *Module) adminUserList(c echo.Context, _ admin) error {
	query := c.QueryParams()
	ascending, err := parseSort(query["sort"])
	if err != nil {
		return invalid("Bad Sort Parameters: " + err.Error())
	}
	page := store.Page{
		Audience: m.audience(c.Request()), Filter: strings.ToValidUTF8(strings.ReplaceAll(query.Get("filter"), "\x00", ""), "\uFFFD"),
		Ascending: ascending,
	}
	if m.byCursor(query) {
		return m.adminUserPage(c, page)
	}
	number, size, err := paging(query)
	if err != nil {
		return err
	}
	page.Limit, page.Offset = size, (max(number, 1)-1)*size // page 0 is the first, and its next one is page 1
	users, total, err := store.ListUsers(c.Request().Context(), projectOf(c).DB.Auth, page)
	if err != nil {
		return databaseError("Database error finding users", err)
	}
	pageHeaders(c, "/admin/users", number, size, total)
	return httpx.JSON(c, http.StatusOK, map[string]any{"users": users, "aud": page.Audience})
}

const defaultPageSize = 50

// parsePaging reads a page's number or size; nothing stands for the usual one.
func parsePaging(text string, usual int) (int, error) {
	if text == "" {
		return usual, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, err
	}
	return int(n), nil
}

// parseSort reads "created_at asc" or "created_at desc"; the first of several counts.
func parseSort(values []string) (ascending bool, err error) {
	for i, value := range values {
		field, direction, _ := strings.Cut(value, " ")
		if field != "created_at" {
			return false, fmt.Errorf("bad field for sort '%s'", field)
		}
		switch strings.ToUpper(direction) {
		case "ASC":
			ascending = ascending || i == 0
		case "", "DESC":
		default:
			return false, fmt.Errorf("bad direction for sort '%s', only 'asc' and 'desc' allowed", direction)
		}
	}
	return ascending, nil
}

// pageLinks is the header Link (RFC 8288) of a page. The path is GoTrue's own,
// without the prefix that it is mounted at: clients read only the page's number.
func pageLinks(path string, query url.Values, page, pages int) string {
	link := func(page int, rel string) string {
		query.Set("page", strconv.Itoa(page))
		return "<" + path + "?" + query.Encode() + `>; rel="` + rel + `"`
	}
	last := link(pages, "last")
	if page >= pages {
		return last
	}
	return link(page+1, "next") + ", " + last
}
