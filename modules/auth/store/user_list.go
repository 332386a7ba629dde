package store

import (
	"context"
	"fmt"

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
}

// ListUsers returns a page in the order of creation and how many users there are
// on all pages. As in GoTrue's list, their identities are left out (nil).
func ListUsers(ctx context.Context, q db.Queryer, p Page) (users []*User, total int, err error) {
	const which = ` FROM auth.users u WHERE u.instance_id = $1 AND u.aud = $2
		AND ($3 = '' OR u.email LIKE '%' || $3 || '%' OR u.raw_user_meta_data ->> 'full_name' ILIKE '%' || $3 || '%')`
	if err := q.QueryRow(ctx, `SELECT count(*)`+which, noInstance, p.Audience, p.Filter).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("store: count users: %w", err)
	}
	order := ` ORDER BY u.created_at DESC, u.id DESC`
	if p.Ascending {
		order = ` ORDER BY u.created_at, u.id`
	}
	rows, err := q.Query(ctx, `SELECT `+userColumns+which+order+` LIMIT $4 OFFSET $5`, noInstance, p.Audience, p.Filter, p.Limit, p.Offset)
	if err == nil {
		users, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*User, error) {
			u := &User{}
			err := row.Scan(u.into()...)
			u.utc()
			u.Factors = nil
			return u, err
		})
	}
	if err != nil {
		return nil, 0, fmt.Errorf("store: list users: %w", err)
	}
	return users, total, nil
}
