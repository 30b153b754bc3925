package raster

import (
	"image"
	"math"
	"slices"
)

// covered is the coverage of 255 from which a pixel counts as part of a shape. It is low: a stem half a pixel thick may cover two
// pixels by a quarter each, and its outline must not have holes.
const covered = 48

// grow makes every shape of the mask larger by radius pixels, with a soft edge: a pixel's coverage follows from its distance to
// the nearest covered one. The squares of distances are taken along rows first, then over the rows within reach.
func (p *pen) grow(mask *image.Alpha, radius float64) {
	reach := int(math.Ceil(radius + 0.5))
	w, h := mask.Rect.Dx(), mask.Rect.Dy()
	p.near = slices.Grow(p.near[:0], w*h)[:w*h]
	for y := range h {
		rowDistances(p.near[y*w:][:w], mask.Pix[y*w:][:w], reach)
	}
	coverage := coverageByDistance(radius, reach)
	best := make([]uint16, w)
	for y := range h {
		copy(best, p.near[y*w:][:w])
		for d := -reach; d <= reach; d++ {
			if row := y + d; row >= 0 && row < h && d != 0 {
				lower(best, p.near[row*w:][:w], uint16(d*d))
			}
		}
		for x, d := range best {
			mask.Pix[y*w+x] = coverage[min(int(d), len(coverage)-1)]
		}
	}
}

// rowDistances writes each pixel's squared distance to the nearest covered one of its row, at most (reach + 1) squared.
func rowDistances(out []uint16, row []uint8, reach int) {
	gap := reach + 1
	for x, a := range row {
		gap = min(gap+1, reach+1)
		if a >= covered {
			gap = 0
		}
		out[x] = uint16(gap)
	}
	gap = reach + 1
	for x := len(row) - 1; x >= 0; x-- {
		gap = min(gap+1, int(out[x]))
		out[x] = uint16(gap * gap)
	}
}

func lower(best, row []uint16, add uint16) {
	for x, d := range row {
		best[x] = min(best[x], d+add)
	}
}

// coverageByDistance lists the coverage by squared distance; the last entry is 0.
func coverageByDistance(radius float64, reach int) []uint8 {
	list := make([]uint8, (reach+1)*(reach+1)+1)
	for d := range list {
		list[d] = uint8(255 * min(max(radius+0.5-math.Sqrt(float64(d)), 0), 1))
	}
	return list
}
