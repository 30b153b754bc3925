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
	codecMargin = 3.0
	// The gain under the limiter is searched from firstSlope, LU a dB, taken as no flatter than leastSlope, until it gives the loudness
	// wanted to within goalLU, or gainSteps times. Speech took 1 to 3.
	firstSlope = 0.45
	leastSlope = 0.1
	goalLU     = 0.05 // half of the step that meters show
	gainSteps  = 8
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
// by secants on the energies already measured; the sound itself is touched once.
func limitTo(x []float32, m meter, db, most, ceiling float64) (out loudness, gain float64) {
	l := newLimiter(x, m, amplitude(ceiling))
	curve := l.curve(amplitude(db))
	out = l.outcome(curve)
	goal, slope, least := m.loudness().LUFS+db, firstSlope, db
	for range gainSteps {
		lack := goal - out.LUFS
		next := math.Max(least, math.Min(most, db+lack/slope))
		if math.Abs(lack) < goalLU || next == db {
			break
		}
		before := out.LUFS
		curve = l.curve(amplitude(next))
		out = l.outcome(curve)
		db, slope = next, math.Max(leastSlope, (out.LUFS-before)/(next-db))
	}
	l.apply(curve)
	return out, db
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
