package storage

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/rls"
)

// access says who may come to a route at all; policies say the rest.
type access int

const (
	// open routes look at no token.
	open access = iota
	// optional routes take a good token, and a bad one for none.
	optional
	// signedIn routes need a good token.
	signedIn
	// service routes need a good token of service_role.
	service
)

// call is one request: whose it is, and the ways to the database.
type call struct {
	echo.Context

	project *project.Project
	// who is the verified caller; nil when there is none.
	who   *claims.Caller
	scope *rls.Scope
	// own are the settings of the caller's transactions, admin those past policies.
	own, admin rls.Settings

	// bucket and key are decoded from the path, where the route has them.
	bucket, key string
	// via is the kind of upload that the request's protocol makes, as events name it.
	via string
}

type handler func(*call) error

// handle makes an Echo handler of h: op is the operation's name that policies may ask for.
func (m *Module) handle(op string, who access, h handler) echo.HandlerFunc {
	run := rls.Middleware(rls.Options{})(func(c echo.Context) error {
		rq, err := m.newCall(c, op)
		if err != nil {
			return err
		}
		if who == service && rq.own.Role != claims.RoleService {
			return real(errDenied("Access denied: Invalid role"))
		}
		return h(rq)
	})
	if who != open {
		run = authenticate(who, run)
	}
	return translated(run)
}

// newCall reads the path. Settings.Path is what the service itself would see.
func (m *Module) newCall(c echo.Context, op string) (*call, error) {
	r := c.Request()
	rq := &call{Context: c, project: project.From(r.Context()), who: claims.From(r.Context()), scope: rls.From(c)}
	rq.own = rq.scope.Settings()
	rq.own.Path = strings.TrimPrefix(rq.own.Path, m.prefix)
	rq.own.More = []string{
		"request.jwt.claim.role", rq.own.Role,
		"storage.operation", op,
		"storage.allow_delete_query", "true",
	}
	rq.admin = rq.own
	rq.admin.Role, rq.admin.Subject, rq.admin.Claims = claims.RoleService, "", `{"role":"service_role"}`
	rq.admin.More = []string{"request.jwt.claim.role", claims.RoleService, "lock_timeout", store.LockWait}
	rq.admin.More = append(rq.admin.More, rq.own.More[2:]...)

	pattern := strings.TrimPrefix(c.Path(), m.prefix)
	rq.via = uploadType(pattern)
	literal, _, found := strings.Cut(pattern, ":bucket")
	if !found {
		return rq, nil
	}
	return rq, rq.target(strings.TrimPrefix(r.URL.EscapedPath(), m.prefix+literal), strings.HasSuffix(pattern, "*"))
}

// uploadType tells the protocols apart by their routes.
func uploadType(pattern string) string {
	switch {
	case strings.HasPrefix(pattern, "/s3"):
		return "s3"
	case strings.HasPrefix(pattern, "/upload/resumable"):
		return "resumable"
	}
	return "standard"
}

// target decodes rest, the path from the bucket's name on, once: a slash that is
// encoded in the bucket's name belongs to it and makes it invalid.
func (rq *call) target(rest string, withKey bool) error {
	bucket, key, _ := strings.Cut(rest, "/")
	if !withKey {
		bucket, _, _ = strings.Cut(rest, "/")
	}
	var err error
	if rq.bucket, err = url.PathUnescape(bucket); err != nil {
		return errInvalid("'%s' is not a valid url component", bucket)
	}
	if !validBucket(rq.bucket) {
		return errBucketName()
	}
	if !withKey {
		return nil
	}
	if rq.key, err = url.PathUnescape(key); err != nil {
		return errInvalid("'%s' is not a valid url component", key)
	}
	if !validKey(rq.key) {
		return errKey(rq.key)
	}
	return nil
}

// do runs fn in a short transaction as the caller.
func (rq *call) do(fn func(ctx context.Context, q db.Queryer) error) error {
	return rq.scope.DoAs(rq.Request().Context(), rq.own, fn)
}

// as returns a transaction with rights, for what takes a single round trip.
func (rq *call) as(rights rls.Settings) *rls.Tx {
	tx := rq.scope.Tx()
	tx.Settings = rights
	return tx
}

// asService runs fn in a short transaction past policies. It is the role of the
// project's service key, so that the project's triggers find the rights they are used to.
func (rq *call) asService(ctx context.Context, fn func(ctx context.Context, q db.Queryer) error) error {
	return rq.scope.DoAs(ctx, rq.admin, fn)
}

// ctx is the request's context.
func (rq *call) ctx() context.Context { return rq.Request().Context() }

// owner is the caller's user id, nil for API keys and strangers.
func (rq *call) owner() *string {
	if rq.who == nil || rq.who.Subject == "" {
		return nil
	}
	return &rq.who.Subject
}

// message is the answer of routes that have nothing else to say.
type message struct {
	Message string `json:"message"`
}

// authenticate verifies the token in front of next.
func authenticate(who access, next echo.HandlerFunc) echo.HandlerFunc {
	keys := func(c echo.Context) *claims.Keys { return project.From(c.Request().Context()).Keys }
	verified := claims.Authenticate(keys, func(reason error) error {
		if who == optional {
			return nil
		}
		return errDenied(tokenMessage(reason)).Because(reason)
	})(func(c echo.Context) error {
		if who != optional && claims.From(c.Request().Context()) == nil {
			return errDenied(tokenMessage(claims.ErrMalformed))
		}
		return next(c)
	})
	if who == optional {
		return verified
	}
	return func(c echo.Context) error {
		r := c.Request()
		if r.Header.Get("Authorization") == "" && claims.APIKey(r) == "" {
			return errInvalid("headers must have required property 'authorization'")
		}
		return verified(c)
	}
}

// tokenMessage says why a token is refused, in the words that clients know.
func tokenMessage(reason error) string {
	for _, known := range []struct {
		err  error
		text string
	}{
		{claims.ErrSignature, "signature verification failed"},
		{claims.ErrExpired, `"exp" claim timestamp check failed`},
		{claims.ErrNotYet, `"nbf" claim timestamp check failed`},
		{claims.ErrIssuedAhead, `"iat" claim timestamp check failed (it should be in the past)`},
		{claims.ErrAlgorithm, `"alg" (Algorithm) Header Parameter value not allowed`},
		{claims.ErrNoKey, "no applicable key found in the JSON Web Key Set"},
		{claims.ErrClaims, "JWT Claims Set must be a top-level JSON object"},
	} {
		if errors.Is(reason, known.err) {
			return known.text
		}
	}
	return "Invalid Compact JWS"
}
