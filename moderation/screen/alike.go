package screen

// BlockSide is the side of the blocks that are compared, in pixels of a base raster.
const BlockSide = 8

// signature holds the mean of every block and channel, times signatureUnit: |mean a - mean b| is never more than the mean of |a - b|, so
// signatures can tell that two rasters are not alike. They never tell that they are.
type signature []int32

// signatureUnit keeps fractions of a mean.
const signatureUnit = 16

func blocks(n int) int { return (n + BlockSide - 1) / BlockSide }

// sign sums up the blocks of p.
func sign(p Pixels) signature {
	bw := blocks(p.W)
	sums := make([]int32, bw*blocks(p.H)*Channels)
	for y := range p.H {
		line := p.Pix[y*p.W*Channels : (y+1)*p.W*Channels]
		row := sums[(y/BlockSide)*bw*Channels:]
		for bx := range bw {
			from, to := bx*BlockSide*Channels, min((bx+1)*BlockSide, p.W)*Channels
			var r, g, b int32
			for i := from; i+2 < to; i += Channels {
				r, g, b = r+int32(line[i]), g+int32(line[i+1]), b+int32(line[i+2])
			}
			row[bx*Channels] += r
			row[bx*Channels+1] += g
			row[bx*Channels+2] += b
		}
	}
	for i := range sums {
		block := i / Channels
		sums[i] = sums[i] * signatureUnit / int32(blockArea(p.W, p.H, block%bw, block/bw))
	}
	return sums
}

func blockArea(w, h, bx, by int) int {
	return min(BlockSide, w-bx*BlockSide) * min(BlockSide, h-by*BlockSide)
}

// distance is the largest difference of a block by its means, over all channels, in values 0..255 rounded down.
func (s signature) distance(other signature) int {
	worst := int32(0)
	for i := 0; i+2 < len(s); i += Channels {
		d := abs32(s[i]-other[i]) + abs32(s[i+1]-other[i+1]) + abs32(s[i+2]-other[i+2])
		worst = max(worst, d)
	}
	return int(worst / (Channels * signatureUnit))
}

func abs32(v int32) int32 {
	m := v >> 31
	return (v ^ m) - m
}

// alike reports whether no block of two rasters of the same size differs by more than bound, the mean of the absolute differences of its
// values.
func alike(a, b Pixels, bound int) bool {
	bw := blocks(a.W)
	sums := make([]int32, bw)
	for top := 0; top < a.H; top += BlockSide {
		clear(sums)
		bottom := min(top+BlockSide, a.H)
		for y := top; y < bottom; y++ {
			from, to := y*a.W*Channels, (y+1)*a.W*Channels
			addDifferences(sums, a.Pix[from:to], b.Pix[from:to])
		}
		for bx, sum := range sums {
			if int(sum) > bound*Channels*min(BlockSide, a.W-bx*BlockSide)*(bottom-top) {
				return false
			}
		}
	}
	return true
}

// addDifferences adds |a - b| of one line to the sum of its block.
func addDifferences(sums []int32, a, b []byte) {
	const run = BlockSide * Channels
	for bx := range sums {
		from := bx * run
		to := min(from+run, len(a))
		x, y := a[from:to], b[from:to]
		y = y[:len(x)]
		var sum int32
		for i, v := range x {
			sum += abs32(int32(v) - int32(y[i]))
		}
		sums[bx] += sum
	}
}
