package moderation

import (
	"cmp"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// PairWindowMS is how near two frames at or above Low must be to count as one at High, milliseconds.
const PairWindowMS = 3000

// Frame is one scored picture: a photo, or a frame of a video or animation.
type Frame struct {
	AtMS   int64 // place in the delivered video, 0 for a photo
	Scores pipeline.Scores
	Raw    map[string]float64 // the model's own classes
}

// Aggregate sums frames, scored for in, up to the facts of one item.
//
//  1. A category is reached when one frame's score is at least High, or two frames' within PairWindowMS are at least Low. Means and
//     shares of frames are not asked: they hide a second of nudity in a minute of video.
//  2. A frame whose scores are no probabilities was not scored; none at all is unavailable.
//  3. The coverage is the lower of frames and displayed time. Below 1 the facts are partial, and what is not known to be explicit is
//     unknown: a client may show what nobody has judged.
//  4. What does not move has no FrameFacts.
func Aggregate(frames []Frame, in pipeline.ScreenInput, t Thresholds) pipeline.Facts {
	all := len(frames)
	frames = scored(frames)
	if len(frames) == 0 {
		return unavailable(nil)
	}
	worst := worstFrame(frames, t)
	facts := pipeline.Facts{
		Status: pipeline.Scored, Level: level(frames, t), Scores: maxima(frames), Raw: probabilities(worst.Raw),
		Coverage: coverage(in), UnseenMS: in.ShownMS - in.CoveredMS, UnseenFrames: in.Frames - in.Covered,
		Evidence: &pipeline.Evidence{
			Renditions: append([]string{}, in.Renditions...), Judge: pipeline.JudgeVersion, Frames: in.Covered, Scored: in.Scored, CoveredMS: in.CoveredMS,
		},
	}
	if in.ShownMS > 0 || in.Frames > 1 && manyMoments(frames) {
		facts.Frames = frameFacts(frames, in, t)
	}
	if len(frames) < all || len(frames) < len(in.Samples) || !facts.Complete() {
		facts.Status = pipeline.PartScored
		facts.Level = LevelOf(facts)
	}
	return facts
}

// coverage is the share of what is delivered that was scored or is like something scored, 0 to 1.
func coverage(in pipeline.ScreenInput) float64 {
	if in.Frames == 0 {
		return 0
	}
	share := float64(in.Covered) / float64(in.Frames)
	if in.ShownMS > 0 {
		share = min(share, float64(in.CoveredMS)/float64(in.ShownMS))
	}
	return share
}

func manyMoments(frames []Frame) bool { return frames[0].AtMS != frames[len(frames)-1].AtMS }

// unavailable is what is known when nothing could be found out.
func unavailable(model *pipeline.ModelRef) pipeline.Facts {
	return pipeline.Facts{Status: pipeline.Unavailable, Model: model, Level: pipeline.LevelUnknown}
}

// scored returns the frames that have scores, in the order of time.
func scored(frames []Frame) []Frame {
	out := make([]Frame, 0, len(frames))
	for _, f := range frames {
		if f.Scores.Valid() {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b Frame) int { return cmp.Compare(a.AtMS, b.AtMS) })
	return out
}

// category is one of our categories, its level and its bounds.
type category struct {
	level pipeline.Level
	score func(pipeline.Scores) float64
	Threshold
}

// categories lists them, worst first.
func (t Thresholds) categories() []category {
	return []category{
		{pipeline.LevelExplicit, func(s pipeline.Scores) float64 { return s.Explicit }, t.Explicit},
		{pipeline.LevelDrawn, func(s pipeline.Scores) float64 { return s.Drawn }, t.Drawn},
		{pipeline.LevelSuggestive, func(s pipeline.Scores) float64 { return s.Suggestive }, t.Suggestive},
	}
}

// level is the worst category that is reached.
func level(frames []Frame, t Thresholds) pipeline.Level {
	for _, c := range t.categories() {
		if c.reached(frames) {
			return c.level
		}
	}
	return pipeline.LevelClear
}

// reached holds rule 1 of Aggregate. A category the model cannot tell has no bounds and is never reached.
func (c category) reached(frames []Frame) bool {
	last, seen := int64(0), false
	for _, f := range frames {
		switch s := c.score(f.Scores); {
		case !c.valid() || s < c.Low:
			continue
		case s >= c.High, seen && f.AtMS-last <= PairWindowMS:
			return true
		}
		last, seen = f.AtMS, true
	}
	return false
}

// suspicion is the worst category in which s is at least Low.
func (t Thresholds) suspicion(s pipeline.Scores) (pipeline.Level, float64) {
	for _, c := range t.categories() {
		if v := c.score(s); c.valid() && v >= c.Low {
			return c.level, v
		}
	}
	return pipeline.LevelClear, s.Explicit
}

// worstFrame is the first of those with the worst suspicion and, within it, the highest score.
func worstFrame(frames []Frame, t Thresholds) Frame {
	worst := frames[0]
	worstLevel, worstScore := t.suspicion(worst.Scores)
	for _, f := range frames[1:] {
		l, s := t.suspicion(f.Scores)
		if levelRank(l) > levelRank(worstLevel) || (l == worstLevel && s > worstScore) {
			worst, worstLevel, worstScore = f, l, s
		}
	}
	return worst
}

func maxima(frames []Frame) *pipeline.Scores {
	var m pipeline.Scores
	for _, f := range frames {
		m.Explicit = max(m.Explicit, f.Scores.Explicit)
		m.Drawn = max(m.Drawn, f.Scores.Drawn)
		m.Suggestive = max(m.Suggestive, f.Scores.Suggestive)
	}
	return &m
}

// probabilities copies raw, its rounding errors taken off: a manifest holds 0..1 and can always be written as JSON.
func probabilities(raw map[string]float64) map[string]float64 {
	if raw == nil {
		return nil
	}
	out := make(map[string]float64, len(raw))
	for label, v := range raw {
		if v == v { // NaN has no place in JSON
			out[label] = min(max(v, 0), 1)
		}
	}
	return out
}

func frameFacts(frames []Frame, in pipeline.ScreenInput, t Thresholds) *pipeline.FrameFacts {
	ff := &pipeline.FrameFacts{
		Planned: in.Scored, Scored: in.Scored, Segments: segments(frames, t),
		Coverage: coverage(in), MinDetectableMS: in.LongestMS, Timeline: timeline(frames),
	}
	best := -1.0
	for _, f := range frames {
		if f.Scores.Explicit > best {
			best, ff.MaxAtMS = f.Scores.Explicit, f.AtMS
		}
	}
	return ff
}

// segments joins the frames at or above Low that lie within PairWindowMS of each other. A segment runs from its first frame to its last.
func segments(frames []Frame, t Thresholds) []pipeline.Segment {
	out := []pipeline.Segment{}
	for _, f := range frames {
		l, _ := t.suspicion(f.Scores)
		if l == pipeline.LevelClear {
			continue
		}
		n := len(out)
		if n == 0 || f.AtMS-out[n-1].EndMS > PairWindowMS {
			out = append(out, pipeline.Segment{StartMS: f.AtMS, EndMS: f.AtMS, Level: l})
			continue
		}
		out[n-1].EndMS = f.AtMS
		if levelRank(l) > levelRank(out[n-1].Level) {
			out[n-1].Level = l
		}
	}
	return out
}
