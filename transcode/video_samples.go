package transcode

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// SampleHz is the grid that frames are picked on, ticks a second: as fine as the delivered frame rate, so that every delivered
// frame can be picked. A tick shows the frame a viewer would see at that moment, however long it has been standing.
const SampleHz = 30

// SamplePlan says which frames the classifier gets.
type SamplePlan struct {
	Seed      uint64 `json:"seed"`             // of the offsets; made from what the plan was made from
	All       bool   `json:"all,omitempty"`    // every frame, no more than Most: animations
	Most      int    `json:"most"`             // upper bound of frames
	Frames    int    `json:"frames,omitempty"` // of an animation, as counted
	Ticks     []int  `json:"ticks,omitempty"`  // ascending, of SampleHz a second, in delivered time
	Width     int    `json:"width"`            // of the canonical raster
	Height    int    `json:"height"`
	BucketsMS int64  `json:"buckets_ms"` // widest stretch with one pick in it; two picks are at most that and 67 ms apart
}

// PosterTimes says which frames may become the poster.
type PosterTimes struct {
	WantedTick int   `json:"wanted_tick"` // the sender's choice, -1 = none
	Ticks      []int `json:"ticks"`       // ascending, the wanted one included
	Bright     int   `json:"bright"`      // that many more: the first that are not black
}

const (
	denseMS     = 15_000 // up to here 2 frames a second
	denseStep   = 15     // ticks
	evenMS      = 60_000 // up to here 1 frame a second
	evenStep    = 30     // ticks
	maxSamples  = 128    // of an honest video (moderation.md section 2)
	lastMS      = 1_000  // the last second is looked at in any case
	lastFrameMS = 67     // two frames: a poster this near the end is sure to have a frame
)

// driftTicks is the most a pick's place in its bucket differs from the pick before. It bounds the gap between two picks to a bucket and
// driftTicks: 17 ticks or 0.57 s at 2 frames a second, so that whatever is shown for 0.6 s is met. Offsets that know nothing of each other
// leave gaps of up to 1 s and miss one such stretch in twelve.
const driftTicks = 2

// planSamples lays the buckets without trusting the container: the first 15 s are always dense, the promised length decides only
// how fine the rest is, and buckets go on beyond it up to the limit. A container that lies about its length gains nothing.
func planSamples(edits []pipeline.Edit, m pipeline.Media, t VideoTime, pic VideoPicture, prof Profile) SamplePlan {
	w, h := FitSize(pic.Width, pic.Height, min(pic.Width, pic.Height), prof.SampleSide)
	s := SamplePlan{Seed: sampleSeed(edits, m), Width: w, Height: h, BucketsMS: TickMS(denseStep)}
	if m.Animated {
		return s.ofAnimation(m.Frames, pic)
	}
	rng := rand.New(rand.NewPCG(s.Seed, SampleHz))
	s.Ticks = append(s.Ticks, 0)
	pick, end := newDrift(rng), int(t.ReadMS()*SampleHz/1000)
	for from := 0; from <= end; {
		step := bucketTicks(from, t)
		s.BucketsMS = max(s.BucketsMS, TickMS(step))
		s.Ticks = append(s.Ticks, from+pick.next(step))
		from += step
	}
	if end := t.ExpectMS; end > 0 {
		middle := max(0, end-lastMS/2)
		s.Ticks = append(s.Ticks, between(rng, max(0, end-lastMS), middle), between(rng, middle, end))
	}
	slices.Sort(s.Ticks)
	s.Ticks = slices.Compact(s.Ticks)
	s.Most = len(s.Ticks)
	return s
}

// Of an animation every frame is looked at, in the size of others as long as they are few, in the models' own size up to the most. Of what
// lies beyond nothing is known, and what was planned says so.
const (
	fewFrames  = 300
	mostFrames = 1200 // 180 MB of scratch, as 300 in full size
	smallSide  = 224
)

func (s SamplePlan) ofAnimation(frames int, pic VideoPicture) SamplePlan {
	s.All, s.Frames, s.Most = true, frames, fewFrames
	if frames > fewFrames {
		s.Most = mostFrames
		short := min(pic.Width, pic.Height)
		s.Width, s.Height = FitSize(pic.Width, pic.Height, short, min(smallSide, min(s.Width, s.Height)))
	}
	return s
}

// between is a random tick of the stretch that begins at from, milliseconds.
func between(rng *rand.Rand, from, to int64) int { return tickAt(from + rng.Int64N(max(1, to-from))) }

// drift walks at random through the places in a bucket, a few ticks at a time, turning back at the ends. Every place is as likely as
// any other in every bucket, so there is none to hide in.
type drift struct {
	rng      *rand.Rand
	at, step int // place in the last bucket, and the last bucket's width, ticks
}

func newDrift(rng *rand.Rand) *drift { return &drift{rng: rng, at: -1} }

// next is the place in the next bucket, 0..step-1.
func (d *drift) next(step int) int {
	if d.at < 0 {
		d.at, d.step = d.rng.IntN(step), step
		return d.at
	}
	if step != d.step { // the same place in a wider bucket
		d.at, d.step = min(step-1, d.at*step/d.step+d.rng.IntN(max(1, step/d.step))), step
		return d.at
	}
	d.at += d.rng.IntN(2*driftTicks+1) - driftTicks
	if d.at < 0 {
		d.at = -1 - d.at
	}
	if d.at >= step {
		d.at = 2*step - 1 - d.at
	}
	return d.at
}

// bucketTicks is the width of the bucket that begins at tick from: by the table as long as 128 frames reach, then evenly.
func bucketTicks(from int, t VideoTime) int {
	fromMS := TickMS(from)
	if fromMS < denseMS {
		return denseStep
	}
	length := t.ExpectMS
	if length <= fromMS {
		length = t.ReadMS()
	}
	if length <= evenMS {
		return evenStep
	}
	const left = maxSamples - denseMS*SampleHz/1000/denseStep - 4 // the first frame, two of the last second, one for rounding
	return max(evenStep, int((length-denseMS)*SampleHz/1000)/left+1)
}

func tickAt(ms int64) int { return int(ms * SampleHz / 1000) }

// TickMS is the moment of a tick, milliseconds.
func TickMS(tick int) int64 { return (int64(tick)*1000 + SampleHz/2) / SampleHz }

// sampleSeed is made of what shapes the delivered video; who sends it and under which id does not matter, so that a resend gives
// the same plan.
func sampleSeed(edits []pipeline.Edit, m pipeline.Media) uint64 {
	data, err := json.Marshal(struct {
		Edits []pipeline.Edit
		Media pipeline.Media
	}{edits, m})
	if err != nil {
		panic("transcode: facts that are not JSON: " + err.Error()) // programming error: both are plain data
	}
	sum := sha256.Sum256(data)
	return binary.BigEndian.Uint64(sum[:])
}

// brightPosters is how many frames that are not black are kept beside the spread ones.
const brightPosters = 2

// posterShares are the places of the spread candidates in what lies behind the first half second.
var posterShares = []float64{0.08, 0.4, 0.75}

// blindPosterMS are the places when the length is unknown.
var blindPosterMS = []int64{700, 2000, 6000}

// posterIntroMS is skipped where there is anything else: fades, finger on the lens.
const posterIntroMS = 500

// planPosters picks candidates: the sender's choice, or a spread. The first frame is always among them, as a last resort.
func planPosters(edits []pipeline.Edit, t VideoTime, animated bool) (PosterTimes, error) {
	p := PosterTimes{WantedTick: -1, Ticks: []int{0}}
	if at, ok := posterEdit(edits); ok {
		if t.ExpectMS > 0 && at > t.ExpectMS+limitSlackMS {
			return p, pipeline.Refuse(pipeline.CodeInvalidEdit, "poster.at_ms is %d; the video lasts %d ms", at, t.ExpectMS)
		}
		if t.ExpectMS > 0 {
			at = min(at, max(0, t.ExpectMS-lastFrameMS))
		}
		p.WantedTick = tickNear(at)
		p.Ticks = append(p.Ticks, p.WantedTick)
	}
	if !animated {
		p.Bright = brightPosters
	}
	if p.WantedTick < 0 && !animated {
		p.Ticks = append(p.Ticks, spreadTicks(t.ExpectMS)...)
	}
	slices.Sort(p.Ticks)
	p.Ticks = slices.Compact(p.Ticks)
	return p, nil
}

// among moves each place to the next frame that is looked at anyway, ascending ticks, so that none is scored for the poster alone: at most
// a bucket later, and never into the first half second. What the sender chose stays where it is.
func (p PosterTimes) among(samples []int) PosterTimes {
	moved := make([]int, len(p.Ticks))
	for i, tick := range p.Ticks {
		moved[i] = tick
		if next, _ := slices.BinarySearch(samples, tick); tick != p.WantedTick && next < len(samples) {
			moved[i] = samples[next]
		}
	}
	slices.Sort(moved)
	p.Ticks = slices.Compact(moved)
	return p
}

func posterEdit(edits []pipeline.Edit) (at int64, ok bool) {
	for _, e := range edits {
		if e.Op == pipeline.OpPoster {
			at, ok = e.AtMS, true // the last one counts
		}
	}
	return at, ok
}

func tickNear(ms int64) int { return int((ms*SampleHz + 500) / 1000) }

func spreadTicks(lengthMS int64) []int {
	if lengthMS == 0 {
		ticks := make([]int, len(blindPosterMS))
		for i, ms := range blindPosterMS {
			ticks[i] = tickAt(ms)
		}
		return ticks
	}
	if lengthMS <= posterIntroMS {
		return []int{tickAt(lengthMS / 2)}
	}
	var ticks []int
	for _, share := range posterShares {
		ticks = append(ticks, tickAt(posterIntroMS+int64(share*float64(lengthMS-posterIntroMS))))
	}
	return ticks
}
