package screen

import "math"

const (
	// stillBase is the shorter side of a still's base raster, in sides of the model: a second reduction, in floating point, leads to the
	// model's input, so that no pixel of a delivered picture is lost in rounding.
	stillBase = 2
	// sameShape is how much the proportions of two stills may differ and still be the same picture in two sizes.
	sameShape = 0.02
	// mapBound is from where on the map of what a still lost is scored as a picture: contrast may draw one before it is beyond DetailBound.
	mapBound = 40
	// maxFullTiles bounds the tiles of full size of one still: a picture of 2048 × 2048 pixels has 100 for a model of 224.
	maxFullTiles = 100
)

// Stills chooses what is scored of the still pictures of one item: each encoding and size is decoded, and what looks like one that is scored
// already is covered by it. It is not safe for concurrent use.
type Stills struct {
	Coverage
	side   int
	scored []scoredStill
}

type scoredStill struct {
	base Pixels
	lost Detail // of its blocks
}

// NewStills returns Stills for a model of side × side.
func NewStills(side int) *Stills { return &Stills{side: side} }

// Offer takes a decoded picture and returns the rasters to score for it, none where it is like one before.
func (s *Stills) Offer(p Pixels) []Pixels {
	s.Frames++
	w, h := BaseSize(p.W, p.H, stillBase*s.side)
	base := Reduce(p, w, h)
	mw, mh := BaseSize(p.W, p.H, s.side) // as the model sees it at last: what the second reduction loses counts, too
	lost := LostDetail(p, Reduce(p, mw, mh))
	seen := scoredStill{base, lost.Blocks()}
	for _, other := range s.scored {
		if seen.like(other) {
			s.Covered++
			return nil
		}
	}
	s.Scored++
	rasters := []Pixels{base}
	if seen.lost.Worst() > mapBound {
		rasters = append(rasters, lost.Picture())
	}
	if seen.lost.Worst() > DetailBound {
		tiles := s.fullTiles(p, seen.lost)
		if len(tiles) > maxFullTiles {
			return rasters // and not covered
		}
		rasters = append(rasters, tiles...)
	}
	s.Covered++
	s.scored = append(s.scored, seen)
	return rasters
}

// like compares two stills at the smaller size of both.
func (s scoredStill) like(other scoredStill) bool {
	a, b := float64(s.base.W)/float64(s.base.H), float64(other.base.W)/float64(other.base.H)
	if math.Abs(a-b) > sameShape*b {
		return false
	}
	w, h := min(s.base.W, other.base.W), min(s.base.H, other.base.H)
	if !alike(Reduce(s.base, w, h), Reduce(other.base, w, h), Bound) {
		return false
	}
	return s.lost.Worst() <= DetailBound || s.lost.W == other.lost.W && !s.lost.differs(other.lost, Bound)
}

// fullTiles are squares of the model's size that are not reduced, wherever the blocks of a reduction lost too much.
func (s *Stills) fullTiles(p Pixels, lost Detail) []Pixels {
	var tiles []Pixels
	for _, y := range steps(p.H, s.side) {
		for _, x := range steps(p.W, s.side) {
			r := Rect{X: x, Y: y, W: min(s.side, p.W), H: min(s.side, p.H)}
			if lost.worstIn(r, p.W, p.H) > DetailBound {
				tiles = append(tiles, p.Crop(r))
			}
		}
	}
	return tiles
}

// steps places squares of side on an axis of n pixels, evenly and without a gap.
func steps(n, side int) []int {
	count := max(1, (n+side-1)/side)
	at := make([]int, count)
	for i := range at {
		if count > 1 {
			at[i] = (n - side) * i / (count - 1)
		}
	}
	return at
}

// worstIn is the highest value of the map within part of a picture of w × h pixels.
func (d Detail) worstIn(part Rect, w, h int) int {
	worst := 0
	for y := part.Y * d.H / h; y <= (part.Y+part.H-1)*d.H/h; y++ {
		for x := part.X * d.W / w; x <= (part.X+part.W-1)*d.W/w; x++ {
			worst = max(worst, int(d.Lost[y*d.W+x]))
		}
	}
	return worst
}
