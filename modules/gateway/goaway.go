package gateway

import (
	"encoding/binary"
	"net"
	"sync"
	"time"
)

// closeGrace is how long clients of WebSockets have to answer that they are told
// to go, before their connections are closed.
const closeGrace = 2 * time.Second

// goingAway is a WebSocket's close frame with status 1001 (RFC 6455, sections 5.5.1
// and 7.4.1): the server goes, connect again.
var goingAway = []byte{0x88, 2, 1001 >> 8, 1001 & 0xff}

// socket is a client's side of a WebSocket that an upstream serves. It follows
// where frames end in what passes, so that one of its own may come between two.
type socket struct {
	net.Conn

	mu     sync.Mutex
	frames frames
	leave  bool // to be told at the end of the frame
	told   bool
}

// Write implements net.Conn. What the upstream sends after the close frame is left out.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told {
		return len(p), nil
	}
	passed := len(p)
	if !s.leave {
		s.frames.pass(p)
	} else if passed = s.frames.rest(p); s.frames.between() {
		if n, err := s.Conn.Write(p[:passed]); err != nil {
			return n, err
		}
		return len(p), s.tell()
	}
	return s.Conn.Write(p[:passed])
}

// goAway tells the client to go, at the end of the present frame.
func (s *socket) goAway() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave = true
	if s.frames.between() && !s.told {
		_ = s.tell() // the connection is closed soon either way
	}
}

func (s *socket) tell() error {
	s.told = true
	_ = s.Conn.SetWriteDeadline(time.Now().Add(closeGrace))
	_, err := s.Conn.Write(goingAway)
	return err
}

// frames follows WebSocket frames (RFC 6455, section 5.2) in a stream of bytes.
type frames struct {
	header [14]byte
	have   int    // bytes of the present frame's header
	left   uint64 // bytes of the present frame's payload to come
}

// between reports whether a frame has just ended, or none has begun.
func (f *frames) between() bool { return f.have == 0 && f.left == 0 }

// pass takes all of p.
func (f *frames) pass(p []byte) {
	for len(p) > 0 {
		p = p[f.rest(p):]
	}
}

// rest takes p up to the end of the present frame and returns how much that is;
// it is all of p, one frame not being ended, or the first part of it.
func (f *frames) rest(p []byte) (taken int) {
	for taken < len(p) {
		if f.left > 0 {
			n := min(f.left, uint64(len(p)-taken))
			f.left -= n
			taken += int(n)
		} else {
			f.header[f.have] = p[taken]
			f.have++
			taken++
			if f.have < f.headerSize() {
				continue
			}
			f.left, f.have = f.payloadSize(), 0
		}
		if f.between() {
			break
		}
	}
	return taken
}

// headerSize is the size of the header, as far as its first bytes tell.
func (f *frames) headerSize() int {
	if f.have < 2 {
		return 2
	}
	size := 2
	switch f.header[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.header[1]&0x80 != 0 {
		size += 4 // the mask
	}
	return size
}

func (f *frames) payloadSize() uint64 {
	switch n := f.header[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.header[2:])
	default:
		return uint64(n)
	}
}
