package pipeline_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// modelled is level by a model of that name.
func modelled(model string, l pipeline.Level) pipeline.Facts {
	f := level(l)
	f.Model = &pipeline.ModelRef{ID: model, SHA256: "00"}
	return f
}

// stored is a rig with one message of two photos in its store.
func stored(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.upload(t, "a", "lake")
	r.upload(t, "b", "hill")
	r.run(t, filtered(job("j", "a", "b")), pipeline.RunOptions{})
	return r
}

// filtered is j to somebody whose decisions depend on what it shows.
func filtered(j pipeline.Job) pipeline.Job {
	j.Recipients[0].NudityFilter = pipeline.FilterBlur
	return j
}

func (r *rig) redo(t *testing.T, o pipeline.RedoOrder) pipeline.Redone {
	t.Helper()
	o.JobID = "j"
	if o.Run == "" {
		o.Run = "run1"
	}
	done, err := r.Redo(t.Context(), o, pipeline.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// reads has today's engine see something else in a file than yesterday's did.
func (r *rig) reads(text, as string) {
	r.procs.Reads = func(t string) string {
		if t == text {
			return as
		}
		return t
	}
}

func (r *rig) current(t *testing.T) pipeline.Manifest {
	t.Helper()
	m, err := pipeline.Current(t.Context(), r.store, "j")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (r *rig) keys(t *testing.T, prefix string) (keys []string) {
	t.Helper()
	err := r.store.List(t.Context(), prefix, func(o pipeline.Object) error {
		keys = append(keys, o.Key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func actions(m pipeline.Manifest) (all []pipeline.Action) {
	for _, d := range m.Deliveries {
		for _, p := range d.Parts {
			all = append(all, p.Action)
		}
	}
	return all
}

func TestRedoOfTheSameChangesNothing(t *testing.T) {
	for name, o := range map[string]pipeline.RedoOrder{"recalled": {}, "afresh": {Afresh: true}, "moderation": {Scope: pipeline.RedoModeration, Afresh: true}} {
		t.Run(name, func(t *testing.T) {
			r := stored(t)
			before, read := r.keys(t, ""), r.procs.ReadBacks.Load()
			if done := r.redo(t, o); done.Outcome != pipeline.OutcomeUnchanged || done.Number != 1 {
				t.Errorf("%+v", done)
			}
			if after := r.keys(t, ""); !slices.Equal(before, after) {
				t.Errorf("the store holds %v, was %v", after, before)
			}
			if again := r.procs.ReadBacks.Load() > read; again != o.Afresh {
				t.Errorf("read back again: %v", again)
			}
		})
	}
}

func TestRedoPutsARevisionOnceARun(t *testing.T) {
	r := stored(t)
	first := r.current(t)
	r.reads("lake", "sea")
	done := r.redo(t, pipeline.RedoOrder{Afresh: true})
	if done.Outcome != pipeline.OutcomeUpdated || done.Number != 2 || len(done.Change.Added) != 2 || len(done.Change.Dropped) != 2 {
		t.Fatalf("%+v", done)
	}
	if m := r.current(t); m.Number() != 2 || m.Revision.Run != "run1" || m.CreatedAt != first.CreatedAt || m.Parts[1].Renditions[0] != first.Parts[1].Renditions[0] {
		t.Errorf("in force: %+v", m)
	}
	if old, err := r.CommittedRevision(t.Context(), "j", 1); err != nil || old.Parts[0].Renditions[0] != first.Parts[0].Renditions[0] {
		t.Errorf("the first manifest: %v", err)
	}
	if _, err := r.store.Stat(t.Context(), done.Change.Dropped[0]); err != nil {
		t.Errorf("the old rendition: %v", err)
	}

	r.reads("lake", "moon") // not looked at: the run has done this message
	again := r.redo(t, pipeline.RedoOrder{})
	if again.Outcome != pipeline.OutcomeUpdated || again.Number != 2 || !slices.Equal(again.Change.Added, done.Change.Added) || again.Manifest.Number() != 2 {
		t.Errorf("the same run once more: %+v", again)
	}
	if next := r.redo(t, pipeline.RedoOrder{Run: "run2", Afresh: true}); next.Number != 3 {
		t.Errorf("another run: %+v", next)
	}
	if again := r.redo(t, pipeline.RedoOrder{}); again.Number != 2 || again.Manifest.Number() != 2 {
		t.Errorf("the first run, after another: %+v", again)
	}
	if got := r.keys(t, "revisions/"); len(got) != 2 {
		t.Errorf("revisions: %v", got)
	}
	if m := r.run(t, job("j", "a", "b"), pipeline.RunOptions{}); m.Number() != 1 {
		t.Errorf("the job submitted again is answered with manifest %d: its event is the first one's", m.Number())
	}
}

func TestRedoKeepsWhatCannotBeMadeAgain(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*testing.T, *rig)
		code  pipeline.Code
	}{
		{"source refused", func(_ *testing.T, r *rig) { r.reads("lake", "refuse corrupt") }, pipeline.CodeCorrupt},
		{"source changed", func(t *testing.T, r *rig) { r.upload(t, "a", "another lake") }, pipeline.CodeSourceChanged},
		{"source changed, to what is refused", func(t *testing.T, r *rig) { r.upload(t, "a", "refuse corrupt") }, pipeline.CodeSourceChanged},
		{"source gone", func(t *testing.T, r *rig) { r.sources.Store = without{r.sources.Store, "a"} }, pipeline.CodeSourceMissing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := stored(t)
			tt.spoil(t, r)
			if done := r.redo(t, pipeline.RedoOrder{Afresh: true}); done.Outcome != pipeline.OutcomeKept || done.Code != tt.code || done.Number != 1 {
				t.Errorf("%+v", done)
			}
			if m := r.current(t); m.Status != pipeline.StatusReady {
				t.Errorf("the message is %s", m.Status)
			}
		})
		t.Run(tt.name+", stricter verdict", func(t *testing.T) {
			r := stored(t)
			was := r.current(t)
			tt.spoil(t, r)
			r.mod.Facts = modelled("new", pipeline.LevelExplicit)
			r.Audience = filterOf(pipeline.FilterHide)
			done := r.redo(t, pipeline.RedoOrder{Afresh: true})
			m := r.current(t)
			if done.Outcome != pipeline.OutcomeUpdated || done.Code != tt.code || m.Number() != 2 {
				t.Fatalf("%+v", done)
			}
			if got := actions(m); slices.Contains(got, pipeline.Deliver) {
				t.Errorf("explicit now, and %v", got)
			}
			if m.Parts[0].Moderation.Level != pipeline.LevelExplicit || m.Parts[0].Renditions[0] != was.Parts[0].Renditions[0] {
				t.Errorf("part 1: %+v", m.Parts[0])
			}
		})
		t.Run(tt.name+", milder verdict", func(t *testing.T) {
			r := newRig(t)
			r.mod.Facts = level(pipeline.LevelExplicit)
			r.upload(t, "a", "lake")
			j := job("j", "a")
			j.Recipients[0].NudityFilter = pipeline.FilterBlur
			was := actions(r.run(t, j, pipeline.RunOptions{}))
			tt.spoil(t, r)
			r.mod.Facts = modelled("new", pipeline.LevelClear)
			r.Audience = filterOf(pipeline.FilterOff)
			if done := r.redo(t, pipeline.RedoOrder{Afresh: true}); done.Outcome != pipeline.OutcomeKept {
				t.Errorf("%+v", done)
			}
			if got := actions(r.current(t)); was[0] == pipeline.Deliver || !slices.Equal(got, was) {
				t.Errorf("what could not be made again became milder: %v, was %v", got, was)
			}
		})
	}
}

// without is a store that has lost one object.
type without struct {
	pipeline.Store
	key string
}

func (w without) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	if key == w.key {
		return nil, 0, pipeline.Refuse(pipeline.CodeSourceMissing, "gone")
	}
	return w.Store.Open(ctx, key)
}

// filterOf is an audience all of whose recipients have this filter now.
type filterOf pipeline.NudityFilter

func (f filterOf) Audience(_ context.Context, j pipeline.Job) (pipeline.Audience, error) {
	a := pipeline.Audience{Sender: j.Sender, Recipients: slices.Clone(j.Recipients)}
	for i := range a.Recipients {
		a.Recipients[i].NudityFilter = pipeline.NudityFilter(f)
	}
	return a, nil
}

func TestRedoOfModerationTouchesNoRendition(t *testing.T) {
	r := stored(t)
	was := r.current(t)
	r.sources.Store = without{without{r.sources.Store, "a"}, "b"} // sources are not needed
	r.mod.Facts = modelled("new", pipeline.LevelExplicit)
	r.Audience = filterOf(pipeline.FilterBlur)
	media := r.keys(t, "media/")
	done := r.redo(t, pipeline.RedoOrder{Scope: pipeline.RedoModeration})
	m := r.current(t)
	if done.Outcome != pipeline.OutcomeUpdated || len(done.Change.Verdicts) != 2 || len(done.Change.Decisions) != 2 || len(done.Change.Added)+len(done.Change.Dropped) > 0 {
		t.Fatalf("%+v", done)
	}
	for i, p := range m.Parts {
		if p.Moderation.Model.ID != "new" || !slices.Equal(p.Renditions, was.Parts[i].Renditions) {
			t.Errorf("part %d: %+v", i, p)
		}
	}
	if got := actions(m); slices.Contains(got, pipeline.Deliver) {
		t.Errorf("actions %v", got)
	}
	if got := r.keys(t, "media/"); !slices.Equal(got, media) {
		t.Errorf("media %v, was %v", got, media)
	}

	r.mod.Facts = modelled("third", pipeline.LevelClear)
	r.Audience = nil
	r.Audience = pipeline.JobAudience{}
	if done := r.redo(t, pipeline.RedoOrder{Scope: pipeline.RedoModeration, Run: "run2"}); done.Outcome != pipeline.OutcomeUpdated || slices.Contains(actions(r.current(t)), pipeline.Blur) {
		t.Errorf("a model that clears: %+v, %v", done, actions(r.current(t)))
	}
}

func TestRedoWithoutRenditionScansTheSource(t *testing.T) {
	r := stored(t)
	r.mod.Facts = modelled("new", pipeline.LevelExplicit)
	lost := without{r.store, r.current(t).Parts[0].Renditions[0].Key}
	done, err := r.With(lost).Redo(t.Context(), pipeline.RedoOrder{JobID: "j", Run: "run1", Scope: pipeline.RedoModeration}, pipeline.RunOptions{})
	if err != nil || len(done.Change.Verdicts) != 2 {
		t.Errorf("%+v, %v", done, err)
	}
}

func (w without) Get(ctx context.Context, key string) (io.ReadCloser, pipeline.Object, error) {
	if key == w.key {
		return nil, pipeline.Object{}, pipeline.ErrNotExist
	}
	return w.Store.Get(ctx, key)
}

func TestRedoInTroubleLeavesTheOldManifest(t *testing.T) {
	for name, spoil := range map[string]func(*testing.T, *rig){
		"engine": func(_ *testing.T, r *rig) { r.reads("lake", "trouble") },
		"classifier": func(_ *testing.T, r *rig) {
			r.mod.Facts, r.mod.Err = pipeline.Facts{Status: pipeline.Unavailable, Level: pipeline.LevelUnknown}, errors.New("away")
		},
		"audience": func(_ *testing.T, r *rig) { r.Audience = nobodyKnows{} },
	} {
		t.Run(name, func(t *testing.T) {
			r := stored(t)
			spoil(t, r)
			done, err := r.Redo(t.Context(), pipeline.RedoOrder{JobID: "j", Run: "run1", Afresh: true}, pipeline.RunOptions{Final: true})
			if !pipeline.Retryable(err) {
				t.Errorf("%+v, %v", done, err)
			}
			if m := r.current(t); m.Number() != 1 {
				t.Errorf("in force: %+v", m)
			}
		})
	}
}

type nobodyKnows struct{}

func (nobodyKnows) Audience(context.Context, pipeline.Job) (pipeline.Audience, error) {
	return pipeline.Audience{}, errors.New("no answer")
}

func TestRedoOfTheRejected(t *testing.T) {
	for _, ask := range []bool{false, true} {
		r := newRig(t)
		r.reads("lake", "refuse corrupt")
		r.upload(t, "a", "lake")
		r.upload(t, "b", "hill")
		if m := r.run(t, job("j", "a", "b"), pipeline.RunOptions{}); m.Status != pipeline.StatusPartial {
			t.Fatal(m.Status)
		}
		r.procs.Reads = nil
		done := r.redo(t, pipeline.RedoOrder{Rejected: ask})
		if want := map[bool]pipeline.Outcome{false: pipeline.OutcomeUnchanged, true: pipeline.OutcomeUpdated}[ask]; done.Outcome != want {
			t.Errorf("rejected %v: %+v", ask, done)
		}
		if ready := r.current(t).Status == pipeline.StatusReady; ready != ask {
			t.Errorf("rejected %v: %s", ask, r.current(t).Status)
		}
	}
	r := newRig(t)
	r.upload(t, "a", "refuse corrupt")
	r.run(t, job("j", "a"), pipeline.RunOptions{})
	if done := r.redo(t, pipeline.RedoOrder{}); done.Outcome != pipeline.OutcomeSkipped {
		t.Errorf("rejected as a whole: %+v", done)
	}
}

func TestRedoForNobodyLeft(t *testing.T) {
	r := stored(t)
	r.Audience = blockedNow{}
	done := r.redo(t, pipeline.RedoOrder{})
	m := r.current(t)
	if done.Outcome != pipeline.OutcomeUpdated || m.Status != pipeline.StatusRejected || len(m.Parts) != 0 || len(done.Change.Decisions) != 2 {
		t.Errorf("%+v, %+v", done, m)
	}
	if d := done.Change.Decisions[0]; d.From != pipeline.Deliver || d.To != pipeline.Reject || !d.Stricter() {
		t.Errorf("%+v", d)
	}
}

type blockedNow struct{}

func (blockedNow) Audience(_ context.Context, j pipeline.Job) (pipeline.Audience, error) {
	a := pipeline.Audience{Sender: j.Sender, Recipients: slices.Clone(j.Recipients)}
	a.Recipients[0].Contact = pipeline.ContactBlocked
	return a, nil
}

func TestRedoOfWhatIsNotThere(t *testing.T) {
	r := newRig(t)
	if _, err := r.Redo(t.Context(), pipeline.RedoOrder{JobID: "j", Run: "run1"}, pipeline.RunOptions{}); !errors.Is(err, pipeline.ErrNotExist) {
		t.Errorf("no manifest: %v", err)
	}
	if _, err := r.Redo(t.Context(), pipeline.RedoOrder{JobID: "../j", Run: "run1"}, pipeline.RunOptions{}); err == nil {
		t.Error("a bad id is taken")
	}
	s := stored(t)
	done, err := s.With(without{s.store, pipeline.JobKey("j")}).Redo(t.Context(), pipeline.RedoOrder{JobID: "j", Run: "run1"}, pipeline.RunOptions{})
	if err != nil || done.Outcome != pipeline.OutcomeSkipped || !strings.Contains(done.Why, "no job is kept") {
		t.Errorf("no job: %+v, %v", done, err)
	}
}

func TestManifestJobID(t *testing.T) {
	for key, want := range map[string]string{
		pipeline.ManifestKey("a:b.c"): "a:b.c", "manifests/x.json": "x", "manifests/x.txt": "", "jobs/x.json": "", "manifests/.json": "", "manifests/a/b.json": "",
	} {
		if got, ok := pipeline.ManifestJobID(key); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q, %v", key, got, ok)
		}
	}
}
