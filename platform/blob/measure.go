package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Measure returns s with its use counted in set, by operation and under the
// name of the driver:
//
//	madbase_blob_seconds{driver,op}       histogram; of a get, until its first byte
//	madbase_blob_bytes_total{driver,op}   counter; bytes stored or read
//	madbase_blob_errors_total{driver,op}  counter; ErrNotFound and ErrRange are answers, not errors
//
// It is a Multipart if s is.
func Measure(s Store, set *metrics.Set, driver string) Store {
	m := measured{s, meters{set, driver}}
	if multipart, ok := s.(Multipart); ok {
		return measuredMultipart{m, multipart}
	}
	return m
}

type meters struct {
	set    *metrics.Set
	driver string
}

func (m meters) name(metric, op string) string {
	return fmt.Sprintf(`madbase_blob_%s{driver=%q,op=%q}`, metric, m.driver, op)
}

// done notes one operation that began at begin and moved n bytes.
func (m meters) done(op string, begin time.Time, n int64, err error) {
	m.set.GetOrCreateHistogram(m.name("seconds", op)).UpdateDuration(begin)
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrRange) {
		m.set.GetOrCreateCounter(m.name("errors_total", op)).Inc()
	}
	m.bytes(op, n)
}

func (m meters) bytes(op string, n int64) {
	if n > 0 {
		m.set.GetOrCreateCounter(m.name("bytes_total", op)).AddInt64(n)
	}
}

type measured struct {
	store  Store
	meters meters
}

// Put implements Store.
func (m measured) Put(ctx context.Context, key string, r io.Reader, opts PutOptions) (Info, error) {
	begin := time.Now()
	info, err := m.store.Put(ctx, key, r, opts)
	m.meters.done("put", begin, info.Size, err)
	return info, err
}

// Get implements Store.
func (m measured) Get(ctx context.Context, key string, rng *Range) (io.ReadCloser, Info, error) {
	begin := time.Now()
	r, info, err := m.store.Get(ctx, key, rng)
	m.meters.done("get", begin, 0, err)
	if err != nil {
		return nil, info, err
	}
	return &countedReader{r: r, meters: m.meters}, info, nil
}

// Stat implements Store.
func (m measured) Stat(ctx context.Context, key string) (Info, error) {
	begin := time.Now()
	info, err := m.store.Stat(ctx, key)
	m.meters.done("stat", begin, 0, err)
	return info, err
}

// Delete implements Store.
func (m measured) Delete(ctx context.Context, keys ...string) error {
	begin := time.Now()
	err := m.store.Delete(ctx, keys...)
	m.meters.done("delete", begin, 0, err)
	return err
}

// Copy implements Store.
func (m measured) Copy(ctx context.Context, src, dst string) (Info, error) {
	begin := time.Now()
	info, err := m.store.Copy(ctx, src, dst)
	m.meters.done("copy", begin, info.Size, err)
	return info, err
}

// List implements Store.
func (m measured) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		begin := time.Now()
		var failed error
		defer func() { m.meters.done("list", begin, 0, failed) }()
		for info, err := range m.store.List(ctx, prefix) {
			failed = err
			if !yield(info, err) {
				return
			}
		}
	}
}

// countedReader counts what is read until it is closed.
type countedReader struct {
	r      io.ReadCloser
	meters meters
	n      int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// WriteTo lets a file below go to a socket inside the kernel.
func (c *countedReader) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, c.r)
	c.n += n
	return n, err
}

func (c *countedReader) Close() error {
	c.meters.bytes("get", c.n)
	c.n = 0
	return c.r.Close()
}

type measuredMultipart struct {
	measured
	multipart Multipart
}

// CreateMultipart implements Multipart.
func (m measuredMultipart) CreateMultipart(ctx context.Context, key string, opts PutOptions) (Upload, error) {
	begin := time.Now()
	up, err := m.multipart.CreateMultipart(ctx, key, opts)
	m.meters.done("create_multipart", begin, 0, err)
	return up, err
}

// UploadPart implements Multipart.
func (m measuredMultipart) UploadPart(ctx context.Context, up Upload, number int, r io.Reader, size int64) (Part, error) {
	begin := time.Now()
	part, err := m.multipart.UploadPart(ctx, up, number, r, size)
	m.meters.done("upload_part", begin, part.Size, err)
	return part, err
}

// CompleteMultipart implements Multipart.
func (m measuredMultipart) CompleteMultipart(ctx context.Context, up Upload, parts []Part) (Info, error) {
	begin := time.Now()
	info, err := m.multipart.CompleteMultipart(ctx, up, parts)
	m.meters.done("complete_multipart", begin, 0, err)
	return info, err
}

// Unfinished implements Multipart.
func (m measuredMultipart) Unfinished(ctx context.Context, prefix string) iter.Seq2[Begun, error] {
	return func(yield func(Begun, error) bool) {
		begin := time.Now()
		var failed error
		defer func() { m.meters.done("unfinished", begin, 0, failed) }()
		for begun, err := range m.multipart.Unfinished(ctx, prefix) {
			failed = err
			if !yield(begun, err) {
				return
			}
		}
	}
}

// AbortMultipart implements Multipart.
func (m measuredMultipart) AbortMultipart(ctx context.Context, up Upload) error {
	begin := time.Now()
	err := m.multipart.AbortMultipart(ctx, up)
	m.meters.done("abort_multipart", begin, 0, err)
	return err
}
