package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// Page asks for some of an audience's users.
type Page struct {
	Audience string
	// Filter is a part of the address, or in any case of the metadata's full_name; LIKE's wildcards work.
	Filter    string
	Ascending bool
	Limit     int
	Offset    int
	// AfterID and AfterTime are the id and the creation of the user that a page of PageUsers goes on after.
	AfterID   string
	AfterTime time.Time
}

// inPage is the condition of a page on $1 to $3: instance, audience and filter.
const inPage = ` FROM auth.users u WHERE u.instance_id = $1 AND u.aud = $2
	AND ($3 = '' OR u.email LIKE '%' || $3 || '%' OR u.raw_user_meta_data ->> 'full_name' ILIKE '%' || $3 || '%')`

// ListUsers returns a page in the order of creation and how many users there are
// on all pages. As in GoTrue's list, their identities are left out (nil).
func ListUsers(ctx context.Context, q db.Queryer, p Page) (users []*User, total int, err error) {
	if err := q.QueryRow(ctx, `SELECT count(*)`+inPage, noInstance, p.Audience, p.Filter).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("store: count users: %w", err)
	}
	order := ` ORDER BY u.created_at DESC, u.id DESC`
	if p.Ascending {
		order = ` ORDER BY u.created_at, u.id`
	}
	rows, err := q.Query(ctx, `SELECT `+userColumns+inPage+order+` LIMIT $4 OFFSET $5`, noInstance, p.Audience, p.Filter, p.Limit, p.Offset)
	if err == nil {
		users, err = listed(rows)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("store: list users: %w", err)
	}
	return users, total, nil
}

// PageUsers returns the users of a page by its limit and after its last one.
func PageUsers(ctx context.Context, q db.Queryer, p Page) ([]*User, error) {
	after, order := ` AND ($5 = '' OR (u.created_at, u.id) < ($6, $5::uuid))`, ` ORDER BY u.created_at DESC, u.id DESC`
	if p.Ascending {
		after, order = ` AND ($5 = '' OR (u.created_at, u.id) > ($6, $5::uuid))`, ` ORDER BY u.created_at, u.id`
	}
	if p.AfterID == "" {
		after = ` AND $5 = '' AND $6::timestamptz IS NOT NULL`
	}
	rows, err := q.Query(ctx, `SELECT `+userColumns+inPage+after+order+` LIMIT $4`, noInstance, p.Audience, p.Filter, p.Limit, p.AfterID, p.AfterTime)
	var users []*User
	if err == nil {
		users, err = listed(rows)
	}
	if err != nil {
		return nil, fmt.Errorf("store: page of users: %w", err)
	}
	return users, nil
}

// listed reads users without their identities and factors.
func listed(rows pgx.Rows) ([]*User, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*User, error) {
		u := &User{}
		err := row.Scan(u.into()...)
		u.utc()
		u.Factors = nil
		return u, err
	})
}
