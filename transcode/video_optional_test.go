package transcode

import (
	"slices"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// busy asks for everything there is.
func busy() Profile {
	p := DefaultProfile()
	p.Video.Sprite.EveryMS, p.Video.Small.ShortEdge = 2000, 360
	return p
}

func phoneMinute() pipeline.Media {
	return pipeline.Media{
		MIME: "video/mp4", Kind: pipeline.KindVideo, Width: 1920, Height: 1080, DurationMS: 60_000, Size: 90 << 20, Streams: 2,
		Video: &pipeline.Stream{Codec: "hevc", Width: 1920, Height: 1080, FPS: 30, PixelFormat: "yuv420p"},
	}
}

func TestOptionalWorkIsPlannedWhenAskedFor(t *testing.T) {
	m := phoneMinute()
	plan, err := NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindVideo}, m, busy())
	if err != nil {
		t.Fatal(err)
	}
	if s := plan.Video.Sprite; s == nil || s.Width != 160 || s.Height != 90 || s.Columns != 10 {
		t.Errorf("sprite %+v", s)
	}
	if s := plan.Video.Small; s == nil || s.Width != 640 || s.Height != 360 || s.Encode.MaxRate != 800_000 {
		t.Errorf("small %+v", s)
	}
	plain, err := NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindVideo}, m, DefaultProfile())
	if err != nil || plain.Video.Sprite != nil || plain.Video.Small != nil {
		t.Errorf("a default profile asks for %+v, %+v, %v", plain.Video.Sprite, plain.Video.Small, err)
	}
	m.Width, m.Height, m.Video.Width, m.Video.Height = 480, 360, 480, 360
	if little, err := NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindVideo}, m, busy()); err != nil || little.Video.Small != nil {
		t.Errorf("a small playback of a video as small: %v", err)
	}
}

// TestDeadlineDropsTheSpriteFirst takes time away until nothing optional is left.
func TestDeadlineDropsTheSpriteFirst(t *testing.T) {
	m := phoneMinute()
	plan, err := NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindVideo}, m, busy())
	if err != nil {
		t.Fatal(err)
	}
	whole := plan.Video.guess(m)
	bare := *plan.Video
	bare.Sprite = nil
	noSprite := bare.guess(m)
	if noSprite >= whole {
		t.Fatalf("a sprite costs nothing: %v, %v", noSprite, whole)
	}
	for _, c := range []struct {
		budget time.Duration
		left   []string
	}{
		{time.Hour, nil},
		{whole, nil},
		{whole - 1, []string{OptionalSprite}},
		{noSprite, []string{OptionalSprite}},
		{noSprite - 1, []string{OptionalSprite, OptionalSmall}},
		{-time.Hour, []string{OptionalSprite, OptionalSmall}},
	} {
		got, left := plan.Within(m, c.budget)
		video := got.(*Plan).Video
		if !slices.Equal(left, c.left) || (video.Sprite == nil) != slices.Contains(left, OptionalSprite) || (video.Small == nil) != slices.Contains(left, OptionalSmall) {
			t.Errorf("%v: left out %v, want %v", c.budget, left, c.left)
		}
		if len(left) > 0 && got.Digest() == plan.Digest() {
			t.Errorf("%v: another plan has the same digest", c.budget)
		}
	}
	if plan.Video.Sprite == nil || plan.Video.Small == nil {
		t.Error("the plan itself was changed")
	}
}

func TestSpriteIndex(t *testing.T) {
	p := &SpritePlan{EveryMS: 2000, Columns: 10, Width: 160, Height: 90}
	for count, want := range map[int][2]int{1: {1, 1}, 10: {10, 1}, 11: {10, 2}, 91: {10, 10}} {
		if got := NewSpriteIndex(p, count); got.Columns != want[0] || got.Rows != want[1] || got.Count != count {
			t.Errorf("%d frames: %+v", count, got)
		}
	}
}
