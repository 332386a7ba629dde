package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/madbase/madbase/modules/gateway"
)

func TestProxyForwardsBody(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, h.Sum(nil), err)
	})
	d := open(t, config(w.URL))
	body := make([]byte, 1<<20)
	for i := range body {
		body[i] = byte(rand.Uint32())
	}
	res := d.do(t, d.request(t, http.MethodPost, "/rest/v1/items", bytes.NewReader(body)))
	got, _ := io.ReadAll(res.Body)
	if want := fmt.Sprintf("%d %x %v", len(body), sha256.Sum256(body), error(nil)); string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestProxyStreamsResponse(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]string{"chunked": "", "known length": "10"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			more := make(chan struct{})
			w := newWorker(t, func(w http.ResponseWriter, _ *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				_, _ = io.WriteString(w, "first")
				w.(http.Flusher).Flush()
				<-more
				_, _ = io.WriteString(w, "-last")
			})
			d := open(t, config(w.URL))
			res := d.do(t, d.request(t, http.MethodGet, "/storage/v1/object/b/k", nil))
			first := make([]byte, 5)
			if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "first" {
				t.Fatalf("%q %v", first, err)
			}
			close(more) // only now may the upstream go on
			rest, err := io.ReadAll(res.Body)
			if err != nil || string(rest) != "-last" {
				t.Errorf("%q %v", rest, err)
			}
		})
	}
}

// The header of a stream of events comes before its first event.
func TestProxyStreamsHeader(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	w := newWorker(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		<-more
		_, _ = io.WriteString(w, "data: 1")
	})
	d := open(t, config(w.URL))
	res := d.do(t, d.request(t, http.MethodGet, "/functions/v1/events", nil))
	close(more) // only now may the upstream go on
	if got, err := io.ReadAll(res.Body); err != nil || string(got) != "data: 1" {
		t.Errorf("%q %v", got, err)
	}
}

func TestProxyPassesTrailers(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Named")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Named", r.Trailer.Get("X-Sent"))
		w.Header().Set(http.TrailerPrefix+"X-Unnamed", "2")
	})
	d := open(t, config(w.URL))
	r := d.request(t, http.MethodPost, "/functions/v1/f", io.MultiReader(strings.NewReader("of unknown length")))
	r.Trailer = http.Header{"X-Sent": {"1"}}
	res := d.do(t, r)
	if _, err := io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	if got := res.Trailer; got.Get("X-Named") != "1" || got.Get("X-Unnamed") != "2" {
		t.Errorf("got %v", got)
	}
}

func TestSwitchedProtocolUnasked(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
	})
	d := open(t, config(w.URL))
	if res, body := d.get(t, http.MethodGet, "/rest/v1/items"); res.StatusCode != http.StatusBadGateway {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
}

func TestProxyStreamsResponseWithFlatMemory(t *testing.T) { // not parallel: it measures memory
	const total = 200 << 20
	block := make([]byte, 64<<10)
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			n, _ := io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, strconv.FormatInt(n, 10))
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(total))
		for range total / len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	d := open(t, config(w.URL))
	before := heap()
	res := d.do(t, d.request(t, http.MethodGet, "/storage/v1/object/b/k", nil))
	var peak uint64
	buf := make([]byte, 1<<20)
	for n := 0; n < total; {
		got, err := io.ReadFull(res.Body, buf)
		if n += got; err != nil {
			t.Fatal(err)
		}
		if n%(32<<20) == 0 {
			peak = max(peak, heap())
		}
	}
	up := d.do(t, d.request(t, http.MethodPost, "/storage/v1/object/b/k", io.LimitReader(zeros{}, total)))
	if n, _ := io.ReadAll(up.Body); string(n) != strconv.Itoa(total) {
		t.Errorf("upstream received %s", n)
	}
	if peak = max(peak, heap()); peak > before+32<<20 {
		t.Errorf("heap went from %d to %d MiB", before>>20, peak>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

func TestProxyStreamsRequest(t *testing.T) {
	t.Parallel()
	arrived := make(chan string)
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		first := make([]byte, 5)
		_, _ = io.ReadFull(r.Body, first)
		arrived <- string(first)
		rest, _ := io.ReadAll(r.Body)
		_, _ = w.Write(rest)
	})
	d := open(t, config(w.URL))
	body, feed := io.Pipe()
	done := make(chan string)
	go func() {
		res := d.do(t, d.request(t, http.MethodPut, "/storage/v1/object/b/k", body))
		got, _ := io.ReadAll(res.Body)
		done <- string(got)
	}()
	_, _ = io.WriteString(feed, "first")
	if got := <-arrived; got != "first" { // before the client has sent the rest
		t.Errorf("got %q", got)
	}
	_, _ = io.WriteString(feed, "-last")
	_ = feed.Close()
	if got := <-done; got != "-last" {
		t.Errorf("got %q", got)
	}
}

func TestInterruptedAnswerIsCut(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	d := open(t, config(w.URL))
	res := d.do(t, d.request(t, http.MethodGet, "/rest/v1/items", nil))
	if body, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("a cut answer ended well: %q", body)
	}
}

func TestLocalUpstream(t *testing.T) {
	t.Parallel()
	d := open(t, config(), func(deps *gateway.Deps) {
		deps.Worker = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "upstream")
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "worker %s %s %s", r.URL.Path, r.Header.Get("X-Forwarded-For"), body)
		})
		deps.Control = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "control %s", r.URL.Path) })
	})
	res := d.do(t, d.request(t, http.MethodPost, "/rest/v1/items", bytes.NewReader([]byte("body")), "X-Forwarded-For", "6.6.6.6"))
	if got, _ := io.ReadAll(res.Body); string(got) != "worker /rest/v1/items 127.0.0.1 body" {
		t.Errorf("got %s", got)
	}
	if got := res.Header.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "*" {
		t.Errorf("CORS %v", got)
	}
	if _, got := d.get(t, http.MethodGet, "/platform/v1/health", "apikey", ""); got != "control /platform/v1/health" {
		t.Errorf("got %s", got)
	}
	if err := d.Module.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}
