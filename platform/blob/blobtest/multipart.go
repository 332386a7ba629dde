package blobtest

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/blob"
)

func parts(t *testing.T, s blob.Store) blob.Multipart {
	t.Helper()
	m, ok := s.(blob.Multipart)
	if !ok {
		t.Skip("this store takes no multipart uploads")
	}
	return m
}

func begin(t *testing.T, m blob.Multipart, key string) blob.Upload {
	t.Helper()
	up, err := m.CreateMultipart(t.Context(), key, blob.PutOptions{ContentType: "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
	if up.Key != key || up.ID == "" {
		t.Errorf("%+v", up)
	}
	return up
}

// sender uploads parts to one upload.
type sender struct {
	t  *testing.T
	m  blob.Multipart
	up blob.Upload
}

func (s sender) part(number int, data []byte, size int64) blob.Part {
	t := s.t
	t.Helper()
	p, err := s.m.UploadPart(t.Context(), s.up, number, bytes.NewReader(data), size)
	if err != nil {
		t.Fatalf("part %d: %v", number, err)
	}
	if p.Number != number || p.Size != int64(len(data)) || p.ETag == "" {
		t.Errorf("part %d: %+v", number, p)
	}
	return p
}

func multipart(t *testing.T, s blob.Store) {
	m := parts(t, s)
	const key = "up/löad"
	up := begin(t, m, key)
	send := sender{t, m, up}
	one, two := bytes.Repeat([]byte("1"), blob.MinPart), bytes.Repeat([]byte("2"), blob.MinPart+3)
	// Any order, one sent twice, one of unknown size, numbers with a gap.
	last := send.part(9, []byte("end"), 3)
	send.part(1, two, int64(len(two)))
	first := send.part(1, one, int64(len(one)))
	middle := send.part(2, two, -1)
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("an upload that is not complete shows: %q", got)
	}
	info, err := m.CompleteMultipart(t.Context(), up, []blob.Part{first, middle, last})
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(one) + len(two) + 3)
	if info.Key != key || info.Size != size || info.ETag == "" {
		t.Errorf("%+v", info)
	}
	if got, of := read(t, s, key, nil); got != string(one)+string(two)+"end" || of.Size != size {
		t.Errorf("%d bytes", len(got))
	}
	if got := keys(t, s, ""); !slices.Equal(got, []string{key}) {
		t.Errorf("keys %q", got)
	}
}

func multipartRefusals(t *testing.T, s blob.Store) {
	m := parts(t, s)
	up := begin(t, m, "k")
	p := sender{t, m, up}.part(1, []byte("abc"), 3)
	ctx := t.Context()

	_, err := m.UploadPart(ctx, blob.Upload{Key: "k", ID: "no-such-upload"}, 1, strings.NewReader("x"), 1)
	isNotFound(t, "part of no upload", err)
	_, err = m.UploadPart(ctx, blob.Upload{Key: "k", ID: "../../x"}, 1, strings.NewReader("x"), 1)
	isNotFound(t, "part of a path", err)
	_, err = m.UploadPart(ctx, blob.Upload{Key: "other", ID: up.ID}, 1, strings.NewReader("x"), 1)
	isNotFound(t, "part of another key's upload", err)
	if _, err = m.UploadPart(ctx, up, 1, strings.NewReader("abc"), 4); !errors.Is(err, blob.ErrSize) {
		t.Errorf("size differs: %v", err)
	}
	if _, err = m.UploadPart(ctx, up, 1, &failing{n: 5, err: errReader}, -1); !errors.Is(err, errReader) {
		t.Errorf("reader fails: %v", err)
	}
	if _, err = m.UploadPart(ctx, up, 0, strings.NewReader("x"), 1); !errors.Is(err, blob.ErrPart) {
		t.Errorf("part 0: %v", err)
	}
	for name, list := range map[string][]blob.Part{
		"none":       {},
		"missing":    {p, {Number: 2, ETag: p.ETag}},
		"other etag": {{Number: 1, ETag: md5Hex([]byte("zzz"))}},
		"path":       {{Number: 1, ETag: "../../x"}},
	} {
		if _, err := m.CompleteMultipart(ctx, up, list); !errors.Is(err, blob.ErrPart) {
			t.Errorf("%s: %v, want ErrPart", name, err)
		}
	}
	if _, err := m.CompleteMultipart(ctx, up, []blob.Part{p}); err != nil {
		t.Errorf("after the refusals: %v", err)
	}
	if got, _ := read(t, s, "k", nil); got != "abc" {
		t.Errorf("%q", got)
	}
}

func multipartAbort(t *testing.T, s blob.Store) {
	m := parts(t, s)
	up := begin(t, m, "k")
	p := sender{t, m, up}.part(1, []byte("abc"), 3)
	for range 2 {
		if err := m.AbortMultipart(t.Context(), up); err != nil {
			t.Fatal(err)
		}
	}
	_, err := m.UploadPart(t.Context(), up, 2, strings.NewReader("x"), 1)
	isNotFound(t, "part after the abort", err)
	_, err = m.CompleteMultipart(t.Context(), up, []blob.Part{p})
	isNotFound(t, "completion after the abort", err)
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("keys %q", got)
	}
}

func multipartUnfinished(t *testing.T, s blob.Store) {
	m := parts(t, s)
	list := func(prefix string) (found []string) {
		t.Helper()
		for begun, err := range m.Unfinished(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			if begun.ID == "" || time.Since(begun.Since).Abs() > 5*time.Minute {
				t.Errorf("%+v", begun)
			}
			found = append(found, begun.Key)
		}
		slices.Sort(found)
		return found
	}
	done, aborted := begin(t, m, "a/done"), begin(t, m, "a/aborted")
	one, two := begin(t, m, "a/b/öne"), begin(t, m, "a/c")
	begin(t, m, "x")
	sender{t, m, one}.part(1, []byte("abc"), 3)
	p := sender{t, m, done}.part(1, []byte("abc"), 3)
	if _, err := m.CompleteMultipart(t.Context(), done, []blob.Part{p}); err != nil {
		t.Fatal(err)
	}
	if err := m.AbortMultipart(t.Context(), aborted); err != nil {
		t.Fatal(err)
	}
	if got, want := list("a/"), []string{one.Key, two.Key}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for begun := range m.Unfinished(t.Context(), "a/") { // what it gives can be aborted
		if err := m.AbortMultipart(t.Context(), begun.Upload); err != nil {
			t.Fatal(err)
		}
	}
	if got := list(""); !slices.Equal(got, []string{"x"}) {
		t.Errorf("%q", got)
	}
}
