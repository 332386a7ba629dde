package password

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// niceness is how far hashing stands back: threads at 0 get three times the time.
const niceness = 5

// inBackground runs do on a thread of lower priority, which Linux takes the
// processor from as soon as another has work. The thread ends with it, as only the
// privileged may raise a priority again; that costs a thousandth of a hash.
func inBackground(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()                               // and never unlock: Go ends the thread with the goroutine
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, niceness) // of this thread; without it hashing is only less polite
		do()
	}()
	<-done
}
