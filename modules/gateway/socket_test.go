package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// openSocket opens a WebSocket through d.
func openSocket(t *testing.T, d *door) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(d.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "GET /realtime/v1/websocket?apikey=%s&vsn=1.0.0 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", d.Keys.API().Anon.Reveal())
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%+v %v", res, err)
	}
	return conn, in
}

// frame is an unmasked WebSocket frame of text.
func frame(payload []byte) []byte {
	switch n := len(payload); {
	case n < 126:
		return append([]byte{0x81, byte(n)}, payload...)
	case n < 1<<16:
		return append([]byte{0x81, 126, byte(n >> 8), byte(n)}, payload...)
	default:
		return append([]byte{0x81, 127, 0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, payload...)
	}
}

// TestSocketsAreToldToGo drains the gateway at every place of a frame: the close
// frame comes behind it, and nothing of the upstream's behind that.
func TestSocketsAreToldToGo(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 5, 125, 126, 1000, 1<<16 + 10} {
		whole := frame(bytes.Repeat([]byte("x"), size))
		for _, cut := range []int{0, 1, 2, 3, len(whole) - 1, len(whole)} {
			if cut > len(whole) || cut < 0 {
				continue
			}
			t.Run(fmt.Sprintf("%d of %d", cut, len(whole)), func(t *testing.T) {
				t.Parallel()
				goOn, answered := make(chan struct{}), make(chan string, 1)
				w := newWorker(t, func(w http.ResponseWriter, _ *http.Request) {
					conn, rw, err := http.NewResponseController(w).Hijack()
					if err != nil {
						return
					}
					defer func() { _ = conn.Close() }()
					fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
					_, _ = rw.Write(frame([]byte("first")))
					_, _ = rw.Write(whole[:cut])
					_ = rw.Flush()
					<-goOn
					_, _ = rw.Write(whole[cut:])
					_, _ = rw.Write(frame([]byte("too late")))
					_ = rw.Flush()
					got, _ := io.ReadAll(rw)
					answered <- string(got)
				})
				d := open(t, config(w.URL))
				conn, in := openSocket(t, d)
				seen := make([]byte, 7+cut)
				if _, err := io.ReadFull(in, seen); err != nil {
					t.Fatal(err)
				}
				stopped := make(chan error, 1)
				go func() { stopped <- d.Module.Stop(context.WithoutCancel(t.Context())) }()
				if cut != 0 && cut != len(whole) {
					select { // it is not told within a frame
					case <-stopped:
						t.Error("the drain did not wait")
					case <-time.After(50 * time.Millisecond):
					}
					close(goOn)
				} else {
					defer close(goOn)
				}
				want := slices.Concat(whole[cut:], []byte{0x88, 2, 0x03, 0xe9})
				if cut == 0 {
					want = want[len(whole):]
				}
				got := make([]byte, len(want))
				if _, err := io.ReadFull(in, got); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("got %q, want %q, %v", got, want, err)
				}
				_, _ = io.WriteString(conn, "the client's close frame")
				_ = conn.Close()
				if err := <-stopped; err != nil {
					t.Error(err)
				}
				if cut != 0 && cut != len(whole) {
					if got := <-answered; got != "the client's close frame" {
						t.Errorf("the upstream heard %q", got)
					}
				}
			})
		}
	}
}
