// Package rls runs a request's statements in a transaction as the caller: with
// the caller's role and claims, so that row level security decides. The commit
// comes before the first byte of the answer.
package rls

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/project"
)

// Options fix how a module's requests reach the database.
type Options struct {
	// Pool picks the pool; nil takes the project's API pool.
	Pool func(*project.Project) *db.Pool
	// Anonymous is the role of requests without a token; empty is "anon".
	Anonymous string
	// Roles are further roles that a token may name. They must be granted to the login role.
	Roles []string
	// AnyRole leaves it to PostgreSQL which roles the login role may become, as PostgREST does.
	AnyRole bool
	// StatementTimeout bounds each statement; 0 leaves the login role's bound.
	StatementTimeout time.Duration
	// Wait is how long a request queues for a connection; 0 is 10 s.
	Wait time.Duration
}

// noRole is PostgreSQL's word for the login role itself, which no request may become.
const noRole = "none"

// Allowed says whether a request may become role; if not, as a 403 with SQLSTATE 42501.
func (o *Options) Allowed(role string) error {
	if o.AnyRole && role != noRole || slices.Contains(o.Roles, role) {
		return nil
	}
	switch role {
	case claims.RoleAnon, claims.RoleAuthenticated, claims.RoleService:
		return nil
	}
	return apierr.Newf(http.StatusForbidden, "42501", "permission denied to set role %q", role)
}

// Scope makes the transactions of one request.
type Scope struct {
	options  *Options
	pool     *db.Pool
	settings Settings
}

const scopeKey = "madbase.rls.scope"

// Middleware puts a lazy Scope on each request: no database work, no transaction.
// The project must have been resolved and the caller authenticated before.
func Middleware(o Options) echo.MiddlewareFunc {
	if o.Pool == nil {
		o.Pool = func(p *project.Project) *db.Pool { return p.DB.API }
	}
	if o.Anonymous == "" {
		o.Anonymous = claims.RoleAnon
	}
	if o.Wait == 0 {
		o.Wait = 10 * time.Second
	}
	anonymous := Settings{Role: o.Anonymous, Claims: anonymousClaims(o.Anonymous), StatementTimeout: o.StatementTimeout}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			settings := requestSettings(r, anonymous)
			c.Set(scopeKey, &Scope{options: &o, pool: o.Pool(project.From(r.Context())), settings: settings})
			return next(c)
		}
	}
}

// From returns the request's Scope. It panics outside Middleware: a route was wired wrongly.
func From(c echo.Context) *Scope { return c.Get(scopeKey).(*Scope) }

// Settings returns a copy of what the request's transactions run as.
func (s *Scope) Settings() Settings { return s.settings }

// Tx returns a new transaction that nothing has been done in.
func (s *Scope) Tx() *Tx {
	return &Tx{Settings: s.settings, pool: s.pool, wait: s.options.Wait, check: s.options.Allowed}
}

// ErrRollback, returned by the function of Scope.Do, undoes the transaction
// without being an error: for trying whether policies would let a write pass.
var ErrRollback = errors.New("rls: roll back")

// Do runs fn in a short transaction as the caller and commits, for handlers that
// move bytes between transactions. An error or a panic of fn rolls back.
func (s *Scope) Do(ctx context.Context, fn func(ctx context.Context, q db.Queryer) error) error {
	return s.DoAs(ctx, s.settings, fn)
}

// DoAs is Do with other settings, such as another role.
func (s *Scope) DoAs(ctx context.Context, as Settings, fn func(ctx context.Context, q db.Queryer) error) error {
	t := s.Tx()
	t.Settings = as
	defer t.rollback(ctx)
	err := fn(ctx, t)
	switch {
	case errors.Is(err, ErrRollback):
		return nil
	case err != nil:
		return err
	}
	return t.commit(ctx)
}

// Responder writes the answer, after the commit.
type Responder func(c echo.Context) error

// Handler does a request's work in tx and returns what is to be answered. It
// must not write the answer itself.
type Handler func(c echo.Context, tx *Tx) (Responder, error)

// Handle makes an Echo handler of h: it runs, the transaction commits, and only
// then the Responder writes. An error or a panic rolls back.
func Handle(h Handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		respond, err := inTx(c, h)
		if err != nil {
			return err
		}
		return respond(c)
	}
}

func inTx(c echo.Context, h Handler) (Responder, error) {
	ctx := c.Request().Context()
	t := From(c).Tx()
	defer t.rollback(ctx)
	respond, err := h(c, t)
	if err != nil {
		return nil, err
	}
	return respond, t.commit(ctx)
}
