package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Bounds of aws-chunked framing, in bytes.
const (
	maxChunkHeader = 256
	maxTrailers    = 4 << 10
	readBuffer     = 16 << 10
)

const trailerSignature = "x-amz-trailer-signature"

// chunks decodes aws-chunked framing:
//
//	1000;chunk-signature=...\r\n 4096 bytes \r\n ... 0;chunk-signature=...\r\n trailers \r\n
//
// A chunk's size does not matter to it: bytes pass as they come, and a signature is
// checked behind the chunk that it is of.
type chunks struct {
	src   *bufio.Reader
	seal  *seal // nil when chunks are not signed
	left  int64 // of the chunk
	total int64 // that may still come; -1 for any
	// inside is whether a chunk has begun whose end was not read.
	inside bool
	// trailers is nil when none may come, and has them by name at the end.
	trailers map[string]string
	ended    bool
}

func newChunks(src io.Reader, seal *seal, size int64) *chunks {
	return &chunks{src: bufio.NewReaderSize(src, readBuffer), seal: seal, total: size}
}

// Read gives out the chunks' content.
func (c *chunks) Read(b []byte) (int, error) {
	if c.ended {
		return 0, io.EOF
	}
	if c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n, err := c.src.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	if c.seal != nil {
		c.seal.write(b[:n])
	}
	if errors.Is(err, io.EOF) {
		err = errRequest("Unexpected end of chunk data")
	}
	return n, err
}

// next ends the chunk that was read and begins the one after it. After the last it
// reads what follows and is io.EOF.
func (c *chunks) next() error {
	if c.inside {
		if line, err := c.line("chunk data"); err != nil {
			return err
		} else if len(line) > 0 {
			return errRequest("Missing CRLF after chunk data")
		}
		if err := c.seal.verify(); err != nil {
			return err
		}
	}
	line, err := c.line("chunk header")
	if err != nil {
		return err
	}
	if c.left, err = c.header(line); err != nil {
		return err
	}
	if c.inside = c.left > 0; c.inside {
		return nil
	}
	if err := c.seal.verify(); err != nil {
		return err
	}
	if err := c.end(); err != nil {
		return err
	}
	c.ended = true
	return io.EOF
}

// header reads a chunk's size and signature.
func (c *chunks) header(line []byte) (int64, error) {
	digits, extension, found := strings.Cut(string(line), ";")
	size, err := strconv.ParseUint(digits, 16, 63)
	if err != nil {
		return 0, errRequest("Invalid chunk size")
	}
	if c.total >= 0 {
		if int64(size) > c.total {
			return 0, errRequest("The chunks exceed x-amz-decoded-content-length")
		}
		c.total -= int64(size)
	}
	if c.seal == nil {
		return int64(size), nil
	}
	signature, named := strings.CutPrefix(extension, "chunk-signature=")
	if !found || !named {
		return 0, errForm("Missing chunk signature")
	}
	if c.seal.given, err = hex.DecodeString(signature); err != nil || len(c.seal.given) != sha256.Size {
		return 0, errRequest("Invalid chunk header")
	}
	return int64(size), nil
}

// end reads what follows the last chunk.
func (c *chunks) end() error {
	rest, err := io.ReadAll(io.LimitReader(c.src, maxTrailers+1))
	switch {
	case err != nil:
		return err
	case len(rest) > maxTrailers:
		return errTooLarge("trailer", strconv.Itoa(maxTrailers)+" bytes")
	case c.trailers == nil && string(rest) != "\r\n" && len(rest) > 0:
		return errRequest("Unexpected data after final chunk")
	case c.trailers == nil:
		return nil
	}
	return c.readTrailers(rest)
}

// readTrailers reads lines of name:value and the signature over them.
func (c *chunks) readTrailers(rest []byte) error {
	var signed []string
	signature := ""
	for line := range bytes.SplitSeq(rest, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if text == "" {
			continue
		}
		name, value, found := strings.Cut(text, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if _, twice := c.trailers[name]; !found || twice || signature != "" {
			return errTrailer()
		}
		if name == trailerSignature {
			signature = value
			continue
		}
		c.trailers[name] = value
		signed = append(signed, name+":"+value+"\n")
	}
	if c.seal == nil {
		return nil
	}
	slices.Sort(signed)
	return c.seal.verifyTrailer(strings.Join(signed, ""), signature)
}

// line reads one line of what and drops its end.
func (c *chunks) line(what string) ([]byte, error) {
	line, err := c.src.ReadSlice('\n')
	if len(line) > maxChunkHeader || errors.Is(err, bufio.ErrBufferFull) {
		return nil, errTooLarge(what, strconv.Itoa(maxChunkHeader)+" bytes")
	}
	if errors.Is(err, io.EOF) {
		if len(line) == 0 && what == "chunk header" {
			return nil, errRequest("Missing final chunk")
		}
		return nil, errRequest("Incomplete " + what)
	}
	if err != nil {
		return nil, err
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return nil, errRequest("Invalid " + what)
	}
	return line, nil
}

// seal is the chain of a body's chunk signatures, each of which is over the one before.
type seal struct {
	key      []byte
	date     string
	scope    string
	previous []byte
	given    []byte // of the chunk
	hash     hash.Hash
}

func newSeal(s *Signature, key []byte) *seal {
	return &seal{key: key, date: s.date, scope: s.scope.String(), previous: s.value, hash: sha256.New()}
}

func (s *seal) write(b []byte) { s.hash.Write(b) }

// verify checks the signature of the chunk that was written. Chunks without a seal
// are not signed.
func (s *seal) verify() error {
	if s == nil {
		return nil
	}
	sum := hex.EncodeToString(s.hash.Sum(nil))
	s.hash.Reset()
	return s.check(s.given, signedChunkAlgorithm, emptySHA256, sum)
}

// verifyTrailer checks the signature of the trailers, given as one line each.
func (s *seal) verifyTrailer(lines, signature string) error {
	given, err := hex.DecodeString(signature)
	if err != nil || len(given) != sha256.Size {
		return errTrailer()
	}
	return s.check(given, signedTrailerAlgorithm, hexSHA256(lines))
}

const (
	signedChunkAlgorithm   = "AWS4-HMAC-SHA256-PAYLOAD"
	signedTrailerAlgorithm = "AWS4-HMAC-SHA256-TRAILER"
)

func (s *seal) check(given []byte, algorithm string, hashes ...string) error {
	text := strings.Join(append([]string{algorithm, s.date, s.scope, hex.EncodeToString(s.previous)}, hashes...), "\n")
	if subtle.ConstantTimeCompare(sign(s.key, text), given) != 1 {
		return errChunkMismatch()
	}
	s.previous = given
	return nil
}
