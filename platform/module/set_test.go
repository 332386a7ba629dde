package module_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/module"
)

type part struct {
	module.Base
	name string
	fail bool
	log  *[]string
}

func (p part) Name() string       { return p.name }
func (p part) Routes(*echo.Group) {}

func (p part) Start(context.Context) error {
	if p.fail {
		return errors.New("no")
	}
	*p.log = append(*p.log, "+"+p.name)
	return nil
}

func (p part) Stop(context.Context) error {
	*p.log = append(*p.log, "-"+p.name)
	return nil
}

func (p part) Ready(context.Context) error {
	if p.fail {
		return errors.New("waiting")
	}
	return nil
}

func TestSetStopsInReverse(t *testing.T) {
	t.Parallel()
	var log []string
	set := module.NewSet(part{name: "a", log: &log}, part{name: "b", log: &log})
	if err := set.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 3 { // stopping is idempotent
		wait.Go(func() {
			if err := set.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if want := []string{"+a", "+b", "-b", "-a"}; !slices.Equal(log, want) {
		t.Errorf("got %v, want %v", log, want)
	}
}

func TestSetUndoesAFailedStart(t *testing.T) {
	t.Parallel()
	var log []string
	set := module.NewSet(part{name: "a", log: &log}, part{name: "b", fail: true, log: &log}, part{name: "c", log: &log})
	if err := set.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "start b: no") {
		t.Errorf("error %v", err)
	}
	if want := []string{"+a", "-a"}; !slices.Equal(log, want) {
		t.Errorf("got %v, want %v", log, want)
	}
	if err := set.Ready(t.Context()); err == nil || err.Error() != "b: waiting" {
		t.Errorf("ready: %v", err)
	}
}
