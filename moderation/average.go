package moderation

import "github.com/ninefold/ninefold/moderation/screen"

// fillAveraged reduces r by area averaging along each axis that is longer than the input, in floating point from the raster on: every
// pixel moves the tensor. An axis that is shorter is stretched as Fill does.
func (p *Preprocessor) fillAveraged(dst []float32, r Raster) {
	w, h := min(r.Width, p.in.Size), min(r.Height, p.in.Size)
	means := make([]float32, 0, w*h*screen.Channels)
	whole := screen.Rect{W: r.Width, H: r.Height}
	screen.Average(screen.Pixels{W: r.Width, H: r.Height, Pix: r.Pix}, whole, w, h, func(_ int, line []float32) {
		means = append(means, line...)
	})
	for x := range p.columns {
		p.columns[x] = p.tap(x, w)
	}
	for y := range p.in.Size {
		v := p.tap(y, h)
		for c := range p.channels {
			p.averagedRow(dst, y, c, means[v.low*w*screen.Channels:], means[v.high*w*screen.Channels:], v.fraction)
		}
	}
}

// averagedRow computes one line of channel c from the two lines of means around it.
func (p *Preprocessor) averagedRow(dst []float32, y, c int, top, bottom []float32, fraction float64) {
	at, step := p.place(y, c)
	ch := p.channels[c]
	for x := range p.columns {
		h := &p.columns[x]
		left, right := h.low*screen.Channels+ch.source, h.high*screen.Channels+ch.source
		above := mix(top[left], top[right], h.fraction)
		below := mix(bottom[left], bottom[right], h.fraction)
		value := (above + (below-above)*fraction) / p.in.Scale
		if !ch.plain {
			value = (value - ch.mean) / ch.std
		}
		dst[at] = float32(value)
		at += step
	}
}

func mix(a, b float32, fraction float64) float64 {
	return float64(a) + (float64(b)-float64(a))*fraction
}
