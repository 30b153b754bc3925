package ffmpeg

import (
	"math"

	"github.com/ninefold/ninefold/transcode"
)

const (
	// maxLimit is the most the limiter may take off a peak, dB.
	maxLimit = 40.0
	// minBusy is the share of frames that must carry sound before a note is made louder. Speech measured 0.3 to 0.9, single
	// clicks on silence 0.03 to 0.1.
	minBusy = 0.15
	// codecMargin is kept below the profile's true peak when the limiter works, dB: both encoders overshoot what they are given. Of
	// 27 recordings the Opus decoded to 0.5 to 2.5 dB more, the AAC to 0 to 0.9.
	codecMargin = 2.5
	// codecLoss is what is aimed above the target, LU: the Opus of speech decodes to 0.0 to 0.9 less than it was given, the AAC to 0.0 to
	// 0.3. So both lie around the target. What loses more is measured: see coded.
	codecLoss = 0.4
	// The drive of the limiter is searched upwards by what is lacking at searchSlope, LU a dB, at least by searchStep, dB, and then narrowed
	// to goalLU, maxTries times at most.
	searchStep  = 2.0
	searchSlope = 0.5
	maxTries    = 8
	goalLU      = 0.05 // half of the step that meters show
	// extraGain is how much more than the note's gain the limiter may be driven by, to make up for what it takes, dB, and cleanExtra the
	// same where the noise stays below MaxFloorLUFS.
	extraGain  = 6.0
	cleanExtra = 20.0
)

// gainPlan is what may be done to a note's level.
type gainPlan struct {
	Max    float64 // the most it may be made louder by, dB
	Drive  float64 // the most that the limiter may be driven by to make up for what it takes, dB
	Silent bool    // nothing to hear: left as it is
	Leave  bool    // good already
}

// planGain decides from a measurement. It is pure.
//
//  1. Silence is left as it is.
//  2. Well within the window and below the peak a note is good as it is.
//  3. Otherwise it goes to the target, by at most MaxGainDB, or by as much more as leaves its own noise below MaxFloorLUFS, up to
//     MaxCleanGainDB.
//  4. Clicks on silence are not speech: they are never made louder.
func planGain(l loudness, p transcode.VoiceProfile) gainPlan {
	if math.IsInf(l.LUFS, -1) || l.LUFS < p.SilenceLUFS {
		return gainPlan{Silent: true}
	}
	plan := gainPlan{Leave: math.Abs(p.TargetLUFS-l.LUFS) <= p.WindowLU-codecLoss/2 && l.Peak <= p.MaxPeakDB}
	if l.Busy >= minBusy {
		clean := p.MaxFloorLUFS - l.Floor
		plan.Max = math.Max(p.MaxGainDB, math.Min(p.MaxCleanGainDB, clean))
		plan.Drive = plan.Max + math.Max(extraGain, math.Min(cleanExtra, clean-plan.Max))
	}
	return plan
}

// aim is what the limiter is to give.
type aim struct {
	lufs    float64
	ceiling float64 // dBTP
}

// firstAim is between what either codec makes of speech.
func firstAim(p transcode.VoiceProfile) aim {
	return aim{lufs: p.TargetLUFS + codecLoss, ceiling: p.MaxPeakDB - codecMargin}
}

// levelled is a search's result: the curve that gives it is still to be applied.
type levelled struct {
	loudness
	curve []float64
	drive float64 // dB before the limiter
}

// reach searches the gain that gives the loudness wanted under the ceiling, on the energies already measured; the sound itself is not
// touched. The search goes upwards, for more gain may give less loudness: quieter parts come to count.
func (l *limiter) reach(in loudness, plan gainPlan, to aim) levelled {
	l.ceiling = amplitude(to.ceiling)
	low := math.Min(to.lufs-in.LUFS, plan.Max)
	goal, most := in.LUFS+low, math.Max(low, math.Min(plan.Drive, to.ceiling-in.Peak+maxLimit))
	if in.Peak+low <= to.ceiling {
		return levelled{loudness: loudness{LUFS: goal, Peak: in.Peak + low}, drive: low}
	}
	out, high, before := l.at(low), low, 0.0
	for high < most && out.LUFS < goal-goalLU {
		before = out.LUFS
		low, high = high, math.Min(most, high+math.Max(searchStep, (goal-before)/searchSlope))
		out = l.at(high)
	}
	return l.narrow(out, low, before, goal)
}

// narrow takes out, which gives more than goal, back to it; the drive low gave less, below. Over a few dB the loudness grows nearly in a
// line, so that two or three tries are enough.
func (l *limiter) narrow(out levelled, low, below, goal float64) levelled {
	for try := 0; try < maxTries && out.LUFS > goal+goalLU && below < goal; try++ {
		next := l.at(low + (out.drive-low)*(goal-below)/(out.LUFS-below))
		if next.LUFS >= goal-goalLU {
			out = next
		} else {
			low, below = next.drive, next.LUFS
		}
	}
	return out
}

func (l *limiter) at(db float64) levelled {
	curve := l.curve(amplitude(db))
	return levelled{loudness: l.outcome(curve), curve: curve, drive: db}
}

// carry applies what was found to the sound.
func (l *limiter) carry(r levelled) {
	if r.curve == nil {
		scale(l.x, r.drive)
		return
	}
	l.apply(l.curve(amplitude(r.drive)))
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
