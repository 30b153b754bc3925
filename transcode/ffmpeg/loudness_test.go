package ffmpeg

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ninefold/ninefold/transcode"
)

// syllables makes n samples of noise that comes and goes three times a second, 0 to about half of full scale.
func syllables(n int) []float32 {
	rng := rand.New(rand.NewPCG(1, 1))
	x := make([]float32, n)
	low := 0.0
	for i := range x {
		low += 0.2 * (rng.NormFloat64() - low)
		x[i] = float32(0.3 * low * math.Max(0, math.Sin(float64(i)/rateHz*2*math.Pi*3)))
	}
	return x
}

func tone(n int, hz, amp float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(amp * math.Sin(2*math.Pi*hz*float64(i)/rateHz+math.Pi/4))
	}
	return x
}

// ease takes the edges off, at which interpolation filters ring, each in its own way.
func ease(x []float32) {
	for i := range 1000 {
		x[i] *= float32(i) / 1000
		x[len(x)-1-i] *= float32(i) / 1000
	}
}

// The tolerances against ffmpeg's meter: a tenth is its resolution in print; its true peak comes from another interpolation filter.
const (
	meterLU = 0.11
	meterDB = 0.35
)

func TestMeterAgreesWithFFmpegs(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	quietThenLoud := append(tone(5*rateHz, 997, 0.001), tone(5*rateHz, 997, 0.25)...)
	for name, x := range map[string][]float32{
		"tone":      tone(5*rateHz, 997, 0.5),
		"low":       tone(5*rateHz, 60, 0.5),
		"quarter":   tone(5*rateHz, rateHz/4, 0.5), // its samples are 3 dB under its peak
		"syllables": syllables(10 * rateHz),
		"gated":     quietThenLoud,
	} {
		t.Run(name, func(t *testing.T) {
			k := &videoKit{T: t, tools: k.tools, dir: k.dir}
			ease(x)
			k.wav(name+".wav", 1, x)
			lufs, peak := k.meterOf(name + ".wav")
			got := measure(x)
			if math.Abs(got.LUFS-lufs) > meterLU || math.Abs(got.Peak-peak) > meterDB {
				t.Errorf("%.2f LUFS, %.2f dBTP; ffmpeg says %v and %v", got.LUFS, got.Peak, lufs, peak)
			}
		})
	}
}

func TestMeterKnowsTheStandardsTone(t *testing.T) {
	// EBU Tech 3341: a 1 kHz sine at -23 dBFS in both channels is -23 LUFS; in one channel it is 3.01 lower.
	if got := measure(tone(20*rateHz, 1000, amplitude(-23))).LUFS; math.Abs(got+26.01) > 0.1 {
		t.Errorf("%.2f LUFS", got)
	}
}

func TestMeterOfNothing(t *testing.T) {
	for _, n := range []int{0, 1, 100, rateHz} {
		if l := measure(make([]float32, n)); !math.IsInf(l.LUFS, -1) || !math.IsInf(l.Peak, -1) || l.Busy != 0 {
			t.Errorf("%d samples of silence: %+v", n, l)
		}
	}
	if l := measure(tone(300*48, 1000, 0.5)); math.Abs(l.LUFS+9.03) > 0.1 {
		t.Errorf("0.3 s: %+v", l) // shorter than a gating block
	}
}

// TestShoulderMissesNothing compares with interpolation everywhere.
func TestShoulderMissesNothing(t *testing.T) {
	for name, x := range map[string][]float32{"syllables": syllables(rateHz), "tone": tone(rateHz, 11_000, 0.5), "high": tone(rateHz, 17_300, 0.5)} {
		best := samplePeak(x)
		for i := range x {
			best = max(best, peakBefore(x, i))
		}
		if got := truePeak(x); math.Abs(decibel(got)-decibel(float64(best))) > 0.02 {
			t.Errorf("%s: %v, everywhere %v", name, got, best)
		}
	}
}

func TestPlanGain(t *testing.T) {
	p := transcode.DefaultProfile().Voice
	silence := math.Inf(-1)
	for name, c := range map[string]struct {
		l    loudness
		want gainPlan
	}{
		"silence":              {loudness{silence, silence, 0, silence}, gainPlan{Silent: true}},
		"below silence":        {loudness{-70.1, -40, 1, -75}, gainPlan{Silent: true}},
		"on target":            {loudness{-16, -3, 0.6, -50}, gainPlan{Max: 20, Drive: 26, Leave: true}},
		"within the window":    {loudness{-16.7, -1.5, 0.6, -50}, gainPlan{Max: 20, Drive: 26, Leave: true}},
		"at its edge":          {loudness{-16.9, -1.5, 0.6, -50}, gainPlan{Max: 20, Drive: 26}},
		"on target, too high":  {loudness{-16, -1.4, 0.6, -50}, gainPlan{Max: 20, Drive: 26}},
		"far and clean":        {loudness{-41, -25, 0.6, -78}, gainPlan{Max: 28, Drive: 34}},
		"far and clean enough": {loudness{-41, -25, 0.6, -88}, gainPlan{Max: 30, Drive: 38}},
		"far and very clean":   {loudness{-50, -35, 0.6, silence}, gainPlan{Max: 30, Drive: 50}},
		"far and noisy":        {loudness{-41, -25, 0.6, -60}, gainPlan{Max: 20, Drive: 26}},
		"a click":              {loudness{-60, -20, 0.03, silence}, gainPlan{}},
	} {
		if got := planGain(c.l, p); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// outcomeLU is how far what the limiter says of its outcome may be from metering it: a third of what meters show.
const outcomeLU = 0.03

func TestTheLimiterHoldsItsCeiling(t *testing.T) {
	for _, db := range []float64{0, 6, 12, 20} {
		t.Run(fmt.Sprint(db), func(t *testing.T) {
			x := syllables(3 * rateHz)
			for _, at := range []int{10, 40_000, 80_000, len(x) - 5} {
				x[at] = 0.9 // peaks at both ends and between
			}
			m := newMeter(x)
			in := m.loudness()
			to := aim{lufs: in.LUFS + db, ceiling: -4}
			l := newLimiter(x, m, amplitude(to.ceiling))
			out := l.reach(in, gainPlan{Max: 20, Drive: 20}, to)
			l.carry(out)
			if peak := decibel(truePeak(x)); peak > -4+0.05 {
				t.Errorf("peaks at %.2f dBTP", peak)
			}
			if got := measure(x).LUFS; math.Abs(got-out.LUFS) > outcomeLU {
				t.Errorf("%.3f LUFS, said to be %.3f", got, out.LUFS)
			}
			if out.LUFS > to.lufs+2*goalLU || db < 12 && out.LUFS < to.lufs-goalLU {
				t.Errorf("%.2f LUFS, want %.2f where the ceiling lets it", out.LUFS, to.lufs)
			}
		})
	}
}

func BenchmarkMeter(b *testing.B) {
	x := syllables(60 * rateHz)
	for b.Loop() {
		measure(x)
	}
}

func BenchmarkLimit(b *testing.B) {
	x := syllables(60 * rateHz)
	m := newMeter(x)
	for b.Loop() {
		l := newLimiter(append([]float32(nil), x...), m, amplitude(-4))
		in := m.loudness()
		l.carry(l.reach(in, gainPlan{Max: 20, Drive: 26}, aim{lufs: in.LUFS + 12, ceiling: -4}))
	}
}
