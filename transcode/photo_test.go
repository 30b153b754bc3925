package transcode

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ninefold/ninefold/pipeline"
)

func photo(w, h int) pipeline.Media {
	return pipeline.Media{MIME: "image/jpeg", Kind: pipeline.KindPhoto, Width: w, Height: h, Frames: 1, Size: 1000, Image: &pipeline.Image{Orientation: 1}}
}

func mustPhoto(t *testing.T, m pipeline.Media, edits ...pipeline.Edit) *PhotoPlan {
	t.Helper()
	plan, err := planPhoto(pipeline.Item{ID: "i", Kind: pipeline.KindPhoto, Edits: edits}, m, DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// size writes a picture as "name.format WxH".
func sizes(p *PhotoPlan) []string {
	var out []string
	for _, im := range p.Images {
		out = append(out, im.Name+"."+string(im.Format)+" "+dims(im.Width, im.Height))
	}
	shown := p.Images[0]
	safe := SafePlan(shown.Width, shown.Height, DefaultProfile()).Safe
	return append(out, safe.Name+" "+dims(safe.TinyWidth, safe.TinyHeight)+">"+dims(safe.Width, safe.Height))
}

func dims(w, h int) string {
	data, _ := json.Marshal([]int{w, h})
	return strings.ReplaceAll(strings.Trim(string(data), "[]"), ",", "x")
}

func TestPhotoSizes(t *testing.T) {
	for name, c := range map[string]struct {
		w, h   int
		want   []string
		master string
	}{
		"12 MP": {4032, 3024, []string{
			"display.jpeg 2048x1536", "display.webp 2048x1536", "preview.webp 1280x960", "thumb.webp 640x480",
			"grid.webp 320x320", "blurred 32x24>640x480",
		}, "2048x1536"},
		"portrait": {3024, 4032, []string{
			"display.jpeg 1536x2048", "display.webp 1536x2048", "preview.webp 960x1280", "thumb.webp 480x640",
			"grid.webp 320x320", "blurred 24x32>480x640",
		}, "1536x2048"},
		"small, never enlarged": {500, 200, []string{
			"display.jpeg 500x200", "display.webp 500x200", "preview.webp 500x200", "thumb.webp 500x200",
			"grid.webp 200x200", "blurred 32x13>500x200",
		}, "500x200"},
		"one pixel": {
			1, 1,
			[]string{"display.jpeg 1x1", "display.webp 1x1", "preview.webp 1x1", "thumb.webp 1x1", "grid.webp 1x1", "blurred 1x1>1x1"},
			"1x1",
		},
		"ribbon": {16000, 20, []string{
			"display.jpeg 2048x3", "display.webp 2048x3", "preview.webp 1280x2", "thumb.webp 640x1", "grid.webp 20x20",
			"blurred 32x1>640x1",
		}, "16000x20"},
		"icon must not survive as the safe rendition": {32, 32, []string{
			"display.jpeg 32x32", "display.webp 32x32", "preview.webp 32x32",
			"thumb.webp 32x32", "grid.webp 32x32", "blurred 4x4>32x32",
		}, "32x32"},
		"panorama": {12000, 2000, []string{
			"display.jpeg 2048x341", "display.webp 2048x341", "preview.webp 1280x213", "thumb.webp 640x107",
			"grid.webp 320x320", "blurred 32x5>640x107",
		}, "2048x341"},
	} {
		t.Run(name, func(t *testing.T) {
			p := mustPhoto(t, photo(c.w, c.h))
			if d := cmp.Diff(c.want, sizes(p)); d != "" {
				t.Error(d)
			}
			if got := dims(p.MasterSize()); got != c.master {
				t.Errorf("master %s, want %s", got, c.master)
			}
		})
	}
}

func TestPhotoPlanJSON(t *testing.T) {
	plan := mustPhoto(t, photo(4032, 3024), pipeline.Edit{Op: pipeline.OpCrop, X: 0.25, Y: 0, W: 0.5, H: 1},
		pipeline.Edit{Op: pipeline.OpRotate, Degrees: 90})
	got, err := json.MarshalIndent(plan, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
 "source_width": 4032,
 "source_height": 3024,
 "steps": [
  {
   "op": "crop",
   "x": 1008,
   "w": 2016,
   "h": 3024
  },
  {
   "op": "rotate",
   "degrees": 90
  }
 ],
 "width": 3024,
 "height": 2016,
 "images": [
  {"name": "display", "format": "jpeg", "fit": "inside", "width": 2048, "height": 1365, "quality": 82, "default": true, "budget": 1500000},
  {"name": "display", "format": "webp", "fit": "inside", "width": 2048, "height": 1365, "quality": 80, "budget": 1500000},
  {"name": "preview", "format": "webp", "fit": "inside", "width": 1280, "height": 853, "quality": 80},
  {"name": "thumb", "format": "webp", "fit": "inside", "width": 640, "height": 427, "quality": 80},
  {"name": "grid", "format": "webp", "fit": "cover", "width": 320, "height": 320, "quality": 80}
 ],
 "matte": 255
}`
	if d := cmp.Diff(tree(t, want), tree(t, string(got))); d != "" {
		t.Error(d)
	}
	var back PhotoPlan
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(*plan, back); d != "" {
		t.Errorf("the plan changed on its way to the engine: %s", d)
	}
}

func tree(t *testing.T, s string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDuplicateImagesAreDropped(t *testing.T) {
	prof := DefaultProfile()
	prof.Photo.Renditions = []ImageSpec{
		{Name: "display", Format: JPEG, Fit: FitInside, Side: 2048, Quality: 82, Default: true},
		{Name: "display", Format: JPEG, Fit: FitInside, Side: 1024, Quality: 82},
		{Name: "display", Format: WebP, Fit: FitInside, Side: 1024, Quality: 80},
	}
	plan, err := planPhoto(pipeline.Item{}, photo(900, 600), prof)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"display.jpeg 900x600", "display.webp 900x600", "blurred 32x21>640x427"}
	if d := cmp.Diff(want, sizes(plan)); d != "" {
		t.Error(d)
	}
	if !plan.Images[0].Default {
		t.Error("the default rendition was dropped in favour of its duplicate")
	}
}

func TestPosterPlan(t *testing.T) {
	p := PosterPlan(720, 1280, DefaultProfile())
	want := []string{"poster.jpeg 720x1280", "thumb.webp 360x640", "grid.webp 320x320", "blurred 18x32>360x640"}
	if d := cmp.Diff(want, sizes(p)); d != "" {
		t.Error(d)
	}
	if p.Safe != nil {
		t.Errorf("safe %v: that is made of what is delivered", p.Safe)
	}
}

func TestAdjustmentMatrix(t *testing.T) {
	apply := func(s Step, in [3]float64) (out [3]float64) {
		m, off := s.Adjustment().Matrix()
		for i := range out {
			out[i] = off
			for j := range in {
				out[i] += m[i][j] * in[j]
			}
		}
		return out
	}
	orange := [3]float64{0.9, 0.5, 0.1}
	luma := 0.2126*0.9 + 0.7152*0.5 + 0.0722*0.1
	for name, c := range map[string]struct {
		step Step
		in   [3]float64
		want [3]float64
	}{
		"nothing":           {Step{}, orange, orange},
		"no colour":         {Step{Saturation: -1}, orange, [3]float64{luma, luma, luma}},
		"no contrast":       {Step{Contrast: -1, Saturation: -1}, orange, [3]float64{0.5, 0.5, 0.5}},
		"brighter":          {Step{Brightness: 0.25}, orange, [3]float64{1.15, 0.75, 0.35}},
		"mid grey is fixed": {Step{Contrast: 0.7}, [3]float64{0.5, 0.5, 0.5}, [3]float64{0.5, 0.5, 0.5}},
	} {
		t.Run(name, func(t *testing.T) {
			got := apply(c.step, c.in)
			for i := range got {
				if math.Abs(got[i]-c.want[i]) > 1e-9 {
					t.Fatalf("got %v, want %v", got, c.want)
				}
			}
		})
	}
}
