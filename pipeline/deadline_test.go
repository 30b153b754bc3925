package pipeline_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// TestDeadlineLeavesOptionalWorkOut gives a job less time than its plan's optional work takes. What it made must not be handed to a later
// job that has the time, and what that one made may be handed to everybody.
func TestDeadlineLeavesOptionalWorkOut(t *testing.T) {
	r := newRig(t)
	r.now = time.Now() // an expiry is held by the real clock
	r.upload(t, "a", "a photo")
	in := func(d time.Duration) *time.Time { at := r.now.Add(d); return &at }
	for _, c := range []struct {
		id                string
		deadline, expires *time.Time
		degraded          []string
		rendered          int64 // by then
	}{
		{"j1", in(30 * time.Second), nil, []string{"extra"}, 1},
		{"j2", in(-time.Hour), nil, []string{"extra"}, 2},
		{"j3", in(time.Hour), in(30 * time.Second), []string{"extra"}, 3},
		{"j4", in(time.Hour), nil, nil, 4},
		{"j5", nil, nil, nil, 4},
		{"j6", in(30 * time.Second), nil, nil, 4},
	} {
		j := job(c.id, "a")
		j.Items[0].ID, j.Deadline, j.ExpiresAt = "optional", c.deadline, c.expires
		m := r.run(t, j, pipeline.RunOptions{})
		if m.Status != pipeline.StatusReady || !slices.Equal(m.Parts[0].Degraded, c.degraded) || r.procs.Rendered.Load() != c.rendered {
			t.Errorf("%s: %s, degraded %v, want %v; %d renders, want %d", c.id, m.Status, m.Parts[0].Degraded, c.degraded, r.procs.Rendered.Load(), c.rendered)
		}
	}
	r.leavesNothing(t)
}

// TestProgressSaysHowLong has half of a render take four seconds.
func TestProgressSaysHowLong(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "a photo")
	var eta int64
	r.run(t, job("j1", "a"), pipeline.RunOptions{Progress: func(p pipeline.Progress) {
		switch {
		case p.Stage == "render" && p.Percent == 0:
			if p.EtaMS != 0 {
				t.Errorf("%d ms are left of what has just begun", p.EtaMS)
			}
			r.now = r.now.Add(4 * time.Second)
		case p.Stage == "render" && p.Percent == 50:
			eta = p.EtaMS
		}
	}})
	if eta != 4000 {
		t.Errorf("%d ms left at half, want 4000", eta)
	}
}
