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
	// Authorize checks the request's API key by the project's keys, and says whether
	// the request has shown a key or a token of theirs: some may do without.
	Authorize func(*http.Request, *claims.Keys) (known bool, err error)
	// ClientIP is the address of a request's client.
	ClientIP func(*http.Request) string
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
	case ByKey, Unchecked:
		named := ref == Unchecked
		var known bool
		if ref, known = s.Resolver.byKey(r); named || !known || ref == registry.DefaultRef {
			ref = registry.DefaultRef
			if _, err := s.Authorize(r, s.Resolver.Keys); err != nil { // the gateway has not
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

// serve answers r unless it returns an error. Whoever may not come in has nothing opened.
func (s Worker) serve(w http.ResponseWriter, r *http.Request, ref string) error {
	keys, err := s.Directory.Keys(ref)
	if err != nil {
		return err
	}
	visitor := Visitor{Address: s.ClientIP(r)}
	if r.Method != http.MethodOptions { // a preflight carries no key
		if visitor.Known, err = s.Authorize(r, keys); err != nil {
			return err
		}
	}
	t, over, release, err := s.Directory.Acquire(r.Context(), ref, visitor)
	if err != nil {
		return err
	}
	defer release()
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
