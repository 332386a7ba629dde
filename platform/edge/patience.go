package edge

import (
	"net"
	"time"
)

// patientListener limits how long clients may leave answers lying. A deadline for
// each write would cost each write something, and know no answer that a client
// takes slowly from one that it does not take.
type patientListener struct {
	net.Listener
	limit time.Duration
}

// Accept implements net.Listener.
func (l *patientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
		limitUnsent(tcp, l.limit)
	}
	return conn, err
}
