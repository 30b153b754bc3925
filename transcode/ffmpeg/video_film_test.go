package ffmpeg

import (
	"slices"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// TestWhatPhonesFilm: slow motion, DCI 4K and 8K are delivered at the usual size and rate, and no slower than they were filmed.
func TestWhatPhonesFilm(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	hevc := []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-tag:v", "hvc1"}
	x264 := []string{"-c:v", "libx264", "-preset", "ultrafast"}
	for name, c := range map[string]struct {
		source        string
		args          []string
		width, height int
		durationMS    int64
	}{
		"slow240.mp4":      {"testsrc2=s=640x360:r=240:d=1", x264, 640, 360, 1000},
		"slow480.mkv":      {"testsrc2=s=320x180:r=480:d=1", x264, 320, 180, 1000},
		"slow240-hevc.mov": {"testsrc2=s=640x360:r=240:d=0.5", hevc, 640, 360, 500},
		"dci.mp4":          {"color=gray:s=4096x2160:r=30:d=0.2", x264, 1364, 720, 200},
		"8k.mp4":           {"color=gray:s=7680x4320:r=10:d=0.2", hevc, 1280, 720, 200},
		"8k-upright.mp4":   {"color=gray:s=4320x7680:r=10:d=0.1", x264, 720, 1280, 100},
	} {
		k.ffmpeg(slices.Concat([]string{"-f", "lavfi", "-i", c.source, "-pix_fmt", "yuv420p"}, c.args, []string{name})...)
		res, _ := k.video(name)
		p := res.Rendered.Part
		if p.Width != c.width || p.Height != c.height || abs(p.DurationMS-c.durationMS) > durationSlackMS || len(p.Warnings) > 0 {
			t.Errorf("%s: %d×%d, %d ms, %v", name, p.Width, p.Height, p.DurationMS, p.Warnings)
		}
		if m := k.probe(p.Renditions[0].Path); m.Video.FPS > 30.1 {
			t.Errorf("%s: %v frames a second", name, m.Video.FPS)
		}
	}
}

// TestBeyondTheBudget is a still picture of a few KB that would be minutes of work: its pictures are counted, not what its header promises, and it is
// refused before one is decoded.
func TestBeyondTheBudget(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "color=gray:s=128x128:r=900:d=20", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-g", "600", "still.mkv")
	m, err := thrifty(t, k.tools).Probe(t.Context(), k.dir, k.file("still.mkv"))
	if err != nil || m.Video.Frames != 18_000 {
		t.Fatalf("%+v, %v", m.Video, err)
	}
	prof := transcode.DefaultProfile()
	prof.Video.MaxWork = 128 * 128 * 17_000
	_, err = transcode.NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindVideo}, m, prof)
	wantCode(t, err, pipeline.CodeTooManyPixels)
}
