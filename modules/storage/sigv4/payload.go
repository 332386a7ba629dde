package sigv4

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/madbase/madbase/platform/apierr"
)

// The words that stand for a body's hash.
const (
	unsignedPayload   = "UNSIGNED-PAYLOAD"
	unsignedTrailer   = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	signedChunks      = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	signedChunksTrail = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
)

// MaxPayload bounds a body in bytes: S3's largest single upload or part.
const MaxPayload = 5 << 30

// Payload is a request's body without the framing that it may have been sent in.
// It verifies itself while it is read: what the signature, Content-MD5 and the
// x-amz-checksum headers or trailers say of it. Where its size is known it gives out
// its last byte only once all is verified, so that who has read Size bytes has read
// what was signed; else io.EOF says so. Errors of what the client sent are *apierr.Error.
type Payload struct {
	src  io.Reader
	size int64
	read int64
	// least and most bound what comes, where size is not known.
	least, most int64

	sums []*checksum
	// trailer takes the trailers' checksums, once src has ended; nil without trailers.
	trailer func() error
	err     error // io.EOF once all is verified
}

func newPayload(r *http.Request, s *Signature, key []byte) (*Payload, error) {
	p := &Payload{src: r.Body, size: r.ContentLength, most: MaxPayload}
	if p.src == nil {
		p.src, p.size = http.NoBody, 0
	}
	var err error
	if p.sums, err = bodyChecksums(r, s); err != nil {
		return nil, err
	}
	switch s.payload {
	case unsignedPayload:
	case unsignedTrailer:
		err = p.chunked(r, nil, true)
	case signedChunks:
		err = p.chunked(r, newSeal(s, key), false)
	case signedChunksTrail:
		err = p.chunked(r, newSeal(s, key), true)
	default:
		if sum, bad := hex.DecodeString(s.payload); bad != nil || len(sum) != 32 {
			return nil, errRequest("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, " + unsignedTrailer + ", " + signedChunks + ", " +
				signedChunksTrail + " or a valid sha256 value.")
		}
	}
	if err != nil {
		return nil, err
	}
	if p.size > MaxPayload {
		return nil, errTooLarge("object", "the maximum allowed size")
	}
	if p.size == 0 { // nobody may read a body of no bytes: it is verified here
		_, err = p.Read(make([]byte, 1))
		if !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	return p, nil
}

// chunked makes p the content of a body in aws-chunked framing.
func (p *Payload) chunked(r *http.Request, seal *seal, trailers bool) error {
	p.size = -1
	if text := r.Header.Get("X-Amz-Decoded-Content-Length"); text != "" {
		size, err := strconv.ParseInt(text, 10, 64)
		if err != nil || size < 0 {
			return errRequest("x-amz-decoded-content-length must be a number")
		}
		p.size = size
	}
	chunks := newChunks(p.src, seal, p.size)
	p.src = chunks
	if !trailers {
		return nil
	}
	declared := map[string]*checksum{}
	for name := range strings.SplitSeq(strings.Join(r.Header.Values("X-Amz-Trailer"), ","), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name == "" || declared[name] != nil {
			continue
		}
		sum, err := newChecksum(name)
		if err != nil {
			return err
		}
		declared[name] = sum
		p.sums = append(p.sums, sum)
	}
	chunks.trailers = map[string]string{}
	p.trailer = func() error { return tellAll(declared, chunks.trailers) }
	return nil
}

// tellAll gives each declared checksum its trailer. Neither may be missing.
func tellAll(declared map[string]*checksum, trailers map[string]string) error {
	if len(declared) != len(trailers) {
		return errTrailer()
	}
	for name, sum := range declared {
		text, found := trailers[name]
		if !found {
			return errTrailer()
		}
		if err := sum.tell(text); err != nil {
			return err
		}
	}
	return nil
}

// Size is the number of bytes that Read gives out in all; -1 when the client did not say.
func (p *Payload) Size() int64 { return p.size }

// Read gives out the next bytes.
func (p *Payload) Read(b []byte) (int, error) {
	if p.err != nil || len(b) == 0 {
		return 0, p.err
	}
	n, err := p.src.Read(b)
	for _, sum := range p.sums {
		_, _ = sum.Write(b[:n]) // a hash never fails
	}
	p.read += int64(n)
	switch {
	case p.read > p.most:
		err = errTooLarge("object", "the maximum allowed size")
	case p.size >= 0 && p.read > p.size:
		err = errIncomplete(nil)
	case errors.Is(err, io.EOF):
		err = p.verdict()
	case err != nil:
		err = readFault(err)
	case p.read == p.size:
		err = p.ended()
	}
	p.err = err
	if n == 0 || err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return n, nil
}

// ended reads on to the body's end, where no byte may follow.
func (p *Payload) ended() error {
	var more [1]byte
	for range 16 { // a reader may give out nothing now and then
		n, err := p.src.Read(more[:])
		switch {
		case n > 0:
			return errIncomplete(nil)
		case errors.Is(err, io.EOF):
			return p.verdict()
		case err != nil:
			return readFault(err)
		}
	}
	return readFault(io.ErrNoProgress)
}

// verdict is io.EOF when all that came is as it was signed.
func (p *Payload) verdict() error {
	if p.size >= 0 && p.read != p.size {
		return errIncomplete(nil)
	}
	if p.read < p.least {
		return fail(http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed object size.")
	}
	if p.trailer != nil {
		if err := p.trailer(); err != nil {
			return err
		}
	}
	for _, sum := range p.sums {
		if err := sum.verify(); err != nil {
			return err
		}
	}
	return io.EOF
}

// Verified reads what is left of the body and reports whether all of it is as it was
// signed. A handler that commits something calls it before, also when it has read to
// the end or does not need the body.
func (p *Payload) Verified() error {
	_, err := io.Copy(io.Discard, p)
	return err
}

// readFault is the error of a body that broke off.
func readFault(err error) error {
	if _, ok := errors.AsType[*apierr.Error](err); ok {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errIncomplete(err)
	}
	return fmt.Errorf("sigv4: read body: %w", err)
}

// ContentEncoding is the request's Content-Encoding without aws-chunked, which is
// that of the way and not of the object.
func ContentEncoding(h http.Header) string {
	var kept []string
	for coding := range strings.SplitSeq(strings.Join(h.Values("Content-Encoding"), ","), ",") {
		if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "aws-chunked") {
			kept = append(kept, coding)
		}
	}
	return strings.Join(kept, ",")
}
