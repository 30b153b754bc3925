package vips

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

func TestEveryPhotoFixture(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		w, h           int // as displayed
		outW, outH     int // display
		sampleW, sampH int
	}{
		"photo/fox.avif":               {1204, 800, 1204, 800, 674, 448},
		"photo/iphone.heic":            {3024, 4032, 1536, 2048, 448, 597},
		"photo/orientation-1.jpg":      {1800, 1200, 1800, 1200, 672, 448},
		"photo/orientation-3.jpg":      {1800, 1200, 1800, 1200, 672, 448},
		"photo/orientation-6.jpg":      {1800, 1200, 1800, 1200, 672, 448},
		"photo/orientation-8.jpg":      {1800, 1200, 1800, 1200, 672, 448},
		"photo/phone-portrait-gps.jpg": {3024, 4032, 1536, 2048, 448, 597},
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := fixture(t, name)
			start := time.Now()
			r := mustProcess(t, dir, f)
			t.Logf("%s: %d ms in all", name, time.Since(start).Milliseconds())
			noTraces(t, r)
			if r.media.Width != want.w || r.media.Height != want.h || r.media.Frames != 1 || r.media.Kind != pipeline.KindPhoto {
				t.Errorf("probed %+v", r.media)
			}
			if r.Part.Width != want.outW || r.Part.Height != want.outH {
				t.Errorf("display %d×%d, want %d×%d", r.Part.Width, r.Part.Height, want.outW, want.outH)
			}
			if s := r.sampled(t); s.w != want.sampleW || s.h != want.sampH {
				t.Errorf("sample %d×%d", s.w, s.h)
			}
			for _, x := range r.Part.Renditions {
				t.Logf("%-8s %-10s %4d×%-4d %7d bytes", x.Name, x.MIME, x.Width, x.Height, x.Size)
			}
			if len(r.Part.Renditions) != 6 || len(r.Part.Warnings) != 0 || r.Part.Placeholder == nil {
				t.Errorf("renditions %d, warnings %v, placeholder %v", len(r.Part.Renditions), r.Part.Warnings, r.Part.Placeholder)
			}
		})
	}
}

func TestProbeAnimatedFixture(t *testing.T) {
	dir, f := fixture(t, "photo/animated.gif")
	m, err := Probe(filepath.Join(dir, f.Path), f.Type)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Animated || m.Kind != pipeline.KindVideo || m.Frames != 125 || m.Width != 978 || m.Height != 720 || m.DurationMS < 7800 || m.DurationMS > 8000 {
		t.Errorf("probed %+v", m)
	}
}
