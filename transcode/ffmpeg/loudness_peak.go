package ffmpeg

import "math"

// interpolation are the phases of the 48-tap filter in BS.1770-4, annex 2; the other two are these, reversed.
var interpolation = [2][12]float32{
	{
		0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875, 0.1373291015625,
		0.9721679687500, -0.1022949218750, 0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500,
	},
	{
		-0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250, -0.1665039062500, 0.4650878906250,
		0.7797851562500, -0.2003173828125, 0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375,
	},
}

const (
	taps = 12
	// centre is where in the window the interpolated points lie: between its samples centre-1 and centre.
	centre = 6
	// overshoot bounds what the interpolation can make of samples of 1: the sum of the larger phase's absolute taps, rounded up.
	overshoot = 2.03
	// shoulder is how much of a peak its two nearest samples reach at least. It is 0.71 for the worst tone below half of the
	// bandwidth; interpolating only there is a twentieth of the work for speech and missed 0.0 dB on speech and noise.
	shoulder = 0.6
)

// truePeak is the largest interpolated magnitude of x.
func truePeak(x []float32) float64 { return truePeakOf(x, blockPeaks(x)) }

// truePeakOf looks only into the milliseconds whose peaks come near the largest sample.
func truePeakOf(x, peaks []float32) float64 {
	best, before := float32(0), float32(0)
	for _, p := range peaks {
		best = max(best, p)
	}
	for i, p := range peaks {
		if max(p, before) >= shoulder*best {
			best = peakIn(x, i*peakBlock, min((i+1)*peakBlock, len(x)), best)
		}
		before = p
	}
	return float64(best)
}

// blockPeaks is the largest sample of every millisecond.
func blockPeaks(x []float32) []float32 {
	peaks := make([]float32, 0, len(x)/peakBlock+1)
	for len(x) > 0 {
		n := min(peakBlock, len(x))
		peaks = append(peaks, samplePeak(x[:n]))
		x = x[n:]
	}
	return peaks
}

// samplePeak compares magnitudes as integers, which order as the floats do and take a third of the time.
func samplePeak(x []float32) float32 {
	best := uint32(0)
	for _, v := range x {
		best = max(best, math.Float32bits(v)&^(1<<31))
	}
	return math.Float32frombits(best)
}

// peakIn is the largest interpolated magnitude near x[from:to], at least best.
func peakIn(x []float32, from, to int, best float32) float32 {
	before := uint32(0)
	if from > 0 {
		before = math.Float32bits(x[from-1]) &^ (1 << 31)
	}
	enough := math.Float32bits(shoulder * best)
	for i := from; i < to; i++ {
		here := math.Float32bits(x[i]) &^ (1 << 31)
		if max(here, before) >= enough {
			best = max(best, peakBefore(x, i))
			enough = math.Float32bits(shoulder * best)
		}
		before = here
	}
	return best
}

// peakBefore is the largest of the four points interpolated between samples i-1 and i.
func peakBefore(x []float32, i int) float32 {
	start := i - centre
	if start >= 0 && start+taps <= len(x) {
		return peakOf((*[taps]float32)(x[start:]))
	}
	var window [taps]float32
	for k := range window {
		if j := start + k; j >= 0 && j < len(x) {
			window[k] = x[j]
		}
	}
	return peakOf(&window)
}

// peakOf is the largest of the four. A phase and its mirror image are the sum and the difference of what the even and the odd half of
// the window give them, so that the larger of the two is the sum of the halves' magnitudes: half of the products.
func peakOf(window *[taps]float32) float32 {
	var evenA, oddA, evenB, oddB float32
	for k := range folded {
		even, odd := window[k]+window[taps-1-k], window[k]-window[taps-1-k]
		f := &folded[k]
		evenA += even * f[0]
		oddA += odd * f[1]
		evenB += even * f[2]
		oddB += odd * f[3]
	}
	return max(max(evenA, -evenA)+max(oddA, -oddA), max(evenB, -evenB)+max(oddB, -oddB))
}

// folded are the even and the odd half of each phase.
var folded = fold()

func fold() (f [taps / 2][4]float32) {
	for k := range f {
		for phase, h := range interpolation {
			f[k][2*phase], f[k][2*phase+1] = (h[k]+h[taps-1-k])/2, (h[k]-h[taps-1-k])/2
		}
	}
	return f
}
