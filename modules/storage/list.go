package storage

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// entryView is a listed object, or a folder when it has no id.
type entryView struct {
	Name           string      `json:"name"`
	ID             *string     `json:"id"`
	UpdatedAt      *store.Time `json:"updated_at"`
	CreatedAt      *store.Time `json:"created_at"`
	LastAccessedAt *store.Time `json:"last_accessed_at"`
	Metadata       any         `json:"metadata"`
}

// keyedView is an entryView in a listing of the second kind. Key is the name's last part.
type keyedView struct {
	Key *string `json:"key,omitempty"`
	entryView
}

func viewEntry(e store.Entry) entryView {
	return entryView{e.Name, e.ID, e.UpdatedAt, e.CreatedAt, e.LastAccessedAt, e.Metadata}
}

// sortBy reads the member that orders a list.
func sortBy(f *fields, columns ...string) (column, order string) {
	column, order = "name", "asc"
	s := f.object("sortBy")
	if s == nil {
		return column, order
	}
	s.require("column")
	column = s.oneOf("column", column, columns...)
	order = s.oneOf("order", order, "asc", "desc")
	f.join(s)
	return column, order
}

// listObjects lists one level of a folder. A bucket that is not there is an empty one.
func (m *Module) listObjects(rq *call) error {
	f, err := rq.body()
	if err != nil {
		return err
	}
	f.require("prefix")
	search := store.Search{Bucket: rq.bucket, Folder: f.text("prefix"), Prefix: f.text("search"), Limit: 100}
	if limit := f.integer("limit", 1); limit != nil {
		search.Limit = min(*limit, 1500)
	}
	if offset := f.integer("offset", 0); offset != nil {
		search.Offset = min(*offset, 1<<31-1)
	}
	search.SortColumn, search.SortOrder = sortBy(f, "name", "updated_at", "created_at", "last_accessed_at")
	if err := f.fails(); err != nil {
		return err
	}
	if search.Folder != "" && !strings.HasSuffix(search.Folder, "/") {
		search.Folder += "/"
	}
	var entries []store.Entry
	err = rq.do(func(ctx context.Context, q db.Queryer) (err error) {
		entries, err = store.SearchObjects(ctx, q, search)
		return err
	})
	if err != nil {
		return err
	}
	views := make([]entryView, 0, len(entries))
	for _, e := range entries {
		views = append(views, viewEntry(e))
	}
	return httpx.JSON(rq, http.StatusOK, views)
}

// page is the answer to a listing of the second kind.
type page struct {
	HasNext       bool        `json:"hasNext"`
	NextCursor    string      `json:"nextCursor,omitempty"`
	NextCursorKey string      `json:"nextCursorKey,omitempty"`
	Folders       []keyedView `json:"folders"`
	Objects       []keyedView `json:"objects"`
}

// maxPage is the largest page of a listing of the second kind.
const maxPage = 1000

// listPage lists names that begin with a prefix, page by page.
func (m *Module) listPage(rq *call) error {
	f, err := rq.body()
	if err != nil {
		return err
	}
	p := store.Page{Bucket: rq.bucket, Prefix: f.text("prefix"), Folders: f.boolean("with_delimiter", false), Limit: maxPage}
	if limit := f.integer("limit", 1); limit != nil {
		p.Limit = min(*limit, maxPage)
	}
	p.SortColumn, p.SortOrder = sortBy(f, "name", "updated_at", "created_at")
	text := f.text("cursor")
	if err := f.fails(); err != nil {
		return err
	}
	if text != "" {
		c, err := parseCursor(text)
		if err != nil {
			return err
		}
		p.After, p.AfterTime, p.SortOrder, p.SortColumn = c.last, c.at, c.order, c.column
	}
	limit := int(p.Limit)
	p.Limit++ // one more tells whether there is a next page
	var entries []store.Entry
	err = rq.do(func(ctx context.Context, q db.Queryer) (err error) {
		entries, err = store.ListPage(ctx, q, p)
		return err
	})
	if err != nil {
		return err
	}
	return httpx.JSON(rq, http.StatusOK, makePage(entries, limit, p))
}

func makePage(entries []store.Entry, limit int, p store.Page) page {
	answer := page{Folders: []keyedView{}, Objects: []keyedView{}}
	if len(entries) > limit {
		entries = entries[:limit]
		answer.HasNext = true
	}
	for i := range entries {
		e := &entries[i]
		if e.ID == nil {
			e.Name += "/"
			answer.Folders = append(answer.Folders, keyedView{e.Key, viewEntry(*e)})
			continue
		}
		answer.Objects = append(answer.Objects, keyedView{e.Key, viewEntry(*e)})
	}
	if answer.HasNext {
		last := entries[limit-1]
		c := cursor{last: last.Name, order: p.SortOrder, column: p.SortColumn}
		at := map[string]*store.Time{"updated_at": last.UpdatedAt, "created_at": last.CreatedAt}[p.SortColumn]
		if at != nil {
			c.at = at.UTC().Format(isoTime)
			if last.ID == nil { // sorted by time, a folder's name has no final slash
				c.last = strings.TrimSuffix(c.last, "/")
			}
		}
		answer.NextCursor, answer.NextCursorKey = c.String(), last.Name
	}
	return answer
}

// cursor is where a page ended: at the name last, or at the time at and then last.
type cursor struct{ last, order, column, at string }

// String is the cursor's form on the wire.
func (c cursor) String() string {
	text := "l:" + c.last + "\no:" + c.order + "\nc:" + c.column
	if c.at != "" {
		text += "\na:" + c.at
	}
	return base64.StdEncoding.EncodeToString([]byte(text))
}

func errCursor() *apierr.Error {
	return fail(http.StatusBadRequest, "InvalidParameter", "InvalidParameter", "Invalid Parameter continuation token")
}

// parseCursor reads what String wrote, and refuses all else.
func parseCursor(text string) (cursor, error) {
	c := cursor{order: "asc", column: "name"}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return c, errCursor()
	}
	into := map[string]*string{"l": &c.last, "o": &c.order, "c": &c.column, "a": &c.at}
	for line := range strings.SplitSeq(string(raw), "\n") {
		name, value, found := strings.Cut(line, ":")
		field := into[name]
		if !found || field == nil {
			return c, errCursor()
		}
		*field = value
	}
	known := c.column == "name" || c.column == "updated_at" || c.column == "created_at"
	if !known || c.order != "asc" && c.order != "desc" {
		return c, errCursor()
	}
	return c, nil
}
