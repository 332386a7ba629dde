package picture_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/madbase/madbase/modules/storage/picture"
)

var small = picture.Transformer{MaxPixels: 1 << 20, MaxMemory: 64 << 20}

func pngOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decoded(t testing.TB, r picture.Result) image.Image {
	t.Helper()
	img, _, err := image.Decode(bytes.NewReader(r.Bytes))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// An even area keeps its colour and its transparency at every ratio, but for what premultiplying rounds.
func TestScalingKeepsColours(t *testing.T) {
	t.Parallel()
	even := color.NRGBA{200, 100, 50, 128}
	img := image.NewNRGBA(image.Rect(0, 0, 97, 61))
	draw.Draw(img, img.Rect, image.NewUniform(even), image.Point{}, draw.Src)
	for width := 1; width <= 97; width += 7 {
		made, err := small.Transform(context.Background(), pngOf(t, img), picture.Options{Width: width, Quality: 80})
		if err != nil {
			t.Fatal(err)
		}
		got := decoded(t, made)
		for y := range got.Bounds().Dy() {
			for x := range got.Bounds().Dx() {
				r, g, b, a := got.At(x, y).RGBA()
				if a>>8 != 128 || r>>8 < 99 || r>>8 > 100 || g>>8 < 49 || g>>8 > 50 || b>>8 < 24 || b>>8 > 25 {
					t.Fatalf("width %d: %v at %d,%d", width, got.At(x, y), x, y)
				}
			}
		}
	}
}

// Of an animation whose frames are smaller than its canvas the first is shown where it belongs.
func TestFirstFrameOfAnAnimation(t *testing.T) {
	t.Parallel()
	red := color.RGBA{R: 255, A: 255}
	frame := image.NewPaletted(image.Rect(10, 10, 20, 20), color.Palette{red, color.RGBA{B: 255, A: 255}})
	other := image.NewPaletted(image.Rect(0, 0, 40, 20), frame.Palette)
	var b bytes.Buffer
	err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{frame, other}, Delay: []int{1, 1}, Config: image.Config{Width: 40, Height: 20, ColorModel: frame.Palette}})
	if err != nil {
		t.Fatal(err)
	}
	made, err := small.Transform(context.Background(), b.Bytes(), picture.Options{Width: 20, Quality: 80})
	if err != nil {
		t.Fatal(err)
	}
	got := decoded(t, made)
	if got.Bounds().Size() != image.Pt(20, 10) || got.At(7, 7) != red {
		t.Errorf("%v %v", got.Bounds(), got.At(7, 7))
	}
	if _, _, _, a := got.At(17, 2).RGBA(); a != 0 {
		t.Errorf("%v where no frame is", got.At(17, 2))
	}
}

// Browsers show a PNG whose checksums are wrong, so it is made smaller too.
func TestChecksumsOfPNGsDoNotMatter(t *testing.T) {
	t.Parallel()
	source := pngOf(t, image.NewGray(image.Rect(0, 0, 50, 50)))
	at := bytes.Index(source, []byte("IEND"))
	copy(source[at-8:], "wxyz") // the checksum of IDAT, before the length of IEND
	before := bytes.Clone(source)
	if _, err := small.Transform(context.Background(), source, picture.Options{Width: 10}); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(source, before) {
		t.Error("the source was changed")
	}
}

// What a picture's colours mean goes with them, unless it is what goes without saying.
func TestColourProfilesAreKept(t *testing.T) {
	t.Parallel()
	profile := make([]byte, 70000)
	for i := range profile {
		profile[i] = byte(i * i >> 8)
	}
	copy(profile[16:], "RGB ")
	segment := func(profile []byte, n, of byte) []byte {
		out := binary.BigEndian.AppendUint16([]byte("\xff\xe2"), uint16(len(profile)+16))
		return append(append(append(out, "ICC_PROFILE\x00"...), n, of), profile...)
	}
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, image.NewRGBA(image.Rect(0, 0, 40, 40)), nil); err != nil {
		t.Fatal(err)
	}
	with := func(segments ...[]byte) []byte {
		return append(append([]byte("\xff\xd8"), bytes.Join(segments, nil)...), plain.Bytes()[2:]...)
	}
	made, err := small.Transform(context.Background(), with(segment(profile[:50000], 1, 2), segment(profile[50000:], 2, 2)), picture.Options{Width: 20, Quality: 80})
	if err != nil {
		t.Fatal(err)
	}
	decoded(t, made)
	if want := append(segment(profile[:65000], 1, 2), segment(profile[65000:], 2, 2)...); !bytes.HasPrefix(made.Bytes[2:], want) {
		t.Error("the profile is lost")
	}
	again, err := small.Transform(context.Background(), made.Bytes, picture.Options{Width: 10, Quality: 80})
	if err != nil || !bytes.Equal(again.Bytes[2:70000], made.Bytes[2:70000]) {
		t.Errorf("the profile is lost: %v", err)
	}
	copy(profile[200:], "sRGB")
	made, err = small.Transform(context.Background(), with(segment(profile[:50000], 1, 1)), picture.Options{Width: 20, Quality: 80})
	if err != nil || len(made.Bytes) > 50000 {
		t.Errorf("%d bytes, %v", len(made.Bytes), err)
	}

	source := pngOf(t, image.NewRGBA(image.Rect(0, 0, 40, 40)))
	var packed bytes.Buffer
	packed.WriteString("iCCPname\x00\x00")
	z := zlib.NewWriter(&packed)
	clear(profile[200:204])
	if _, err := z.Write(profile[:3000]); err != nil {
		t.Fatal(err)
	}
	z.Close()
	chunk := append(binary.BigEndian.AppendUint32(nil, uint32(packed.Len()-4)), packed.Bytes()...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(packed.Bytes()))
	made, err = small.Transform(context.Background(), append(append(bytes.Clone(source[:33]), chunk...), source[33:]...), picture.Options{Width: 20})
	if err != nil {
		t.Fatal(err)
	}
	decoded(t, made)
	if !bytes.Equal(made.Bytes[37:41], []byte("iCCP")) {
		t.Errorf("%q", made.Bytes[:60])
	}
}

// A context that is over ends decoding, scaling and encoding.
func TestContextEndsTheWork(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, o := range []picture.Options{{}, {Width: 10}} {
		if _, err := small.Transform(ctx, pngOf(t, image.NewGray(image.Rect(0, 0, 50, 50))), o); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// A picture that takes several times its pixels to decode is refused by what it takes.
func TestMemoryIsEstimated(t *testing.T) {
	t.Parallel()
	deep := pngOf(t, image.NewNRGBA64(image.Rect(0, 0, 100, 100)))
	flat := pngOf(t, image.NewGray(image.Rect(0, 0, 100, 100)))
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, image.NewRGBA(image.Rect(0, 0, 100, 100)), nil); err != nil {
		t.Fatal(err)
	}
	tight := picture.Transformer{MaxPixels: 1 << 20, MaxMemory: 100000}
	for name, source := range map[string][]byte{"PNG": flat, "JPEG": plain.Bytes()} {
		if _, err := tight.Transform(context.Background(), source, picture.Options{Quality: 80}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	frame := bytes.Index(plain.Bytes(), []byte("\xff\xc0"))
	interlaced := bytes.Clone(deep)
	interlaced[28] = 1
	progressive := bytes.Clone(plain.Bytes())
	progressive[frame+1] = 0xc2
	garbled := append([]byte("\xff\xd8\xff\xd0"), plain.Bytes()[2:]...)
	for name, source := range map[string][]byte{"16 bits": deep, "interlaced": interlaced, "progressive": progressive, "garbled": garbled} {
		if _, err := tight.Transform(context.Background(), source, picture.Options{Quality: 80}); !errors.Is(err, picture.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzTransform(f *testing.F) {
	img := image.NewRGBA(image.Rect(0, 0, 9, 5))
	f.Add(pngOf(f, img), 3, 2, uint8(0), "fp", 0.5)
	for _, add := range []func(*bytes.Buffer) error{
		func(b *bytes.Buffer) error { return jpeg.Encode(b, img, nil) },
		func(b *bytes.Buffer) error { return gif.Encode(b, img, nil) },
	} {
		var b bytes.Buffer
		if err := add(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes(), 4, 0, uint8(1), "noea", -3.0)
	}
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x22Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"), 0, 0, uint8(2), "", 0.0)
	f.Add([]byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00/\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"), 1, 1, uint8(0), "", 0.0)
	tight := picture.Transformer{MaxPixels: 1 << 16, MaxMemory: 4 << 20}
	f.Fuzz(func(t *testing.T, source []byte, width, height int, resize uint8, side string, offset float64) {
		o := picture.Options{
			Width: width % 3000, Height: height % 3000, Resize: picture.Resize(resize % 3), Quality: 80,
			Gravity: picture.Gravity{Side: side, X: offset, Y: offset},
		}
		made, err := tight.Transform(context.Background(), source, o)
		if err != nil {
			return
		}
		size := decoded(t, made).Bounds().Size()
		if o.Width > 0 && size.X > o.Width || o.Height > 0 && size.Y > o.Height {
			t.Errorf("%v made of %+v", size, o)
		}
	})
}
