package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/webp"
)

// header is what a source tells before it is decoded.
type header struct {
	format        Format
	width, height int
	// perPixel is how many bytes the decoder needs for a pixel.
	perPixel int
	turn     orientation
	// profile is the colours' meaning, where that is not sRGB.
	profile []byte
}

// memory estimates the bytes that decoding needs.
func (h header) memory() int64 { return int64(h.width) * int64(h.height) * int64(h.perPixel) }

// readHeader reads what comes before the pixels. ErrUnsupported.
func readHeader(source []byte) (header, error) {
	h := header{perPixel: 4}
	var config func(io.Reader) (image.Config, error)
	switch {
	case bytes.HasPrefix(source, []byte("\xff\xd8\xff")):
		h.format, config = JPEG, jpeg.DecodeConfig
		h.perPixel = 15 // of what the scan does not understand: progressive, and no plane smaller than the others
		h.scanJPEG(source)
	case bytes.HasPrefix(source, []byte(pngMark)):
		h.format, config = PNG, png.DecodeConfig
		h.turn = readOrientation(chunk(source[len(pngMark):], "eXIf", binary.BigEndian, 4))
		h.profile = inflateProfile(chunk(source[len(pngMark):], "iCCP", binary.BigEndian, 4))
	case bytes.HasPrefix(source, []byte("GIF8")):
		h.format, config = GIF, gif.DecodeConfig
		h.perPixel = 5 // the frame and, where that is smaller, the canvas
	case len(source) >= 12 && string(source[:4]) == "RIFF" && string(source[8:12]) == "WEBP":
		h.format, config = WebP, webp.DecodeConfig
		h.perPixel = 8 // alpha is decoded as a picture of its own
		h.turn = readOrientation(bytes.TrimPrefix(chunk(source[12:], "EXIF", binary.LittleEndian, 0), []byte(exifMark)))
		h.profile = chunk(source[12:], "ICCP", binary.LittleEndian, 0)
	default:
		return h, ErrUnsupported
	}
	h.profile = usefulProfile(h.profile)
	c, err := config(bytes.NewReader(source))
	if err != nil || c.Width <= 0 || c.Height <= 0 {
		return h, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	h.width, h.height = c.Width, c.Height
	if c.ColorModel == color.NRGBA64Model || c.ColorModel == color.RGBA64Model {
		h.perPixel = 8
	}
	const interlaced = 28 // where a PNG says so
	if h.format == PNG && source[interlaced] != 0 {
		h.perPixel += h.perPixel / 2 // its last pass is half of the picture, and decoded apart
	}
	return h, nil
}

const pngMark = "\x89PNG\r\n\x1a\n"

// mended is a source whose PNG checksums are right: browsers and libvips show
// pictures whose are not, the decoder does not. The source itself stays as it is.
func mended(source []byte) []byte {
	if !bytes.HasPrefix(source, []byte(pngMark)) {
		return source
	}
	out := source
	for at := int64(len(pngMark)); at+12 <= int64(len(source)); {
		end := at + 8 + int64(binary.BigEndian.Uint32(source[at:]))
		if end+4 > int64(len(source)) {
			break
		}
		sum := crc32.ChecksumIEEE(source[at+4 : end])
		if binary.BigEndian.Uint32(source[end:]) != sum {
			if &out[0] == &source[0] {
				out = bytes.Clone(source)
			}
			binary.BigEndian.PutUint32(out[end:], sum)
		}
		at = end + 4
	}
	return out
}

// exifMark begins EXIF data in a JPEG, and by mistake in some WebPs.
const exifMark = "Exif\x00\x00"

// scanJPEG looks through the segments before the pixels for the orientation and
// for what makes decoding expensive: a progressive picture's coefficients are
// all kept, four bytes for each. It ends where the structure is not plain.
func (h *header) scanJPEG(source []byte) {
	const exif, icc, baseline, progressive = 0xe1, 0xe2, 0xc0, 0xc2
	for at := 2; at+4 <= len(source) && source[at] == 0xff; {
		kind := source[at+1]
		if kind == 0xff { // padding
			at++
			continue
		}
		length := int(binary.BigEndian.Uint16(source[at+2:]))
		if kind < baseline || bare(kind) || length < 2 || at+2+length > len(source) {
			return
		}
		data := source[at+4 : at+2+length]
		switch {
		case kind == exif && bytes.HasPrefix(data, []byte(exifMark)):
			h.turn = readOrientation(data[len(exifMark):])
		case kind == icc && bytes.HasPrefix(data, []byte(jpegProfile)) && len(data) > len(jpegProfile)+2 && len(h.profile) <= maxProfile:
			h.profile = append(h.profile, data[len(jpegProfile)+2:]...)
		case kind == baseline || kind == progressive || kind == baseline+1:
			each := 1
			if kind == progressive {
				each = 5
			}
			h.perPixel = perPixel(data, each)
		}
		at += 2 + length
	}
}

// bare reports whether a marker has no length, or comes after the headers.
func bare(kind byte) bool {
	const firstRestart, scan = 0xd0, 0xda
	return kind >= firstRestart && kind <= scan
}

// perPixel is how many bytes a pixel takes by a frame header, rounded up, when each sample takes that many.
func perPixel(frame []byte, each int) int {
	if len(frame) < 6 || len(frame) < 6+3*int(frame[5]) {
		return 3 * each
	}
	var total, maxX, maxY int
	for i := range int(frame[5]) {
		x, y := int(frame[7+3*i]>>4), int(frame[7+3*i]&15)
		total += x * y
		maxX, maxY = max(maxX, x), max(maxY, y)
	}
	if frame[5] == 4 { // four inks become a picture of their own beside the planes
		return 4*each + 4
	}
	block := max(maxX*maxY, 1)
	return (total*each + block - 1) / block
}

// chunk returns the data of the first chunk of that name; tail bytes follow each
// (PNG), and where none do an odd length is padded (RIFF).
func chunk(source []byte, name string, order binary.ByteOrder, tail int64) []byte {
	for len(source) >= 8 {
		length, kind := int64(order.Uint32(source)), string(source[4:8])
		if tail == 0 {
			length, kind = int64(order.Uint32(source[4:])), string(source[:4])
		}
		end := 8 + length
		if end > int64(len(source)) {
			return nil
		}
		if kind == name {
			return source[8:end]
		}
		end += tail
		if tail == 0 {
			end += length % 2
		}
		if end > int64(len(source)) {
			return nil
		}
		source = source[end:]
	}
	return nil
}

// decode returns the pixels, and the palette where the source has one.
func (h header) decode(ctx context.Context, source []byte) (image.Image, color.Palette, error) {
	decoders := map[Format]func(io.Reader) (image.Image, error){JPEG: jpeg.Decode, PNG: png.Decode, GIF: gif.Decode, WebP: webp.Decode}
	img, err := decoders[h.format](&reader{ctx, bytes.NewReader(source)})
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	var palette color.Palette
	if p, ok := img.(*image.Paletted); ok {
		palette = p.Palette
	}
	canvas := image.Rect(0, 0, h.width, h.height)
	if img.Bounds() == canvas {
		return img, palette, nil
	}
	if !img.Bounds().In(canvas) { // the header spoke of another picture
		return nil, nil, ErrUnsupported
	}
	whole := image.NewRGBA(canvas)
	draw.Draw(whole, img.Bounds(), img, img.Bounds().Min, draw.Src)
	return whole, palette, nil
}

// reader ends a decoder with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	const most = 64 << 10
	return r.r.Read(p[:min(len(p), most)])
}
