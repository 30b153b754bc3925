package screen

// DetailBound is how much detail a block of a base raster may lose before its picture is judged by more than that raster: the mean distance
// of a pixel's values from its base pixel's, 0..255. Of 160 photographs, reduced to a fifth, the worst block lost 20 at the median and 53
// at most; a checkerboard of black and white loses 127.
const DetailBound = 60

// Detail is a map of what a reduction lost: the mean absolute distance of the pixels' values from their base pixel's, 0..255.
type Detail struct {
	W, H int
	Lost []byte // W*H
}

// LostDetail measures what reducing p to base has lost, for each base pixel.
func LostDetail(p, base Pixels) Detail {
	d := Detail{W: base.W, H: base.H, Lost: make([]byte, base.W*base.H)}
	if p.W == base.W && p.H == base.H {
		return d
	}
	columns := make([]int, p.W) // base column of each pixel
	for x := range columns {
		columns[x] = x * base.W / p.W
	}
	sums, counts, row := make([]int32, base.W), make([]int32, base.W), -1
	var means []byte
	for y := range p.H {
		if r := y * base.H / p.H; r != row {
			d.fill(row, sums, counts)
			row = r
			means = base.Pix[row*base.W*Channels:]
		}
		line := p.Pix[y*p.W*Channels : (y+1)*p.W*Channels]
		for x, c := range columns {
			sums[c] += apart(line[x*Channels:], means[c*Channels:])
			counts[c]++
		}
	}
	d.fill(row, sums, counts)
	return d
}

// fill writes one line of the map and begins the next.
func (d Detail) fill(row int, sums, counts []int32) {
	for x := range sums {
		if row >= 0 && counts[x] > 0 {
			d.Lost[row*d.W+x] = byte(min(255, sums[x]/counts[x]))
		}
	}
	clear(sums)
	clear(counts)
}

// apart is the mean distance of two pixels' values. Brightness alone would not do: a checkerboard of two colours that are equally bright has none.
func apart(a, b []byte) int32 {
	return (abs32(int32(a[0])-int32(b[0])) + abs32(int32(a[1])-int32(b[1])) + abs32(int32(a[2])-int32(b[2]))) / Channels
}

// sampledBlock is the side of the blocks that points are summed up for, in pixels of a base raster. A block of BlockSide holds 16 points: too
// few, by chance one photograph in ten had a block beyond DetailBound.
const sampledBlock = 2 * BlockSide

// SampledDetail guesses at LostDetail for each block of base. points are base.H/2 lines of base.W pixels; the one at (x, y), for x up to
// base.W/2, is a pixel of those that base covers at (2x+1, 2y+1).
func SampledDetail(points []byte, base Pixels) Detail {
	bw, bh := max(1, base.W/sampledBlock), max(1, base.H/sampledBlock) // the last ones take what is left over
	d := Detail{W: bw, H: bh, Lost: make([]byte, bw*bh)}
	sums, counts := make([]int32, len(d.Lost)), make([]int32, len(d.Lost))
	for y := range base.H / 2 {
		first := min((2*y+1)/sampledBlock, bh-1) * bw
		row, counted := sums[first:], counts[first:]
		a, b := points[y*base.W*Channels:], base.Pix[((2*y+1)*base.W+1)*Channels:]
		for x := range base.W / 2 {
			block := min((2*x+1)/sampledBlock, bw-1)
			row[block] += apart(a[x*Channels:], b[2*x*Channels:])
			counted[block]++
		}
	}
	for i, sum := range sums {
		d.Lost[i] = byte(sum / max(1, counts[i]))
	}
	return d
}

// Blocks is the map with one mean for each block of BlockSide.
func (d Detail) Blocks() Detail {
	out := Detail{W: blocks(d.W), H: blocks(d.H)}
	out.Lost = make([]byte, out.W*out.H)
	sums := make([]int32, len(out.Lost))
	for y := range d.H {
		for x := range d.W {
			sums[(y/BlockSide)*out.W+x/BlockSide] += int32(d.Lost[y*d.W+x])
		}
	}
	for i, sum := range sums {
		out.Lost[i] = byte(int(sum) / blockArea(d.W, d.H, i%out.W, i/out.W))
	}
	return out
}

// Worst is the highest value of the map.
func (d Detail) Worst() int {
	worst := 0
	for _, v := range d.Lost {
		worst = max(worst, int(v))
	}
	return worst
}

// Picture is the map as a grey picture of full contrast: how somebody sees a picture that is drawn in contrast alone.
func (d Detail) Picture() Pixels {
	low, high := 255, 0
	for _, v := range d.Lost {
		low, high = min(low, int(v)), max(high, int(v))
	}
	out := New(d.W, d.H)
	for i, v := range d.Lost {
		grey := byte((int(v) - low) * 255 / max(1, high-low))
		out.Pix[i*Channels], out.Pix[i*Channels+1], out.Pix[i*Channels+2] = grey, grey, grey
	}
	return out
}

// differs reports whether two maps differ anywhere by more than bound.
func (d Detail) differs(other Detail, bound int) bool {
	if len(d.Lost) != len(other.Lost) {
		return true
	}
	for i, v := range d.Lost {
		if int(abs32(int32(v)-int32(other.Lost[i]))) > bound {
			return true
		}
	}
	return false
}
