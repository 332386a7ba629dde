package embeddedpg

import (
	"strings"
	"sync"
	"time"
)

// tailSize is how much of a program's output an error message repeats, in bytes.
const tailSize = 2 << 10

// tail keeps the end of what is written to it. It may be written and read from several goroutines.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write keeps the last tailSize bytes; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

// String is the output's end, without blank lines at either end.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

// deadlineSoon is how long the output of an ended program is still waited for.
func deadlineSoon() time.Time { return time.Now().Add(200 * time.Millisecond) }
