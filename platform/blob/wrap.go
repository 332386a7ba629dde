package blob

import (
	"context"
	"io"
	"iter"
	"strings"
)

// Prefix returns the part of s whose keys begin with prefix, which ends in a
// slash, as a store of its own: what it is asked for and answers with lacks the
// prefix. It is a Multipart if s is.
func Prefix(s Store, prefix string) Store {
	p := prefixed{s, prefix}
	if m, ok := s.(Multipart); ok {
		return prefixedMultipart{p, m}
	}
	return p
}

type prefixed struct {
	store  Store
	prefix string
}

// key checks before it joins: with the prefix an empty key would be a valid one.
func (p prefixed) key(key string) (string, error) { return p.prefix + key, CheckKey(key) }

func (p prefixed) bare(info Info) Info {
	info.Key = strings.TrimPrefix(info.Key, p.prefix)
	return info
}

// Put implements Store.
func (p prefixed) Put(ctx context.Context, key string, r io.Reader, opts PutOptions) (Info, error) {
	full, err := p.key(key)
	if err != nil {
		return Info{}, err
	}
	info, err := p.store.Put(ctx, full, r, opts)
	return p.bare(info), err
}

// Get implements Store.
func (p prefixed) Get(ctx context.Context, key string, rng *Range) (io.ReadCloser, Info, error) {
	full, err := p.key(key)
	if err != nil {
		return nil, Info{}, err
	}
	r, info, err := p.store.Get(ctx, full, rng)
	return r, p.bare(info), err
}

// Stat implements Store.
func (p prefixed) Stat(ctx context.Context, key string) (Info, error) {
	full, err := p.key(key)
	if err != nil {
		return Info{}, err
	}
	info, err := p.store.Stat(ctx, full)
	return p.bare(info), err
}

// Delete implements Store.
func (p prefixed) Delete(ctx context.Context, keys ...string) error {
	full := make([]string, len(keys))
	for i, key := range keys {
		var err error
		if full[i], err = p.key(key); err != nil {
			return err
		}
	}
	return p.store.Delete(ctx, full...)
}

// Copy implements Store.
func (p prefixed) Copy(ctx context.Context, src, dst string) (Info, error) {
	from, err := p.key(src)
	if err != nil {
		return Info{}, err
	}
	to, err := p.key(dst)
	if err != nil {
		return Info{}, err
	}
	info, err := p.store.Copy(ctx, from, to)
	return p.bare(info), err
}

// List implements Store.
func (p prefixed) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for info, err := range p.store.List(ctx, p.prefix+prefix) {
			if !yield(p.bare(info), err) {
				return
			}
		}
	}
}

type prefixedMultipart struct {
	prefixed
	multipart Multipart
}

// CreateMultipart implements Multipart.
func (p prefixedMultipart) CreateMultipart(ctx context.Context, key string, opts PutOptions) (Upload, error) {
	full, err := p.key(key)
	if err != nil {
		return Upload{}, err
	}
	up, err := p.multipart.CreateMultipart(ctx, full, opts)
	up.Key = strings.TrimPrefix(up.Key, p.prefix)
	return up, err
}

func (p prefixedMultipart) full(up Upload) Upload { return Upload{Key: p.prefix + up.Key, ID: up.ID} }

// UploadPart implements Multipart.
func (p prefixedMultipart) UploadPart(ctx context.Context, up Upload, number int, r io.Reader, size int64) (Part, error) {
	return p.multipart.UploadPart(ctx, p.full(up), number, r, size)
}

// CompleteMultipart implements Multipart.
func (p prefixedMultipart) CompleteMultipart(ctx context.Context, up Upload, parts []Part) (Info, error) {
	info, err := p.multipart.CompleteMultipart(ctx, p.full(up), parts)
	return p.bare(info), err
}

// Unfinished implements Multipart.
func (p prefixedMultipart) Unfinished(ctx context.Context, prefix string) iter.Seq2[Begun, error] {
	return func(yield func(Begun, error) bool) {
		for begun, err := range p.multipart.Unfinished(ctx, p.prefix+prefix) {
			begun.Key = strings.TrimPrefix(begun.Key, p.prefix)
			if !yield(begun, err) {
				return
			}
		}
	}
}

// AbortMultipart implements Multipart.
func (p prefixedMultipart) AbortMultipart(ctx context.Context, up Upload) error {
	return p.multipart.AbortMultipart(ctx, p.full(up))
}
