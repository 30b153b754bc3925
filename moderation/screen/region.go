package screen

import "math"

const (
	// LongestTile is the longest proportion that is judged as one picture: a model's input is square, and what is longer is squeezed.
	LongestTile = 1.5
	// tileStep is how far one tile lies from the next, as a share of its length: the rest of it is seen twice, so that nothing is cut in two.
	tileStep = 0.75
	// maxTiles bounds the tiles of a strip. Longer tiles stand in for more of them: what is 24 times as long as high shows little.
	maxTiles = 24
	// maxBaseLong bounds the longer side of a base raster, in sides of the model.
	maxBaseLong = 32
)

// BaseSize is the size of the base raster of a w × h picture for a model of side × side: the shorter side is side, or what the picture has.
// The longer side of a strip is bounded.
func BaseSize(w, h, side int) (bw, bh int) {
	short, long := min(w, h), max(w, h)
	scale := math.Min(1, float64(side)/float64(short))
	bs := max(1, int(math.Round(float64(short)*scale)))
	bl := max(bs, min(int(math.Round(float64(long)*scale)), maxBaseLong*side))
	if w >= h {
		return bl, bs
	}
	return bs, bl
}

// Regions returns what of a w × h raster is judged as a picture of its own: the whole, and where that is longer than LongestTile
// overlapping tiles that are not, which together hold every pixel.
func Regions(w, h int) []Rect {
	all := []Rect{{W: w, H: h}}
	short, long := min(w, h), max(w, h)
	tile := int(math.Ceil(LongestTile * float64(short)))
	if long <= tile {
		return all
	}
	n := int(math.Ceil(float64(long-tile)/(tileStep*float64(tile)))) + 1
	if n > maxTiles {
		n = maxTiles
		tile = max(tile, int(math.Ceil(float64(long)/(tileStep*float64(n-1)+1))))
	}
	for i := range n {
		at := (long - tile) * i / (n - 1)
		if w >= h {
			all = append(all, Rect{X: at, W: tile, H: h})
		} else {
			all = append(all, Rect{Y: at, W: w, H: tile})
		}
	}
	return all
}
