package aside

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
)

// File is a value that was put aside: a file in the directory for temporary ones
// (TMPDIR) that has no name any more, and so ends with the process at the latest.
// One that is forgotten is closed when its memory is collected. Where no file can
// be made, as on a read-only system, it is in memory after all.
type File struct {
	file   *os.File // nil where memory holds the value
	memory []byte
	size   int64
}

// NewFile returns an empty file, to be filled by Write.
func NewFile() (*File, error) {
	file, err := os.CreateTemp("", "madbase-value-*")
	if err != nil {
		return &File{}, nil //nolint:nilerr // memory holds it
	}
	f := &File{file: file}
	if err := os.Remove(file.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("aside: remove file's name: %w", err)
	}
	return f, nil
}

// newFile fills a file with the size bytes of r.
func newFile(r io.Reader, size int64) (*File, error) {
	f, err := NewFile()
	if err != nil {
		return nil, err
	}
	if f.file == nil {
		f.memory = make([]byte, 0, size)
	}
	if n, err := io.Copy(f, r); err != nil || n < size {
		f.Close()
		return nil, fmt.Errorf("aside: fill file: %w", cmp.Or(err, io.ErrUnexpectedEOF))
	}
	return f, nil
}

// Write appends p to the value.
func (f *File) Write(p []byte) (n int, err error) {
	if f.file == nil {
		f.memory = append(f.memory, p...)
		n = len(p)
	} else if n, err = f.file.Write(p); err != nil {
		err = fmt.Errorf("aside: write file: %w", err)
	}
	f.size += int64(n)
	return n, err
}

// Size is the value's size in bytes.
func (f *File) Size() int64 { return f.size }

// WriteTo writes the whole value to w.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	var value io.ReaderAt = f.file
	if f.file == nil {
		value = bytes.NewReader(f.memory)
	}
	n, err := io.Copy(w, io.NewSectionReader(value, 0, f.size))
	if err != nil {
		err = fmt.Errorf("aside: copy file: %w", err)
	}
	return n, err
}

// Close gives the file up. On nil it does nothing.
func (f *File) Close() {
	if f != nil && f.file != nil {
		_ = f.file.Close() // it has no name and nobody else reads it
	}
}
