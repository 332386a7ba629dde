package leash_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/testkit/leash"
)

func TestStopEndsTheProgramAndRemovesItsFolder(t *testing.T) {
	t.Parallel()
	s, err := leash.Start("/bin/sh", "-c", "echo in $(pwd) of {dir}; exec sleep 100")
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.Output() == "" {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("no output")
		}
	}
	words := strings.Fields(s.Output())
	if len(words) != 4 || words[1] != words[3] {
		t.Fatalf("output %q: want the working folder twice", s.Output())
	}
	began := time.Now()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if _, err := os.Stat(words[1]); !os.IsNotExist(err) {
		t.Errorf("folder after stop: %v", err)
	}
}
