package pipeline_test

import (
	"slices"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// TestRedoIsMadeOfWhatWasSent: a file that was put in the original's place since is made into nothing, whatever was asked for.
func TestRedoIsMadeOfWhatWasSent(t *testing.T) {
	for name, o := range map[string]pipeline.RedoOrder{
		"all": {}, "afresh": {Afresh: true}, "rejected too": {Rejected: true}, "moderation": {Scope: pipeline.RedoModeration, Afresh: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.upload(t, "a", "refuse corrupt")
			r.upload(t, "b", "hill")
			r.upload(t, "c", "wood")
			r.run(t, filtered(job("j", "a", "b", "c")), pipeline.RunOptions{})
			media, rendered := r.keys(t, "media/"), r.procs.Rendered.Load()
			lost := without{r.store, r.current(t).Parts[2].Renditions[0].Key} // its facts can be had of the original only
			r.upload(t, "a", "lake, after all")
			r.upload(t, "b", "another hill")
			r.upload(t, "c", "another wood")
			o.JobID, o.Run = "j", "run1"
			done, err := r.With(lost).Redo(t.Context(), o, pipeline.RunOptions{})
			if err != nil || done.Outcome != pipeline.OutcomeKept || done.Code != pipeline.CodeSourceChanged {
				t.Fatalf("%+v, %v", done, err)
			}
			if got := r.keys(t, "media/"); !slices.Equal(got, media) || r.current(t).Number() != 1 {
				t.Errorf("the store holds %v, was %v; manifest %d is in force", got, media, r.current(t).Number())
			}
			if o.Scope == pipeline.RedoAll && r.procs.Rendered.Load()-rendered > 1 { // the rescan of b's own rendition
				t.Errorf("%d files were decoded", r.procs.Rendered.Load()-rendered)
			}
		})
	}
}

// TestWeakerFactsNeverLower walks every pair of levels and every way of being weaker: what a weaker look finds may make a message stricter
// for anybody, and never milder, however often it is repeated; a look as dense decides in both directions.
func TestWeakerFactsNeverLower(t *testing.T) {
	levels := []pipeline.Level{pipeline.LevelClear, pipeline.LevelSuggestive, pipeline.LevelDrawn, pipeline.LevelExplicit}
	at := func(f pipeline.Facts, l pipeline.Level, model string) pipeline.Facts {
		return with(f, func(f *pipeline.Facts) { f.Level, f.Model = l, &pipeline.ModelRef{ID: model, SHA256: "00"} })
	}
	looks := map[string]func(pipeline.Facts) pipeline.Facts{
		"as dense": func(f pipeline.Facts) pipeline.Facts { return f },
		"fewer frames": func(f pipeline.Facts) pipeline.Facts {
			return with(f, func(f *pipeline.Facts) { f.Evidence.Frames = 16 })
		},
		"less time": func(f pipeline.Facts) pipeline.Facts {
			return with(f, func(f *pipeline.Facts) { f.Evidence.CoveredMS = 16 })
		},
		"an older judge": func(f pipeline.Facts) pipeline.Facts {
			return with(f, func(f *pipeline.Facts) { f.Evidence.Judge = "0" })
		},
		"no evidence": func(f pipeline.Facts) pipeline.Facts {
			return with(f, func(f *pipeline.Facts) { f.Evidence, f.Coverage = nil, 0 })
		},
		"a rendition less": func(f pipeline.Facts) pipeline.Facts {
			return with(f, func(f *pipeline.Facts) { f.Evidence.Renditions = f.Evidence.Renditions[:1] })
		},
	}
	for name, weaken := range looks {
		for _, was := range levels {
			for _, found := range levels {
				r := newRig(t)
				r.upload(t, "a", "lake")
				j := job("j", "a")
				j.Recipients[0].NudityFilter = pipeline.FilterHide
				r.mod.Facts = r.about(t, j, at(look(), was, "old"))
				r.run(t, j, pipeline.RunOptions{})
				strong := *r.current(t).Parts[0].Moderation
				for run, l := range map[string]pipeline.Level{"run1": found, "run2": pipeline.LevelClear} {
					r.mod.Facts, r.mod.Bare = at(weaken(strong), l, run), name == "no evidence"
					done := r.redo(t, pipeline.RedoOrder{Scope: pipeline.RedoModeration, Run: run, Afresh: true})
					got := *r.current(t).Parts[0].Moderation
					if name == "as dense" {
						if got.Level != l {
							t.Fatalf("%s -> %s by a look as dense: %s", was, l, got.Level)
						}
						continue
					}
					if done.Code != pipeline.CodeWeakerEvidence {
						t.Errorf("%s, %s -> %s: nothing is said of it: %+v", name, was, l, done)
					}
					if got.WeakerThan(strong) && got.Evidence != nil && name != "an older judge" || slices.Index(levels, got.Level) < slices.Index(levels, was) {
						t.Errorf("%s, %s -> %s: in force is %s by %+v", name, was, l, got.Level, got.Evidence)
					}
				}
			}
		}
	}
}

// about gives f the digests of the renditions that j comes to.
func (r *rig) about(t *testing.T, j pipeline.Job, f pipeline.Facts) pipeline.Facts {
	t.Helper()
	sums := []string{}
	probe := newRig(t)
	for _, it := range j.Items {
		src, size, err := r.sources.Open(t.Context(), it.Source.Key)
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, size)
		if _, err := src.Read(data); err != nil {
			t.Fatal(err)
		}
		probe.uploadBytes(t, it.Source.Key, data)
	}
	for _, p := range probe.run(t, j, pipeline.RunOptions{}).Parts {
		for _, rend := range p.Renditions {
			sums = append(sums, rend.SHA256)
		}
	}
	sums = append(sums, digest("f")) // one that weaker looks leave out
	slices.Sort(sums)
	return with(f, func(f *pipeline.Facts) { f.Evidence.Renditions = sums })
}

// TestRedoByKeyFrames: what 48 frames have found explicit stays withheld after a new look at 16 key frames that finds nothing, whether the
// renditions are made again or not.
func TestRedoByKeyFrames(t *testing.T) {
	for name, o := range map[string]pipeline.RedoOrder{"moderation": {Scope: pipeline.RedoModeration, Afresh: true}, "all": {Afresh: true}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.upload(t, "a", "film")
			j := job("j", "a")
			j.Items[0].Kind, j.Recipients[0].NudityFilter = pipeline.KindVideo, pipeline.FilterBlur
			r.mod.Facts, r.mod.Bare = keyFrames(48), true
			r.mod.Facts.Level = pipeline.LevelExplicit
			was := actions(r.run(t, j, pipeline.RunOptions{}))
			r.mod.Facts = keyFrames(16)
			done := r.redo(t, o)
			if got := actions(r.current(t)); !slices.Equal(got, was) || done.Outcome != pipeline.OutcomeKept || done.Code != pipeline.CodeWeakerEvidence {
				t.Errorf("%v, was %v: %+v", got, was, done)
			}
		})
	}
}
