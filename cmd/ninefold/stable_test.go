package main

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/draw"

	"github.com/ninefold/ninefold/pipeline"
)

// stableSpread is the most that one picture's scores may differ by, over all its sizes and qualities.
const stableSpread = 0.05

// stableSizes are long sides in pixels; stableQualities are of JPEG.
var (
	stableSizes     = []int{480, 640, 900, 1200, 1600, 1800}
	stableQualities = []int{60, 80, 95}
)

// TestScoresAreStable has the real engine and model score one picture at six sizes and three qualities, as production does: over the
// canonical raster. A hills made here, and a photograph.
func TestScoresAreStable(t *testing.T) {
	setUp(t)
	for name, source := range map[string]func(*testing.T) image.Image{"made": hills, "photo": photograph} {
		t.Run(name, func(t *testing.T) {
			picture, dir := source(t), t.TempDir()
			args := []string{"classify", "--json"}
			for _, size := range stableSizes {
				scaled := scaledTo(picture, size)
				for _, quality := range stableQualities {
					args = append(args, writeJPEG(t, filepath.Join(dir, fmt.Sprintf("%d-%d.jpg", size, quality)), scaled, quality))
				}
			}
			wantStable(t, call(t.Context(), args...).want(t, exitOK).stdout, len(args)-2)
		})
	}
}

func wantStable(t *testing.T, out string, n int) {
	t.Helper()
	low := pipeline.Scores{Explicit: 1, Drawn: 1, Suggestive: 1}
	var high pipeline.Scores
	levels := map[pipeline.Level]int{}
	for line := range strings.Lines(out) {
		var v verdict
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		s := *v.Facts.Scores
		low = pipeline.Scores{Explicit: min(low.Explicit, s.Explicit), Drawn: min(low.Drawn, s.Drawn), Suggestive: min(low.Suggestive, s.Suggestive)}
		high = pipeline.Scores{Explicit: max(high.Explicit, s.Explicit), Drawn: max(high.Drawn, s.Drawn), Suggestive: max(high.Suggestive, s.Suggestive)}
		levels[v.Facts.Level]++
	}
	spread := max(high.Explicit-low.Explicit, high.Drawn-low.Drawn, high.Suggestive-low.Suggestive)
	if spread >= stableSpread || len(levels) != 1 || levels[pipeline.LevelClear] != n {
		t.Errorf("spread %.3f between %+v and %+v, levels %v; want less than %v and %d clear", spread, low, high, levels, stableSpread, n)
	}
	t.Logf("%d rasters, largest spread %.4f", n, spread)
}

// hills is a sun over hills, 1800×1350.
func hills(*testing.T) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 1800, 1350))
	for y := range 1350 {
		for x := range 1800 {
			img.SetRGBA(x, y, hillsAt(float64(x)/1800, float64(y)/1350))
		}
	}
	return img
}

func hillsAt(x, y float64) color.RGBA {
	for i, base := range []float64{0.55, 0.68, 0.82} {
		if y > base+0.06*math.Sin(9*x+2*float64(i))+0.02*math.Sin(31*x+float64(i)) {
			green := uint8(150 - 35*i)
			return color.RGBA{green / 2, green, green / 3, 255}
		}
	}
	if math.Hypot((x-0.7)*4/3, y-0.25) < 0.08 {
		return color.RGBA{255, 240, 190, 255}
	}
	return color.RGBA{uint8(90 + 120*y), uint8(150 + 80*y), 230, 255}
}

func photograph(t *testing.T) image.Image {
	needFixtures(t)
	f, err := os.Open(filepath.Join(fixtures, "photo", "orientation-1.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := jpeg.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func scaledTo(img image.Image, long int) image.Image {
	b := img.Bounds()
	scale := float64(long) / float64(max(b.Dx(), b.Dy()))
	out := image.NewRGBA(image.Rect(0, 0, int(math.Round(scale*float64(b.Dx()))), int(math.Round(scale*float64(b.Dy())))))
	draw.CatmullRom.Scale(out, out.Bounds(), img, b, draw.Src, nil)
	return out
}

func writeJPEG(t *testing.T, path string, img image.Image, quality int) string {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := jpeg.Encode(f, img, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return path
}
