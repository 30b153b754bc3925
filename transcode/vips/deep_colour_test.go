package vips

import (
	"bytes"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// deepLevels is how far a channel may come out from what a profile's primaries and curve mean: rounding, and libvips' tables where the
// picture has eight bits.
const deepLevels = 1.0

const deepSide = 64

// Pictures of 16 bits come out as their numbers mean, on every release. LittleCMS puts a table of 33 steps a channel in between: 39 levels
// off in PQ, 16 in HLG, 11 in Adobe RGB and 9 in P3 on Debian 12.
func TestDeepColoursAreExact(t *testing.T) {
	for name, c := range map[string]struct {
		space chromaticities
		curve curve
	}{
		"PQ":        {bt2020, pqCurve},
		"HLG":       {bt2020, hlgCurve},
		"P3":        {displayP3, srgbCurve},
		"Adobe RGB": {adobe1998, power(adobeGamma)},
		"linear":    {bt709, power(1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := anyColours()
			got := srgbOf(t, pngPicture(deepSide, 16, pngRGB, f, pngICC(iccProfile(c.space, c.curve))))
			off, mean := 0.0, 0.0
			for i := range deepSide * deepSide {
				x, y := i%deepSide, i/deepSide
				want := shownAs(c.space, [3]float64{c.curve(f(x, y, 0)), c.curve(f(x, y, 1)), c.curve(f(x, y, 2))})
				d := farthest(got.at(x, y), want)
				off, mean = max(off, d), mean+d/deepSide/deepSide
			}
			if off > deepLevels {
				t.Errorf("%.1f levels off at most, %.2f on average", off, mean)
			}
		})
	}
}

// anyColours are as many colours as there are pixels, the same in each run, in the steps of 16 bits.
func anyColours() field {
	random := rand.New(rand.NewPCG(1, 2))
	stored := make([]float64, 3*deepSide*deepSide)
	for i := range stored {
		stored[i] = math.Round(65535*0.75*random.Float64()) / 65535
	}
	return func(x, y, channel int) float64 { return stored[3*(y*deepSide+x)+channel] }
}

// shownAs is the pixel in sRGB, cut off where sRGB ends.
func shownAs(space chromaticities, light [3]float64) (out [3]float64) {
	xyz := transposed(adaptedToD50(space)).of(light)
	for i, v := range transposed(adaptedToD50(bt709)).inverse().of(xyz) {
		out[i] = max(0, min(255, encodedSRGB(v)))
	}
	return out
}

func farthest(a, b [3]float64) (off float64) {
	for i := range a {
		off = max(off, math.Abs(a[i]-b[i]))
	}
	return off
}

// srgbOf decodes a PNG and converts it, and does nothing else.
func srgbOf(t *testing.T, data []byte) raster {
	t.Helper()
	dir, f := staged(t, data)
	var a arena
	defer a.free()
	s := source{path: filepath.Join(dir, f.Path), typ: pipeline.TypePNG}
	p, err := s.open(&a, loading{failOn: failOnError})
	for _, step := range []func() error{
		func() error { p, err = s.tagged(p); return err },
		func() error { p, err = p.srgb(); return err },
		func() error { p, err = p.memory(t.Context()); return err },
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return raster{bytes.Clone(p.pixels()), p.width(), p.height(), 3}
}

// Every way of writing a curve means the same in 16 bits and in 8, which LittleCMS reads.
func TestDeepCurves(t *testing.T) {
	formula := func(kind byte, v ...float64) []byte {
		b := []byte{'p', 'a', 'r', 'a', 0, 0, 0, 0, 0, kind, 0, 0}
		for _, x := range v {
			b = append(b, xyzTag([3]float64{x})[8:12]...)
		}
		return b
	}
	for name, trc := range map[string][]byte{
		"straight":       []byte("curv\x00\x00\x00\x00\x00\x00\x00\x00"),
		"gamma":          []byte("curv\x00\x00\x00\x00\x00\x00\x00\x01\x01\xcd"),
		"two steps":      []byte("curv\x00\x00\x00\x00\x00\x00\x00\x02\x20\x00\xf0\x00"),
		"formula 0":      formula(0, 1.8),
		"formula 1":      formula(1, 2.4, 0.9, 0.1),
		"formula 2":      formula(2, 2.2, 0.9, -0.1, 0.05),
		"formula 3":      formula(3, 2.4, 1/1.055, 0.055/1.055, 1/12.92, 0.04045),
		"formula 4":      formula(4, 2.4, 0.9, 0.05, 0.1, 0.05, 0.02, 0.01),
		"formula 9":      formula(9, 2.4),
		"beyond the end": []byte("curv\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00"),
		"cut short":      []byte("curv\x00\x00\x00\x00\x00\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			profile := withCurve(trc)
			f := func(x, y, channel int) float64 { return math.Round(255*patches(deepSide)(x, y, channel)) / 255 }
			eight := srgbOf(t, pngPicture(deepSide, 8, pngRGB, f, pngICC(profile)))
			sixteen := srgbOf(t, pngPicture(deepSide, 16, pngRGB, f, pngICC(profile)))
			for i := range deepSide * deepSide {
				a, b := eight.at(i%deepSide, i/deepSide), sixteen.at(i%deepSide, i/deepSide)
				if farthest(a, b) > deepLevels {
					t.Fatalf("8 bits %v, 16 bits %v", a, b)
				}
			}
		})
	}
}

// withCurve is a profile of Display P3's primaries with this curve for each.
func withCurve(trc []byte) []byte {
	tags := described()
	for i, letter := range []string{"r", "g", "b"} {
		tags = append(tags, iccTag{letter + "XYZ", xyzTag(adaptedToD50(displayP3)[i])}, iccTag{letter + "TRC", trc})
	}
	return assembled(tags)
}

// In a profile with several tables, one is used: the one that browsers take.
func TestFirstTableIsUsed(t *testing.T) {
	both := tableProfile("RGB ", "D2B1", "A2B1", "A2B0", "A2B2")
	var names []string
	for _, name := range iccTagNames(readable(both)) {
		names = append(names, string(name))
	}
	want := []string{"desc", "cprt", "wtpt", "d2b1", "a2b1", "A2B1", "a2b2"}
	if len(names) != len(want) {
		t.Fatalf("%q, want %q", names, want)
	}
	for i := range want {
		if names[i] != want[i] {
			t.Errorf("%q, want %q", names, want)
			break
		}
	}
}

func readable(profile []byte) []byte { return readICC(profile).relative(profile) }
