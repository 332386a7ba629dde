package aside

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func message(kind byte, body ...byte) []byte {
	m := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))
	return append(m, body...)
}

// row is a row of values, of which "-" is NULL.
func row(values ...string) []byte {
	body := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		if v == "-" {
			body = append(body, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(v))), v...)
	}
	return message('D', body...)
}

// Whatever the pieces in which the bytes come and are asked for, only the first
// large value is missing, and it is in the file.
func TestReader(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 7)
	came := slices.Concat(message('T', 1, 2, 3), row("1", "small"), row("2", "-", large, "tail", ""), message('C'), row("3", large), message('Z', 'I'))
	want := slices.Concat(message('T', 1, 2, 3), row("1", "small"), row("2", "-", "", "tail", ""), message('C'), row("3", large), message('Z', 'I'))
	for piece := 1; piece < 150; piece++ {
		r := &Reader{from: iotest.OneByteReader(bytes.NewReader(came))}
		if piece%2 == 0 {
			r.from = bytes.NewReader(came)
		}
		r.Arm(50)
		var got []byte
		for p := make([]byte, piece); ; {
			n, err := r.Read(p)
			got = append(got, p[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("pieces of %d: %v", piece, err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("pieces of %d: got %q, want %q", piece, got, want)
		}
		f := r.Disarm()
		var value strings.Builder
		if _, err := f.WriteTo(&value); err != nil || value.String() != large || f.Size() != int64(len(large)) {
			t.Fatalf("pieces of %d: put aside %q, error %v", piece, value.String(), err)
		}
		f.Close()
	}
}

func TestReaderDisarmed(t *testing.T) {
	t.Parallel()
	came := row(strings.Repeat("x", 100))
	r := &Reader{from: bytes.NewReader(came)}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, came) {
		t.Errorf("got %q, error %v", got, err)
	}
	r.Arm(1000)
	if f := r.Disarm(); f != nil {
		t.Errorf("put aside %d bytes", f.Size())
	}
}

// A connection that breaks inside of a large value stays broken.
func TestReaderBroken(t *testing.T) {
	t.Parallel()
	came := row(strings.Repeat("x", 100))
	r := &Reader{from: bytes.NewReader(came[:60])}
	r.Arm(50)
	for range 2 {
		if _, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	}
	if f := r.Disarm(); f != nil {
		t.Errorf("put aside %d bytes", f.Size())
	}
}

// Without a folder for temporary files the value is kept in memory.
func TestWithoutATemporaryFolder(t *testing.T) {
	t.Setenv("TMPDIR", "/nowhere")
	large := strings.Repeat("x", 100)
	r := &Reader{from: bytes.NewReader(row(large))}
	r.Arm(50)
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, row("")) {
		t.Errorf("got %q, error %v", got, err)
	}
	var value strings.Builder
	f := r.Disarm()
	if _, err := f.WriteTo(&value); err != nil || value.String() != large {
		t.Errorf("put aside %q, error %v", value.String(), err)
	}
	f.Close()
}

// Skip leaves all large values out and keeps none.
func TestSkip(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 7)
	came := slices.Concat(row("1", large, "tail", large), row("2", "small"), row(large), message('Z', 'I'))
	want := slices.Concat(row("1", "", "tail", ""), row("2", "small"), row(""), message('Z', 'I'))
	r := &Reader{from: iotest.HalfReader(bytes.NewReader(came))}
	r.Skip(50)
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if !r.Skipped() || r.Disarm() != nil {
		t.Error("what was left out is not told, or kept")
	}
	if r.Skip(50); r.Skipped() {
		t.Error("what was left out before is told again")
	}
}
