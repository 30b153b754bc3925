package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// TestGlance counts what is rendered: nothing where the key frames decide a video for everybody, and no key frame is looked at where
// they could not.
func TestGlance(t *testing.T) {
	teen, adult := recipient("teen", pipeline.Teen), recipient("adult", pipeline.Adult)
	hides, blurs := recipient("hides", pipeline.Adult), recipient("blurs", pipeline.Adult)
	hides.NudityFilter, blurs.NudityFilter = pipeline.FilterHide, pipeline.FilterBlur
	tests := []struct {
		name             string
		file             string
		sender           pipeline.AgeBand
		recipients       []pipeline.Recipient
		level            pipeline.Level
		looked, rendered int64
		code             pipeline.Code // of the part, "" = it is ready
	}{
		{"a teenager sends nudity", "film", pipeline.Teen, []pipeline.Recipient{adult}, pipeline.LevelExplicit, 1, 0, pipeline.CodeBlockedNudity},
		{"somebody of unknown age does", "film", pipeline.AgeUnknown, []pipeline.Recipient{adult, teen}, pipeline.LevelExplicit, 1, 0, pipeline.CodeBlockedNudity},
		{"a teenager sends a lake", "film", pipeline.Teen, []pipeline.Recipient{adult}, pipeline.LevelClear, 1, 1, ""},
		{"nobody can tell what a teenager sends", "film", pipeline.Teen, []pipeline.Recipient{adult}, pipeline.LevelUnknown, 1, 1, ""},
		{"everybody filters", "film", pipeline.Adult, []pipeline.Recipient{teen, hides}, pipeline.LevelExplicit, 1, 0, ""},
		{"one does not", "film", pipeline.Adult, []pipeline.Recipient{teen, adult}, pipeline.LevelExplicit, 0, 1, ""},
		{"one may reveal", "film", pipeline.Adult, []pipeline.Recipient{hides, blurs}, pipeline.LevelExplicit, 0, 1, ""},
		{"a photo costs little", "still", pipeline.Teen, []pipeline.Recipient{adult}, pipeline.LevelExplicit, 0, 1, pipeline.CodeBlockedNudity},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.mod.Facts = level(tt.level)
			r.upload(t, "a", tt.file)
			j := job("j1", "a")
			j.Items[0].Kind, j.Conversation.Kind = pipeline.KindAuto, pipeline.Group
			j.Sender.AgeBand, j.Recipients = tt.sender, tt.recipients
			m := r.run(t, j, pipeline.RunOptions{})
			if l, n := r.procs.Looked.Load(), r.procs.Rendered.Load(); l != tt.looked || n != tt.rendered {
				t.Errorf("looked %d times, rendered %d, want %d and %d", l, n, tt.looked, tt.rendered)
			}
			if e := m.Parts[0].Error; (e == nil) != (tt.code == "") || e != nil && e.Code != tt.code {
				t.Errorf("part %+v, want %q", e, tt.code)
			}
			r.leavesNothing(t)
		})
	}
}

// TestWithheldFromEverybodyReadsAlike: whether a video was rendered before it was withheld, nobody can tell.
func TestWithheldFromEverybodyReadsAlike(t *testing.T) {
	views := func(procs func(*rig)) (*pipeline.RecipientView, pipeline.SenderView, pipeline.Manifest) {
		r := newRig(t)
		procs(r)
		r.mod.Facts = level(pipeline.LevelExplicit)
		r.upload(t, "a", "film")
		j := job("j1", "a")
		j.Items[0].Kind, j.Items[0].Caption, j.Recipients[0].AgeBand = pipeline.KindAuto, "look", pipeline.Teen
		m := r.run(t, j, pipeline.RunOptions{})
		v, err := pipeline.ViewFor(m, "r1")
		if err != nil {
			t.Fatal(err)
		}
		return v, pipeline.ViewForSender(m), m
	}
	early, earlySender, m := views(func(*rig) {})
	late, lateSender, rendered := views(func(r *rig) { r.Processors = blind{r.procs} })
	if m.Parts[0].Method != pipeline.MethodNone || len(m.Parts[0].Renditions) != 0 || len(rendered.Parts[0].Renditions) == 0 {
		t.Fatalf("parts %+v and %+v", m.Parts[0], rendered.Parts[0])
	}
	if d := m.Deliveries[0].Parts[0]; d.Action != pipeline.Withhold || d.Reasons[0] != "teen_filter" {
		t.Errorf("delivery %+v", d)
	}
	if asJSON(t, early) != asJSON(t, late) || asJSON(t, earlySender) != asJSON(t, lateSender) {
		t.Errorf("%s and %s, or %s and %s differ", asJSON(t, early), asJSON(t, late), asJSON(t, earlySender), asJSON(t, lateSender))
	}
}

// TestUnrenderedStaysWithheld: the recipient's filter went off after the key frames had decided; there is nothing to deliver.
func TestUnrenderedStaysWithheld(t *testing.T) {
	r := newRig(t)
	r.mod.Facts = level(pipeline.LevelExplicit)
	r.Audience = nowOpen{}
	r.upload(t, "a", "film")
	j := job("j1", "a")
	j.Items[0].Kind, j.Recipients[0].NudityFilter = pipeline.KindAuto, pipeline.FilterHide
	m := r.run(t, j, pipeline.RunOptions{})
	if d := m.Deliveries[0].Parts[0]; d.Action != pipeline.Withhold || d.Reasons[0] != pipeline.ReasonNotRendered {
		t.Errorf("delivery %+v", d)
	}
}

// TestGlanceIsNeverInTheWay: trouble with the key frames leaves the item to its render.
func TestGlanceIsNeverInTheWay(t *testing.T) {
	r := newRig(t)
	r.Processors = blind{r.procs}
	r.upload(t, "a", "film")
	j := job("j1", "a")
	j.Items[0].Kind, j.Sender.AgeBand = pipeline.KindAuto, pipeline.Teen
	if m := r.run(t, j, pipeline.RunOptions{}); m.Status != pipeline.StatusReady || r.procs.Rendered.Load() != 1 {
		t.Errorf("status %s after %d renders", m.Status, r.procs.Rendered.Load())
	}
}

// nowOpen is an audience whose filters are all off.
type nowOpen struct{}

func (nowOpen) Audience(_ context.Context, j pipeline.Job) (pipeline.Audience, error) {
	a := pipeline.Audience{Sender: j.Sender}
	for _, r := range j.Recipients {
		r.NudityFilter = pipeline.FilterOff
		a.Recipients = append(a.Recipients, r)
	}
	return a, nil
}

// blind opens processors that cannot look.
type blind struct{ *pipelinetest.Processors }

func (b blind) Open(ctx context.Context, ws *pipeline.Workspace) (pipeline.Processor, error) {
	p, err := b.Processors.Open(ctx, ws)
	return blindProcessor{p}, err
}

type blindProcessor struct{ pipeline.Processor }

func (blindProcessor) KeyFrames(context.Context, pipeline.File, pipeline.Plan) ([]pipeline.Sample, error) {
	return nil, errors.New("no key frame could be read")
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
