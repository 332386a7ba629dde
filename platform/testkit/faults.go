package testkit

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// Fault is how a request fails.
type Fault int

const (
	// Unavailable answers 503 as an overloaded S3 does, without having done anything.
	Unavailable Fault = iota + 1
	// Hang takes the request and never answers.
	Hang
	// CutRequest resets the connection in the middle of the request's body.
	CutRequest
	// CutAnswer breaks the answer off in the middle of its body.
	CutAnswer
	// StallAnswer stops sending in the middle of the answer's body.
	StallAnswer
)

// Faults stands before an HTTP service and has requests fail.
type Faults struct {
	// URL is where it listens.
	URL string
	// Reached gets the method of each request that fails, as far as it has room.
	Reached chan string

	proxy *httputil.ReverseProxy
	ended chan struct{}

	mu    sync.Mutex
	match func(*http.Request) bool
	fault Fault
	times int
}

// NewFaults returns a proxy for the service at target, where nothing fails yet.
func NewFaults(t testing.TB, target string) *Faults {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	f := &Faults{Reached: make(chan string, 64), ended: make(chan struct{})}
	f.proxy = &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // which signatures sign
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // the client has gone
	}
	server := httptest.NewServer(f)
	t.Cleanup(func() {
		close(f.ended)
		server.Close()
		transport.CloseIdleConnections()
	})
	f.URL = server.URL
	return f
}

// Fail has the next times requests that match fail so, and then no more; below
// zero it is all of them. It takes the place of what was to fail before.
func (f *Faults) Fail(fault Fault, times int, match func(*http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.match, f.fault, f.times = match, fault, times
}

// Mend has nothing fail.
func (f *Faults) Mend() { f.Fail(0, 0, nil) }

func (f *Faults) next(r *http.Request) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.times == 0 || !f.match(r) {
		return 0
	}
	f.times--
	select {
	case f.Reached <- r.Method:
	default:
	}
	return f.fault
}

// ServeHTTP passes a request on, or fails it.
func (f *Faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch f.next(r) {
	case Unavailable:
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
	case Hang:
		_, _ = io.Copy(io.Discard, r.Body)
		f.wait(r)
		panic(http.ErrAbortHandler)
	case CutRequest:
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0) // what is closed so is reset
			_ = conn.Close()
		}
	case CutAnswer:
		f.proxy.ServeHTTP(&halfWriter{ResponseWriter: w, then: func() {}}, r)
	case StallAnswer:
		f.proxy.ServeHTTP(&halfWriter{ResponseWriter: w, then: func() { f.wait(r) }}, r)
	default:
		f.proxy.ServeHTTP(w, r)
	}
}

// wait waits until the client gives up, or the test ends.
func (f *Faults) wait(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-f.ended:
	}
}

// halfWriter writes half of an answer whose length is known.
type halfWriter struct {
	http.ResponseWriter
	left int64
	then func()
}

func (h *halfWriter) WriteHeader(status int) {
	if n := h.Header().Get("Content-Length"); n != "" {
		for _, digit := range n {
			h.left = h.left*10 + int64(digit-'0')
		}
		h.left /= 2
	}
	h.ResponseWriter.WriteHeader(status)
}

func (h *halfWriter) Write(p []byte) (int, error) {
	if int64(len(p)) <= h.left {
		h.left -= int64(len(p))
		return h.ResponseWriter.Write(p)
	}
	_, _ = h.ResponseWriter.Write(p[:h.left])
	_ = http.NewResponseController(h.ResponseWriter).Flush()
	h.then()
	panic(http.ErrAbortHandler)
}
