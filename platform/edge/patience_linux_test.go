package edge_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/edge"
)

// A client that asks and does not read is let go, one that reads slowly is not.
func TestAnswersThatNobodyTakes(t *testing.T) {
	t.Parallel()
	e, err := edge.New(edge.Config{SendTimeout: time.Second}, edge.Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan string, 2)
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for piece := make([]byte, 64<<10); ; {
			if _, err := w.Write(piece); err != nil {
				ended <- r.URL.Path
				return
			}
		}
	})}
	go func() { _ = server.Serve(e.Listener(inner)) }()
	defer func() { _ = server.Close() }()
	ask := func(path string) net.Conn {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	slow := ask("/slow")
	ask("/never")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		select {
		case path := <-ended:
			if path != "/never" {
				t.Errorf("%s was cut", path)
			}
			return
		case <-tick.C:
			if _, err := io.CopyN(io.Discard, slow, 256<<10); err != nil {
				t.Fatalf("a slow reader: %v", err)
			}
		case <-deadline:
			t.Fatal("a client that takes nothing is waited for")
		}
	}
}
