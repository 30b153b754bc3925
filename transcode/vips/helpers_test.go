package vips

import (
	"context"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/moderation/screen"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// fixtures are real files; tests that read them skip where they are absent.
const fixtures = "../../../shared/fixtures"

// fixture copies a real file into a new workspace and returns it sniffed.
func fixture(t *testing.T, name string) (dir string, f pipeline.File) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixtures, name))
	if err != nil {
		t.Skipf("the fixture %s is absent: %v", name, err)
	}
	return staged(t, data)
}

// staged puts data into a new workspace under the name a fetch would give it.
func staged(t *testing.T, data []byte) (dir string, f pipeline.File) {
	t.Helper()
	typ, ok := pipeline.Sniff(data[:min(len(data), pipeline.SniffLen)])
	if !ok {
		t.Fatalf("%d bytes of no type we take", len(data))
	}
	dir = t.TempDir()
	f = pipeline.File{Path: "source" + typ.Ext, Type: typ, Size: int64(len(data))}
	if err := os.WriteFile(filepath.Join(dir, f.Path), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, f
}

// tools draws a red card of half the picture's width and a fifth of its height at the bottom, and paints placeholders by mean.
type tools struct{}

func (tools) Card(_ transcode.Step, w, h int) (*image.NRGBA, int, int, error) {
	card := image.NewNRGBA(image.Rect(0, 0, w/2, h/5))
	for i := 0; i < len(card.Pix); i += 4 {
		card.Pix[i], card.Pix[i+3] = 255, 255
	}
	return card, 0, h - h/5, nil
}

func (t tools) Placeholder(img *image.NRGBA) (pipeline.Placeholder, error) {
	c := img.NRGBAAt(img.Rect.Dx()/2, img.Rect.Dy()/2)
	return pipeline.Placeholder{Blurhash: img.Rect.Size().String(), Thumbhash: "-", Color: hex(c)}, nil
}

func hex(c color.NRGBA) string {
	const digits = "0123456789abcdef"
	out := []byte("#")
	for _, v := range []uint8{c.R, c.G, c.B} {
		out = append(out, digits[v>>4], digits[v&15])
	}
	return string(out)
}

// rendered is a finished photo and where it lies.
type rendered struct {
	*pipeline.Rendered
	dir   string
	media pipeline.Media
}

// process takes a staged file all the way: probe, limits, plan, render, verify.
func process(t testing.TB, dir string, f pipeline.File, edits ...pipeline.Edit) (rendered, error) {
	t.Helper()
	m, err := Probe(filepath.Join(dir, f.Path), f.Type)
	if err != nil {
		return rendered{}, err
	}
	return processAs(t, dir, f, m, edits...)
}

// processAs is process for media that a probe has described.
func processAs(t testing.TB, dir string, f pipeline.File, m pipeline.Media, edits ...pipeline.Edit) (rendered, error) {
	t.Helper()
	plan, err := transcode.NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindPhoto, Edits: edits}, m, transcode.DefaultProfile())
	if err != nil {
		return rendered{}, err
	}
	r, err := Render(context.Background(), dir, "out", f, plan.Photo, tools{})
	if err != nil {
		return rendered{}, err
	}
	standIn(t, dir, r)
	for _, rendition := range r.Part.Renditions {
		if err := Verify(dir, rendition); err != nil {
			t.Errorf("verify %s %s: %v", rendition.Name, rendition.MIME, err)
		}
	}
	return rendered{r, dir, m}, nil
}

// standIn makes what stands in the picture's place of the display rendition, as reading back does.
func standIn(t testing.TB, dir string, r *pipeline.Rendered) {
	t.Helper()
	display := rendered{Rendered: r, dir: dir}.find(t, "display", "image/jpeg")
	pix, w, h, err := Delivered(context.Background(), dir, display)
	if err != nil {
		t.Fatal(err)
	}
	made, err := RenderPixels(context.Background(), dir, "out/read", pix, w, h, transcode.SafePlan(w, h, transcode.DefaultProfile()), tools{})
	if err != nil {
		t.Fatal(err)
	}
	r.Part.Renditions = append(r.Part.Renditions, made.Part.Renditions...)
	r.Part.Placeholder = made.Part.Placeholder
}

func mustProcess(t testing.TB, dir string, f pipeline.File, edits ...pipeline.Edit) rendered {
	t.Helper()
	r, err := process(t, dir, f, edits...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// find returns the rendition of that name and type.
func (r rendered) find(t testing.TB, name, mime string) pipeline.Rendition {
	t.Helper()
	for _, rendition := range r.Part.Renditions {
		if rendition.Name == name && rendition.MIME == mime {
			return rendition
		}
	}
	t.Fatalf("no rendition %s %s", name, mime)
	return pipeline.Rendition{}
}

// pixels decodes a rendition as a viewer would and returns its rows as RGB or RGBA.
func (r rendered) pixels(t testing.TB, name, mime string) raster {
	t.Helper()
	return decoded(t, filepath.Join(r.dir, r.find(t, name, mime).Path))
}

// sampled is what a judge sees of the display rendition: a base raster.
func (r rendered) sampled(t testing.TB) raster {
	t.Helper()
	pix, w, h, err := Delivered(context.Background(), r.dir, r.find(t, "display", "image/jpeg"))
	if err != nil {
		t.Fatal(err)
	}
	bw, bh := screen.BaseSize(w, h, 448)
	p := screen.Reduce(screen.Pixels{W: w, H: h, Pix: pix}, bw, bh)
	return raster{p.Pix, p.W, p.H, 3}
}

// master is the edited picture before it is encoded.
func master(t testing.TB, dir string, f pipeline.File, edits ...pipeline.Edit) (got raster) {
	t.Helper()
	m, err := Probe(filepath.Join(dir, f.Path), f.Type)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := transcode.NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindPhoto, Edits: edits}, m, transcode.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRenderer(context.Background(), dir, "master", plan.Photo, tools{})
	if err == nil {
		err = onThread(func() error {
			defer r.arena.free()
			if err := r.decode(source{path: filepath.Join(dir, f.Path), typ: f.Type}); err != nil {
				return err
			}
			p := r.rasters[0]
			got = raster{append([]byte(nil), p.pixels()...), p.width(), p.height(), p.bands()}
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// raster is packed 8-bit rows.
type raster struct {
	pix         []byte
	w, h, bands int
}

func (r raster) at(x, y int) [3]float64 {
	p := r.pix[(y*r.w+x)*r.bands:]
	return [3]float64{float64(p[0]), float64(p[1]), float64(p[2])}
}

func (r raster) alphaAt(x, y int) byte { return r.pix[(y*r.w+x)*r.bands+3] }

// decoded reads any picture into sRGB pixels.
func decoded(t testing.TB, path string) (out raster) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	typ, ok := pipeline.Sniff(data)
	if !ok {
		t.Fatalf("%s is of no type we take", path)
	}
	err = onThread(func() error {
		var a arena
		defer a.free()
		p, err := source{path: path, typ: typ}.open(&a, loading{failOn: failOnError})
		if err != nil {
			return err
		}
		if p, err = p.srgb(); err != nil {
			return err
		}
		if p, err = p.memory(context.Background()); err != nil {
			return err
		}
		out = raster{append([]byte(nil), p.pixels()...), p.width(), p.height(), p.bands()}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// shrunkTo averages a raster down to w × h.
func (r raster) shrunkTo(w, h int) raster {
	out := raster{make([]byte, 3*w*h), w, h, 3}
	for y := range h {
		for x := range w {
			x0, x1 := x*r.w/w, max((x+1)*r.w/w, x*r.w/w+1)
			y0, y1 := y*r.h/h, max((y+1)*r.h/h, y*r.h/h+1)
			var sum [3]float64
			for yy := y0; yy < y1; yy++ {
				for xx := x0; xx < x1; xx++ {
					c := r.at(xx, yy)
					for i := range sum {
						sum[i] += c[i]
					}
				}
			}
			for i := range sum {
				out.pix[(y*w+x)*3+i] = byte(sum[i]/float64((x1-x0)*(y1-y0)) + 0.5)
			}
		}
	}
	return out
}

// apart is the mean difference of two rasters of one size, in levels of 255.
func apart(t testing.TB, a, b raster) float64 {
	t.Helper()
	if a.w != b.w || a.h != b.h {
		t.Fatalf("%d×%d against %d×%d", a.w, a.h, b.w, b.h)
	}
	sum := 0.0
	for y := range a.h {
		for x := range a.w {
			p, q := a.at(x, y), b.at(x, y)
			for i := range p {
				sum += math.Abs(p[i] - q[i])
			}
		}
	}
	return sum / float64(3*a.w*a.h)
}

func codeOf(err error) pipeline.Code {
	if err == nil {
		return ""
	}
	return pipeline.AsError(err).Code
}
