package picture

import (
	"image"
	"math"
)

// Gravity is the part of a picture that a crop keeps.
type Gravity struct {
	// Side is no, so, ea, we, noea, nowe, soea, sowe, ce or fp; all else is the centre.
	Side string
	// X and Y move the crop away from that side: below 1 by a part of the size, else by
	// pixels. Of fp they are the point to keep, both in 0 to 1.
	X, Y float64
}

// plan is what happens to a source, worked out from its header.
type plan struct {
	turn orientation
	// x and y are how the sides are scaled, before the picture is turned.
	x, y axis
}

// axis is how one side is scaled: source pixels to scaled ones, of which only count are made, beginning at from.
type axis struct{ source, scaled, from, count int }

// changes reports whether there is anything to do.
func (p plan) changes() bool {
	return p.turn != (orientation{}) || p.x.changes() || p.y.changes()
}

func (a axis) changes() bool { return a.scaled != a.source || a.count != a.source }

// memory estimates the bytes that scaling, turning and the encoded result need.
func (p plan) memory() int64 {
	made := 4 * int64(p.x.count) * int64(p.y.count)
	window := 4 * int64(p.x.count) * int64(p.y.window())
	if p.turn != (orientation{}) {
		made *= 2
	}
	return made + window
}

func newPlan(o Options, h header) plan {
	width, height := h.turn.size(h.width, h.height)
	scaledWidth, scaledHeight := scaledSize(o, width, height)
	crop := image.Rect(0, 0, scaledWidth, scaledHeight)
	if o.Resize == Cover {
		crop = o.Gravity.crop(crop.Size(), o.Width, o.Height)
	}
	crop = h.turn.before(crop, scaledWidth, scaledHeight)
	scaledWidth, scaledHeight = h.turn.size(scaledWidth, scaledHeight)
	return plan{
		turn: h.turn,
		x:    axis{h.width, scaledWidth, crop.Min.X, crop.Dx()},
		y:    axis{h.height, scaledHeight, crop.Min.Y, crop.Dy()},
	}
}

// scaledSize is the size before the crop. Where the source is too small for what
// is asked, the ratio asked for is kept and the size is not.
func scaledSize(o Options, width, height int) (int, int) {
	shrinkX, shrinkY := 1.0, 1.0
	if o.Width > 0 {
		shrinkX = float64(width) / float64(o.Width)
	}
	if o.Height > 0 {
		shrinkY = float64(height) / float64(o.Height)
	}
	if o.Resize != Fill {
		switch {
		case o.Width <= 0:
			shrinkX = shrinkY
		case o.Height <= 0:
		case o.Resize == Contain:
			shrinkX = max(shrinkX, shrinkY)
		default:
			shrinkX = min(shrinkX, shrinkY)
		}
		shrinkY = shrinkX
	}
	if least := min(shrinkX, shrinkY); least < 1 {
		shrinkX, shrinkY = shrinkX/least, shrinkY/least
	}
	shrunk := func(side int, by float64) int { return min(max(int(math.Round(float64(side)/by)), 1), side) }
	return shrunk(width, shrinkX), shrunk(height, shrinkY)
}

// crop is the part of a picture of size have that is width by height; 0 is all of that side.
func (g Gravity) crop(have image.Point, width, height int) image.Rectangle {
	size := have
	if width > 0 {
		size.X = min(width, have.X)
	}
	if height > 0 {
		size.Y = min(height, have.Y)
	}
	return image.Rectangle{Max: size}.Add(image.Point{
		g.start(have.X, size.X, g.X, "we", "ea"),
		g.start(have.Y, size.Y, g.Y, "no", "so"),
	})
}

// start is where a crop of size pixels begins on a side of have; near and far name the side's ends.
func (g Gravity) start(have, size int, offset float64, near, far string) int {
	at := (have - size + 1) / 2
	if g.Side == "fp" {
		at = int(math.Round(float64(have)*offset)) - size/2
	} else {
		move := offset
		if math.Abs(move) < 1 {
			move *= float64(have)
		}
		pixels := int(math.Round(min(max(move, -maxSide), maxSide)))
		switch {
		case g.has(near):
			at = pixels
		case g.has(far):
			at = have - size - pixels
		default:
			at += pixels
		}
	}
	return min(max(at, 0), have-size)
}

// has reports whether the side, such as noea, has the end.
func (g Gravity) has(end string) bool {
	for i := 0; i+2 <= len(g.Side); i += 2 {
		if g.Side[i:i+2] == end {
			return true
		}
	}
	return false
}
