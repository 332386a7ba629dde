// Package buffer holds bytes of uploads that must be known before they can be
// passed on. Buffers grow as bytes come: who sends slowly, or nothing, holds no
// more than came and one chunk. What all buffers of a Memory hold together is
// bounded; those that want more wait, and never all of them for each other.
package buffer

import (
	"context"
	"fmt"
	"io"

	"github.com/madbase/madbase/platform/blob"
)

// chunkSize is by how many bytes buffers grow.
const chunkSize = 64 << 10

// Buffer takes bytes up to its size. It is one goroutine's at a time.
type Buffer struct {
	memory *Memory
	size   int64 // bytes that it takes at most
	before int64 // of them, those that Prepend is to bring
	len    int64
	chunks [][]byte // each up to what it has

	// Those of Memory.
	held, claim int64
}

// Len is how many bytes it has.
func (b *Buffer) Len() int64 { return b.len }

// Reserve keeps room for n bytes that Prepend is to bring.
func (b *Buffer) Reserve(n int64) { b.before = n }

// Full reports whether it takes no more, but for what Prepend is to bring.
func (b *Buffer) Full() bool { return b.len >= b.size-b.before }

// Fill reads until the buffer is full or r ends, and then says whether r did. It
// waits for memory; of a reader that fails what came is kept.
func (b *Buffer) Fill(ctx context.Context, r io.Reader) (end bool, err error) {
	for !end && err == nil && !b.Full() {
		if err := b.Grow(ctx); err != nil {
			return false, err
		}
		last := &b.chunks[len(b.chunks)-1]
		room := min(int64(cap(*last)-len(*last)), b.size-b.before-b.len) // a chunk may be from before Reserve
		var n int
		n, end, err = blob.Fill(r, (*last)[len(*last):len(*last)+int(room)])
		*last = (*last)[:len(*last)+n]
		b.len += int64(n)
	}
	return end, err
}

// Grow waits until there is memory for further bytes, as Fill does by itself.
func (b *Buffer) Grow(ctx context.Context) error {
	if n := len(b.chunks); n > 0 && len(b.chunks[n-1]) < cap(b.chunks[n-1]) {
		return nil
	}
	chunk, err := b.chunk(ctx, b.size-b.before-b.len)
	if err == nil {
		b.chunks = append(b.chunks, chunk)
	}
	return err
}

// chunk returns an empty one for up to n bytes.
func (b *Buffer) chunk(ctx context.Context, n int64) ([]byte, error) {
	n = min(n, chunkSize)
	if err := b.memory.take(ctx, b, n); err != nil {
		return nil, fmt.Errorf("buffer: wait for memory: %w", err)
	}
	if n == chunkSize {
		return b.memory.chunks.Get().(*[chunkSize]byte)[:0], nil
	}
	return make([]byte, 0, n), nil
}

// Prepend reads n bytes, for which there must be room, and puts them before what
// the buffer has. On an error it has what it had.
func (b *Buffer) Prepend(ctx context.Context, r io.Reader, n int64) error {
	if n > b.size-b.len {
		return fmt.Errorf("buffer: no room for %d bytes: %w", n, blob.ErrSize)
	}
	var before [][]byte
	for left := n; left > 0; {
		chunk, err := b.chunk(ctx, left)
		if err == nil {
			before = append(before, chunk[:min(left, int64(cap(chunk)))])
			_, err = io.ReadFull(r, before[len(before)-1])
		}
		if err != nil {
			b.recycle(before)
			return err
		}
		left -= int64(len(before[len(before)-1]))
	}
	b.chunks = append(before, b.chunks...)
	b.len += n
	b.before = max(b.before-n, 0)
	return nil
}

// Reader reads what the buffer has. Nothing may be added any more.
func (b *Buffer) Reader() *Reader {
	b.memory.settle(b)
	return &Reader{chunks: b.chunks, size: b.len}
}

// Free empties the buffer and gives its memory back. It may be filled again.
func (b *Buffer) Free() {
	b.recycle(b.chunks)
	b.chunks, b.len = nil, 0
	b.memory.giveBack(b)
}

// recycle lends the chunks to others. Their memory stays taken.
func (b *Buffer) recycle(chunks [][]byte) {
	for _, chunk := range chunks {
		if cap(chunk) == chunkSize {
			b.memory.chunks.Put((*[chunkSize]byte)(chunk[:chunkSize]))
		}
	}
}
