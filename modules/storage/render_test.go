package storage_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "golang.org/x/image/webp"

	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/platform/blob"
)

// withImages are settings with image transformation.
func withImages(c *storage.Config) {
	c.Images = storage.ImageConfig{
		Enabled: true, MinSize: 1, MaxSize: 100, Timeout: 10 * time.Second, Workers: 2, Queue: 4,
		SourceBytes: 1 << 20, SourcePixels: 1, Memory: 32 << 20, CacheBytes: 1 << 20,
	}
}

// halves is a picture that is red on the left and blue on the right.
func halves(width, height int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(img, img.Rect, image.NewUniform(color.RGBA{B: 255, A: 255}), image.Point{}, draw.Src)
	draw.Draw(img, image.Rect(0, 0, width/2, height), image.NewUniform(color.RGBA{R: 255, A: 255}), image.Point{}, draw.Src)
	return img
}

func encoded(t testing.TB, img image.Image, kind string) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch kind {
	case "png":
		err = png.Encode(&b, img)
	case "jpeg":
		err = jpeg.Encode(&b, img, &jpeg.Options{Quality: 95})
	case "gif":
		err = gif.Encode(&b, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// webps are one pixel each.
var webps = map[string]string{
	"lossless": "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==",
	"lossy":    "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA",
}

func fromBase64(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (b *bench) upload(path string, data []byte) {
	b.t.Helper()
	if got := b.req("POST", "/object/"+path, b.service, data).set("X-Upsert", "true").send(); got.status != http.StatusOK {
		b.t.Fatalf("%d %s", got.status, got.body)
	}
}

// picture decodes an answer that must be one.
func (r reply) picture(t testing.TB) (image.Image, string) {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	img, kind, err := image.Decode(strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.header.Get("Content-Type"); got != "image/"+kind {
		t.Errorf("Content-Type %s of a %s", got, kind)
	}
	return img, kind
}

// colourAt is r, b or ?.
func colourAt(img image.Image, x, y int) string {
	r, _, b, _ := img.At(x, y).RGBA()
	switch {
	case r > 0xc000 && b < 0x4000:
		return "r"
	case b > 0xc000 && r < 0x4000:
		return "b"
	}
	return "?"
}

func TestRenderSizes(t *testing.T) {
	t.Parallel()
	b := newBench(t, withImages)
	b.bucket("pictures", map[string]any{"public": true})
	b.upload("pictures/a.png", encoded(t, halves(80, 40), "png"))
	for _, c := range []struct {
		query, words  string
		width, height int
		left, right   string
	}{
		{"", "", 80, 40, "r", "b"},
		{"width=40", "width:40,resizing_type:fill", 40, 20, "r", "b"},
		{"height=10", "height:10,resizing_type:fill", 20, 10, "r", "b"},
		{"width=20&height=20", "height:20,width:20,resizing_type:fill", 20, 20, "r", "b"},
		{"width=20&height=20&resize=contain", "height:20,width:20,resizing_type:fit", 20, 10, "r", "b"},
		{"width=20&height=20&resize=fill", "height:20,width:20,resizing_type:force", 20, 20, "r", "b"},
		{"width=20&resize=fill", "width:20,resizing_type:force", 20, 40, "r", "b"},
		{"width=1000", "width:100,resizing_type:fill", 80, 40, "r", "b"}, // limited, and not enlarged
		{"width=90&height=10", "height:10,width:90,resizing_type:fill", 80, 10, "r", "b"},
		{"width=0&height=20", "height:20,resizing_type:fill", 40, 20, "r", "b"},
		{"width=20&height=40&gravity=we", "height:40,width:20,resizing_type:fill,gravity:we", 20, 40, "r", "r"},
		{"width=20&height=40&gravity=noea", "height:40,width:20,resizing_type:fill,gravity:noea", 20, 40, "b", "b"},
		{"width=20&height=40&gravity=ea&x_offset=60", "height:40,width:20,resizing_type:fill,gravity:ea:60:0", 20, 40, "r", "r"},
		{"width=20&height=40&gravity=we&x_offset=0.5", "height:40,width:20,resizing_type:fill,gravity:we:0.5:0", 20, 40, "b", "b"},
		{"width=20&height=40&gravity=fp&x_offset=0&y_offset=1", "height:40,width:20,resizing_type:fill,gravity:fp:0:1", 20, 40, "r", "r"},
		{"width=20&quality=30&format=origin", "width:20,resizing_type:fill,quality:30", 20, 10, "r", "b"},
	} {
		got := b.do("GET", "/render/image/public/pictures/a.png?"+c.query, "", nil)
		img, _ := got.picture(t)
		if size := img.Bounds().Size(); size != image.Pt(c.width, c.height) {
			t.Errorf("%s: %v", c.query, size)
			continue
		}
		if left, right := colourAt(img, 1, c.height/2), colourAt(img, c.width-2, c.height/2); left != c.left || right != c.right {
			t.Errorf("%s: %s %s", c.query, left, right)
		}
		if words := got.header.Get("X-Transformations"); words != c.words {
			t.Errorf("%s: %s", c.query, words)
		}
		if head := b.do("HEAD", "/render/image/public/pictures/a.png?"+c.query, "", nil); head.status != http.StatusOK || head.header.Get("Content-Length") != got.header.Get("Content-Length") {
			t.Errorf("%s: HEAD %d %v", c.query, head.status, head.header)
		}
	}
}

func TestRenderFormats(t *testing.T) {
	t.Parallel()
	b := newBench(t, withImages)
	b.bucket("pictures", map[string]any{"public": true})
	for _, kind := range []string{"png", "jpeg", "gif"} {
		b.upload("pictures/"+kind, encoded(t, halves(64, 64), kind))
	}
	for kind, text := range webps {
		b.upload("pictures/"+kind, fromBase64(t, text))
	}
	gone := "X-Image-Format-Unavailable"
	for _, c := range []struct{ path, accept, kind, unavailable string }{
		{"png?width=10", "", "png", ""},
		{"jpeg?width=10", "", "jpeg", ""},
		{"gif?width=10", "", "gif", ""},
		{"gif", "", "gif", ""},
		{"jpeg?width=10", "image/webp,*/*", "jpeg", ""},
		{"jpeg?width=10&format=webp", "", "jpeg", "image/webp"},
		{"gif?format=avif", "", "gif", "image/avif"},
		{"lossy", "", "jpeg", "image/webp"},
		{"lossless?width=1", "", "png", "image/webp"},
	} {
		got := b.req("GET", "/render/image/public/pictures/"+c.path, "", nil).set("Accept", c.accept).send()
		if _, kind := got.picture(t); kind != c.kind || got.header.Get(gone) != c.unavailable {
			t.Errorf("%s: %s %q", c.path, kind, got.header.Get(gone))
		}
	}
	small := len(b.do("GET", "/render/image/public/pictures/jpeg?quality=20", "", nil).body)
	if large := len(b.do("GET", "/render/image/public/pictures/jpeg?quality=100", "", nil).body); large <= small {
		t.Errorf("quality 100 takes %d bytes, 20 %d", large, small)
	}
}

// vips writes what it was called with into the file that it is to make.
const vips = `#!/bin/sh
test -z "$JWT_SECRET" || exit 1
head -c 8 "$5" | grep -q PNG || exit 1
case "$4" in *.avif*) echo no avif here >&2; exit 1;; esac
echo "$1 $2 $3 ${4##*/}" > "${4%%\[*}"
`

func TestRenderWithVipsthumbnail(t *testing.T) {
	command := filepath.Join(t.TempDir(), "vipsthumbnail")
	if err := os.WriteFile(command, []byte(vips), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JWT_SECRET", "not for others")
	b := newBench(t, withImages, func(c *storage.Config) { c.Images.Command = command })
	b.bucket("pictures", map[string]any{"public": true})
	b.upload("pictures/a.jpg", encoded(t, halves(64, 64), "jpeg"))
	get := func(query, accept string) reply {
		return b.req("GET", "/render/image/public/pictures/a.jpg?"+query, "", nil).set("Accept", accept).send()
	}
	const made = "--size 10x10 -o out.webp[Q=80]\n"
	if got := get("width=10&format=webp", ""); got.body != made || got.header.Get("Content-Type") != "image/webp" || got.header.Get("Vary") != "" {
		t.Errorf("%q %v", got.body, got.header)
	}
	if got := get("width=10", "image/avif,image/webp"); got.body != made || got.header.Get("Vary") != "Accept" {
		t.Errorf("%q %v", got.body, got.header)
	}
	if got := get("width=10", "*/*"); got.header.Get("Content-Type") != "image/jpeg" || got.header.Get("Vary") != "Accept" {
		t.Errorf("%v", got.header)
	}
	if got := get("width=10&format=origin", "image/webp"); got.header.Get("Content-Type") != "image/jpeg" || got.header.Get("Vary") != "" {
		t.Errorf("%v", got.header)
	}
	if got := get("width=10&format=avif", ""); got.header.Get("Content-Type") != "image/jpeg" || got.header.Get("X-Image-Format-Unavailable") != "image/avif" {
		t.Errorf("%v", got.header)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "madbase-picture-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// turned is a JPEG whose EXIF data says orientation.
func turned(t testing.TB, img image.Image, orientation uint16) []byte {
	t.Helper()
	exif := []byte("Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00")
	exif = binary.LittleEndian.AppendUint32(exif, uint32(orientation))
	exif = binary.LittleEndian.AppendUint32(exif, 0)
	source := encoded(t, img, "jpeg")
	out := append([]byte("\xff\xd8\xff\xe1"), byte((len(exif)+2)>>8), byte(len(exif)+2))
	return append(append(out, exif...), source[2:]...)
}

func TestRenderTurnsPicturesUpright(t *testing.T) {
	t.Parallel()
	b := newBench(t, withImages)
	b.bucket("pictures", map[string]any{"public": true})
	// Red and blue above, black below: that tells all eight apart.
	stored := halves(64, 32)
	draw.Draw(stored, image.Rect(0, 16, 64, 32), image.Black, image.Point{}, draw.Src)
	for orientation, want := range []string{1: "rb??", 2: "br??", 3: "??br", 4: "??rb", 5: "r?b?", 6: "?r?b", 7: "?b?r", 8: "b?r?"} {
		if want == "" {
			continue
		}
		b.upload("pictures/a.jpg", turned(t, stored, uint16(orientation)))
		for _, query := range []string{"", "?width=16", "?height=16&quality=90"} {
			img, _ := b.do("GET", "/render/image/public/pictures/a.jpg"+query, "", nil).picture(t)
			size := img.Bounds().Size()
			if upright := orientation < 5; upright != (size.X == 2*size.Y) || !upright != (size.Y == 2*size.X) {
				t.Errorf("%d%s: %v", orientation, query, size)
				continue
			}
			near, far := func(n int) int { return n / 8 }, func(n int) int { return n - 1 - n/8 }
			got := colourAt(img, near(size.X), near(size.Y)) + colourAt(img, far(size.X), near(size.Y)) +
				colourAt(img, near(size.X), far(size.Y)) + colourAt(img, far(size.X), far(size.Y))
			if got != want {
				t.Errorf("%d%s: %s, want %s", orientation, query, got, want)
			}
		}
	}
	b.upload("pictures/a.jpg", turned(t, stored, 6))
	img, _ := b.do("GET", "/render/image/public/pictures/a.jpg?width=32&height=10&gravity=so", "", nil).picture(t)
	if size := img.Bounds().Size(); size != image.Pt(32, 10) || colourAt(img, 28, 5) != "b" {
		t.Errorf("%v %s", size, colourAt(img, 28, 5))
	}
}

func TestRenderRefusesBombs(t *testing.T) {
	t.Parallel()
	b := newBench(t, withImages)
	b.bucket("pictures", map[string]any{"public": true})
	// Their headers promise thousands of millions of pixels.
	hugePNG := encoded(t, halves(1, 1), "png")
	binary.BigEndian.PutUint32(hugePNG[16:], 60000)
	binary.BigEndian.PutUint32(hugePNG[20:], 60000)
	hugePNG = append(hugePNG[:29], crc(hugePNG[12:29])...)
	hugeGIF := encoded(t, halves(1, 1), "gif")
	copy(hugeGIF[6:], "\xff\xff\xff\xff")
	hugeJPEG := encoded(t, halves(1, 1), "jpeg")
	at := bytes.Index(hugeJPEG, []byte("\xff\xc0"))
	copy(hugeJPEG[at+5:], "\xff\xff\xff\xff")
	hugeWebP := []byte("RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\xff\x3f\x00\xff\x3f\x00")
	for name, data := range map[string][]byte{"png": hugePNG, "gif": hugeGIF, "jpeg": hugeJPEG, "webp": hugeWebP} {
		b.upload("pictures/"+name, data)
		b.do("GET", "/render/image/public/pictures/"+name+"?width=10", "", nil).
			fails(t, "400", "InvalidRequest", "InvalidRequest", "The source image resolution is too large to process")
	}
	for name, data := range map[string][]byte{
		"text": []byte("not an image"), "heif": []byte("\x00\x00\x00\x10ftypmif1\x00\x00\x00\x00"), "empty": {},
		"half.png": encoded(t, halves(30, 30), "png")[:60], "half.jpg": encoded(t, halves(30, 30), "jpeg")[:300],
	} {
		b.upload("pictures/"+name, data)
		got := b.do("GET", "/render/image/public/pictures/"+name, "", nil)
		got.fails(t, "400", "InvalidRequest", "InvalidRequest", "The source image is invalid or unsupported for rendering")
		if got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	small := newBench(t, withImages, func(c *storage.Config) { c.Images.SourceBytes, c.Images.Memory = 2000, 4000 })
	small.bucket("pictures", map[string]any{"public": true})
	small.upload("pictures/long", append(encoded(t, halves(4, 4), "png"), make([]byte, 2000)...))
	small.do("GET", "/render/image/public/pictures/long", "", nil).
		fails(t, "400", "InvalidRequest", "InvalidRequest", "The source image file is too large to process")
	small.upload("pictures/wide", encoded(t, halves(100, 100), "png"))
	small.do("GET", "/render/image/public/pictures/wide", "", nil).
		fails(t, "400", "InvalidRequest", "InvalidRequest", "The source image resolution is too large to process")
}

// crc is what ends a PNG's chunk.
func crc(chunk []byte) []byte {
	return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(chunk))
}

// slow is a store whose reads wait while it is closed, and counts them.
type slow struct {
	blob.Store
	gets atomic.Int64
	wait atomic.Pointer[chan struct{}]
}

// Get waits, then reads.
func (s *slow) Get(ctx context.Context, key string, rng *blob.Range) (io.ReadCloser, blob.Info, error) {
	s.gets.Add(1)
	if wait := s.wait.Load(); wait != nil {
		select {
		case <-*wait:
		case <-ctx.Done():
			return nil, blob.Info{}, ctx.Err()
		}
	}
	return s.Store.Get(ctx, key, rng)
}
