package aside

import (
	"bytes"
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

// newFile fills a file with the size bytes of r.
func newFile(r io.Reader, size int64) (*File, error) {
	file, err := os.CreateTemp("", "madbase-value-*")
	if err != nil {
		return inMemory(r, size)
	}
	f := &File{file: file, size: size}
	if err = os.Remove(file.Name()); err == nil {
		var n int64
		if n, err = io.Copy(file, r); err == nil && n < size {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("aside: fill file: %w", err)
	}
	return f, nil
}

func inMemory(r io.Reader, size int64) (*File, error) {
	f := &File{memory: make([]byte, size), size: size}
	if _, err := io.ReadFull(r, f.memory); err != nil {
		return nil, fmt.Errorf("aside: read value: %w", err)
	}
	return f, nil
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
