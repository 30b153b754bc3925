package transcode

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ninefold/ninefold/pipeline"
)

func TestGeometry(t *testing.T) {
	crop := func(x, y, w, h float64) pipeline.Edit {
		return pipeline.Edit{Op: pipeline.OpCrop, X: x, Y: y, W: w, H: h}
	}
	turn := func(d int) pipeline.Edit { return pipeline.Edit{Op: pipeline.OpRotate, Degrees: d} }
	for name, c := range map[string]struct {
		edits []pipeline.Edit
		w, h  int
		want  []Step
		ow    int
		oh    int
	}{
		"none":         {nil, 300, 200, nil, 300, 200},
		"crop":         {[]pipeline.Edit{crop(0.1, 0.5, 0.8, 0.5)}, 100, 50, []Step{{Op: "crop", X: 10, Y: 25, W: 80, H: 25}}, 80, 25},
		"whole crop":   {[]pipeline.Edit{crop(0, 0, 1, 1)}, 101, 53, []Step{{Op: "crop", W: 101, H: 53}}, 101, 53},
		"a sliver":     {[]pipeline.Edit{crop(0.999, 0.999, 0.0001, 0.0001)}, 100, 50, []Step{{Op: "crop", X: 99, Y: 49, W: 1, H: 1}}, 1, 1},
		"one pixel":    {[]pipeline.Edit{crop(0.4, 0.4, 0.2, 0.2)}, 1, 1, []Step{{Op: "crop", W: 1, H: 1}}, 1, 1},
		"quarter turn": {[]pipeline.Edit{turn(90)}, 300, 200, []Step{{Op: "rotate", Degrees: 90}}, 200, 300},
		"half turn":    {[]pipeline.Edit{turn(180)}, 300, 200, []Step{{Op: "rotate", Degrees: 180}}, 300, 200},
		"crop is of the picture as it stands": {
			[]pipeline.Edit{turn(270), crop(0, 0, 0.5, 1)},
			300, 200,
			[]Step{{Op: "rotate", Degrees: 270}, {Op: "crop", W: 100, H: 300}},
			100, 300,
		},
		"time and sound are left out": {
			[]pipeline.Edit{{Op: pipeline.OpMute}, {Op: pipeline.OpTrim, EndMS: 5}, {Op: pipeline.OpPoster}},
			300, 200, nil, 300, 200,
		},
	} {
		t.Run(name, func(t *testing.T) {
			steps, w, h := Geometry(c.edits, c.w, c.h)
			if d := cmp.Diff(c.want, steps); d != "" || w != c.ow || h != c.oh {
				t.Errorf("size %d×%d, want %d×%d; steps %s", w, h, c.ow, c.oh, d)
			}
		})
	}
}

// Crops that touch in fractions must touch in pixels, at every size: no row is lost between them or shown twice.
func TestCropsThatTouch(t *testing.T) {
	for h := 1; h <= 400; h++ {
		for _, cut := range []float64{0.1, 1.0 / 3, 0.5, 0.77} {
			_, _, top := Geometry([]pipeline.Edit{{Op: pipeline.OpCrop, W: 1, H: cut}}, 10, h)
			steps, _, bottom := Geometry([]pipeline.Edit{{Op: pipeline.OpCrop, Y: cut, W: 1, H: 1 - cut}}, 10, h)
			both := top + bottom
			if steps[0].Y+steps[0].H != h {
				t.Fatalf("height %d cut %v: the lower crop ends at %d", h, cut, steps[0].Y+steps[0].H)
			}
			if both != h && h > 10 { // tiny pictures keep at least one row each
				t.Fatalf("height %d cut %v: %d + %d rows", h, cut, top, bottom)
			}
		}
	}
}

func TestFitSize(t *testing.T) {
	for _, c := range []struct{ w, h, edge, limit, ow, oh int }{
		{4032, 3024, 4032, 2048, 2048, 1536},
		{100, 50, 100, 2048, 100, 50},
		{16000, 20, 16000, 640, 640, 1},
		{1, 9000, 9000, 32, 1, 32},
		{1920, 1080, 1080, 448, 796, 448},
	} {
		if w, h := FitSize(c.w, c.h, c.edge, c.limit); w != c.ow || h != c.oh {
			t.Errorf("FitSize(%d, %d, %d, %d) = %d×%d, want %d×%d", c.w, c.h, c.edge, c.limit, w, h, c.ow, c.oh)
		}
	}
}
