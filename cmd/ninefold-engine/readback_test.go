package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// filmed is a grey video with everything that a plan can make of one.
func filmed(t *testing.T) (*engine, *pipeline.Rendered) {
	t.Helper()
	e := openedEngine(t)
	f := pipeline.File{Path: "source.mp4", Type: pipeline.TypeMP4}
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=0x405060:s=640x360:r=30:d=3,drawbox=x='mod(t*240,500)':y=100:w=80:h=80:c=0xa0b0c0:t=fill",
		"-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", filepath.Join(e.Dir, f.Path)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m, err := e.Identify(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	profile := transcode.DefaultProfile()
	profile.Video.Sprite.EveryMS, profile.Video.Small.ShortEdge = 500, 180
	plan, err := transcode.NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindVideo}, m, profile)
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Render(t.Context(), f, plan, "out", func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	return e, r
}

// seesRed reads back and reports whether one of the samples is mostly red.
func seesRed(t *testing.T, e *engine, r *pipeline.Rendered, out string) bool {
	t.Helper()
	back, err := e.ReadBack(t.Context(), pipeline.ReadOrder{Part: r.Part, Out: out, Side: 64}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range back.Screen.Samples {
		data, err := os.ReadFile(filepath.Join(e.Dir, s.Path))
		if err != nil {
			t.Fatal(err)
		}
		red, pix := 0, data[s.Offset:s.Offset+int64(s.Width*s.Height*3)]
		for i := 0; i < len(pix); i += 3 {
			if int(pix[i])-int(pix[i+1])-int(pix[i+2]) > 100 {
				red++
			}
		}
		if red > s.Width*s.Height*3/4 {
			return true
		}
	}
	return false
}

// TestEveryRenditionIsSeen has one file after the other show red, as an engine would make it that was taken over: the grid, the poster, one cell
// of the sprite, one frame of either video.
func TestEveryRenditionIsSeen(t *testing.T) {
	e, r := filmed(t)
	if seesRed(t, e, r, "before") {
		t.Fatal("there is red in it")
	}
	names := map[string]bool{}
	for i, f := range r.Part.Renditions {
		args := []string{"-vf", "drawbox=c=red:t=fill:enable='eq(n,7)'", "-c:v", "libx264", "-pix_fmt", "yuv420p"}
		switch {
		case f.Name == "sprite" && strings.HasPrefix(f.MIME, "image/"):
			args = []string{"-vf", "format=rgb24,drawbox=c=red:t=fill:x=160:y=0:w=160:h=90"}
		case strings.HasPrefix(f.MIME, "image/"):
			args = []string{"-vf", "format=rgb24,drawbox=c=red:t=fill"}
		case f.MIME != "video/mp4":
			continue
		}
		names[f.Name] = true
		path := filepath.Join(e.Dir, f.Path)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		again := filepath.Join(e.Dir, "again"+filepath.Ext(path))
		line := append([]string{"-v", "error", "-y", "-i", path}, append(args, again)...)
		if said, err := exec.Command("ffmpeg", line...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", f.Name, err, said)
		}
		if err := os.Rename(again, path); err != nil {
			t.Fatal(err)
		}
		if !seesRed(t, e, r, fmt.Sprintf("read%d", i)) {
			t.Errorf("%s, %s: nobody sees it", f.Name, f.MIME)
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"playback", "small", "sprite", "poster", "thumb", "grid"} {
		if !names[name] {
			t.Errorf("no %s among %v", name, names)
		}
	}
}
