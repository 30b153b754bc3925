package ffmpeg

import (
	"math"
	"slices"
)

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
	// Floor is the loudness of the noise between the words, LUFS: what one of twenty 10 ms frames lies below.
	Floor float64
}

// meter holds what a measurement is made of, so that a change of level need not meter the sound again.
type meter struct {
	energy []float64 // sum of the K-weighted squares of every 1 ms
	peaks  []float32 // sample peak of every 1 ms
	length int       // samples
	peak   float64   // true peak, linear
}

func newMeter(x []float32) meter {
	peaks := blockPeaks(x)
	return meter{energy: weightedEnergy(x), peaks: peaks, length: len(x), peak: truePeakOf(x, peaks)}
}

// measure meters x after ITU-R BS.1770-4: K-weighting, 400 ms blocks every 100 ms, two gates, true peak by 4× oversampling. Sound
// shorter than one block is one block.
func measure(x []float32) loudness { return newMeter(x).loudness() }

func (m meter) loudness() loudness {
	frames := m.frames()
	blocks := gatingBlocks(frames)
	lufs, threshold := integrate(blocks)
	return loudness{LUFS: lufs, Peak: decibel(m.peak), Busy: busy(frames, blocks, lufs, threshold), Floor: noiseFloor(frames)}
}

// floorShare is the share of frames below the noise floor.
const floorShare = 20

// noiseFloor is -Inf for nothing and for digital silence between the words.
func noiseFloor(frames []float64) float64 {
	if len(frames) == 0 {
		return math.Inf(-1)
	}
	sorted := slices.Clone(frames)
	slices.Sort(sorted)
	return lufsOf(sorted[len(sorted)/floorShare])
}

// frames are the mean squares of every 10 ms; a last, shorter one is averaged over its own length.
func (m meter) frames() []float64 {
	const perFrame = frameLen / peakBlock
	frames := make([]float64, 0, len(m.energy)/perFrame+1)
	for i := 0; i < len(m.energy); i += perFrame {
		sum := 0.0
		for _, e := range m.energy[i:min(i+perFrame, len(m.energy))] {
			sum += e
		}
		frames = append(frames, sum/float64(min(frameLen, m.length-i*peakBlock)))
	}
	return frames
}

// biquad is a direct form I section.
type biquad struct{ b0, b1, b2, a1, a2 float64 }

// The K-weighting of BS.1770-4, tables 1 and 2, at 48 kHz: the head's shelf and the RLB high-pass.
var (
	shelf    = biquad{1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585}
	highPass = biquad{1, -2, 1, -1.99004745483398, 0.99007225036621}
)

// weightedEnergy returns the sum of the squares of every 1 ms of K-weighted x. In each section the newest output comes last: a sample
// then waits for the one before by one product and one difference.
func weightedEnergy(x []float32) []float64 {
	energy := make([]float64, 0, len(x)/peakBlock+1)
	s, h := shelf, highPass
	var x1, x2, y1, y2, z1, z2 float64
	for len(x) > 0 {
		n := min(peakBlock, len(x))
		sum := 0.0
		for _, sample := range x[:n] {
			v := float64(sample)
			y := (s.b0*v + s.b1*x1 + s.b2*x2 - s.a2*y2) - s.a1*y1
			z := (y - 2*y1 + y2 - h.a2*z2) - h.a1*z1
			x2, x1, y2, y1, z2, z1 = x1, v, y1, y, z1, z
			sum += z * z
		}
		energy = append(energy, sum)
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
