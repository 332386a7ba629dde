//go:build !linux

package edge

import (
	"net"
	"time"
)

// limitUnsent does nothing: only Linux can tell.
func limitUnsent(*net.TCPConn, time.Duration) {}
