package picture

import (
	"bytes"
	"encoding/binary"
	"image"
)

// orientation makes a picture upright: its sides are swapped first (the picture
// is mirrored at its diagonal), then it is mirrored.
type orientation struct{ swap, mirrorX, mirrorY bool }

// orientations are EXIF's values 1 to 8.
var orientations = [...]orientation{
	{},
	{mirrorX: true},
	{mirrorX: true, mirrorY: true},
	{mirrorY: true},
	{swap: true},
	{swap: true, mirrorX: true},
	{swap: true, mirrorX: true, mirrorY: true},
	{swap: true, mirrorY: true},
}

// size is that of the upright picture, and back.
func (o orientation) size(width, height int) (int, int) {
	if o.swap {
		return height, width
	}
	return width, height
}

// before is where r of the upright picture, which is width by height, lies before it is turned.
func (o orientation) before(r image.Rectangle, width, height int) image.Rectangle {
	if o.mirrorX {
		r.Min.X, r.Max.X = width-r.Max.X, width-r.Min.X
	}
	if o.mirrorY {
		r.Min.Y, r.Max.Y = height-r.Max.Y, height-r.Min.Y
	}
	if o.swap {
		r = image.Rect(r.Min.Y, r.Min.X, r.Max.Y, r.Max.X)
	}
	return r
}

// apply turns src, whose bounds begin at zero.
func (o orientation) apply(src *image.RGBA) *image.RGBA {
	if o == (orientation{}) {
		return src
	}
	width, height := o.size(src.Rect.Dx(), src.Rect.Dy())
	dst := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			fromX, fromY := x, y
			if o.mirrorX {
				fromX = width - 1 - x
			}
			if o.mirrorY {
				fromY = height - 1 - y
			}
			if o.swap {
				fromX, fromY = fromY, fromX
			}
			copy(dst.Pix[y*dst.Stride+4*x:][:4], src.Pix[fromY*src.Stride+4*fromX:][:4])
		}
	}
	return dst
}

// readOrientation finds the tag in EXIF data (a TIFF file); upright when there is none.
func readOrientation(tiff []byte) orientation {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case bytes.HasPrefix(tiff, []byte("MM\x00*")):
		order = binary.BigEndian
	case !bytes.HasPrefix(tiff, []byte("II*\x00")):
		return orientation{}
	}
	if len(tiff) < 8 {
		return orientation{}
	}
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return orientation{}
	}
	const entry, tag, short = 12, 0x0112, 3
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < entry {
			break
		}
		if order.Uint16(entries) == tag && order.Uint16(entries[2:]) == short {
			if value := int(order.Uint16(entries[8:])); value >= 1 && value <= len(orientations) {
				return orientations[value-1]
			}
			break
		}
		entries = entries[entry:]
	}
	return orientation{}
}
