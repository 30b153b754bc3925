package ffmpeg

import (
	"math"
	"slices"
)

// peakBlock is the limiter's step, 1 ms in samples.
const peakBlock = rateHz / 1000

// lookAhead is how far the limiter sees, in blocks of 1 ms: it dips over twice this before and after a peak. The whole note being
// there, it has no delay.
const lookAhead = 5

// limiter turns sound down around every true peak above a ceiling. Its gain is a curve of one value a millisecond, linear in
// between: the mean over lookAhead of the least that any peak within lookAhead needs, so it never exceeds what any peak needs.
type limiter struct {
	x       []float32
	peaks   []float32 // true peak of each block where exact, else its largest sample
	exact   []bool
	ceiling float64 // linear
}

func newLimiter(x []float32, m meter, ceiling float64) *limiter {
	return &limiter{x: x, peaks: slices.Clone(m.blocks), exact: make([]bool, len(m.blocks)), ceiling: ceiling}
}

// curve is the factor for each millisecond that gives gain under the ceiling. True peaks are looked for where this gain could bring
// one to the ceiling, and once.
func (l *limiter) curve(gain float64) []float64 {
	need := make([]float64, len(l.peaks))
	for i, p := range l.peaks {
		need[i] = gain
		if float64(p)*overshoot*gain <= l.ceiling {
			continue
		}
		if !l.exact[i] {
			p = peakIn(l.x, i*peakBlock, min((i+1)*peakBlock, len(l.x)), p)
			l.peaks[i], l.exact[i] = p, true
		}
		if float64(p)*gain > l.ceiling {
			need[i] = l.ceiling / float64(p)
		}
	}
	return meanAround(leastAround(need, lookAhead), lookAhead-1)
}

// estimate is the loudness that the curve would give, taking it as constant over 10 ms.
func (l *limiter) estimate(m meter, curve []float64) float64 {
	const perFrame = frameLen / peakBlock
	energy := make([]float64, len(m.energy))
	for i, e := range m.energy {
		g := mean(curve[min(i*perFrame, len(curve)-1):min((i+1)*perFrame, len(curve))])
		energy[i] = e * g * g
	}
	return meter{energy: energy}.loudness().LUFS
}

// peak bounds the true peak that the curve gives.
func (l *limiter) peak(curve []float64) float64 {
	peak := 0.0
	for i, p := range l.peaks {
		if !l.exact[i] {
			p *= overshoot // no more than the ceiling, or it would be exact
		}
		peak = math.Max(peak, float64(p)*curve[i])
	}
	return math.Min(peak, l.ceiling)
}

func (l *limiter) apply(curve []float64) {
	for block := 0; block*peakBlock < len(l.x); block++ {
		from, next := curve[block], curve[min(block+1, len(curve)-1)]
		samples := l.x[block*peakBlock : min((block+1)*peakBlock, len(l.x))]
		for k := range samples {
			samples[k] *= float32(from + (next-from)*float64(k)/peakBlock)
		}
	}
}

// leastAround is the least of every value and its neighbours within reach.
func leastAround(v []float64, reach int) []float64 {
	out, most := slices.Clone(v), slices.Max(v)
	for i, n := range v {
		if n == most { // less than nothing: most of a note
			continue
		}
		for k := max(0, i-reach); k < min(len(v), i+reach+1); k++ {
			if n < out[k] {
				out[k] = n
			}
		}
	}
	return out
}

// meanAround is the mean of every value and its neighbours within reach.
func meanAround(v []float64, reach int) []float64 {
	out, sum, n := make([]float64, len(v)), 0.0, 0
	for i := range min(reach, len(v)) {
		sum, n = sum+v[i], n+1
	}
	for i := range v {
		if i+reach < len(v) {
			sum, n = sum+v[i+reach], n+1
		}
		if i-reach > 0 {
			sum, n = sum-v[i-reach-1], n-1
		}
		out[i] = sum / float64(n)
	}
	return out
}
