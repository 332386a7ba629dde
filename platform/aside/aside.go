// Package aside keeps large values that PostgreSQL sends out of memory. pgx reads
// each row as one message; a connection with a Reader between has the value that
// would make such a message large written to a file as it comes, and pgx sees an
// empty value in its place.
package aside

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

const customKey = "madbase.aside"

// Attach gives the connection that c is used for, which must be one only, a Reader.
func Attach(c *pgconn.Config) {
	var reader *Reader
	build, after := c.BuildFrontend, c.AfterConnect
	c.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		reader = &Reader{from: r}
		return build(reader, w)
	}
	c.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		conn.CustomData()[customKey] = reader
		if after == nil {
			return nil
		}
		return after(ctx, conn)
	}
}

// On returns the connection's Reader; nil when it has none.
func On(conn *pgconn.PgConn) *Reader {
	r, _ := conn.CustomData()[customKey].(*Reader)
	return r
}

// Reader passes on what PostgreSQL sends, message by message. It belongs to its
// connection's present holder.
type Reader struct {
	from io.Reader
	// above is the size in bytes from which on a value is put aside; 0 passes on all.
	above int
	// leaveOut has large values only left out, which skipped tells of.
	leaveOut, skipped bool
	file              *File
	// left are the bytes of the present message that are still to come.
	left int
	// out is read, and to be passed on before anything else.
	out    []byte
	header [headerSize]byte
	err    error
}

const (
	headerSize = 5 // a byte of kind, and the length without it as 32 bits
	rowKind    = 'D'
)

// Arm has the next value of more than above bytes put aside. Only the first is:
// others stay where they are.
func (r *Reader) Arm(above int) {
	if r != nil {
		r.above, r.leaveOut, r.file = above, false, nil
	}
}

// Skip has every value of more than above bytes left out, for who can do without
// those rows and ask in another way.
func (r *Reader) Skip(above int) {
	if r != nil {
		r.above, r.leaveOut, r.skipped = above, true, false
	}
}

// Skipped reports whether a value was left out since Skip.
func (r *Reader) Skipped() bool { return r != nil && r.leaveOut && r.skipped }

// Disarm returns what was put aside since Arm, for the caller to close; nil when
// no value was as large.
func (r *Reader) Disarm() *File {
	if r == nil {
		return nil
	}
	f := r.file
	r.above, r.file = 0, nil
	return f
}

// Read is io.Reader's, for pgx. After an error inside of a message the connection
// is of no use, and every Read fails.
func (r *Reader) Read(p []byte) (int, error) {
	for {
		if len(r.out) > 0 {
			n := copy(p, r.out)
			r.out = r.out[n:]
			return n, nil
		}
		if r.err != nil {
			return 0, r.err
		}
		n, err := r.from.Read(p)
		pass, brokenBy := r.walk(p[:n])
		if r.err = brokenBy; pass > 0 || err != nil {
			return pass, err //nolint:wrapcheck // it is the connection's own, and says whether it is a timeout
		}
	}
}

// walk follows the messages in p and returns how many of its bytes are passed on
// as they are. What became of the others is in r.out.
func (r *Reader) walk(p []byte) (pass int, err error) {
	for i := 0; i < len(p); {
		if r.left > 0 {
			n := min(r.left, len(p)-i)
			r.left -= n
			i += n
			continue
		}
		header := p[i:min(i+headerSize, len(p))]
		if cut := len(header) < headerSize; cut {
			copy(r.header[:], header)
			if _, err := io.ReadFull(r.from, r.header[len(header):]); err != nil {
				return i, fmt.Errorf("aside: read header: %w", err)
			}
			if r.left = bodySize(r.header[:]); !r.isLarge(r.header[:]) {
				r.out = bytes.Clone(r.header[:])
				return i, nil
			}
			return i, r.divert(nil)
		}
		if r.left = bodySize(header); r.isLarge(header) {
			return i, r.divert(p[i+headerSize:])
		}
		i += headerSize
	}
	return len(p), nil
}

func bodySize(header []byte) int { return int(binary.BigEndian.Uint32(header[1:])) - 4 }

// isLarge reports whether the message that header begins may have a value to be put aside.
func (r *Reader) isLarge(header []byte) bool {
	return r.above > 0 && r.file == nil && header[0] == rowKind && r.left > r.above
}

// divert reads a large row, the first bytes of which may be in begun, and leaves
// the row without its large value in r.out, with whatever came after it.
func (r *Reader) divert(begun []byte) error {
	after := bytes.NewReader(begun)
	row, err := r.row(io.LimitReader(io.MultiReader(after, r.from), int64(r.left)))
	if err != nil {
		return err
	}
	r.left = 0
	rest := begun[len(begun)-after.Len():]
	pass, err := r.walk(rest)
	r.out = append(append(row, rest[:pass]...), r.out...)
	return err
}

// row reads a row's body, which is the number of its values and each with its
// length before it, and returns it as a message without the large value.
func (r *Reader) row(body io.Reader) ([]byte, error) {
	row := make([]byte, headerSize, 1024)
	count, row, err := number(body, row, 2)
	for range count {
		if err != nil {
			break
		}
		var size int
		if size, row, err = number(body, row, 4); err != nil || size == 1<<32-1 { // the size of NULL
			continue
		}
		if size > r.above && r.file == nil {
			clear(row[len(row)-4:])
			err = r.take(io.LimitReader(body, int64(size)), int64(size))
			continue
		}
		row = append(row, make([]byte, size)...)
		_, err = io.ReadFull(body, row[len(row)-size:])
	}
	if err != nil {
		return nil, fmt.Errorf("aside: read row: %w", err)
	}
	row[0] = rowKind
	binary.BigEndian.PutUint32(row[1:], uint32(len(row)-1))
	return row, nil
}

// take puts a value aside, or leaves it out.
func (r *Reader) take(value io.Reader, size int64) (err error) {
	if r.leaveOut {
		r.skipped = true
		_, err = io.CopyN(io.Discard, value, size)
		return err //nolint:wrapcheck // row says where
	}
	r.file, err = newFile(value, size)
	return err
}

// number reads a number of so many bytes and appends them to row.
func number(body io.Reader, row []byte, bytes int) (int, []byte, error) {
	row = append(row, make([]byte, bytes)...)
	text := row[len(row)-bytes:]
	if _, err := io.ReadFull(body, text); err != nil {
		return 0, row, err //nolint:wrapcheck // row says where
	}
	n := 0
	for _, b := range text {
		n = n<<8 | int(b)
	}
	return n, row, nil
}
