package ffmpeg

import "math"

// peakBlock is the limiter's step, 1 ms in samples.
const peakBlock = rateHz / 1000

// lookAhead is how far the limiter sees, in blocks of 1 ms: it dips over twice this before and after a peak. The whole note being
// there, it has no delay.
const lookAhead = 5

// limiter turns sound down around every true peak above a ceiling. Its gain is a curve of one value a millisecond, linear in
// between: the mean over lookAhead of the least that any peak within lookAhead needs, so it never exceeds what any peak needs.
type limiter struct {
	x       []float32
	peaks   []float64 // true peak of each block; where none can reach the ceiling, what bounds it
	ceiling float64   // linear
}

// newLimiter looks at x once, for every gain up to most.
func newLimiter(x []float32, most, ceiling float64) *limiter {
	l := &limiter{x: x, ceiling: ceiling}
	for from := 0; from < len(x); from += peakBlock {
		to := min(from+peakBlock, len(x))
		peak := samplePeak(x[from:to])
		if float64(peak)*overshoot*most > ceiling {
			peak = peakIn(x, from, to, peak)
		}
		l.peaks = append(l.peaks, float64(peak))
	}
	return l
}

// curve is the factor for each millisecond that gives gain under the ceiling.
func (l *limiter) curve(gain float64) []float64 {
	need := make([]float64, len(l.peaks))
	for i, p := range l.peaks {
		need[i] = gain
		if p*gain > l.ceiling {
			need[i] = l.ceiling / p
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
		peak = math.Max(peak, p*curve[i])
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

func leastAround(v []float64, reach int) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		least := v[i]
		for _, n := range v[max(0, i-reach):min(len(v), i+reach+1)] {
			least = min(least, n)
		}
		out[i] = least
	}
	return out
}

func meanAround(v []float64, reach int) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = mean(v[max(0, i-reach):min(len(v), i+reach+1)])
	}
	return out
}
