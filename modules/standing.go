package modules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/registry"
)

// standing serves the default project. When its settings in the registry change, it
// starts modules with the new ones, sends requests there from then on, and stops the
// old ones once their requests have ended.
type standing struct {
	module.Base
	f      *foundation
	names  []string
	access httpx.AccessConfig
	// other serves what is at none of the modules' paths.
	other http.Handler

	current atomic.Pointer[generation]
	retired sync.WaitGroup
	cancel  context.CancelFunc
	done    chan struct{}
}

// generation is the modules as of one state of the settings.
type generation struct {
	program
	foundation *foundation
	settings   map[string]registry.Setting
	// active counts the requests under way, and one for being current.
	active atomic.Int64
	idle   chan struct{} // closed when active has come to 0
}

// Name is "default".
func (s *standing) Name() string { return "default" }

// Routes has none: ServeHTTP passes requests on.
func (s *standing) Routes(*echo.Group) {}

// Start makes and starts the modules. Faulty settings in the registry are a reason
// not to: those that are not heard may be those that restrict.
func (s *standing) Start(ctx context.Context) error {
	snapshot, changed := s.f.registry.Current()
	g, err := s.begin(ctx, snapshot)
	if err != nil {
		return err
	}
	s.current.Store(g)
	var following context.Context
	following, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.done = make(chan struct{})
	go s.follow(following, changed)
	return nil
}

// begin starts modules with the settings that snapshot has.
func (s *standing) begin(ctx context.Context, snapshot *registry.Snapshot) (*generation, error) {
	p, found := snapshot.Project(registry.DefaultRef)
	if !found {
		return nil, errors.New("the registry has lost the default project")
	}
	child, err := s.f.withSettings(p)
	if err != nil {
		return nil, fmt.Errorf("the default project's settings: %w", err)
	}
	g := &generation{foundation: child, settings: p.Settings, idle: make(chan struct{})}
	g.active.Store(1)
	if g.program, err = assembleProject(child, s.names, s.access); err != nil {
		return nil, err
	}
	return g, g.set.Start(ctx)
}

func (s *standing) follow(ctx context.Context, changed <-chan struct{}) {
	defer close(s.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		var snapshot *registry.Snapshot
		snapshot, changed = s.f.registry.Current()
		p, _ := snapshot.Project(registry.DefaultRef)
		if sameSettings(p.Settings, s.current.Load().settings) {
			continue
		}
		next, err := s.begin(ctx, snapshot)
		if err != nil {
			s.f.log.ErrorContext(ctx, "the default project's new settings cannot be used: those of before stay", "error", err)
			continue
		}
		s.f.log.InfoContext(ctx, "the default project has new settings")
		s.retire(s.current.Swap(next))
	}
}

// sameSettings compares by when each was written: secret values are sealed anew each time.
func sameSettings(a, b map[string]registry.Setting) bool {
	return maps.EqualFunc(a, b, func(x, y registry.Setting) bool {
		return x.Value == y.Value && x.Secret == y.Secret && x.UpdatedAt.Equal(y.UpdatedAt)
	})
}

// retire stops g once its requests have ended.
func (s *standing) retire(g *generation) {
	g.leave()
	s.retired.Go(func() {
		<-g.idle
		ctx, cancel := context.WithTimeout(context.Background(), s.f.cfg.Server.ShutdownTimeout)
		defer cancel()
		if err := g.set.Stop(ctx); err != nil {
			s.f.log.ErrorContext(ctx, "modules with earlier settings have not ended in order", "error", err)
		}
	})
}

func (g *generation) leave() {
	if g.active.Add(-1) == 0 {
		close(g.idle)
	}
}

// enter returns the present modules, with a request counted in.
func (s *standing) enter() *generation {
	for {
		g := s.current.Load()
		if n := g.active.Load(); n > 0 && g.active.CompareAndSwap(n, n+1) {
			return g
		} // else it has just been retired, or others came between
	}
}

// ServeHTTP implements http.Handler.
func (s *standing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.serves(r.URL.Path) || s.current.Load() == nil {
		s.other.ServeHTTP(w, r)
		return
	}
	g := s.enter()
	defer g.leave()
	g.server.Handler().ServeHTTP(w, r)
}

func (s *standing) serves(path string) bool {
	for _, name := range s.names {
		rest, found := strings.CutPrefix(path, prefixes[name])
		if found && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// Ready is the present modules'.
func (s *standing) Ready(ctx context.Context) error {
	g := s.current.Load()
	if g == nil {
		return errors.New("not started")
	}
	return g.set.Ready(ctx)
}

// Stop ends all modules, those of earlier settings first.
func (s *standing) Stop(ctx context.Context) error {
	if s.cancel == nil {
		return nil
	}
	s.cancel()
	<-s.done
	s.cancel = nil
	ended := make(chan struct{})
	go func() {
		s.retired.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done(): // a request that does not end must not keep the others
	}
	return s.current.Load().set.Stop(ctx)
}

// auth is the present module of auth, nil without one.
func (s *standing) auth() *auth.Module {
	for _, m := range s.current.Load().set.Modules() {
		if a, ok := m.(*auth.Module); ok {
			return a
		}
	}
	return nil
}
