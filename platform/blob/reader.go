package blob

import (
	"context"
	"io"
)

// checkedReader passes on what it reads until something is wrong.
type checkedReader struct {
	ctx  context.Context
	r    io.Reader
	size int64 // -1: unknown
	read int64
}

// Checked returns r with the checks every Put makes: reading fails when ctx has
// ended, and with ErrSize when r gives more or fewer than size bytes (-1: any).
func Checked(ctx context.Context, r io.Reader, size int64) io.Reader {
	return &checkedReader{ctx: ctx, r: r, size: size}
}

func (c *checkedReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.read += int64(n)
	if c.size >= 0 && (c.read > c.size || err == io.EOF && c.read < c.size) {
		return n, ErrSize
	}
	return n, err
}

// Fill reads until b is full or r ends, for drivers: few large writes cost less
// than many small ones. Unlike io.ReadFull it keeps a reader that broke off, which
// says io.ErrUnexpectedEOF, apart from one that ended.
func Fill(r io.Reader, b []byte) (n int, end bool, err error) {
	for n < len(b) {
		m, err := r.Read(b[n:])
		n += m
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}
