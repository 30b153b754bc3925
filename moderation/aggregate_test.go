package moderation

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

var testThresholds = Thresholds{
	Explicit: Threshold{Low: 0.4, High: 0.8}, Drawn: Threshold{Low: 0.5, High: 0.7}, Suggestive: Threshold{Low: 0.6, High: 0.9},
}

// at is a frame with the given scores at a time.
func at(ms int64, explicit, drawn, suggestive float64) Frame {
	return Frame{AtMS: ms, Scores: pipeline.Scores{Explicit: explicit, Drawn: drawn, Suggestive: suggestive}, Raw: map[string]float64{"porn": explicit}}
}

// plain is n frames a second apart that show nothing.
func plain(n int) []Frame {
	out := make([]Frame, n)
	for i := range out {
		out[i] = at(int64(i)*1000, 0.1, 0, 0)
	}
	return out
}

func with(frames []Frame, more ...Frame) []Frame { return append(frames, more...) }

// input is a look at delivered frames, of which as many are covered as there are frames with scores.
func input(frames []Frame, delivered int) pipeline.ScreenInput {
	n := len(frames)
	return pipeline.ScreenInput{Samples: make([]pipeline.Sample, n), Frames: max(delivered, n), Scored: n, Covered: n}
}

func TestAggregateLevel(t *testing.T) {
	tests := []struct {
		name    string
		frames  []Frame
		planned int // delivered frames
		level   pipeline.Level
		status  pipeline.FactsStatus
	}{
		{"a clear photo", []Frame{at(0, 0.1, 0.1, 0.1)}, 1, pipeline.LevelClear, pipeline.Scored},
		{"a photo at high", []Frame{at(0, 0.8, 0, 0)}, 1, pipeline.LevelExplicit, pipeline.Scored},
		{"a photo just below high", []Frame{at(0, 0.7999, 0, 0)}, 1, pipeline.LevelClear, pipeline.Scored},
		{"explicit outranks drawn outranks suggestive", []Frame{at(0, 0.8, 0.9, 0.95)}, 1, pipeline.LevelExplicit, pipeline.Scored},
		{"drawn outranks suggestive", []Frame{at(0, 0, 0.7, 0.95)}, 1, pipeline.LevelDrawn, pipeline.Scored},
		{"suggestive", []Frame{at(0, 0, 0, 0.9)}, 1, pipeline.LevelSuggestive, pipeline.Scored},
		{"one second in ten minutes", with(plain(600), at(300_500, 0.81, 0, 0)), 601, pipeline.LevelExplicit, pipeline.Scored},
		{"two lows within 3 s", with(plain(60), at(5_100, 0.4, 0, 0), at(8_100, 0.4, 0, 0)), 62, pipeline.LevelExplicit, pipeline.Scored},
		{"two lows just over 3 s apart", with(plain(60), at(5_100, 0.5, 0, 0), at(8_101, 0.5, 0, 0)), 62, pipeline.LevelClear, pipeline.Scored},
		{"two lows, unsorted", with([]Frame{at(8_100, 0.4, 0, 0)}, with(plain(10), at(6_000, 0.4, 0, 0))...), 12, pipeline.LevelExplicit, pipeline.Scored},
		{"one low", with(plain(60), at(5_100, 0.79, 0, 0)), 61, pipeline.LevelClear, pipeline.Scored},
		{"two drawn lows", with(plain(60), at(5_100, 0, 0.5, 0), at(6_100, 0, 0.5, 0)), 62, pipeline.LevelDrawn, pipeline.Scored},
		{"two suggestive lows", with(plain(60), at(5_100, 0, 0, 0.6), at(6_100, 0, 0, 0.6)), 62, pipeline.LevelSuggestive, pipeline.Scored},
		{"lows of different categories do not add up", with(plain(60), at(5_100, 0.5, 0, 0), at(6_100, 0, 0.6, 0)), 62, pipeline.LevelClear, pipeline.Scored},
		{"all covered", plain(10), 10, pipeline.LevelClear, pipeline.Scored},
		{"all but one covered", plain(99), 100, pipeline.LevelUnknown, pipeline.PartScored},
		{"partial and drawn stays unknown", with(plain(4), at(100, 0, 0.9, 0)), 100, pipeline.LevelUnknown, pipeline.PartScored},
		{"partial and explicit stays explicit", with(plain(4), at(100, 0.9, 0, 0)), 100, pipeline.LevelExplicit, pipeline.PartScored},
		{"no frame", nil, 10, pipeline.LevelUnknown, pipeline.Unavailable},
		{"no frame, none delivered", nil, 0, pipeline.LevelUnknown, pipeline.Unavailable},
		{"one", plain(1), 0, pipeline.LevelClear, pipeline.Scored},
		{"ten, said to be three", plain(10), 3, pipeline.LevelClear, pipeline.Scored},
		{"only NaN", []Frame{at(0, math.NaN(), 0, 0)}, 1, pipeline.LevelUnknown, pipeline.Unavailable},
		{"NaN frames are not covered", with(plain(7), at(1, math.NaN(), 0, 0), at(2, 0, math.Inf(1), 0), at(3, 0, 0, -1)), 10, pipeline.LevelUnknown, pipeline.PartScored},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Aggregate(tt.frames, input(tt.frames, tt.planned), testThresholds)
			if got.Level != tt.level || got.Status != tt.status {
				t.Fatalf("got %s %s, want %s %s", got.Status, got.Level, tt.status, tt.level)
			}
			if LevelOf(got) != tt.level {
				t.Errorf("the policy reads %s", LevelOf(got))
			}
			if _, err := json.Marshal(got); err != nil {
				t.Errorf("facts cannot be written: %v", err)
			}
		})
	}
}

// TestAggregateDilution: black, uniform or repeated frames never make a clip milder than it is without them.
func TestAggregateDilution(t *testing.T) {
	black := at(0, 0, 0, 0)
	for _, clip := range [][]Frame{{at(500, 0.85, 0, 0)}, {at(500, 0.45, 0, 0), at(2500, 0.45, 0, 0)}, {at(500, 0, 0.75, 0)}, {at(500, 0, 0, 0.95)}} {
		want := Aggregate(clip, input(clip, 0), testThresholds).Level
		for _, n := range []int{1, 10, 1000} {
			diluted := append([]Frame{}, clip...)
			for i := range n {
				black.AtMS = int64(i) * 3000 / int64(n)
				diluted = append(diluted, black)
			}
			got := Aggregate(diluted, input(diluted, 0), testThresholds)
			if got.Level != want || got.Frames.Coverage != 1 {
				t.Errorf("%d black frames: %s at coverage %v, want %s at 1", n, got.Level, got.Frames.Coverage, want)
			}
		}
	}
}

// TestAggregateMonotone: raising any score of any frame never lowers the level.
func TestAggregateMonotone(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	score := func() float64 { return float64(rnd.IntN(21)) / 20 }
	for range 3000 {
		frames := make([]Frame, 1+rnd.IntN(6))
		for i := range frames {
			frames[i] = at(rnd.Int64N(12_000), score(), score(), score())
		}
		before := Aggregate(frames, input(frames, 0), testThresholds)
		f := &frames[rnd.IntN(len(frames))]
		for _, s := range []*float64{&f.Scores.Explicit, &f.Scores.Drawn, &f.Scores.Suggestive} {
			*s = min(1, *s+rnd.Float64()/2)
		}
		if after := Aggregate(frames, input(frames, 0), testThresholds); levelRank(after.Level) < levelRank(before.Level) {
			t.Fatalf("%v: %s became %s", frames, before.Level, after.Level)
		}
	}
}

func TestAggregateFrameFacts(t *testing.T) {
	frames := []Frame{
		at(400, 0.1, 0, 0), at(1000, 0.5, 0.9, 0), at(1500, 0.1, 0, 0), at(2600, 0.2, 0, 0.65), at(6000, 0.1, 0, 0), at(9100, 0.6, 0, 0), at(9600, 0.1, 0, 0),
	}
	in := input(frames, 7)
	in.Frames, in.Covered, in.ShownMS, in.CoveredMS = 300, 300, 10_000, 10_000
	got := Aggregate(frames, in, testThresholds)
	want := &pipeline.FrameFacts{
		Planned: 7, Scored: 7, MaxAtMS: 9100, Coverage: 1, MinDetectableMS: 0,
		Segments: []pipeline.Segment{
			{StartMS: 1000, EndMS: 2600, Level: pipeline.LevelExplicit}, {StartMS: 9100, EndMS: 9100, Level: pipeline.LevelExplicit},
		},
		Timeline: timeline(frames),
	}
	if !reflect.DeepEqual(got.Frames, want) {
		t.Errorf("got %+v, want %+v", got.Frames, want)
	}
	if *got.Scores != (pipeline.Scores{Explicit: 0.6, Drawn: 0.9, Suggestive: 0.65}) {
		t.Errorf("scores %+v are not the highest of each", got.Scores)
	}
	if got.Raw["porn"] != 0.6 || got.Level != pipeline.LevelDrawn {
		t.Errorf("raw %v, level %s: want those of the worst frame and drawn", got.Raw, got.Level)
	}
}

// TestAggregateCoverage: the lower of frames and time counts, and what is unseen is said.
func TestAggregateCoverage(t *testing.T) {
	in := pipeline.ScreenInput{Frames: 100, Scored: 4, Covered: 90, ShownMS: 1000, CoveredMS: 950, LongestMS: 40, Renditions: []string{"a"}}
	got := Aggregate(plain(4), in, testThresholds)
	if got.Coverage != 0.9 || got.UnseenFrames != 10 || got.UnseenMS != 50 || got.Status != pipeline.PartScored || got.Level != pipeline.LevelUnknown {
		t.Errorf("nine frames in ten: %+v", got)
	}
	if got.Frames.MinDetectableMS != 40 || got.Evidence.Frames != 90 || got.Evidence.Scored != 4 || got.Evidence.Judge != pipeline.JudgeVersion {
		t.Errorf("frames %+v, evidence %+v", got.Frames, got.Evidence)
	}
	in.Covered, in.CoveredMS = 100, 400
	if got := Aggregate(plain(4), in, testThresholds); got.Coverage != 0.4 || got.Level != pipeline.LevelUnknown {
		t.Errorf("all frames, and 400 of 1000 ms: %+v", got)
	}
	in.CoveredMS = 1000
	if got := Aggregate(plain(4), in, testThresholds); got.Coverage != 1 || got.Level != pipeline.LevelClear || got.Status != pipeline.Scored {
		t.Errorf("all frames and all the time: %+v", got)
	}
}

func TestAggregateStill(t *testing.T) {
	got := Aggregate(plain(1), input(plain(1), 1), testThresholds)
	if got.Frames != nil {
		t.Errorf("a photo has frames %+v", got.Frames)
	}
	clip := Aggregate(plain(2), input(plain(2), 2), testThresholds)
	if clip.Frames == nil || clip.Frames.Segments == nil {
		t.Errorf("a clip has frames %+v, want some with an empty list of segments", clip.Frames)
	}
}

// TestAggregateUntold: a model that cannot tell a category has no bounds for it, which are not bounds of 0.
func TestAggregateUntold(t *testing.T) {
	only := Thresholds{Explicit: testThresholds.Explicit}
	if got := Aggregate(plain(5), input(plain(5), 5), only); got.Level != pipeline.LevelClear || len(got.Frames.Segments) != 0 {
		t.Errorf("got %s with segments %v", got.Level, got.Frames.Segments)
	}
}

func TestAggregateRaw(t *testing.T) {
	f := at(0, 0.1, 0, 0)
	f.Raw = map[string]float64{"porn": 1.000004, "neutral": -1e-7, "sexy": math.NaN()}
	got := Aggregate([]Frame{f}, input([]Frame{f}, 1), testThresholds)
	if want := map[string]float64{"porn": 1, "neutral": 0}; !reflect.DeepEqual(got.Raw, want) {
		t.Errorf("raw %v, want %v", got.Raw, want)
	}
	if f.Raw["porn"] == 1 {
		t.Error("the classifier's own map was changed")
	}
}
