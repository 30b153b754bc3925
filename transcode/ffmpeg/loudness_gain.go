package ffmpeg

import (
	"math"

	"github.com/ninefold/ninefold/transcode"
)

const (
	// maxLimit is the most the limiter may take off a peak, dB.
	maxLimit = 24.0
	// minBusy is the share of frames that must carry sound before a note is made louder. Speech measured 0.45 to 0.8, single
	// clicks on silence 0.03 to 0.1.
	minBusy = 0.15
	// codecMargin is kept below the profile's true peak when the limiter works, dB: both encoders overshoot what they are given.
	codecMargin = 2.5
	// gainStride and gainSteps are how the gain under the limiter is searched: upwards in strides, dB, and then the last stride halved
	// so often, to a twelfth of one. What a stride does not reach is not looked at.
	gainStride = 1.25
	gainSteps  = 4
)

// gainPlan is what is done to a note's level.
type gainPlan struct {
	DB     float64
	Silent bool // nothing to hear: left as it is
	Leave  bool // good already
	Capped bool // less gain than the target asks for
}

// planGain decides from a measurement. It is pure.
//
//  1. Silence is left as it is.
//  2. Within the window and below the peak a note is left as it is.
//  3. Otherwise it goes to the target, by at most MaxGainDB, and no further than the limiter can hold the peaks.
//  4. Clicks on silence are not speech: they are never made louder.
func planGain(l loudness, p transcode.VoiceProfile) gainPlan {
	if math.IsInf(l.LUFS, -1) || l.LUFS < p.SilenceLUFS {
		return gainPlan{Silent: true}
	}
	want := p.TargetLUFS - l.LUFS
	if math.Abs(want) <= p.WindowLU {
		return gainPlan{Leave: l.Peak <= p.MaxPeakDB}
	}
	if want < 0 {
		return gainPlan{DB: want}
	}
	db := math.Min(want, math.Min(p.MaxGainDB, math.Max(0, p.MaxPeakDB-codecMargin-l.Peak+maxLimit)))
	if l.Busy < minBusy {
		db = 0
	}
	return gainPlan{DB: db, Capped: db < want}
}

// normalise carries plan out on x, which m has metered, and returns what is then in x. Every note but silence goes under the
// limiter: what is encoded again overshoots. The plan is corrected to the gain given.
func normalise(x []float32, m meter, plan *gainPlan, p transcode.VoiceProfile) loudness {
	in, ceiling := m.loudness(), p.MaxPeakDB-codecMargin
	if plan.Silent || in.Peak+plan.DB <= ceiling {
		scale(x, plan.DB)
		return loudness{LUFS: in.LUFS + plan.DB, Peak: in.Peak + plan.DB, Busy: in.Busy}
	}
	most := plan.DB
	if in.Busy >= minBusy && !plan.Leave {
		most = math.Max(most, math.Min(p.MaxGainDB, ceiling-in.Peak+maxLimit))
	}
	var out loudness
	out, plan.DB = limitTo(x, m, plan.DB, most, ceiling)
	plan.Capped = plan.Capped || out.LUFS < p.TargetLUFS-p.WindowLU
	return out
}

// limitTo applies db of gain under the ceiling, and up to most to make up for the loudness that limiting takes. The gain is searched
// on the energies already measured; the sound itself is touched once.
func limitTo(x []float32, m meter, db, most, ceiling float64) (loudness, float64) {
	goal := m.loudness().LUFS + db
	l := newLimiter(x, m, amplitude(ceiling))
	short := func(db float64) bool { return l.estimate(m, l.curve(amplitude(db))) <= goal }
	low, high := db, db
	for high < most && short(high) {
		low, high = high, math.Min(most, high+gainStride)
	}
	for range gainSteps {
		if middle := (low + high) / 2; short(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	curve := l.curve(amplitude(high))
	peak := l.peak(curve)
	l.apply(curve)
	return meter{energy: weightedEnergy(x), peak: peak}.loudness(), high
}

func scale(x []float32, db float64) {
	if db == 0 {
		return
	}
	g := float32(amplitude(db))
	for i := range x {
		x[i] *= g
	}
}
