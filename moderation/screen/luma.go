package screen

const (
	// RangeBound is how far the luma of a delivered video may lie beyond its stated range, levels, as the mean of a block. Some decoders show
	// black or white there and others a picture. The worst block of 33 real clips lay at 7.5, of noise in black and white from x264 at 7.3.
	RangeBound = 8
	// BeyondScale is what a level counts in the map of luma beyond the range.
	BeyondScale = 12
	// lumaBlock is the side of the blocks of that map: BlockSide pixels of a base raster.
	lumaBlock = BlockSide / 2
)

// LeavesRange reports whether a frame's luma lies too far beyond the limited range. points are SampledDetail's; beside them, right of
// base.W/2, lies a map of half of base's sides: the mean distance of luma from the range, times BeyondScale.
func LeavesRange(points []byte, base Pixels) bool {
	left, w, h := base.W/2, base.W-base.W/2, base.H/2
	for top := 0; top < h; top += lumaBlock {
		bottom := min(top+lumaBlock, h)
		for x := 0; x < w; x += lumaBlock {
			right := min(x+lumaBlock, w)
			sum := 0
			for y := top; y < bottom; y++ {
				row := points[(y*base.W+left)*Channels:]
				for i := x; i < right; i++ {
					sum += int(row[i*Channels])
				}
			}
			if sum > RangeBound*BeyondScale*(right-x)*(bottom-top) {
				return true
			}
		}
	}
	return false
}
