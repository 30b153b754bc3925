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

// lookBelow is how far below what matters now true peaks are found, 3 dB: less looks at many twice, more at many in vain.
const lookBelow = 0.7

// limiter turns sound down around every true peak above a ceiling. Its gain is a curve of one value a millisecond, linear in
// between: the mean over lookAhead of the least that any peak within lookAhead needs, so it never exceeds what any peak needs.
type limiter struct {
	x       []float32
	m       meter
	ceiling float64   // linear
	peaks   []float32 // of each block: its largest sample, or its true peak once that is found
	bounds  []float32 // what each block's true peak does not exceed
	need    []float64 // the factor that each block's own peak allows
	least   []float64
	factors []float64 // the curve
}

func newLimiter(x []float32, m meter, ceiling float64) *limiter {
	n := len(m.peaks)
	l := &limiter{x: x, m: m, ceiling: ceiling, peaks: slices.Clone(m.peaks), bounds: make([]float32, n)}
	l.need, l.least, l.factors = make([]float64, n), make([]float64, n), make([]float64, n)
	for i, p := range l.peaks {
		l.bounds[i] = p * overshoot
	}
	return l
}

// curve is the factor for each millisecond that gives gain under the ceiling. It holds until the next call.
func (l *limiter) curve(gain float64) []float64 {
	floor := float32(l.ceiling / gain)
	for i, bound := range l.bounds {
		if bound > floor && bound > l.peaks[i] {
			bound = l.look(i, floor)
		}
		l.need[i] = gain
		if bound > floor {
			l.need[i] = l.ceiling / float64(bound)
		}
	}
	leastAround(l.least, l.need, lookAhead)
	meanAround(l.factors, l.least, lookAhead-1)
	return l.factors
}

// look finds the true peak of a block if it is above floor, or a little below, for the gain is going to be raised. A lower one matters
// to nobody.
func (l *limiter) look(i int, floor float32) float32 {
	floor *= lookBelow
	best := peakIn(l.x, i*peakBlock, min((i+1)*peakBlock, len(l.x)), max(l.peaks[i], floor))
	l.bounds[i] = best
	if best > floor {
		l.peaks[i] = best
	}
	return best
}

// outcome is the loudness that the curve gives, taking it as constant over 1 ms, and a bound of the true peak. Metering the limited
// sound costs as much CPU as the first metering did, and said the same of speech to 0.001 LU.
func (l *limiter) outcome(curve []float64) loudness {
	out := meter{energy: make([]float64, len(l.m.energy)), length: l.m.length}
	for i, e := range l.m.energy {
		g := (curve[i] + curve[min(i+1, len(curve)-1)]) / 2
		out.energy[i] = e * g * g
		out.peak = math.Max(out.peak, float64(l.bounds[i])*curve[i])
	}
	out.peak = math.Min(out.peak, l.ceiling)
	lufs, _ := integrate(gatingBlocks(out.frames()))
	return loudness{LUFS: lufs, Peak: decibel(out.peak)}
}

func (l *limiter) apply(curve []float64) {
	for block := 0; block*peakBlock < len(l.x); block++ {
		from, next := curve[block], curve[min(block+1, len(curve)-1)]
		g, step := float32(from), float32((next-from)/peakBlock)
		samples := l.x[block*peakBlock : min((block+1)*peakBlock, len(l.x))]
		for k := range samples {
			samples[k] *= g + step*float32(k)
		}
	}
}

// leastAround gives every value the least of it and its neighbours within reach.
func leastAround(out, v []float64, reach int) {
	copy(out, v)
	most := slices.Max(v)
	for i, n := range v {
		if n == most { // less than nothing: most of a note
			continue
		}
		for k := max(0, i-reach); k < min(len(v), i+reach+1); k++ {
			out[k] = min(out[k], n)
		}
	}
}

// meanAround gives every value the mean of it and its neighbours within reach.
func meanAround(out, v []float64, reach int) {
	sum, n := 0.0, 0
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
}
