package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/httpx"
)

const (
	headerIdempotency = "Idempotency-Key"
	headerReplayed    = "Idempotency-Replayed"
	// maxIdempotencyKey bounds a key in bytes.
	maxIdempotencyKey = 255
	// maxKeptAnswer is the largest body of an answer that is kept, in bytes.
	maxKeptAnswer = 64 << 10
	// onceGrace is how long a request with a key goes on when its client has gone:
	// the client will ask for the outcome.
	onceGrace = time.Minute
	// settleTimeout bounds the writing of an outcome.
	settleTimeout = 5 * time.Second
)

// Receipts remember which requests were done and what they were answered.
type Receipts interface {
	// Claim takes name, or returns what is kept under it: nil while that is not known yet.
	Claim(ctx context.Context, name string) (kept []byte, claimed bool, err error)
	Keep(ctx context.Context, name string, outcome []byte) error
	Release(ctx context.Context, name string) error
}

// kept is a kept answer. Without a status it was not kept itself.
type kept struct {
	Body   []byte      `json:"body,omitempty"`
	Header http.Header `json:"header,omitempty"`
	Status int         `json:"status,omitempty"`
	// Hash is that of the request's body; empty when it was not seen whole.
	Hash string `json:"hash,omitempty"`
}

// once passes on a POST or PATCH with an Idempotency-Key (draft-ietf-httpapi-
// idempotency-key-header) unless one with this key was passed on before: then it
// repeats that one's answer. What was refused, with a status from 400 on, was not
// done and may be tried again; what ended without an answer may have been done
// and is not.
func (m *Module) once(forward echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		key := r.Header.Get(headerIdempotency)
		if key == "" || r.Method != http.MethodPost && r.Method != http.MethodPatch || r.Header.Get("Upgrade") != "" {
			return forward(c)
		}
		if len(key) > maxIdempotencyKey {
			return apierr.Newf(http.StatusBadRequest, "bad_idempotency_key", "Idempotency-Key exceeds %d bytes", maxIdempotencyKey)
		}
		name := m.onceName(r, key)
		known, claimed, err := m.deps.Receipts.Claim(r.Context(), name)
		switch {
		case err != nil:
			return apierr.New(http.StatusServiceUnavailable, "idempotency_unavailable", "Idempotency-Key cannot be honoured now").
				WithHeader("Retry-After", "1").Because(err)
		case !claimed && m.deps.Revoked != nil && m.deps.Revoked(r): // no worker is asked again
			return badAPIKey(nil)
		case !claimed:
			return repeat(c, known)
		}
		return m.first(c, name, forward)
	}
}

// onceName is what a request with an Idempotency-Key is remembered by: its
// project, who sends it, where it goes and the key. Of a project whose keys are not
// known here it takes the API key and the token as they are: what it knows by an
// unchecked one, a worker has answered to that one.
func (m *Module) onceName(r *http.Request, key string) string {
	authorization := r.Header.Get("Authorization")
	caller := authorization
	keys := m.deps.Keys(r)
	if bearer, ok := cutBearer(authorization); ok && keys != nil { // tokens are renewed
		if verified, err := keys.Verify(bearer); err == nil && (verified.Subject != "" || verified.OfAPIKey()) {
			caller = verified.Role + " " + verified.Subject
		}
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{m.project(r), caller, claims.APIKey(r), r.Method, r.URL.RequestURI(), key}, "\x00")))
	return hex.EncodeToString(sum[:])
}

// first does what nobody has done under name, and keeps the answer.
func (m *Module) first(c echo.Context, name string, forward echo.HandlerFunc) (err error) {
	r := c.Request()
	body := hashed(r)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = body
	}
	ctx, end := outlive(r.Context(), onceGrace)
	defer end()
	c.SetRequest(r.WithContext(ctx))
	w := &recorder{ResponseWriter: c.Response().Writer}
	c.Response().Writer = w
	whole := false
	defer func() { // also when the answer is cut off, by a panic
		c.Response().Writer = w.ResponseWriter
		k, known := w.outcome(body, whole, err)
		m.settle(ctx, name, k, known)
	}()
	err = forward(c)
	whole = true
	return err
}

// outcome is what is to be remembered: nil when nothing was done, and not ok when
// that is not known.
func (w *recorder) outcome(body *hashedBody, whole bool, err error) (k *kept, ok bool) {
	switch {
	case err != nil:
		e, public := errors.AsType[*apierr.Error](err)
		return nil, public && e.Status != http.StatusBadGateway && e.Status != http.StatusGatewayTimeout
	case w.status == 0:
		return nil, false
	case w.status >= http.StatusBadRequest:
		return nil, true
	case !whole || w.tooLarge:
		return &kept{Hash: body.hash()}, true
	}
	return &kept{Hash: body.hash(), Status: w.status, Header: w.header, Body: w.body.Bytes()}, true
}

// settle writes what has become of the request. When that fails its name stays
// taken: rather not at all than twice.
func (m *Module) settle(ctx context.Context, name string, k *kept, known bool) {
	if !known {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	var err error
	if k == nil {
		err = m.deps.Receipts.Release(ctx, name)
	} else {
		var text []byte
		if text, err = json.Marshal(k); err == nil {
			err = m.deps.Receipts.Keep(ctx, name, text)
		}
	}
	if err != nil {
		m.deps.Log.WarnContext(ctx, "the outcome of a request with an Idempotency-Key is lost", "request_id", httpx.RequestID(ctx), "error", err)
	}
}

// repeat answers a request whose name was taken.
func repeat(c echo.Context, known []byte) error {
	if known == nil {
		return apierr.New(http.StatusConflict, "idempotency_conflict", "A request with this Idempotency-Key is under way, or its outcome is not known").
			WithHeader("Retry-After", "1")
	}
	var k kept
	if len(known) > 0 {
		if err := json.Unmarshal(known, &k); err != nil {
			return apierr.Internal(err)
		}
	}
	if k.Hash != "" {
		r := c.Request()
		body := hashed(r)
		if _, err := io.Copy(io.Discard, body); err != nil {
			return err
		}
		if hash := body.hash(); hash != "" && hash != k.Hash {
			return apierr.New(http.StatusUnprocessableEntity, "idempotency_mismatch", "This Idempotency-Key was used with another request body")
		}
	}
	if k.Status == 0 {
		return apierr.New(http.StatusConflict, "idempotency_done", "The request with this Idempotency-Key was done; its answer was not kept")
	}
	w := c.Response()
	for name, values := range k.Header {
		w.Header()[name] = values
	}
	w.Header().Set(headerReplayed, "true")
	w.WriteHeader(k.Status)
	_, err := w.Write(k.Body)
	return err
}

// outlive returns a context that goes on for grace after the end of ctx.
func outlive(ctx context.Context, grace time.Duration) (_ context.Context, end context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() { stop(); cancel() }
}

// hashedBody is a request body whose hash is known once it was read.
type hashedBody struct {
	io.ReadCloser
	mu    sync.Mutex // the transport may read on after the answer
	sum   hash.Hash
	ended bool
}

// hashed returns r's body. That of a multipart form has no hash: its boundary is
// another one each time.
func hashed(r *http.Request) *hashedBody {
	b := &hashedBody{ReadCloser: r.Body, sum: sha256.New()}
	contentType := r.Header.Get("Content-Type")
	if strings.HasPrefix(strings.ToLower(contentType), "multipart/") {
		b.sum = nil
		return b
	}
	_, _ = io.WriteString(b.sum, contentType+"\x00") // a hash takes all
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		b.ReadCloser, b.ended = http.NoBody, true
	}
	return b
}

// Read implements io.Reader.
func (b *hashedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sum != nil {
		_, _ = b.sum.Write(p[:n])
	}
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

// hash is empty when the body was not read to its end.
func (b *hashedBody) hash() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sum == nil || !b.ended {
		return ""
	}
	return hex.EncodeToString(b.sum.Sum(nil))
}

// recorder keeps what passes through it, and goes on when the client has gone.
type recorder struct {
	http.ResponseWriter
	status   int
	header   http.Header
	body     bytes.Buffer
	tooLarge bool
}

// Unwrap lets the server's abilities show through.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if status >= http.StatusOK && w.status == 0 {
		w.status, w.header = status, keptHeader(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *recorder) Write(p []byte) (int, error) {
	if w.tooLarge = w.tooLarge || w.body.Len()+len(p) > maxKeptAnswer; w.tooLarge {
		w.body = bytes.Buffer{}
		return w.ResponseWriter.Write(p)
	}
	w.body.Write(p)
	_, _ = w.ResponseWriter.Write(p) // the client may be gone: it has the answer later
	return len(p), nil
}

// keptHeader leaves out what belongs to one exchange alone.
func keptHeader(h http.Header) http.Header {
	k := http.Header{}
	for name, values := range h {
		switch {
		case strings.HasPrefix(name, "Access-Control-"), name == httpx.HeaderRequestID, name == "Date", name == "Connection", name == "Trailer", name == "Vary":
		default:
			k[name] = values
		}
	}
	return k
}
