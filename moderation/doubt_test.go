package moderation

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

func TestDoubts(t *testing.T) {
	tests := []struct {
		name   string
		frames []Frame
		want   []int64
	}{
		{"nothing seen", plain(5), nil},
		{"explicit already", with(plain(3), at(1500, 0.9, 0, 0), at(5000, 0.5, 0, 0)), nil},
		{"one between the bounds", []Frame{at(0, 0, 0, 0), at(900, 0.5, 0, 0), at(1500, 0, 0, 0)}, []int64{300, 600, 1100, 1300}},
		{"the first of a clip", []Frame{at(0, 0.5, 0, 0), at(600, 0, 0, 0)}, []int64{200, 400}},
		{"the last of a clip", []Frame{at(0, 0, 0, 0), at(600, 0.5, 0, 0)}, []int64{200, 400}},
		{"neighbours two frames off", []Frame{at(0, 0, 0, 0), at(67, 0.5, 0, 0), at(201, 0, 0, 0)}, []int64{134}},
		{"drawn, where suggestive is certain", []Frame{at(0, 0, 0, 0.95), at(600, 0, 0.6, 0)}, []int64{200, 400}},
		{"suggestive, where drawn is certain", []Frame{at(0, 0, 0.9, 0), at(600, 0, 0, 0.7)}, nil},
		{"a still", []Frame{at(0, 0.5, 0, 0)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := doubts(tt.frames, testThresholds); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestDoubtsAreBounded: a clip made to raise doubts gets MaxDoubts of them, and the most suspicious frame is among those.
func TestDoubtsAreBounded(t *testing.T) {
	var frames []Frame
	for i := range 60 {
		frames = append(frames, at(int64(i)*4000, 0.41, 0, 0), at(int64(i)*4000+2000, 0, 0, 0))
	}
	frames[100] = at(frames[100].AtMS, 0.79, 0, 0)
	got := doubts(frames, testThresholds)
	if most := MaxDoubts * 2 * doubtFrames; len(got) > most {
		t.Errorf("%d moments, want at most %d", len(got), most)
	}
	if !slices.ContainsFunc(got, func(ms int64) bool { return ms > frames[99].AtMS && ms < frames[101].AtMS }) {
		t.Error("the most suspicious frame is not looked at again")
	}
}

// TestSecondLook has one frame of a clip between the bounds: what lies around it decides.
func TestSecondLook(t *testing.T) {
	tests := []struct {
		name   string
		around []byte // what the second look shows, in its order of four moments
		err    error
		status pipeline.FactsStatus
		level  pipeline.Level
	}{
		{"nothing", []byte{0, 0, 0, 0}, nil, pipeline.Scored, pipeline.LevelClear},
		{"the rest of it", []byte{0, 0, 230, 0}, nil, pipeline.Scored, pipeline.LevelExplicit},
		{"another one between the bounds", []byte{0, 120, 0, 0}, nil, pipeline.Scored, pipeline.LevelExplicit},
		{"it fails", nil, errors.New("the engine died"), pipeline.Unavailable, pipeline.LevelUnknown},
		{"it gives nothing", nil, nil, pipeline.Unavailable, pipeline.LevelUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ws, samples := samplesOf(t, append([]byte{0, 0, 120, 0, 0}, tt.around...)...)
			first, further := samples[:5], samples[5:]
			var asked []int64
			more := func(_ context.Context, atMS []int64) ([]pipeline.Sample, error) {
				asked = atMS
				for i := range further {
					further[i].AtMS = atMS[i]
				}
				return further, tt.err
			}
			got, err := newScreener(t, &markClassifier{}, nil).Screen(t.Context(), ws, pipeline.Looks{Samples: first, Planned: 5, More: more})
			if got.Status != tt.status || got.Level != tt.level {
				t.Fatalf("got %s %s (%v), want %s %s", got.Status, got.Level, err, tt.status, tt.level)
			}
			if want := []int64{1333, 1666, 2333, 2666}; !slices.Equal(asked, want) {
				t.Errorf("looked again at %v, want %v", asked, want)
			}
			if tt.status == pipeline.Unavailable {
				wantUnavailable(t, got, err)
			} else if got.Frames.Planned != 9 || got.Frames.Scored != 9 {
				t.Errorf("frames %+v", got.Frames)
			}
		})
	}
}

// TestNoSecondLook: without doubt, or where there is nothing more to see, nobody is asked.
func TestNoSecondLook(t *testing.T) {
	never := func(context.Context, []int64) ([]pipeline.Sample, error) {
		t.Error("looked again")
		return nil, nil
	}
	for _, reds := range [][]byte{{0, 0, 0}, {0, 250, 0}, {120, 120, 0}} {
		ws, samples := samplesOf(t, reds...)
		if _, err := newScreener(t, &markClassifier{}, nil).Screen(t.Context(), ws, pipeline.Looks{Samples: samples, Planned: 3, More: never}); err != nil {
			t.Error(err)
		}
	}
	ws, samples := samplesOf(t, 0, 120, 0)
	got, err := newScreener(t, &markClassifier{}, nil).Screen(t.Context(), ws, pipeline.Looks{Samples: samples, Planned: 3})
	if err != nil || got.Level != pipeline.LevelClear {
		t.Errorf("an animation, all of whose frames were seen: %s %v", got.Level, err)
	}
}
