package vips

import (
	"context"
	"errors"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// gradient has a colour of its own for every pixel: red tells the column, green the row.
func gradient(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, color.NRGBA{R: uint8(x), G: uint8(y), B: 90, A: 255})
		}
	}
	return img
}

func crop(x, y, w, h float64) pipeline.Edit {
	return pipeline.Edit{Op: pipeline.OpCrop, X: x, Y: y, W: w, H: h}
}

func turn(degrees int) pipeline.Edit { return pipeline.Edit{Op: pipeline.OpRotate, Degrees: degrees} }

func flip(direction string) pipeline.Edit {
	return pipeline.Edit{Op: pipeline.OpFlip, Direction: direction}
}

// The sample of a small picture is the edited picture itself, not encoded: edits are compared to the pixel.
func TestEditsToThePixel(t *testing.T) {
	type at struct{ x, y int }
	for name, c := range map[string]struct {
		edits []pipeline.Edit
		w, h  int
		want  map[at][2]int // where in the result, and which source column and row is to be seen there
	}{
		"crop": {
			[]pipeline.Edit{crop(0.1, 0.2, 0.5, 0.25)},
			100, 25,
			map[at][2]int{{0, 0}: {20, 20}, {99, 0}: {119, 20}, {0, 24}: {20, 44}, {99, 24}: {119, 44}},
		},
		"crop to one pixel": {[]pipeline.Edit{crop(0.5, 0.5, 0.001, 0.001)}, 1, 1, map[at][2]int{{0, 0}: {100, 50}}},
		"rotate 90":         {[]pipeline.Edit{turn(90)}, 100, 200, map[at][2]int{{0, 0}: {0, 99}, {99, 0}: {0, 0}, {0, 199}: {199, 99}}},
		"rotate 180":        {[]pipeline.Edit{turn(180)}, 200, 100, map[at][2]int{{0, 0}: {199, 99}, {199, 99}: {0, 0}, {3, 0}: {196, 99}}},
		"rotate 270":        {[]pipeline.Edit{turn(270)}, 100, 200, map[at][2]int{{0, 0}: {199, 0}, {99, 0}: {199, 99}, {0, 199}: {0, 0}}},
		"flip horizontal":   {[]pipeline.Edit{flip("horizontal")}, 200, 100, map[at][2]int{{0, 0}: {199, 0}, {5, 9}: {194, 9}}},
		"flip vertical":     {[]pipeline.Edit{flip("vertical")}, 200, 100, map[at][2]int{{0, 0}: {0, 99}, {5, 9}: {5, 90}}},
		"crop, then rotate": {[]pipeline.Edit{crop(0, 0, 0.5, 0.5), turn(90)}, 50, 100, map[at][2]int{{0, 0}: {0, 49}, {49, 0}: {0, 0}}},
		"rotate, then crop": {[]pipeline.Edit{turn(90), crop(0, 0, 0.5, 0.5)}, 50, 100, map[at][2]int{{0, 0}: {0, 99}, {49, 99}: {99, 50}}},
		"two crops and turns": {
			[]pipeline.Edit{crop(0.5, 0, 0.5, 1), turn(270), flip("vertical"), crop(0.25, 0.5, 0.5, 0.5)},
			50, 50,
			map[at][2]int{{0, 0}: {150, 25}, {49, 0}: {150, 74}, {0, 49}: {199, 25}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, pngOf(t, gradient(200, 100)))
			got := master(t, dir, f, c.edits...)
			if got.w != c.w || got.h != c.h {
				t.Fatalf("%d×%d, want %d×%d", got.w, got.h, c.w, c.h)
			}
			for p, want := range c.want {
				if v := got.at(p.x, p.y); v[0] != float64(want[0]) || v[1] != float64(want[1]) {
					t.Errorf("at %v: source pixel (%v, %v), want %v", p, v[0], v[1], want)
				}
			}
		})
	}
}

// Cropping far more than is shown must meet the same place, though the picture is scaled down on the way.
func TestCropOfALargePicture(t *testing.T) {
	for name, data := range map[string][]byte{
		"PNG": pngOf(t, card(5000, 1000)), "JPEG, shrunk on loading": jpegOf(t, card(9000, 900)),
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, data)
			got := mustProcess(t, dir, f, crop(0, 0, 1, 0.5)).pixels(t, "display", "image/jpeg")
			if got.w != 2048 {
				t.Fatalf("%d wide, want 2048", got.w)
			}
			cardColours(t, "upper half", got, map[string]color.NRGBA{
				"top left": topLeft, "top right": topRight, "bottom left": topLeft, "bottom right": topRight,
			})
			if d := deltaE(got.at(got.w/2-got.w/16, got.h-1), rgb(middle)); d > maxDeltaE {
				t.Errorf("the middle block does not touch the crop's lower edge: ΔE %.1f", d)
			}
		})
	}
}

func TestAdjust(t *testing.T) {
	for name, c := range map[string]struct {
		edit pipeline.Edit
		want color.NRGBA
	}{
		"darker":    {pipeline.Edit{Op: pipeline.OpAdjust, Brightness: -0.2}, color.NRGBA{R: 179}},
		"no colour": {pipeline.Edit{Op: pipeline.OpAdjust, Saturation: -1}, color.NRGBA{R: 65, G: 65, B: 65}},
		"black":     {pipeline.Edit{Op: pipeline.OpAdjust, Brightness: -1}, color.NRGBA{}},
		"white":     {pipeline.Edit{Op: pipeline.OpAdjust, Brightness: 1}, color.NRGBA{R: 255, G: 255, B: 255}},
		"nothing":   {pipeline.Edit{Op: pipeline.OpAdjust}, topLeft},
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, pngOf(t, card(cardW, cardH)))
			got := mustProcess(t, dir, f, c.edit).sampled(t).at(5, 5)
			for i, want := range rgb(c.want) {
				if d := got[i] - want; d < -1 || d > 1 {
					t.Fatalf("%v, want %v", got, rgb(c.want))
				}
			}
		})
	}
}

// The fake card is red, half the width and a fifth of the height, bottom left.
func TestCaption(t *testing.T) {
	caption := pipeline.Edit{Op: pipeline.OpCaption, Text: "x", Position: pipeline.CaptionBottom, Style: pipeline.CaptionBar}
	red := [3]float64{255, 0, 0}
	for name, c := range map[string]struct {
		edits         []pipeline.Edit
		redAt, notRed []image.Point
	}{
		"at the end":          {[]pipeline.Edit{caption}, []image.Point{{0, 99}, {99, 80}}, []image.Point{{0, 79}, {100, 99}}},
		"then turned":         {[]pipeline.Edit{caption, turn(90)}, []image.Point{{0, 0}, {19, 99}}, []image.Point{{20, 0}, {0, 100}}},
		"then cropped":        {[]pipeline.Edit{caption, crop(0.25, 0.5, 0.5, 0.5)}, []image.Point{{0, 49}, {49, 30}}, []image.Point{{0, 29}, {50, 49}}},
		"cropped before":      {[]pipeline.Edit{crop(0.5, 0.5, 0.5, 0.5), caption}, []image.Point{{0, 49}, {49, 40}}, []image.Point{{0, 39}, {50, 49}}},
		"made grey afterward": {[]pipeline.Edit{caption, {Op: pipeline.OpAdjust, Saturation: -1}}, nil, []image.Point{{0, 99}}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, pngOf(t, gradient(200, 100)))
			got := master(t, dir, f, c.edits...)
			for _, p := range c.redAt {
				if got.at(p.X, p.Y) != red {
					t.Errorf("at %v: %v, want the card", p, got.at(p.X, p.Y))
				}
			}
			for _, p := range c.notRed {
				if got.at(p.X, p.Y) == red {
					t.Errorf("at %v: the card, want the picture", p)
				}
			}
		})
	}
}

func TestStoredWindow(t *testing.T) {
	size := image.Pt(400, 300)
	for o := 1; o <= 8; o++ {
		display := size
		if o > 4 {
			display = image.Pt(size.Y, size.X)
		}
		edits := []pipeline.Edit{crop(0.1, 0.2, 0.5, 0.5), turn(90), flip("horizontal"), crop(0, 0.5, 0.5, 0.25)}
		steps, w, h := transcode.Geometry(edits, display.X, display.Y)
		all := append(transcode.OrientationSteps(o), steps...)
		f := stored(size, all)
		if !f.window.In(image.Rectangle{Max: size}) {
			t.Errorf("orientation %d: window %v leaves %v", o, f.window, size)
		}
		for _, s := range all {
			f = f.through(s)
		}
		want := frame{image.Pt(w, h), image.Rect(0, 0, w, h)}
		if d := cmp.Diff(want, f, cmp.AllowUnexported(frame{})); d != "" {
			t.Errorf("orientation %d: forth and back differ: %s", o, d)
		}
	}
}

func TestBlendKeepsAlpha(t *testing.T) {
	pix := []byte{0, 0, 0, 0, 0, 0, 255, 255, 10, 20, 30, 128}
	card := image.NewNRGBA(image.Rect(0, 0, 3, 1))
	copy(card.Pix, []byte{200, 100, 50, 128, 255, 255, 255, 255, 9, 9, 9, 0})
	blend(pix, 3, 1, 4, card, image.Point{})
	want := []byte{200, 100, 50, 128, 255, 255, 255, 255, 10, 20, 30, 128}
	if d := cmp.Diff(want, pix); d != "" {
		t.Error(d)
	}
}

func TestRenderEndsWithItsContext(t *testing.T) {
	dir, f := staged(t, pngOf(t, card(cardW, cardH)))
	m, err := Probe(filepath.Join(dir, f.Path), f.Type)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := transcode.NewPlan(pipeline.Item{Kind: pipeline.KindPhoto}, m, transcode.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Render(ctx, dir, "out", f, plan.Photo, tools{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "out")); len(left) != 0 {
		t.Errorf("%d files were written", len(left))
	}
}

func TestRenderPixels(t *testing.T) {
	dir := t.TempDir()
	img := card(300, 200)
	pix := make([]byte, 0, 3*300*200)
	for i := 0; i < len(img.Pix); i += 4 {
		pix = append(pix, img.Pix[i:i+3]...)
	}
	plan := transcode.PosterPlan(300, 200, transcode.DefaultProfile())
	r, err := RenderPixels(context.Background(), dir, "poster", pix, 300, 200, plan, tools{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Part.Width != 300 || r.Part.Placeholder != nil {
		t.Errorf("width %d, placeholder %v", r.Part.Width, r.Part.Placeholder)
	}
	cardColours(t, "poster", rendered{Rendered: r, dir: dir}.pixels(t, "poster", "image/jpeg"), wholeCard)
	if _, err := RenderPixels(context.Background(), dir, "short", pix[1:], 300, 200, plan, tools{}); codeOf(err) != pipeline.CodeInternal {
		t.Errorf("%v for a raster of the wrong size", err)
	}
}
