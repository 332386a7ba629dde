// Package picture makes smaller pictures of pictures: it decodes JPEG, PNG, GIF
// and WebP in Go, turns them upright, scales and crops, and encodes the result.
//
// Pictures come from strangers. What decoding and scaling will need is worked out
// from the header and compared with the limits before any of it is done, and every
// step ends when its context does. Nothing that a stranger sent reaches another
// program: the one that writes WebP and AVIF is given the finished pixels.
//
// Sizes and crops are those of imgproxy, which the real service stands on: nothing
// is enlarged, and of an animation the first frame counts.
package picture

import (
	"context"
	"errors"
	"fmt"
	"image"
)

var (
	// ErrUnsupported means that the source is no picture that can be read.
	ErrUnsupported = errors.New("picture: invalid or of an unknown format")
	// ErrTooLarge means that the source has more pixels than allowed, or would need more memory.
	ErrTooLarge = errors.New("picture: too large")
)

// Format is how a picture is encoded.
type Format string

// The formats. AVIF can only be written, and like WebP only by vipsthumbnail.
const (
	JPEG Format = "jpeg"
	PNG  Format = "png"
	GIF  Format = "gif"
	WebP Format = "webp"
	AVIF Format = "avif"
)

// ContentType is the format's MIME type.
func (f Format) ContentType() string { return "image/" + string(f) }

// Resize is what to do when the sides asked for have another ratio than the source.
type Resize int

const (
	// Cover fills the size and cuts what is over.
	Cover Resize = iota
	// Contain stays within the size.
	Contain
	// Fill distorts.
	Fill
)

// Options say what is to be made.
type Options struct {
	// Width and Height are in pixels; 0 leaves one to the other, or to the source.
	Width, Height int
	Resize        Resize
	// Quality is 1 to 100, for JPEG, WebP and AVIF.
	Quality int
	// Format is empty for the source's own.
	Format Format
	// Gravity says which part Cover keeps.
	Gravity Gravity
}

// Result is an encoded picture.
type Result struct {
	Bytes  []byte
	Format Format
	// Wanted is the format that was asked for, or the source's.
	Wanted Format
	// Fault says why vipsthumbnail, where there is one, did not write Wanted; nil when it did or was not asked.
	Fault error
}

// Transformer makes pictures. Its methods may be called from any goroutine.
type Transformer struct {
	// MaxPixels is the most that a source may have.
	MaxPixels int64
	// MaxMemory is the most bytes that one picture may need, by an estimate from its header.
	MaxMemory int64
	// Command is the path of vipsthumbnail; empty when there is none.
	Command string
}

// Transform makes of source what o asks for. ErrUnsupported, ErrTooLarge, the
// context's error.
func (t Transformer) Transform(ctx context.Context, source []byte, o Options) (Result, error) {
	source = mended(source)
	h, err := readHeader(source)
	if err != nil {
		return Result{}, err
	}
	p := newPlan(o, h)
	if err := t.admit(h, p, len(source)); err != nil {
		return Result{}, err
	}
	img, palette, err := h.decode(ctx, source)
	if err != nil {
		return Result{}, err
	}
	made, err := p.make(ctx, img)
	if err != nil {
		return Result{}, err
	}
	out := Result{Wanted: o.Format}
	if out.Wanted == "" {
		out.Wanted = h.format
	}
	return out, t.encode(ctx, &out, work{img: made, palette: palette, source: h.format, quality: o.Quality, profile: h.profile})
}

// maxSide is the most pixels of one side; no format but PNG has room for more.
const maxSide = 1 << 16

// admit compares what is to be done with the limits.
func (t Transformer) admit(h header, p plan, encoded int) error {
	if h.width > maxSide || h.height > maxSide || int64(h.width)*int64(h.height) > t.MaxPixels {
		return fmt.Errorf("%w: %d x %d pixels", ErrTooLarge, h.width, h.height)
	}
	if need := int64(encoded) + h.memory() + p.memory(); need > t.MaxMemory {
		return fmt.Errorf("%w: %d bytes of memory", ErrTooLarge, need)
	}
	return nil
}

// make turns the decoded source into the picture that is planned.
func (p plan) make(ctx context.Context, img image.Image) (image.Image, error) {
	if !p.changes() {
		return img, nil
	}
	scaled, err := scale(ctx, img, p)
	if err != nil {
		return nil, err
	}
	return p.turn.apply(scaled), nil
}
