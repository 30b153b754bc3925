package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// TestSecondLookDecides sends a video with flashes of 0.4 s, each far from the next and shorter than the distance of two samples: one frame
// of a flash scores between the bounds, which alone decides nothing. What the engine is then asked for around it does.
func TestSecondLookDecides(t *testing.T) {
	setUp(t)
	model := redModel(t)
	for name, c := range map[string]struct {
		colour string // of the flashes
		level  pipeline.Level
	}{
		"between the bounds": {"0x610000", pipeline.LevelExplicit}, // scores 0.40 of 0.3 to 0.5
		"below both":         {"0x500000", pipeline.LevelClear},    // scores 0.15
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "flashes.mp4")
			tool(t, "ffmpeg", "-v", "error", "-f", "lavfi",
				"-i", "color=0x404040:s=160x120:r=30:d=14,drawbox=c="+c.colour+":t=fill:enable='lt(mod(t-1,4),0.4)*gte(t,1)'",
				"-c:v", "libx264", "-preset", "ultrafast", "-crf", "8", "-pix_fmt", "yuv420p", file)
			out := call(t.Context(), append([]string{"classify", "--json", file}, model...)...).want(t, exitOK).stdout
			var v verdict
			if err := json.Unmarshal([]byte(out), &v); err != nil {
				t.Fatal(err)
			}
			f := v.Facts.Frames
			if v.Facts.Level != c.level || f.Scored != f.Planned || v.Facts.Scores.Explicit >= 0.5 {
				t.Errorf("level %s, scores %+v, %d of %d frames, segments %+v", v.Facts.Level, *v.Facts.Scores, f.Scored, f.Planned, f.Segments)
			}
		})
	}
}
