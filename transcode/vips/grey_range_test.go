package vips

import (
	"image"
	"image/color"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// greySteps are the values of a grey picture's columns, each of a tenth of its width.
var greySteps = [10]byte{16, 40, 64, 96, 126, 150, 180, 200, 220, 235}

func greyColumns(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			v := greySteps[x*len(greySteps)/w]
			img.SetNRGBA(x, y, color.NRGBA{R: v, G: v, B: v, A: 255})
		}
	}
	return img
}

// greyAVIF stores the columns' values as they are, and says in which range they lie.
func greyAVIF(t *testing.T, depth, rng string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.png"), filepath.Join(dir, "out.avif")
	write(t, in, pngOf(t, greyColumns(cardW, cardH)))
	cmd := exec.Command("ffmpeg", "-v", "error", "-i", in, "-vf", "format=gray,scale=in_range=pc:out_range=pc,format="+depth, "-c:v", "libaom-av1",
		"-still-picture", "1", "-cpu-used", "8", "-crf", "4", "-color_range", rng, "-pix_fmt", depth, "-f", "avif", out)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// greyHEIC is the columns in HEVC without chroma.
func greyHEIC(t *testing.T, limited bool) []byte {
	t.Helper()
	coded := encodeHEVC(t, "gray", greyColumns(cardW, cardH))
	const chromaAt = 8 + 16 // of the configuration
	coded.config[chromaAt] = 0xfc
	points := nclx(1, 13)
	if limited {
		points[len(points)-1] = 0
	}
	return heicFile{brands: []string{"heic", "mif1", "heic"}, primary: 1, items: []heicItem{{
		id: 1, kind: "hvc1", data: coded.pictures[0], boxes: [][]byte{coded.config, ispe(cardW, cardH), points},
	}}}.bytes()
}

// Grey in limited range is spread over the whole, as libavif, dav1d with ffmpeg and browsers show it; in full range it stays.
func TestGreyInLimitedRange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data    []byte
		limited bool
	}{
		"AVIF 8 limited":  {greyAVIF(t, "gray", "tv"), true},
		"AVIF 8 full":     {greyAVIF(t, "gray", "pc"), false},
		"AVIF 10 limited": {greyAVIF(t, "gray10le", "tv"), true},
		"AVIF 10 full":    {greyAVIF(t, "gray10le", "pc"), false},
		"HEIC limited":    {greyHEIC(t, true), true},
		"HEIC full":       {greyHEIC(t, false), false},
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, c.data)
			got := mustProcess(t, dir, f).pixels(t, "display", "image/jpeg")
			for i, v := range greySteps {
				want := float64(v)
				if c.limited {
					want = (want - 16) * 255 / 219
				}
				x := (2*i + 1) * got.w / (2 * len(greySteps))
				if v := got.at(x, got.h/2); math.Abs(v[0]-want) > 4 || math.Abs(v[2]-want) > 4 {
					t.Errorf("column %d is %v, want %.0f", i, v, want)
				}
			}
		})
	}
}
