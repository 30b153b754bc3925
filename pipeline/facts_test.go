package pipeline_test

import (
	"math"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// digest is a SHA-256 of sorts, by its digit.
func digest(digit string) string { return strings.Repeat(digit, 64) }

// look is a look at 100 frames of two renditions that covers everything.
func look() pipeline.Facts {
	f := level(pipeline.LevelClear)
	f.Coverage = 1
	f.Evidence = &pipeline.Evidence{
		Renditions: []string{digest("1"), digest("2")}, Judge: pipeline.JudgeVersion, Frames: 100, Scored: 20, CoveredMS: 4000,
	}
	return f
}

// keyFrames is a look of the kind before evidence was kept, at n of n planned frames.
func keyFrames(n int) pipeline.Facts {
	f := level(pipeline.LevelClear)
	f.Frames = &pipeline.FrameFacts{Planned: n, Scored: n, Coverage: 1, Segments: []pipeline.Segment{}}
	return f
}

func with(f pipeline.Facts, change func(*pipeline.Facts)) pipeline.Facts {
	if f.Evidence != nil {
		e := *f.Evidence
		f.Evidence = &e
	}
	change(&f)
	return f
}

// TestWeakerThan: whatever is taken from a look makes it weaker than it was, and never the other way round.
func TestWeakerThan(t *testing.T) {
	nothing := map[string]pipeline.Facts{
		"nothing": {}, "unavailable": {Status: pipeline.Unavailable, Level: pipeline.LevelUnknown},
		"not needed": {Status: pipeline.NotNeeded, Level: pipeline.LevelUnknown}, "skipped": {Status: pipeline.Skipped, Level: pipeline.LevelUnknown},
		"a status nobody knows": with(look(), func(f *pipeline.Facts) { f.Status = "fine" }),
		"scored, and no scores": with(look(), func(f *pipeline.Facts) { f.Scores = nil }),
		"scores that are none":  with(look(), func(f *pipeline.Facts) { f.Scores = &pipeline.Scores{Explicit: math.NaN()} }),
		"a review of nothing":   {Status: pipeline.Reviewed, Level: pipeline.LevelClear},
	}
	reviewed := with(look(), func(f *pipeline.Facts) { f.Status, f.Scores, f.Model = pipeline.Reviewed, nil, nil })
	for name, less := range map[string]pipeline.Facts{
		"an older judge":           with(look(), func(f *pipeline.Facts) { f.Evidence.Judge = "0" }),
		"a judge that is none":     with(look(), func(f *pipeline.Facts) { f.Evidence.Judge = "the best" }),
		"a frame less":             with(look(), func(f *pipeline.Facts) { f.Evidence.Frames-- }),
		"a millisecond less":       with(look(), func(f *pipeline.Facts) { f.Evidence.CoveredMS-- }),
		"a rendition less":         with(look(), func(f *pipeline.Facts) { f.Evidence.Renditions = f.Evidence.Renditions[:1] }),
		"another rendition":        with(look(), func(f *pipeline.Facts) { f.Evidence.Renditions = []string{digest("1"), digest("3")} }),
		"less covered":             with(look(), func(f *pipeline.Facts) { f.Coverage = 0.99 }),
		"a frame unseen":           with(look(), func(f *pipeline.Facts) { f.UnseenFrames = 1 }),
		"partial":                  with(look(), func(f *pipeline.Facts) { f.Status = pipeline.PartScored }),
		"without evidence":         keyFrames(128),
		"a still without evidence": level(pipeline.LevelClear),
	} {
		if !less.WeakerThan(look()) {
			t.Errorf("%s: not weaker than the whole look", name)
		}
		if name != "another rendition" && look().WeakerThan(less) {
			t.Errorf("%s: the whole look is weaker", name)
		}
		if !less.WeakerThan(reviewed) || less.WeakerThan(less) {
			t.Errorf("%s: stronger than a person's review, or weaker than itself", name)
		}
		nothing[name] = less
	}
	for name, f := range nothing {
		if name, looked := name, f.Looked(); !looked && (!f.WeakerThan(look()) || look().WeakerThan(f) || f.WeakerThan(f)) {
			t.Errorf("%s: nothing was looked at, and it is no weaker than a look", name)
		}
		if reviewed.WeakerThan(f) && f.Evidence != nil && f.Evidence.Renditions[len(f.Evidence.Renditions)-1] != digest("3") {
			t.Errorf("%s: a person's review is weaker", name)
		}
	}
	if newer := with(look(), func(f *pipeline.Facts) { f.Evidence.Judge = "1000"; f.Evidence.Scored = 1 }); newer.WeakerThan(look()) {
		t.Error("a newer judge that needs fewer scores for as many frames is weaker")
	}
}

// TestKeyFramesAreWeaker: sixteen key frames, all that were planned, do not stand for forty-eight frames.
func TestKeyFramesAreWeaker(t *testing.T) {
	if !keyFrames(16).WeakerThan(keyFrames(48)) || keyFrames(48).WeakerThan(keyFrames(16)) || keyFrames(48).WeakerThan(keyFrames(48)) {
		t.Error("the number of frames does not tell the two looks apart")
	}
	if !level(pipeline.LevelClear).WeakerThan(keyFrames(2)) {
		t.Error("one picture stands for a video")
	}
}

// TestFactsAreValidated: a worker cannot commit facts that the schema does not have.
func TestFactsAreValidated(t *testing.T) {
	sound := func() pipeline.Manifest {
		r := newRig(t)
		r.upload(t, "a", "one")
		return r.run(t, job("j1", "a"), pipeline.RunOptions{})
	}()
	for name, f := range map[string]pipeline.Facts{
		"":                         look(),
		"coverage":                 with(look(), func(f *pipeline.Facts) { f.Coverage = 1.5 }),
		"coverage: want":           with(look(), func(f *pipeline.Facts) { f.Coverage = math.NaN() }),
		"unseen_ms":                with(look(), func(f *pipeline.Facts) { f.UnseenMS = -1 }),
		"unseen_frames":            with(look(), func(f *pipeline.Facts) { f.UnseenFrames = -1 }),
		"renditions[0]: want a":    with(look(), func(f *pipeline.Facts) { f.Evidence.Renditions = []string{"x"} }),
		"renditions[1]: want them": with(look(), func(f *pipeline.Facts) { f.Evidence.Renditions = []string{digest("2"), digest("1")} }),
		"each once":                with(look(), func(f *pipeline.Facts) { f.Evidence.Renditions = []string{digest("2"), digest("2")} }),
		"lower-case":               with(look(), func(f *pipeline.Facts) { f.Evidence.Renditions = []string{digest("A")} }),
		"judge":                    with(look(), func(f *pipeline.Facts) { f.Evidence.Judge = "" }),
		"no count":                 with(look(), func(f *pipeline.Facts) { f.Evidence.CoveredMS = -1 }),
		"not_needed":               {Status: pipeline.NotNeeded, Level: pipeline.LevelUnknown, Scores: &pipeline.Scores{}},
		"not_needed: want":         {Status: pipeline.NotNeeded, Level: pipeline.LevelClear},
		"reviewed":                 {Status: pipeline.Reviewed, Level: pipeline.LevelClear},
	} {
		m := sound
		m.Parts = []pipeline.Part{sound.Parts[0]}
		m.Parts[0].Moderation = &f
		err := m.Validate()
		if (err == nil) != (name == "") || (err != nil && !strings.Contains(err.Error(), name)) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
