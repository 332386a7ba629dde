package module

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Set starts modules in their written order and stops them in reverse.
type Set struct {
	modules []Module

	mu      sync.Mutex
	started int
}

// NewSet returns a Set over ms; the order is the order of starting.
func NewSet(ms ...Module) *Set { return &Set{modules: ms} }

// Modules returns the modules in starting order.
func (s *Set) Modules() []Module { return s.modules }

// Start starts every module. When one fails, those already started are stopped
// again in reverse order and the failure is returned.
func (s *Set) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.started < len(s.modules) {
		m := s.modules[s.started]
		if err := m.Start(ctx); err != nil {
			err = fmt.Errorf("start %s: %w", m.Name(), err)
			return errors.Join(err, s.stop(context.WithoutCancel(ctx)))
		}
		s.started++
	}
	return nil
}

// Stop stops what was started, in reverse order, and joins the errors.
func (s *Set) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stop(ctx)
}

func (s *Set) stop(ctx context.Context) error {
	var errs []error
	for ; s.started > 0; s.started-- {
		m := s.modules[s.started-1]
		if err := m.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", m.Name(), err))
		}
	}
	return errors.Join(errs...)
}

// Ready returns the first module's reason not to serve, or nil.
func (s *Set) Ready(ctx context.Context) error {
	for _, m := range s.modules {
		if err := m.Ready(ctx); err != nil {
			return fmt.Errorf("%s: %w", m.Name(), err)
		}
	}
	return nil
}
