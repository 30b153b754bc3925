package moderation

import (
	"math/rand/v2"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// The trial of moderation.md section 2: so long a marker, in so many of a hundred clips, at 2 frames a second.
const (
	trialMarkerMS = 600
	trialClips    = 100
	trialFound    = 99
)

// TestMarkerTrial plans a hundred clips of up to 15 s, shows the classifier what each would show at its planned moments, and wants the
// marker at its random place to make the clip explicit. That ffmpeg really gives those frames is transcode/ffmpeg's TestMarkerIsSampled.
func TestMarkerTrial(t *testing.T) {
	rng := rand.New(rand.NewPCG(2026, 11))
	found := 0
	for clip := range trialClips {
		length := 2000 + rng.Int64N(13_001)
		from := rng.Int64N(length - trialMarkerMS + 1)
		at := plannedMS(t, clip, length)
		reds := make([]byte, len(at))
		for i, ms := range at {
			if ms >= from && ms < from+trialMarkerMS {
				reds[i] = 255
			}
		}
		ws, samples := samplesOf(t, reds...)
		for i := range samples {
			samples[i].AtMS = at[i]
		}
		facts, err := newScreener(t, &markClassifier{}, nil).Screen(t.Context(), ws, pipeline.Looks{Samples: samples, Planned: len(samples)})
		if err != nil {
			t.Fatal(err)
		}
		if facts.Level == pipeline.LevelExplicit {
			found++
		}
		if facts.Frames.MinDetectableMS > trialMarkerMS {
			t.Errorf("clip %d says that %d ms may slip through", clip, facts.Frames.MinDetectableMS)
		}
	}
	t.Logf("found in %d of %d clips", found, trialClips)
	if found < trialFound {
		t.Errorf("found in %d of %d clips, want %d", found, trialClips, trialFound)
	}
}

// plannedMS are the moments of a clip that the classifier is to see; every number is another clip.
func plannedMS(t *testing.T, clip int, lengthMS int64) []int64 {
	t.Helper()
	media := pipeline.Media{
		MIME: "video/mp4", Kind: pipeline.KindVideo, Width: 640, Height: 360, DurationMS: lengthMS, Size: int64(1_000_000 + clip),
		Video: &pipeline.Stream{Codec: "hevc", Width: 640, Height: 360, FPS: 30},
	}
	plan, err := transcode.NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindVideo}, media, transcode.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	var at []int64
	for _, tick := range plan.Video.Samples.Ticks {
		if ms := transcode.TickMS(tick); ms < lengthMS {
			at = append(at, ms)
		}
	}
	return at
}
