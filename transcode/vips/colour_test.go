package vips

import (
	"fmt"
	"image"
	"image/color"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// maxDeltaE is how far a colour may stray through conversion and one lossy encoding: about what a careful eye can just tell.
const maxDeltaE = 3.0

// cardColours compares corners and centre of what should show the whole test card.
func cardColours(t *testing.T, what string, got raster, want map[string]color.NRGBA) {
	t.Helper()
	points := spots(got.w, got.h)
	for name, c := range want {
		p := points[name]
		if d := deltaE(got.at(p.X, p.Y), rgb(c)); d > maxDeltaE {
			t.Errorf("%s, %s: %v, want %v: ΔE %.1f", what, name, got.at(p.X, p.Y), rgb(c), d)
		}
	}
}

var wholeCard = map[string]color.NRGBA{
	"top left": topLeft, "top right": topRight, "bottom left": bottomLeft, "bottom right": bottomRight, "middle": middle,
}

// everywhere checks the card's colours in the display renditions and in the classifier's sample.
func everywhere(t *testing.T, r rendered, want map[string]color.NRGBA) {
	t.Helper()
	cardColours(t, "jpeg", r.pixels(t, "display", "image/jpeg"), want)
	cardColours(t, "webp", r.pixels(t, "display", "image/webp"), want)
	cardColours(t, "thumb", r.pixels(t, "thumb", "image/webp"), want)
	cardColours(t, "sample", r.sampled(t), want)
}

// deep is the test card with 16 bits a channel.
func deep() image.Image {
	img := image.NewNRGBA64(image.Rect(0, 0, cardW, cardH))
	for y := range cardH {
		for x := range cardW {
			img.Set(x, y, cardAt(x, y, cardW, cardH))
		}
	}
	return img
}

func TestColourSpaces(t *testing.T) {
	plain := pngOf(t, card(cardW, cardH))
	const sharp = "[Q=98,subsample_mode=off]"
	for name, data := range map[string][]byte{
		"sRGB PNG":       plain,
		"sRGB JPEG":      converted(t, plain, ".jpg", sharp, "copy"),
		"Display-P3":     converted(t, plain, ".jpg", sharp, "icc_transform", "p3", "--input-profile", "srgb"),
		"P3 PNG":         converted(t, plain, ".png", "", "icc_transform", "p3", "--input-profile", "srgb"),
		"P3 WebP":        converted(t, plain, ".webp", "[Q=95]", "icc_transform", "p3", "--input-profile", "srgb"),
		"P3 HEIC":        converted(t, plain, ".heic", "[Q=95]", "icc_transform", "p3", "--input-profile", "srgb"),
		"Adobe RGB":      converted(t, plain, ".jpg", sharp, "icc_transform", adobeRGB(t), "--input-profile", "srgb"),
		"16 bit PNG":     pngOf(t, deep()),
		"16 bit P3 PNG":  converted(t, pngOf(t, deep()), ".png", "", "icc_transform", "p3", "--input-profile", "srgb", "--depth", "16"),
		"HEIC":           converted(t, plain, ".heic", "[Q=95]", "copy"),
		"AVIF":           converted(t, plain, ".avif", "[Q=95]", "copy"),
		"progressive":    converted(t, plain, ".jpg", "[Q=98,interlace]", "copy"),
		"interlaced PNG": converted(t, plain, ".png", "[interlace]", "copy"),
		"still GIF":      converted(t, plain, ".gif", "", "copy"),
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, data)
			everywhere(t, mustProcess(t, dir, f), wholeCard)
		})
	}
}

// CMYK holds fewer colours than the card has; the truth is what libvips' own tool shows of the same file.
func TestCMYK(t *testing.T) {
	plain := pngOf(t, card(cardW, cardH))
	for name, options := range map[string]string{"with profile": "[Q=98]", "without": "[Q=98,strip]"} {
		t.Run(name, func(t *testing.T) {
			data := converted(t, plain, ".jpg", options, "icc_transform", "cmyk", "--input-profile", "srgb")
			dir, f := staged(t, data)
			shown := filepath.Join(t.TempDir(), "shown.png")
			vipsTool(t, "icc_transform", filepath.Join(dir, f.Path), shown, "srgb", "--embedded", "--input-profile", "cmyk")
			truth := decoded(t, shown)
			want := map[string]color.NRGBA{}
			for corner, p := range map[string]image.Point{"top left": {X: 20, Y: 15}, "bottom left": {X: 20, Y: 105}, "middle": {X: 80, Y: 60}} {
				c := truth.at(p.X, p.Y)
				want[corner] = color.NRGBA{R: uint8(c[0]), G: uint8(c[1]), B: uint8(c[2]), A: 255}
			}
			everywhere(t, mustProcess(t, dir, f), want)
		})
	}
}

// The colours must really have been converted, not passed: the P3 file's raw values are far from the card's.
func TestProfileFilesAreNotSRGB(t *testing.T) {
	plain := pngOf(t, card(cardW, cardH))
	raw := converted(t, converted(t, plain, ".png", "", "icc_transform", "p3", "--input-profile", "srgb"), ".png", "[strip]", "copy")
	dir, f := staged(t, raw)
	got := mustProcess(t, dir, f).sampled(t)
	told := 0
	for name, p := range spots(cardW, cardH) {
		if deltaE(got.at(p.X, p.Y), rgb(wholeCard[name])) > maxDeltaE {
			told++
		}
	}
	if told < 3 { // blue is nearly the same in both, grey is
		t.Errorf("only %d of the card's colours tell P3 from sRGB: the colour tests prove nothing", told)
	}
}

func TestGrey(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 64, 48))
	for i := range img.Pix {
		img.Pix[i] = 77
	}
	for name, data := range map[string][]byte{"JPEG": jpegOf(t, img), "PNG": pngOf(t, img)} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, data)
			r := mustProcess(t, dir, f)
			grey := color.NRGBA{R: 77, G: 77, B: 77, A: 255}
			cardColours(t, "jpeg", r.pixels(t, "display", "image/jpeg"), map[string]color.NRGBA{"middle": grey, "top left": grey})
			cardColours(t, "sample", r.sampled(t), map[string]color.NRGBA{"middle": grey})
		})
	}
}

func TestOrientations(t *testing.T) {
	rightHalf := pipeline.Edit{Op: pipeline.OpCrop, X: 0.5, Y: 0, W: 0.5, H: 1}
	for o := 1; o <= 8; o++ {
		t.Run(fmt.Sprint(o), func(t *testing.T) {
			data := withSegment(jpegOf(t, oriented(card(cardW, cardH), o)), 0xe1, exifBlock(o))
			dir, f := staged(t, data)
			r := mustProcess(t, dir, f)
			if r.media.Width != cardW || r.media.Height != cardH || r.media.Image.Orientation != o {
				t.Errorf("probed %d×%d, orientation %d", r.media.Width, r.media.Height, r.media.Image.Orientation)
			}
			everywhere(t, r, wholeCard)
			dir, f = staged(t, data)
			half := mustProcess(t, dir, f, rightHalf)
			if half.Part.Width != cardW/2 || half.Part.Height != cardH {
				t.Errorf("the half is %d×%d", half.Part.Width, half.Part.Height)
			}
			everywhere(t, half, map[string]color.NRGBA{"top right": topRight, "bottom right": bottomRight})
		})
	}
}

// alikeLevels is the mean difference allowed between the same scene stored four ways, each a JPEG of its own.
const alikeLevels = 2.5

func TestOrientationFixturesComeOutAlike(t *testing.T) {
	var first raster
	for _, o := range []int{1, 3, 6, 8} {
		dir, f := fixture(t, fmt.Sprintf("photo/orientation-%d.jpg", o))
		small := mustProcess(t, dir, f).pixels(t, "thumb", "image/webp").shrunkTo(60, 40)
		if o == 1 {
			first = small
			continue
		}
		d := apart(t, first, small)
		t.Logf("orientation %d: %.2f levels from 1", o, d)
		if d > alikeLevels {
			t.Errorf("orientation %d is %.1f levels from 1", o, d)
		}
	}
}

// HEICs turn by their own box; where there is none, Exif's word counts.
func TestHEICWithoutATurnOfItsOwn(t *testing.T) {
	dir, f := fixture(t, "photo/iphone.heic")
	m, err := Probe(dir+"/"+f.Path, f.Type)
	if err != nil {
		t.Fatal(err)
	}
	if m.Width != 3024 || m.Height != 4032 || m.Image.Orientation != 6 || !m.Image.HasProfile {
		t.Errorf("probed %+v %+v", m, m.Image)
	}
}
