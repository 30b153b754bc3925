package ffmpeg

import "math"

// The rate everything here is measured at, Hz, and the spans of ITU-R BS.1770-4 and EBU R128 in samples at that rate.
const (
	rateHz     = 48_000
	frameLen   = rateHz / 100 // 10 ms, the step of the envelope
	hopLen     = rateHz / 10  // 100 ms, the step of the gating blocks
	blockHops  = 4            // a gating block is 400 ms
	absGate    = -70.0        // LUFS
	relGate    = -10.0        // LU below the mean of what passed the absolute gate
	bs1770Bias = -0.691       // dB
)

// loudness is what a meter says of mono sound.
type loudness struct {
	LUFS float64 // integrated; -Inf = nothing passed the absolute gate
	Peak float64 // true peak, dBTP; -Inf = digital silence
	// Busy is the share of 10 ms frames that carry the sound within the blocks that count, 0..1: above a half for speech,
	// a few hundredths for clicks on silence.
	Busy float64
}

// meter holds what a measurement is made of, so that a change of level need not meter the sound again.
type meter struct {
	energy []float64 // K-weighted mean square of every 10 ms
	blocks []float32 // sample peak of every 1 ms
	peak   float64   // true peak, linear
}

func newMeter(x []float32) meter {
	blocks := blockPeaks(x)
	return meter{energy: weightedEnergy(x), blocks: blocks, peak: truePeakOf(x, blocks)}
}

// measure meters x after ITU-R BS.1770-4: K-weighting, 400 ms blocks every 100 ms, two gates, true peak by 4× oversampling. Sound
// shorter than one block is one block.
func measure(x []float32) loudness { return newMeter(x).loudness() }

func (m meter) loudness() loudness {
	blocks := gatingBlocks(m.energy)
	lufs, threshold := integrate(blocks)
	return loudness{LUFS: lufs, Peak: decibel(m.peak), Busy: busy(m.energy, blocks, lufs, threshold)}
}

// biquad is a direct form I section.
type biquad struct{ b0, b1, b2, a1, a2 float64 }

// The K-weighting of BS.1770-4, tables 1 and 2, at 48 kHz: the head's shelf and the RLB high-pass.
var (
	shelf    = biquad{1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585}
	highPass = biquad{1, -2, 1, -1.99004745483398, 0.99007225036621}
)

// weightedEnergy returns the mean square of every 10 ms of K-weighted x; a last, shorter frame is averaged over its own length. In each
// section the newest output comes last: a sample then waits for the one before by one product and one difference.
func weightedEnergy(x []float32) []float64 {
	energy := make([]float64, 0, len(x)/frameLen+1)
	s, h := shelf, highPass
	var x1, x2, y1, y2, z1, z2 float64
	for len(x) > 0 {
		n := min(frameLen, len(x))
		sum := 0.0
		for _, sample := range x[:n] {
			v := float64(sample)
			y := (s.b0*v + s.b1*x1 + s.b2*x2 - s.a2*y2) - s.a1*y1
			z := (y - 2*y1 + y2 - h.a2*z2) - h.a1*z1
			x2, x1, y2, y1, z2, z1 = x1, v, y1, y, z1, z
			sum += z * z
		}
		energy = append(energy, sum/float64(n))
		x = x[n:]
	}
	return energy
}

// gatingBlocks averages the 10 ms energies over 400 ms every 100 ms. An incomplete last block is left out, as in the standard.
func gatingBlocks(frames []float64) []float64 {
	const perHop, perBlock = hopLen / frameLen, blockHops * hopLen / frameLen
	if len(frames) < perBlock {
		return []float64{mean(frames)}
	}
	var blocks []float64
	for at := 0; at+perBlock <= len(frames); at += perHop {
		blocks = append(blocks, mean(frames[at:at+perBlock]))
	}
	return blocks
}

// integrate applies both gates and returns the loudness and the energy a block needed to count.
func integrate(blocks []float64) (lufs, threshold float64) {
	threshold = energyOf(absGate)
	gated := meanAbove(blocks, threshold)
	if gated == 0 {
		return math.Inf(-1), threshold
	}
	threshold = math.Max(threshold, gated*math.Pow(10, relGate/10))
	return lufsOf(meanAbove(blocks, threshold)), threshold
}

// busy counts the frames within 10 LU of the loudness among the frames of the blocks that count.
func busy(frames, blocks []float64, lufs, threshold float64) float64 {
	if math.IsInf(lufs, -1) {
		return 0
	}
	const perHop, perBlock = hopLen / frameLen, blockHops * hopLen / frameLen
	floor, loud, all := energyOf(lufs+relGate), 0, 0
	for i, e := range blocks {
		if e <= threshold {
			continue
		}
		for _, f := range frames[i*perHop : min(i*perHop+perBlock, len(frames))] {
			all++
			if f > floor {
				loud++
			}
		}
	}
	return float64(loud) / float64(max(1, all))
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, e := range v {
		sum += e
	}
	return sum / float64(max(1, len(v)))
}

func meanAbove(v []float64, threshold float64) float64 {
	sum, n := 0.0, 0
	for _, e := range v {
		if e > threshold {
			sum += e
			n++
		}
	}
	return sum / float64(max(1, n))
}

func lufsOf(energy float64) float64 { return bs1770Bias + 10*math.Log10(energy) }
func energyOf(lufs float64) float64 { return math.Pow(10, (lufs-bs1770Bias)/10) }
func decibel(amp float64) float64   { return 20 * math.Log10(amp) }
func amplitude(db float64) float64  { return math.Pow(10, db/20) }

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

// truePeakOf looks only into the blocks that come near the largest sample.
func truePeakOf(x []float32, blocks []float32) float64 {
	best, before := float32(0), float32(0)
	for _, p := range blocks {
		best = max(best, p)
	}
	for i, p := range blocks {
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

func peakOf(window *[taps]float32) float32 {
	var a, b, c, d float32
	for k, v := range window {
		a += v * interpolation[0][k]
		b += v * interpolation[1][k]
		c += v * interpolation[0][taps-1-k]
		d += v * interpolation[1][taps-1-k]
	}
	return max(a, -a, b, -b, c, -c, d, -d)
}
