package pipelinetest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// side is that of the grey sample, pixels.
const side = 64

// greyWorkspace holds one plain grey sample, grey.rgb.
func greyWorkspace(t *testing.T) *pipeline.Workspace {
	t.Helper()
	ws, err := pipeline.NewWorkspace(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ws.Close(); err != nil {
			t.Error(err)
		}
	})
	f, err := ws.Create("grey.rgb")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(bytes.Repeat([]byte{128}, side*side*3))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return ws
}

// TestModerator holds an implementation to pipeline.Moderator's contract: its Facts are usable in every case, and only a full
// look makes them known.
func TestModerator(t *testing.T, m pipeline.Moderator) {
	ws := greyWorkspace(t)
	good := []pipeline.Sample{{Path: "grey.rgb", Width: side, Height: side}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name    string
		ctx     context.Context
		samples []pipeline.Sample
		frames  int
		known   bool
	}{
		{"a full look", t.Context(), good, 1, true},
		{"nothing to look at", t.Context(), nil, 1, false},
		{"a tenth of what is delivered", t.Context(), good, 10, false},
		{"a sample that is not there", t.Context(), []pipeline.Sample{{Path: "absent", Width: side, Height: side}}, 1, false},
		{"a sample beyond its file", t.Context(), []pipeline.Sample{{Path: "grey.rgb", Offset: 1, Width: side, Height: side}}, 1, false},
		{"a sample outside", t.Context(), []pipeline.Sample{{Path: "../grey.rgb", Width: side, Height: side}}, 1, false},
		{"a sample without size", t.Context(), []pipeline.Sample{{Path: "grey.rgb"}}, 1, false},
		{"an ended context", ended, good, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			facts, err := m.Screen(c.ctx, ws, pipeline.ScreenInput{Samples: c.samples, Frames: c.frames, Scored: 1, Covered: 1})
			known := facts.Status == pipeline.Scored && facts.Level != pipeline.LevelUnknown
			if known != c.known {
				t.Errorf("facts %+v (%v), known %v, want %v", facts, err, known, c.known)
			}
			if known && (facts.Scores == nil || !facts.Scores.Valid() || facts.Model == nil || *facts.Model != m.Model()) {
				t.Errorf("facts %+v do not say what was found and by which model", facts)
			}
			if !known && facts.Level != pipeline.LevelUnknown {
				t.Errorf("level %q of what was not fully seen", facts.Level)
			}
		})
	}
}
