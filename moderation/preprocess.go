package moderation

import (
	"fmt"
	"math"
)

// Preprocessor turns rasters into a model's input tensor. It keeps its tables between calls and is not safe for concurrent use.
//
// With BilinearAlignCorners it computes what the reference implementation does (TensorFlow.js on its CPU back end): every channel value
// divided, then stretched between its four neighbours in float64 with one rounding to float32 at the end. Products are written
// float64(a*b)+c, which forbids the compiler to fuse them: the tensor is the same on every processor.
type Preprocessor struct {
	in       Input
	value    [256]float64 // v/scale
	channels [3]channel   // of the tensor, in its own order
	columns  []tap
}

// channel is where one channel of the tensor comes from and how it is normalised.
type channel struct {
	source    int // 0 red, 1 green, 2 blue
	mean, std float64
	plain     bool // mean 0, std 1
}

// tap is a place between two neighbouring samples along one axis.
type tap struct {
	low, high int     // indices of the neighbours
	fraction  float64 // 0 at low, towards 1 at high
}

// NewPreprocessor prepares for in, which must be valid.
func NewPreprocessor(in Input) *Preprocessor {
	p := &Preprocessor{in: in, columns: make([]tap, in.Size)}
	for v := range p.value {
		p.value[v] = float64(float32(float64(v) / in.Scale)) // the reference stores the quotient as float32
	}
	for c := range p.channels {
		p.channels[c] = in.channel(c)
	}
	return p
}

func (in Input) channel(c int) channel {
	ch := channel{source: c, std: 1}
	if in.Color == BGR {
		ch.source = 2 - c
	}
	if len(in.Mean) == 3 {
		ch.mean = in.Mean[c]
	}
	if len(in.Std) == 3 {
		ch.std = in.Std[c]
	}
	ch.plain = ch.mean == 0 && ch.std == 1
	return ch
}

// Len returns how many numbers the tensor has.
func (p *Preprocessor) Len() int { return p.in.Size * p.in.Size * 3 }

// Fill stretches r to the input square and writes the tensor into dst, which has Len numbers.
func (p *Preprocessor) Fill(dst []float32, r Raster) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if len(dst) != p.Len() {
		return fmt.Errorf("input tensor of %d numbers: want %d", len(dst), p.Len())
	}
	for x := range p.columns {
		p.columns[x] = p.tap(x, r.Width)
		p.columns[x].low *= 3 // bytes
		p.columns[x].high *= 3
	}
	if r.Averaged && (r.Width > p.in.Size || r.Height > p.in.Size) {
		p.fillAveraged(dst, r)
		return nil
	}
	stride := r.Width * 3
	for y := range p.in.Size {
		v := p.tap(y, r.Height)
		top, bottom := r.Pix[v.low*stride:(v.low+1)*stride], r.Pix[v.high*stride:(v.high+1)*stride]
		for c := range p.channels {
			p.row(dst, y, c, top, bottom, v.fraction)
		}
	}
	return nil
}

// tap finds the neighbours of output sample i along an axis of n input samples.
func (p *Preprocessor) tap(i, n int) tap {
	at := p.position(i, n)
	low := max(0, int(math.Floor(at)))
	return tap{low: low, high: min(n-1, int(math.Ceil(at))), fraction: at - float64(low)}
}

func (p *Preprocessor) position(i, n int) float64 {
	out := p.in.Size
	if p.in.Resize == BilinearHalfPixel {
		at := float64((float64(i)+0.5)*(float64(n)/float64(out))) - 0.5
		return min(max(at, 0), float64(n-1))
	}
	if out == 1 {
		return 0
	}
	return (float64(n-1) / float64(out-1)) * float64(i)
}

// row computes one line of channel c from the two input lines around it.
func (p *Preprocessor) row(dst []float32, y, c int, top, bottom []byte, fraction float64) {
	at, step := p.place(y, c)
	ch := p.channels[c]
	for x := range p.columns {
		h := &p.columns[x]
		left, right := h.low+ch.source, h.high+ch.source
		tl, bl := p.value[top[left]], p.value[bottom[left]]
		above := float64((p.value[top[right]]-tl)*h.fraction) + tl
		below := float64((p.value[bottom[right]]-bl)*h.fraction) + bl
		value := float64((below-above)*fraction) + above
		if !ch.plain {
			value = (value - ch.mean) / ch.std
		}
		dst[at] = float32(value)
		at += step
	}
}

// place returns where line y of channel c begins in the tensor, and the distance of its numbers.
func (p *Preprocessor) place(y, c int) (at, step int) {
	size := p.in.Size
	if p.in.Layout == NCHW {
		return (c*size + y) * size, 1
	}
	return y*size*3 + c, 3
}
