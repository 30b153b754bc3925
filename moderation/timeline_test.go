package moderation

import (
	"slices"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

func TestTimeline(t *testing.T) {
	for _, n := range []int{1, 2, pipeline.MaxTimeline, pipeline.MaxTimeline + 1, 1000} {
		frames := make([]Frame, n)
		for i := range frames {
			frames[i] = Frame{AtMS: int64(i) * 100, Scores: pipeline.Scores{Explicit: 0.1, Drawn: 0.00049, Suggestive: 1.0 / 3}}
		}
		peak := n * 2 / 3
		frames[peak].Scores.Explicit = 0.98765
		got := timeline(frames)
		if len(got.AtMS) != min(n, pipeline.MaxTimeline) || len(got.Explicit) != len(got.AtMS) || len(got.Drawn) != len(got.AtMS) || len(got.Suggestive) != len(got.AtMS) {
			t.Errorf("%d frames: %d points", n, len(got.AtMS))
		}
		if !slices.IsSorted(got.AtMS) {
			t.Errorf("%d frames: not in the order of time: %v", n, got.AtMS)
		}
		at := slices.Index(got.Explicit, 0.988)
		if at < 0 || got.AtMS[at] != int64(peak)*100 {
			t.Errorf("%d frames: the peak at %d ms is not among %v at %v", n, peak*100, got.Explicit, got.AtMS)
		}
		if got.Drawn[0] != 0 || got.Suggestive[0] != 0.333 {
			t.Errorf("%d frames: scores %v, %v, want 0 and 0.333", n, got.Drawn[0], got.Suggestive[0])
		}
	}
}
