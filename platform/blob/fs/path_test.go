package fs

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/madbase/madbase/platform/blob"
)

func FuzzPath(f *testing.F) {
	for _, key := range []string{"a", "a/b", "A/ü/☃", "../x", ".tmp/x", "a~/b=", "%2f^", strings.Repeat("x", 500), "con/a.b."} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if blob.CheckKey(key) != nil {
			return
		}
		name := pathOf(key)
		if !fs.ValidPath(name) || path.Clean(name) != name || name != strings.ToLower(name) {
			t.Errorf("%q becomes %q", key, name)
		}
		for part := range strings.SplitSeq(name, "/") {
			if len(part) > 255 || strings.HasPrefix(part, ".") {
				t.Errorf("%q has the component %q", key, part)
			}
		}
		if back, ok := keyOf(name); !ok || back != key {
			t.Errorf("%q becomes %q becomes %q, %v", key, name, back, ok)
		}
	})
}

func TestForeignFilesHaveNoKey(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "=", "a", "a/b", "A=", "%2=", "%zz=", "^=", "%61=", "a~=", ".x=", "a//b="} {
		if key, ok := keyOf(name); ok {
			t.Errorf("%q has the key %q", name, key)
		}
	}
}
