package hook

import "time"

// Hurry shortens the waits of tests.
func (r *Runner) Hurry(backoff, timeout time.Duration) { r.backoff, r.timeout = backoff, timeout }
