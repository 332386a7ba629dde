package buffer

import (
	"errors"
	"io"
)

// Reader reads a buffer's bytes, any number of times.
type Reader struct {
	chunks [][]byte
	size   int64
	at     int64 // of all bytes

	chunk int // the one that holds at, or the first after it
	skip  int // bytes of it before at
}

// Len is how many bytes are still to be read.
func (r *Reader) Len() int { return int(max(r.size-r.at, 0)) }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (n int, err error) {
	for n < len(p) && r.chunk < len(r.chunks) {
		moved := copy(p[n:], r.chunks[r.chunk][r.skip:])
		n += moved
		r.advance(moved)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// WriteTo implements io.WriterTo.
func (r *Reader) WriteTo(w io.Writer) (n int64, err error) {
	for r.chunk < len(r.chunks) {
		written, err := w.Write(r.chunks[r.chunk][r.skip:])
		n += int64(written)
		r.advance(written)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// advance goes on by n bytes of the chunk.
func (r *Reader) advance(n int) {
	r.at += int64(n)
	if r.skip += n; r.skip == len(r.chunks[r.chunk]) {
		r.chunk, r.skip = r.chunk+1, 0
	}
}

var errSeek = errors.New("buffer: seek before the beginning")

// Seek implements io.Seeker.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errSeek
	}
	r.at, r.chunk = offset, 0
	for offset > 0 && r.chunk < len(r.chunks) && offset >= int64(len(r.chunks[r.chunk])) {
		offset -= int64(len(r.chunks[r.chunk]))
		r.chunk++
	}
	r.skip = int(offset)
	if r.chunk == len(r.chunks) {
		r.skip = 0
	}
	return r.at, nil
}
