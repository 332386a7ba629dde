package app

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapFloor is the size in bytes that the heap may reach before each garbage
// collection. A server's live heap is a few MB, and by Go's default it would be
// collected each time it doubles, hundreds of times a second under load.
const heapFloor = 32 << 20

// The bounds of GOGC: Go's default, and what a heap may grow by that is small now
// and may not be later.
const (
	defaultPercent = 100
	mostPercent    = 400
)

// raiseHeap has the collector wait for heapFloor, in this process and from now on.
// Larger heaps keep Go's default; a GOGC that the operator set stays as it is.
func raiseHeap() {
	if set := debug.SetGCPercent(defaultPercent); set != defaultPercent {
		debug.SetGCPercent(set)
		return
	}
	aim(defaultPercent)
}

// aim sets what the present live heap needs to reach the floor, and comes again
// after the next collection, which finds nobody else holding the sentinel.
func aim(now int) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	wanted := defaultPercent
	if bytes := live[0].Value.Uint64(); bytes > 0 && bytes < heapFloor {
		wanted = min(max(wanted, int((heapFloor-bytes)*100/bytes)), mostPercent)
	}
	if off := wanted - now; off > now/8 || off < -now/8 { // each change stops the world
		debug.SetGCPercent(wanted)
		now = wanted
	}
	sentinel := new([16]byte)
	runtime.AddCleanup(sentinel, aim, now)
}
