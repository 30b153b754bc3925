package ffmpeg

import (
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// markerMS is how long the marker of TestMarkerIsSampled shows. transcode's trial of a hundred seeds is about the plan; this one is about
// the frames that really come out of it.
const markerMS = 600

// TestMarkerIsSampled hides a red marker at a random place among black, uniform frames and wants it among the samples: in a transcode, in
// a copy with frequent key frames, none of which is the marker's, and in one with a single key frame.
func TestMarkerIsSampled(t *testing.T) {
	for name, args := range map[string][]string{
		"transcode":      {"-r", "25", "-vf", "transpose=1"},
		"remux":          {"-g", "30"},
		"one key frame":  {"-g", "1000"},
		"variable rate":  {"-vf", "mpdecimate", "-fps_mode", "vfr", "-g", "1000"},
		"sixty a second": {"-r", "60"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newVideoKit(t)
			for seed := range 2 {
				k.wantMarker(name, uint64(seed), args)
			}
		})
	}
}

func (k *videoKit) wantMarker(name string, seed uint64, args []string) {
	k.Helper()
	const lengthMS = 9_000
	from := rand.New(rand.NewPCG(seed, markerMS)).Int64N(lengthMS - markerMS)
	file := fmt.Sprintf("%d.mp4", seed)
	picture := fmt.Sprintf("color=black:s=96x64:r=30:d=%d,drawbox=c=red:t=fill:enable='gte(t,%s)*lt(t,%s)'", lengthMS/1000, seconds(from), seconds(from+markerMS))
	encode := []string{"-c:v", "libx264", "-preset", "ultrafast", "-sc_threshold", "0", "-pix_fmt", "yuv420p"}
	k.ffmpeg(slices.Concat([]string{"-f", "lavfi", "-i", picture}, encode, args, []string{file})...)
	edits := []pipeline.Edit{{Op: pipeline.OpFlip, Direction: pipeline.FlipVertical}}
	if name != "transcode" {
		edits = nil
	}
	res, _ := k.video(file, edits...)
	if r := res.Rendered; len(r.Samples)*10 < r.Planned*9 || (r.Part.Method == transcode.MethodRemux) != (edits == nil) {
		k.Errorf("%s: %d of %d samples by %s", name, len(r.Samples), r.Planned, r.Part.Method)
	}
	found := slices.ContainsFunc(res.Rendered.Samples, func(s pipeline.Sample) bool { return isRed(k.sample(s)) })
	if !found {
		k.Errorf("%s, seed %d: the marker at %d ms is in none of the samples at %v", name, seed, from, times(res.Rendered.Samples))
	}
}

func isRed(img *image.RGBA) bool {
	c := img.RGBAAt(img.Rect.Dx()/2, img.Rect.Dy()/2)
	return c.R > 150 && c.G < 90 && c.B < 90
}
