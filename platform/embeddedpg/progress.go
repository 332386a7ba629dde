package embeddedpg

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// bar counts bytes and shows them: as a bar that is redrawn on a terminal, as one line at the start and one at the end elsewhere.
type bar struct {
	w           io.Writer
	what        string
	done, total int64
	live        bool
	drawn       time.Time
}

func newBar(w io.Writer, what string, total int64) *bar {
	b := &bar{w: w, what: what, total: total}
	if f, ok := w.(*os.File); ok {
		b.live = term.IsTerminal(int(f.Fd()))
	}
	if !b.live {
		fmt.Fprintf(w, "%s ...\n", what)
	}
	return b
}

// Write counts p; it never fails, since a progress bar must not stop a download.
func (b *bar) Write(p []byte) (int, error) {
	b.done += int64(len(p))
	if b.live && time.Since(b.drawn) > 100*time.Millisecond {
		b.draw()
	}
	return len(p), nil
}

func (b *bar) draw() {
	b.drawn = time.Now()
	const width = 30
	if b.total <= 0 {
		fmt.Fprintf(b.w, "\r%s %.1f MB ", b.what, float64(b.done)/1e6)
		return
	}
	full := int(min(b.done, b.total) * width / b.total)
	fmt.Fprintf(b.w, "\r%s [%s%s] %.1f of %.1f MB ", b.what, strings.Repeat("#", full), strings.Repeat("-", width-full),
		float64(b.done)/1e6, float64(b.total)/1e6)
}

func (b *bar) finish() {
	if b.live {
		b.draw()
		fmt.Fprintln(b.w)
		return
	}
	fmt.Fprintf(b.w, "%s: %.1f MB\n", b.what, float64(b.done)/1e6)
}
