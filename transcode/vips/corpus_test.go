package vips

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// colourCase makes files of one colour space. A maker gets the picture as it is to be stored and returns a file that says orientation.
type colourCase struct {
	make  func(t *testing.T, stored image.Image, orientation int) []byte
	truth map[string]color.NRGBA // nil = the card
}

const sharp = "[Q=98,subsample_mode=off]"

// colourCorpus is issue 4's list.
func colourCorpus(t *testing.T) map[string]colourCase {
	adobe := adobeRGB(t)
	through := func(ext, options, profile string) func(*testing.T, image.Image, int) []byte {
		return func(t *testing.T, img image.Image, o int) []byte {
			if profile == "" {
				return withOrientation(t, converted(t, pngOf(t, img), ext, options, "copy"), o)
			}
			return withOrientation(t, converted(t, pngOf(t, img), ext, options, "icc_transform", profile, "--input-profile", "srgb"), o)
		}
	}
	return map[string]colourCase{
		"sRGB":            {through(".jpg", sharp, ""), nil},
		"Display-P3":      {through(".jpg", sharp, "p3"), nil},
		"Adobe RGB":       {through(".jpg", sharp, adobe), nil},
		"CMYK":            {through(".jpg", "[Q=98]", "cmyk"), cmykTruth(t)},
		"grey":            {greyJPEG, greyTruth()},
		"16-bit PNG":      {deepPNG, nil},
		"HEIC":            {heif("-q", "95", "-p", "chroma=444"), nil},
		"HEIC, turned":    {turnedHEIC, nil},
		"HEIC, P3 by box": {p3HEIC, nil},
		"AVIF":            {heif("-A", "-q", "95", "-p", "chroma=444"), nil},
		"AVIF, turned":    {turnedAVIF, nil},
	}
}

func greyTruth() map[string]color.NRGBA {
	out := map[string]color.NRGBA{}
	for name, c := range wholeCard {
		g := color.GrayModel.Convert(c).(color.Gray).Y
		out[name] = color.NRGBA{R: g, G: g, B: g, A: 255}
	}
	return out
}

func greyJPEG(t *testing.T, img image.Image, o int) []byte {
	g := image.NewGray(img.Bounds())
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			g.Set(x, y, img.At(x, y))
		}
	}
	return withOrientation(t, jpegOf(t, g), o)
}

func deepPNG(t *testing.T, img image.Image, o int) []byte {
	deep := image.NewNRGBA64(img.Bounds())
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			deep.Set(x, y, img.At(x, y))
		}
	}
	return withOrientation(t, pngOf(t, deep), o)
}

// cmykTruth is what libvips' own tool shows of the card in CMYK, which holds fewer colours than the card has.
func cmykTruth(t *testing.T) map[string]color.NRGBA {
	t.Helper()
	dir := t.TempDir()
	in, shown := filepath.Join(dir, "in.jpg"), filepath.Join(dir, "shown.png")
	data := converted(t, pngOf(t, card(cardW, cardH)), ".jpg", "[Q=98]", "icc_transform", "cmyk", "--input-profile", "srgb")
	if err := os.WriteFile(in, data, 0o600); err != nil {
		t.Fatal(err)
	}
	vipsTool(t, "icc_transform", in, shown, srgbFile(t), "--embedded", "--intent", "perceptual")
	truth, out := decoded(t, shown), map[string]color.NRGBA{}
	for name, p := range spots(cardW, cardH) {
		c := truth.at(p.X, p.Y)
		out[name] = color.NRGBA{R: uint8(c[0]), G: uint8(c[1]), B: uint8(c[2]), A: 255}
	}
	return out
}

// heif makes files with libheif's own tool, which carries the JPEG's Exif over and writes no box that turns.
func heif(options ...string) func(*testing.T, image.Image, int) []byte {
	return func(t *testing.T, img image.Image, o int) []byte {
		t.Helper()
		if _, err := exec.LookPath("heif-enc"); err != nil {
			t.Skip("heif-enc is absent; install libheif-examples")
		}
		dir := t.TempDir()
		in, out := filepath.Join(dir, "in.jpg"), filepath.Join(dir, "out.heic")
		if err := os.WriteFile(in, withOrientation(t, converted(t, pngOf(t, img), ".jpg", sharp, "copy"), o), 0o600); err != nil {
			t.Fatal(err)
		}
		if msg, err := exec.Command("heif-enc", append(options, "-o", out, in)...).CombinedOutput(); err != nil {
			t.Fatalf("heif-enc: %v: %s", err, msg)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return withoutOwnWords(data)
	}
}

// withoutOwnWords takes away what heif-enc says of turns and colours in boxes since libheif 1.19 and left to Exif and to the reader before:
// the tests say it in their own words. Nobody knows a box by the new name, so nobody may be bound to obey it.
func withoutOwnWords(data []byte) []byte {
	own := map[byte]bool{}
	for i, b := range allProperties(data) {
		own[byte(i+1)] = b.kind == "irot" || b.kind == "imir" || b.kind == "colr" && bytes.HasPrefix(b.body, []byte("nclx"))
	}
	if ipma, ok := newBoxReader().at(data, "meta", "iprp", "ipma"); ok {
		for rest := ipma.body[fullBoxBytes+4:]; len(rest) > 3; rest = rest[3+int(rest[2]):] {
			for i, index := range rest[3 : 3+int(rest[2])] {
				if own[index&0x7f] {
					rest[3+i] = index & 0x7f // not essential
				}
			}
		}
	}
	for _, words := range []string{"irot", "imir", "colrnclx"} {
		data = bytes.ReplaceAll(data, []byte(words), append([]byte("skip"), words[4:]...))
	}
	return data
}

// p3HEIC holds P3 values and says so by code points alone.
func p3HEIC(t *testing.T, img image.Image, o int) []byte {
	raw := converted(t, pngOf(t, img), ".png", "[strip]", "icc_transform", "p3", "--input-profile", "srgb")
	stored, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return withProperties(t, heif("-q", "95", "-p", "chroma=444")(t, stored, o), nclx(primariesP3, 13))
}

// nclx is a colour box of code points; the matrix is BT.601's, the range full.
func nclx(primaries, transfer uint16) []byte {
	body := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16([]byte("nclx"), primaries), transfer)
	return boxOf("colr", append(body, 0, 6, 0x80))
}

// turnedHEIC turns by its own boxes, and its Exif says the same, as an iPhone's does: it must not be turned twice.
func turnedHEIC(t *testing.T, img image.Image, o int) []byte {
	return withProperties(t, heif("-q", "95", "-p", "chroma=444")(t, img, o), turnedBy(o)...)
}

// turnedAVIF is turnedHEIC for AVIF.
func turnedAVIF(t *testing.T, img image.Image, o int) []byte {
	return withProperties(t, heif("-A", "-q", "95", "-p", "chroma=444")(t, img, o), turnedBy(o)...)
}

func boxOf(kind string, body []byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), kind...), body...)
}

// spots are where a card's colours are looked at.
func spots(w, h int) map[string]image.Point {
	return map[string]image.Point{
		"top left": {X: w / 8, Y: h / 8}, "top right": {X: w * 7 / 8, Y: h / 8}, "middle": {X: w / 2, Y: h / 2},
		"bottom left": {X: w / 8, Y: h * 7 / 8}, "bottom right": {X: w * 7 / 8, Y: h * 7 / 8},
	}
}

// TestColourCorpus is issue 4's first line: every colour space in every orientation, cropped and not, in every rendition.
func TestColourCorpus(t *testing.T) {
	t.Parallel()
	for name, c := range colourCorpus(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			truth := c.truth
			if truth == nil {
				truth = wholeCard
			}
			for o := 1; o <= 8; o++ {
				data := c.make(t, oriented(card(cardW, cardH), o), o)
				dir, f := staged(t, data)
				whole := mustProcess(t, dir, f)
				allRenditions(t, fmt.Sprintf("orientation %d", o), whole, cardW, cardH, truth)
				dir, f = staged(t, data)
				half := mustProcess(t, dir, f, crop(0.5, 0, 0.5, 1))
				allRenditions(t, fmt.Sprintf("orientation %d, right half", o), half, cardW/2, cardH,
					map[string]color.NRGBA{"top right": truth["top right"], "bottom right": truth["bottom right"]})
			}
		})
	}
}

// allRenditions checks size and colours of everything made of a picture of w × h that shows the card or a part of it.
func allRenditions(t *testing.T, what string, r rendered, w, h int, truth map[string]color.NRGBA) {
	t.Helper()
	if len(r.Part.Renditions) != 6 {
		t.Errorf("%s: %d renditions", what, len(r.Part.Renditions))
	}
	for _, x := range r.Part.Renditions {
		wantW, wantH, want := w, h, truth
		switch x.Name {
		case "grid":
			wantW, wantH = min(w, h), min(w, h)
		case "blurred":
			want = corners(truth)
		}
		got := r.pixels(t, x.Name, x.MIME)
		if got.w != wantW || got.h != wantH || x.Width != wantW || x.Height != wantH {
			t.Errorf("%s: %s is %d×%d, says %d×%d, want %d×%d", what, x.Name, got.w, got.h, x.Width, x.Height, wantW, wantH)
			continue
		}
		cardColours(t, what+", "+x.Name+" "+x.MIME, got, want)
	}
	cardColours(t, what+", sample", r.sampled(t), truth)
}

// corners leaves out the block in the middle, which a blurred picture does not show.
func corners(truth map[string]color.NRGBA) map[string]color.NRGBA {
	out := map[string]color.NRGBA{}
	for name, c := range truth {
		if name != "middle" {
			out[name] = c
		}
	}
	return out
}

// Exif's orientation counts in every format that has Exif, and the probe plans for it.
func TestProbedOrientation(t *testing.T) {
	stored := oriented(card(cardW, cardH), 6)
	jpg := withOrientation(t, jpegOf(t, stored), 6)
	for name, data := range map[string][]byte{
		"JPEG": jpg,
		"PNG":  withOrientation(t, pngOf(t, stored), 6),
		"WebP": converted(t, jpg, ".webp", "[Q=95]", "copy"),
		"HEIC": heif("-q", "95")(t, stored, 6),
		"AVIF": heif("-A", "-q", "95")(t, stored, 6),
	} {
		dir, f := staged(t, data)
		m, err := Probe(filepath.Join(dir, f.Path), f.Type)
		if err != nil {
			t.Fatal(err)
		}
		if m.Width != cardW || m.Height != cardH || m.Image.Orientation != 6 || m.Kind != pipeline.KindPhoto {
			t.Errorf("%s: probed %d×%d, orientation %d", name, m.Width, m.Height, m.Image.Orientation)
		}
	}
}
