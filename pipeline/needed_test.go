package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
)

// scanning is r with another choice of when media are looked at.
func (r *rig) scanning(t *testing.T, scan moderation.Scan) *rig {
	t.Helper()
	config := moderation.DefaultConfig()
	config.Scan = scan
	policy, err := moderation.NewPolicy(config)
	if err != nil {
		t.Fatal(err)
	}
	r.Policy = policy
	return r
}

// people is j between these two.
func people(j pipeline.Job, sender, recipient pipeline.AgeBand, filter pipeline.NudityFilter) pipeline.Job {
	j.Sender.AgeBand = sender
	j.Recipients[0].AgeBand, j.Recipients[0].NudityFilter = recipient, filter
	return j
}

// TestLookingWhereNeededChangesNothing: for each pair of people and each level the message ends as it does where everything is looked at,
// for every recipient and for the sender; and nobody is looked at between adults without a filter.
func TestLookingWhereNeededChangesNothing(t *testing.T) {
	looked := 0
	for _, sender := range []pipeline.AgeBand{pipeline.Teen, pipeline.AgeUnknown, pipeline.Adult} {
		for _, rec := range []pipeline.AgeBand{pipeline.Teen, pipeline.AgeUnknown, pipeline.Adult} {
			for _, filter := range []pipeline.NudityFilter{pipeline.FilterOff, pipeline.FilterBlur, pipeline.FilterHide} {
				for _, l := range []pipeline.Level{pipeline.LevelClear, pipeline.LevelSuggestive, pipeline.LevelDrawn, pipeline.LevelExplicit} {
					var ends [2]pipeline.Manifest
					var screened int64
					for i, scan := range []moderation.Scan{moderation.ScanAlways, moderation.ScanNeeded} {
						r := newRig(t).scanning(t, scan)
						r.mod.Facts = level(l)
						r.upload(t, "a", "lake")
						ends[i] = r.run(t, people(job("j", "a"), sender, rec, filter), pipeline.RunOptions{})
						screened = r.mod.Screened.Load()
					}
					if !slices.Equal(actions(ends[0]), actions(ends[1])) || !slices.Equal(ends[0].SenderNotices, ends[1].SenderNotices) || ends[0].Status != ends[1].Status {
						t.Errorf("%s to %s with %s, %s: %v, where everything is looked at %v", sender, rec, filter, l, actions(ends[1]), actions(ends[0]))
					}
					if free := sender == pipeline.Adult && rec == pipeline.Adult && filter == pipeline.FilterOff; free == (screened > 0) {
						t.Errorf("%s to %s with %s: looked at %d times", sender, rec, filter, screened)
					}
					looked += int(screened)
				}
			}
		}
	}
	if looked == 0 {
		t.Error("nothing was looked at")
	}
}

// telltale are facts that can be found wherever they are kept.
func telltale() pipeline.Facts {
	f := modelled("telltale-model", pipeline.LevelExplicit)
	f.Scores.Explicit, f.Raw = 0.987654321, map[string]float64{"telltale-label": 0.123456789}
	return f
}

// traces are what telltale leaves behind.
var traces = []string{"telltale", "0.98765", "0.12345", `"scores"`, `"explicit"`, "scored"}

// TestAdultsLeaveNoScore: after a message between adults without filters no score is anywhere in the store or in the log; after an earlier
// look at the same file, for somebody else, none is in what belongs to their message.
func TestAdultsLeaveNoScore(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t)
	r.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.mod.Facts = telltale()
	r.upload(t, "a", "lake")
	r.run(t, job("j", "a"), pipeline.RunOptions{})
	r.findsNone(t, "")
	if found := found(log.String()); found != "" {
		t.Errorf("the log has %q", found)
	}
	if m := r.current(t); m.Parts[0].Moderation.Status != pipeline.NotNeeded || m.Parts[0].Moderation.Level != pipeline.LevelUnknown {
		t.Errorf("%+v", m.Parts[0].Moderation)
	}

	r.run(t, people(job("teen", "a"), pipeline.Adult, pipeline.Teen, pipeline.FilterOff), pipeline.RunOptions{}) // the record has scores now
	if r.mod.Screened.Load() == 0 {
		t.Fatal("nothing was looked at for somebody of 16 or 17")
	}
	log.Reset()
	for _, id := range []string{"second", "third"} {
		r.run(t, job(id, "a"), pipeline.RunOptions{})
		done, err := r.Redo(t.Context(), pipeline.RedoOrder{JobID: id, Run: "run1", Afresh: id == "third"}, pipeline.RunOptions{})
		if err != nil || done.Outcome != pipeline.OutcomeUnchanged {
			t.Errorf("%s again: %+v, %v", id, done, err)
		}
		for _, prefix := range []string{"manifests/" + id, "jobs/" + id, "revisions/" + id} {
			r.findsNone(t, prefix)
		}
		for _, key := range r.keys(t, "audit/") {
			if strings.Contains(key, id) {
				r.findsNone(t, key)
			}
		}
	}
	if found := found(log.String()); found != "" {
		t.Errorf("the log has %q", found)
	}
}

func found(text string) string {
	for _, trace := range traces {
		if strings.Contains(text, trace) {
			return trace
		}
	}
	return ""
}

// findsNone searches everything whose key begins with prefix.
func (r *rig) findsNone(t *testing.T, prefix string) {
	t.Helper()
	keys := r.keys(t, prefix)
	for _, key := range keys {
		body, _, err := r.store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(body)
		if err := errors.Join(err, body.Close()); err != nil {
			t.Fatal(err)
		}
		if found := found(string(text)); found != "" {
			t.Errorf("%s has %q", key, found)
		}
	}
	if len(keys) == 0 && !strings.HasPrefix(prefix, "revisions/") {
		t.Errorf("nothing lies under %q", prefix)
	}
}

// TestRecordsWithoutScoresAreReused: what was rendered for adults is not rendered again for somebody who is protected, but screened; what
// was found is in the record from then on.
func TestRecordsWithoutScoresAreReused(t *testing.T) {
	r := newRig(t)
	r.mod.Facts = level(pipeline.LevelExplicit)
	r.upload(t, "a", "lake")
	first := r.run(t, job("j1", "a"), pipeline.RunOptions{})
	for _, id := range []string{"j2", "j3"} {
		m := r.run(t, people(job(id, "a"), pipeline.Adult, pipeline.Teen, pipeline.FilterOff), pipeline.RunOptions{})
		if got := actions(m); !slices.Equal(got, []pipeline.Action{pipeline.Withhold}) || m.Parts[0].Moderation.Level != pipeline.LevelExplicit {
			t.Errorf("%s: %v by %+v", id, got, m.Parts[0].Moderation)
		}
		if !slices.Equal(m.Parts[0].Renditions, first.Parts[0].Renditions) || m.Parts[0].Source.SHA256 != first.Parts[0].Source.SHA256 {
			t.Errorf("%s: %+v", id, m.Parts[0])
		}
	}
	if got := r.mod.Screened.Load(); got != 1 {
		t.Errorf("looked at %d times, want once", got)
	}
	r.leavesNothing(t)
}

// TestOldFactsAreNotReused: what an older judge has found counts for nobody who is protected, and neither does what is about other files.
func TestOldFactsAreNotReused(t *testing.T) {
	for name, change := range map[string]func(*pipeline.Facts){
		"an older judge":  func(f *pipeline.Facts) { f.Evidence.Judge = "0" },
		"another file":    func(f *pipeline.Facts) { f.Evidence.Renditions = []string{digest("f")} },
		"a file is amiss": func(f *pipeline.Facts) { f.Evidence.Renditions = []string{} },
	} {
		r := newRig(t)
		r.upload(t, "a", "lake")
		j := people(job("j1", "a"), pipeline.Adult, pipeline.Teen, pipeline.FilterOff)
		right := r.about(t, j, look())
		r.mod.Facts = with(right, change)
		first := actions(r.run(t, j, pipeline.RunOptions{}))
		if shown := slices.Equal(first, []pipeline.Action{pipeline.Deliver}); shown != (name == "an older judge") {
			t.Errorf("%s: %v", name, first)
		}
		r.mod.Facts = right
		j.JobID = "j2"
		m := r.run(t, j, pipeline.RunOptions{})
		if got := actions(m); r.mod.Screened.Load() != 2 || r.procs.Identified.Load() != 1 || !slices.Equal(got, []pipeline.Action{pipeline.Deliver}) {
			t.Errorf("%s: %v after %d looks", name, got, r.mod.Screened.Load())
		}
	}
}

// TestAudienceThatNeedsItAtPublish: who turns out to be protected when the message is published is served by what the stored renditions
// show, and where that cannot be found out, by nothing.
func TestAudienceThatNeedsItAtPublish(t *testing.T) {
	for _, now := range []pipeline.AudienceSource{filterOf(pipeline.FilterHide), ageOf(pipeline.Teen)} {
		for _, l := range []pipeline.Level{pipeline.LevelClear, pipeline.LevelExplicit} {
			r := newRig(t)
			r.Audience, r.mod.Facts = now, level(l)
			r.upload(t, "a", "lake")
			r.upload(t, "b", "hill")
			m := r.run(t, job("j", "a", "b"), pipeline.RunOptions{})
			want := map[pipeline.Level]pipeline.Action{pipeline.LevelClear: pipeline.Deliver, pipeline.LevelExplicit: pipeline.Withhold}[l]
			if got := actions(m); !slices.Equal(got, []pipeline.Action{want, want}) || m.Parts[1].Moderation.Level != l {
				t.Errorf("%s: %v", l, got)
			}
			r.leavesNothing(t)
		}
		r := newRig(t)
		r.Audience, r.mod.Facts, r.mod.Err = now, pipeline.Facts{Status: pipeline.Unavailable, Level: pipeline.LevelUnknown}, pipeline.Trouble(pipeline.CodeClassifierUnavailable, "screen", errors.New("away"))
		r.upload(t, "a", "lake")
		if _, err := r.Run(t.Context(), job("j", "a"), pipeline.RunOptions{}); !pipeline.Retryable(err) {
			t.Errorf("no scores, attempts left: %v", err)
		}
		if got := actions(r.run(t, job("j", "a"), pipeline.RunOptions{Final: true})); slices.Contains(got, pipeline.Deliver) {
			t.Errorf("no scores, and %v", got)
		}
	}
}

// TestAudienceThatNeedsItNoMoreAtPublish: who was thought to be protected and turns out to be an adult without a filter gets the message with
// nothing said of what it shows, and so does the next revision of a message that was looked at.
func TestAudienceThatNeedsItNoMoreAtPublish(t *testing.T) {
	for _, l := range []pipeline.Level{pipeline.LevelClear, pipeline.LevelExplicit} {
		r := newRig(t)
		r.mod.Facts, r.Audience = level(l), ageOf(pipeline.Adult)
		r.upload(t, "a", "lake")
		m := r.run(t, people(job("j", "a"), pipeline.Adult, pipeline.Teen, pipeline.FilterOff), pipeline.RunOptions{})
		if got := actions(m); r.mod.Screened.Load() != 1 || !slices.Equal(got, []pipeline.Action{pipeline.Deliver}) {
			t.Errorf("%s: %v after %d looks", l, got, r.mod.Screened.Load())
		}
		r.findsNone(t, "manifests/")
		r.findsNone(t, "audit/")
	}
	r := stored(t) // looked at, for somebody with a filter
	r.Audience = filterOf(pipeline.FilterOff)
	for run, o := range map[string]pipeline.RedoOrder{"run1": {}, "run2": {Scope: pipeline.RedoModeration}, "run3": {Afresh: true}} {
		o.Run = run
		if done := r.redo(t, o); len(done.Change.Verdicts) > 0 {
			t.Errorf("%s: nobody has looked, and it is a new verdict: %+v", run, done.Change)
		}
	}
	r.findsNone(t, "revisions/j/")
	if m := r.current(t); m.Number() != 2 {
		t.Errorf("manifest %d is in force", m.Number())
	}
}

// ageOf is an audience all of whose recipients are of this age now.
type ageOf pipeline.AgeBand

func (a ageOf) Audience(_ context.Context, j pipeline.Job) (pipeline.Audience, error) {
	out := pipeline.Audience{Sender: j.Sender, Recipients: slices.Clone(j.Recipients)}
	for i := range out.Recipients {
		out.Recipients[i].AgeBand = pipeline.AgeBand(a)
	}
	return out, nil
}

// TestScreenOnRequest: a message that was not looked at is, once somebody needs to know; without a need a rescan passes it over.
func TestScreenOnRequest(t *testing.T) {
	r := newRig(t)
	r.mod.Facts = level(pipeline.LevelExplicit)
	r.upload(t, "a", "lake")
	r.run(t, job("j", "a"), pipeline.RunOptions{})
	moderation := pipeline.RedoOrder{Scope: pipeline.RedoModeration, Afresh: true}
	if done := r.redo(t, moderation); done.Outcome != pipeline.OutcomeUnchanged || r.mod.Screened.Load() > 0 {
		t.Errorf("%+v after %d looks", done, r.mod.Screened.Load())
	}
	moderation.Screen, moderation.Run = true, "run2"
	done := r.redo(t, moderation)
	if m := r.current(t); done.Outcome != pipeline.OutcomeUpdated || m.Parts[0].Moderation.Level != pipeline.LevelExplicit || m.Number() != 2 {
		t.Errorf("%+v, %+v", done, m.Parts[0].Moderation)
	}
}
