package mem_test

import (
	"testing"

	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/blobtest"
	"github.com/madbase/madbase/platform/blob/mem"
)

func TestStore(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(*testing.T) blob.Store { return mem.New() })
}
