package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/httpx"
)

// cursor is the last user of a page: the next one goes on after them. To clients
// it is an opaque text.
type cursor struct {
	CreatedAt time.Time `json:"created_at"`
	ID        string    `json:"id"`
}

func (c cursor) String() (string, error) {
	text, err := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(text), err
}

// parseCursor reads a cursor; nothing is the beginning.
func parseCursor(text string) (*cursor, error) {
	if text == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("invalid cursor encoding")
	}
	c := &cursor{}
	if err := json.Unmarshal(raw, c); err != nil || uuid.Validate(c.ID) != nil || c.CreatedAt.IsZero() {
		return nil, errors.New("invalid cursor")
	}
	return c, nil
}

// maxCursorPage is the most users that a page by cursor may have.
const maxCursorPage = 1000

// byCursor reports whether a list is asked for by cursor: the setting allows it
// and no page is named.
func (m *Module) byCursor(query url.Values) bool {
	return m.cfg.CursorPaging && query.Get("page") == "" && query.Get("per_page") == ""
}

// adminUserPage answers GET /admin/users by cursor, which counts nothing and so
// costs the same on every page.
func (m *Module) adminUserPage(c echo.Context, page store.Page) error {
	query := c.QueryParams()
	limit, err := parsePaging(query.Get("limit"), defaultPageSize)
	if err == nil && limit == 0 {
		err = errors.New("limit must be greater than 0")
	}
	var after *cursor
	if err == nil {
		after, err = parseCursor(query.Get("cursor"))
	}
	if err != nil {
		return invalid("Bad Pagination Parameters: " + err.Error())
	}
	limit = min(limit, maxCursorPage)
	page.Limit = limit + 1
	if after != nil {
		page.AfterID, page.AfterTime = after.ID, after.CreatedAt
	}
	users, err := store.PageUsers(c.Request().Context(), projectOf(c).DB.Auth, page)
	if err != nil {
		return databaseError("Database error finding users", err)
	}
	pagination := map[string]any{"has_more": len(users) > limit}
	if len(users) > limit {
		users = users[:limit]
		next, err := cursor{users[limit-1].CreatedAt, users[limit-1].ID}.String()
		if err != nil {
			return err
		}
		pagination["next_cursor"] = next
		query.Del("page")
		query.Set("cursor", next)
		query.Set("limit", strconv.Itoa(limit))
		c.Response().Header().Set("Link", "</admin/users?"+query.Encode()+`>; rel="next"`)
	}
	return httpx.JSON(c, http.StatusOK, map[string]any{"users": users, "aud": page.Audience, "pagination": pagination})
}
