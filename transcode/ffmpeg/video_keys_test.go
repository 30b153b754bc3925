package ffmpeg

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// TestKeyFrames wants the key frames of the edited video, each once, although the video is of 60 frames a second.
func TestKeyFrames(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg(append([]string{
		"-f", "lavfi", "-i", "color=gray:s=64x64:r=60:d=4,format=gray,geq=lum='min(235,16+N/2)'", "-c:v", "libx264", "-g", "60", "-qp", "4", "-sc_threshold", "0",
		"-pix_fmt", "yuv420p",
	}, append(colourTags(), "keys.mp4")...)...)
	f := k.file("keys.mp4")
	plan, _, err := k.plan(f, pipeline.Edit{Op: pipeline.OpTrim, StartMS: 500}, pipeline.Edit{Op: pipeline.OpCrop, X: 0, Y: 0, W: 0.5, H: 1})
	if err != nil {
		t.Fatal(err)
	}
	samples, err := k.tools.KeyFrames(t.Context(), k.dir, "look", f, plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(samples) != 3 {
		t.Fatalf("%d samples at %v, want the three key frames behind the trim", len(samples), times(samples))
	}
	for i, s := range samples {
		want := 16 + 30*float64(i+1)
		if got := meanLuma(k.sample(s)); math.Abs(got-want) > 2 || s.Width != 32 || s.Height != 64 {
			t.Errorf("key frame %d: luma %.0f, want %.0f; %d×%d", i, got, want, s.Width, s.Height)
		}
	}
	if _, err := os.Stat(filepath.Join(k.dir, "look", playbackName)); err == nil {
		t.Error("a look made a video")
	}
}

// TestAnimationsHaveNoKeyFrames gives a plan for an animation.
func TestAnimationsHaveNoKeyFrames(t *testing.T) {
	k := newVideoKit(t)
	samples, err := k.tools.KeyFrames(t.Context(), k.dir, "look", pipeline.File{}, &transcode.VideoPlan{Animated: true}, nil)
	if err != nil || len(samples) > 0 {
		t.Error(samples, err)
	}
}
