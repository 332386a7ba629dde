package storage

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/madbase/madbase/modules/storage/picture"
)

// transform is what a request wants done to an image, by the API's names. Zero and
// empty mean not asked for.
type transform struct {
	width, height, quality  int
	resize, format, gravity string
	x, y                    *float64
}

// The values that the API takes.
var (
	resizes   = []string{"cover", "contain", "fill"}
	formats   = []string{"origin", "avif", "webp"}
	gravities = []string{"no", "so", "ea", "we", "noea", "nowe", "soea", "sowe", "ce", "sm", "fp"}
)

const (
	minQuality     = 20
	maxQuality     = 100
	defaultQuality = 80
)

// readTransform reads the options of a query or a body; f keeps the fault. f may be nil.
func readTransform(f *fields) transform {
	if f == nil {
		return transform{}
	}
	side := func(name string) int {
		if n := f.integer(name, 0); n != nil {
			return int(min(*n, math.MaxInt32))
		}
		return 0
	}
	t := transform{height: side("height"), width: side("width")}
	t.resize = f.oneOf("resize", "", resizes...)
	t.format = f.oneOf("format", "", formats...)
	if n := f.integer("quality", minQuality); n != nil {
		if *n > maxQuality {
			f.fault("quality", "must be <= "+strconv.Itoa(maxQuality))
		}
		t.quality = int(min(*n, maxQuality))
	}
	t.gravity = f.oneOf("gravity", "", gravities...)
	t.x, t.y = f.number("x_offset"), f.number("y_offset")
	if t.gravity == "fp" {
		f.focalPoint(t)
	}
	return t
}

// focalPoint checks that there is a point, and in the picture.
func (f *fields) focalPoint(t transform) {
	for _, o := range []struct {
		name  string
		value *float64
	}{{"x_offset", t.x}, {"y_offset", t.y}} {
		switch {
		case o.value == nil:
			f.require(o.name)
		case *o.value < 0:
			f.fault(o.name, "must be >= 0")
		case *o.value > 1:
			f.fault(o.name, "must be <= 1")
		}
	}
}

// parseTransform reads what words wrote into a token, or the real service did. What it does not know it leaves out.
func parseTransform(words, format string) transform {
	t := transform{}
	if format == "origin" {
		t.format = format
	}
	for word := range strings.SplitSeq(words, ",") {
		name, value, _ := strings.Cut(word, ":")
		switch name {
		case "height":
			t.height = positive(value)
		case "width":
			t.width = positive(value)
		case "quality":
			t.quality = min(positive(value), maxQuality)
		case "resize":
			t.resize = known(value, resizes)
		case "format":
			t.format = known(value, formats)
		case "gravity":
			side, offsets, _ := strings.Cut(value, ":")
			x, y, _ := strings.Cut(offsets, ":")
			t.gravity, t.x, t.y = known(side, gravities), offset(x), offset(y)
		}
	}
	return t
}

func positive(text string) int {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0
	}
	return max(int(n), 0)
}

func known(value string, values []string) string {
	if slices.Contains(values, value) {
		return value
	}
	return ""
}

func offset(text string) *float64 {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return nil
	}
	return &x
}

// words writes t as the real service does: for tokens by the API's names, else, in
// the header X-Transformations, by imgproxy's. Sides are within the limits.
func (t transform) words(c ImageConfig, token bool) string {
	var words []string
	add := func(name, value string) { words = append(words, name+":"+value) }
	if t.height > 0 {
		add("height", strconv.Itoa(c.side(t.height)))
	}
	if t.width > 0 {
		add("width", strconv.Itoa(c.side(t.width)))
	}
	if t.width > 0 || t.height > 0 {
		switch {
		case !token:
			add("resizing_type", map[picture.Resize]string{picture.Cover: "fill", picture.Contain: "fit", picture.Fill: "force"}[t.mode()])
		case t.resize != "":
			add("resize", t.resize)
		}
	}
	if t.quality > 0 {
		add("quality", strconv.Itoa(t.quality))
	}
	if t.format != "" && t.format != "origin" {
		add("format", t.format)
	}
	if t.gravity != "" {
		add("gravity", t.gravity+t.offsets())
	}
	return strings.Join(words, ",")
}

// offsets follow the gravity, which is smart without any.
func (t transform) offsets() string {
	if t.gravity == "sm" || t.x == nil && t.y == nil {
		return ""
	}
	return ":" + strconv.FormatFloat(deref(t.x), 'f', -1, 64) + ":" + strconv.FormatFloat(deref(t.y), 'f', -1, 64)
}

func (t transform) mode() picture.Resize {
	switch t.resize {
	case "contain":
		return picture.Contain
	case "fill":
		return picture.Fill
	}
	return picture.Cover
}

// options is t as it is carried out. webp means that who asks for no format gets that.
func (t transform) options(c ImageConfig, webp bool) picture.Options {
	o := picture.Options{
		Resize: t.mode(), Quality: t.quality,
		Gravity: picture.Gravity{Side: t.gravity, X: deref(t.x), Y: deref(t.y)},
	}
	if t.width > 0 {
		o.Width = c.side(t.width)
	}
	if t.height > 0 {
		o.Height = c.side(t.height)
	}
	if o.Quality == 0 {
		o.Quality = defaultQuality
	}
	switch {
	case t.format == "webp", t.format == "" && webp:
		o.Format = picture.WebP
	case t.format == "avif":
		o.Format = picture.AVIF
	}
	return o
}
