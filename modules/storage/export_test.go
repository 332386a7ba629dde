package storage

import "context"

// BetweenLooks has a sweep do f in place of waiting for its second look.
func (o *Orphans) BetweenLooks(f func() error) *Orphans {
	o.settle = func(context.Context, func() error) error { return f() }
	return o
}
