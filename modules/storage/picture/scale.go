package picture

import (
	"context"
	"image"
	"image/draw"
	"math"
)

// unit is 1 in the fixed-point numbers of weights: 255 times it, and more, fits into 32 bits.
const unit = 1 << 14

// tap is how one pixel is made: the weights of the source's pixels from first on, unit in sum.
type tap struct {
	first   int
	weights []int32
}

// stretch is how many source pixels make one, at least 1.
func (a axis) stretch() float64 { return max(float64(a.source)/float64(a.scaled), 1) }

// window is the most source pixels that make one.
func (a axis) window() int { return min(int(math.Ceil(4*a.stretch()))+2, a.source) }

// taps are the weights of each pixel that is made, by the Catmull-Rom kernel, which is 2 wide on either side.
func (a axis) taps() []tap {
	ratio, stretch := float64(a.source)/float64(a.scaled), a.stretch()
	taps := make([]tap, a.count)
	raw := make([]float64, 0, a.window())
	for i := range taps {
		centre := (float64(a.from+i) + 0.5) * ratio
		first := max(int(math.Floor(centre-2*stretch)), 0)
		last := min(int(math.Ceil(centre+2*stretch)), a.source)
		raw = raw[:0]
		sum := 0.0
		for s := first; s < last; s++ {
			w := catmullRom((float64(s) + 0.5 - centre) / stretch)
			raw = append(raw, w)
			sum += w
		}
		taps[i] = tap{first, fixed(raw, sum)}
	}
	return taps
}

// fixed makes weights of raw whose sum is exactly unit, so that an even area keeps its colour.
func fixed(raw []float64, sum float64) []int32 {
	weights := make([]int32, len(raw))
	rest, heaviest := int32(unit), 0
	for i, w := range raw {
		weights[i] = int32(math.Round(w / sum * unit))
		rest -= weights[i]
		if raw[i] > raw[heaviest] {
			heaviest = i
		}
	}
	weights[heaviest] += rest
	return weights
}

func catmullRom(t float64) float64 {
	switch t = math.Abs(t); {
	case t < 1:
		return (1.5*t-2.5)*t*t + 1
	case t < 2:
		return ((-0.5*t+2.5)*t-4)*t + 2
	}
	return 0
}

// scale makes the planned part of src, not yet turned. Each source row is squeezed
// once; only those that the present row is made of are kept.
func scale(ctx context.Context, src image.Image, p plan) (*image.RGBA, error) {
	across, down := p.x.taps(), p.y.taps()
	bounds := src.Bounds()
	row := image.NewRGBA(image.Rect(0, 0, bounds.Dx(), 1))
	ring := make([][]uint8, p.y.window())
	for i := range ring {
		ring[i] = make([]uint8, 4*len(across))
	}
	dst := image.NewRGBA(image.Rect(0, 0, len(across), len(down)))
	next := 0
	for y, t := range down {
		for next = max(next, t.first); next < t.first+len(t.weights); next++ {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			draw.Draw(row, row.Rect, src, image.Pt(bounds.Min.X, bounds.Min.Y+next), draw.Src)
			squeeze(ring[next%len(ring)], row.Pix, across)
		}
		blend(dst.Pix[y*dst.Stride:][:4*len(across)], ring, t)
	}
	return dst, nil
}

// squeeze makes a row of the taps' pixels from one of the source's.
func squeeze(dst, src []uint8, taps []tap) {
	for x, t := range taps {
		var r, g, b, a int32
		pix := src[4*t.first:]
		for i, w := range t.weights {
			p := pix[4*i : 4*i+4 : 4*i+4]
			r += w * int32(p[0])
			g += w * int32(p[1])
			b += w * int32(p[2])
			a += w * int32(p[3])
		}
		put(dst[4*x:4*x+4:4*x+4], r, g, b, a)
	}
}

// blend makes a row from those in the ring.
func blend(dst []uint8, ring [][]uint8, t tap) {
	for x := 0; x < len(dst); x += 4 {
		var r, g, b, a int32
		for i, w := range t.weights {
			p := ring[(t.first+i)%len(ring)][x : x+4 : x+4]
			r += w * int32(p[0])
			g += w * int32(p[1])
			b += w * int32(p[2])
			a += w * int32(p[3])
		}
		put(dst[x:x+4:x+4], r, g, b, a)
	}
}

// put rounds the sums of a pixel. Colours are premultiplied: none may exceed its alpha.
func put(p []uint8, r, g, b, a int32) {
	alpha := min(max((a+unit/2)/unit, 0), 255)
	p[0] = uint8(min(max((r+unit/2)/unit, 0), alpha))
	p[1] = uint8(min(max((g+unit/2)/unit, 0), alpha))
	p[2] = uint8(min(max((b+unit/2)/unit, 0), alpha))
	p[3] = uint8(alpha)
}
