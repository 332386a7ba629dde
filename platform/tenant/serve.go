package tenant

import (
	"context"
	"errors"
	"net/http"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/registry"
)

// Worker is the worker's side: it has each request served by its project's tenant.
type Worker struct {
	Resolver  Resolver
	Directory *Directory
	// Standard serves the default project, and what belongs to none.
	Standard http.Handler
	// Authorize checks the request's API key by the project's keys.
	Authorize func(*http.Request, *claims.Keys) error
	// Refuse answers with an error.
	Refuse func(http.ResponseWriter, *http.Request, error)
}

// ServeHTTP implements http.Handler. The gateway has said which project it is, or
// else the request itself does.
func (s Worker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ref := r.Header.Get(Header)
	r.Header.Del(Header)
	switch ref {
	case "":
		r = s.Resolver.resolve(r)
		ref = Ref(r)
	case ByKey:
		var known bool
		if ref, known = s.Resolver.byKey(r); !known || ref == registry.DefaultRef {
			ref = registry.DefaultRef
			if err := s.Authorize(r, s.Resolver.Keys); err != nil { // the gateway has not
				s.Refuse(w, r, err)
				return
			}
		}
	}
	if ref == registry.DefaultRef {
		s.Standard.ServeHTTP(w, r)
		return
	}
	if err := s.serve(w, r, ref); err != nil {
		s.Refuse(w, r, err)
	}
}

// serve answers r unless it returns an error.
func (s Worker) serve(w http.ResponseWriter, r *http.Request, ref string) error {
	t, over, release, err := s.Directory.Acquire(r.Context(), ref)
	if err != nil {
		return err
	}
	defer release()
	if r.Method != http.MethodOptions { // a preflight carries no key
		if err := s.Authorize(r, t.Keys); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(over, func() { cancel(errOver) })
	defer func() {
		stop()
		cancel(nil)
	}()
	t.Handler.ServeHTTP(w, r.WithContext(ctx))
	return nil
}

var errOver = errors.New("tenant: the project is no longer served")
