package picture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// work is a finished picture about to be encoded.
type work struct {
	img     image.Image
	palette color.Palette
	source  Format
	quality int
	profile []byte
}

// encode writes w as out.Wanted, or as what comes nearest to it.
func (t Transformer) encode(ctx context.Context, out *Result, w work) error {
	out.Format = out.Wanted
	if out.Format == WebP || out.Format == AVIF {
		if t.Command != "" {
			out.Bytes, out.Fault = t.external(ctx, w, out.Format)
			if out.Fault == nil || ctx.Err() != nil {
				return ctx.Err()
			}
		}
		out.Format = w.nearest()
	}
	var b bytes.Buffer
	err := w.encode(withProfile(&writer{ctx, &b}, w.img, out.Format, w.profile), out.Format)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("picture: encode: %w", err)
	}
	out.Bytes = b.Bytes()
	return nil
}

// nearest is the format for what cannot be written as asked: the source's own, else
// JPEG where nothing shines through.
func (w work) nearest() Format {
	if w.source != WebP {
		return w.source
	}
	if o, ok := w.img.(interface{ Opaque() bool }); ok && o.Opaque() {
		return JPEG
	}
	return PNG
}

func (w work) encode(to io.Writer, format Format) error {
	switch format {
	case JPEG:
		return jpeg.Encode(to, w.img, &jpeg.Options{Quality: w.quality})
	case GIF:
		options := gif.Options{NumColors: 256}
		if len(w.palette) > 0 {
			options.Quantizer = palette(w.palette)
		}
		return gif.Encode(to, w.img, &options)
	}
	return png.Encode(to, w.img)
}

// palette has a GIF keep the colours of its source.
type palette color.Palette

var _ draw.Quantizer = palette{}

// Quantize implements draw.Quantizer. There is a transparent colour where there is room for one.
func (p palette) Quantize(into color.Palette, _ image.Image) color.Palette {
	into = append(into, p[:min(len(p), cap(into)-len(into))]...)
	for _, c := range into {
		if _, _, _, a := c.RGBA(); a == 0 {
			return into
		}
	}
	if len(into) < cap(into) {
		into = append(into, color.Transparent)
	}
	return into
}

// writer ends an encoder with its context.
type writer struct {
	ctx context.Context
	w   io.Writer
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}

// external has vipsthumbnail write the finished pixels, which it gets as a PNG, in
// a folder that is removed afterwards. It is not given madbase's environment.
func (t Transformer) external(ctx context.Context, w work, format Format) (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "madbase-picture-")
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	in, out := filepath.Join(dir, "in.png"), filepath.Join(dir, "out."+string(format))
	if err := writePNG(ctx, in, w); err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	size := w.img.Bounds().Size()
	cmd := exec.CommandContext(ctx, t.Command,
		"--size", strconv.Itoa(size.X)+"x"+strconv.Itoa(size.Y), "-o", out+"[Q="+strconv.Itoa(w.quality)+"]", in)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, []string{"PATH=/usr/local/bin:/usr/bin:/bin", "TMPDIR=" + dir, "VIPS_CONCURRENCY=1"}, time.Second
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("picture: vipsthumbnail: %w: %.200s", err, said)
	}
	made, err := os.ReadFile(out)
	if err != nil {
		return nil, fmt.Errorf("picture: vipsthumbnail: %w", err)
	}
	return made, nil
}

func writePNG(ctx context.Context, name string, w work) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	encoder := png.Encoder{CompressionLevel: png.NoCompression}
	return errors.Join(encoder.Encode(withProfile(&writer{ctx, f}, w.img, PNG, w.profile), w.img), f.Close())
}
