package raster

import (
	"encoding/base64"
	"image"
	"image/color"
	"math"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bbrks/go-blurhash"
	"github.com/disintegration/imaging"
	"github.com/galdor/go-thumbhash"

	"github.com/ninefold/ninefold/pipeline"
)

// patterns are pictures that any language draws alike, in integers.
var patterns = map[string]func(x, y, w, h int) color.NRGBA{
	"gradient": func(x, y, w, h int) color.NRGBA {
		return color.NRGBA{uint8(255 * x / (w - 1)), uint8(255 * y / (h - 1)), uint8(255 * (x + y) / (w + h - 2)), 255}
	},
	"checker": func(x, y, _, _ int) color.NRGBA {
		if (x>>3+y>>3)%2 == 1 {
			return color.NRGBA{230, uint8(40 + 3*x), 60, 255}
		}
		return color.NRGBA{20, 90, uint8(200 - 2*y), 255}
	},
	"glass": func(x, y, _, _ int) color.NRGBA {
		return color.NRGBA{uint8(x * 7 % 256), uint8(y * 11 % 256), uint8(x * y % 256), uint8((x*5 + y*y) % 256)}
	},
}

func pattern(name string, w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, patterns[name](x, y, w, h))
		}
	}
	return img
}

// The vectors were made from the same pictures by the authors' implementations: blurhash by the algorithm of woltapp's C encoder,
// thumbhash by evanw's 0.1.1. (woltapp's TypeScript encoder gives other blurhashes: it forgets the sign when it looks for the
// largest component; C and Swift do not.) Pictures with transparency or over 32 pixels have no blurhash to compare here.
func TestPlaceholderAgreesWithTheReferences(t *testing.T) {
	for _, tt := range []struct {
		name            string
		w, h            int
		blurhash, thumb string
	}{
		{"gradient", 32, 24, "L$HewS2jwzX5l?WGjue;gKfkfQfj", "H/gNDZqAh4dxd4iIh3iIeI+ACPh3"},
		{"gradient", 24, 32, "T$HoE:2kwyl=WGjugLfkfQnjWpjt", "HwgODRqBh3CIh3d4h4h4iICPCPh3"},
		{"gradient", 30, 30, "U$HetK2kwzX5l?WGjue:gLfkfQfjnjWojtfQ", "HwgOBxqAh4eAiIiIiHiIiIiHmJ/3gI8H"},
		{"checker", 32, 24, "LZJYGLN4f%FhxJjcfQjwf+Awg02e", "m0cGJYKQg3qKl3hJGoiIl4B1iIIH"},
		{"checker", 24, 32, "TZJX;bw5fmOcj[BCfTfQfTF#kB2w", ""}, // a component is 0 by symmetry and rounds by its last bit
		{"checker", 30, 30, "UcJY3=nUbHbKoiS6X8FMbIWrbHSQbwFMS#2d", "m0cGFwSDh3d7WImIiIiFcHmHBwdybyUH"},
		{"gradient", 100, 75, "", "HwgODZqAh4eBh4d4eHh4eI9wCPh3"},
		{"glass", 40, 40, "", "HRiGDQoHMDmViJMpqaDMBKTHYHYXdhVXMg=="},
		{"glass", 100, 30, "", "3BeGEooIVkaDmIB5lmC294QgSBc3eHU="},
	} {
		got, err := Tools{}.Placeholder(pattern(tt.name, tt.w, tt.h))
		if err != nil {
			t.Fatal(err)
		}
		if tt.blurhash != "" && got.Blurhash != tt.blurhash {
			t.Errorf("%s %d×%d: blurhash %s, want %s", tt.name, tt.w, tt.h, got.Blurhash, tt.blurhash)
		}
		if tt.thumb != "" && got.Thumbhash != tt.thumb {
			t.Errorf("%s %d×%d: thumbhash %s, want %s", tt.name, tt.w, tt.h, got.Thumbhash, tt.thumb)
		}
	}
}

// fixtureOf opens a picture that a module brings along with its published hash, from the module cache.
func fixtureOf(t *testing.T, module, name string) *image.NRGBA {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Skipf("the sources of %s cannot be found: %v", module, err)
	}
	img, err := imaging.Open(filepath.Join(strings.TrimSpace(string(dir)), name))
	if err != nil {
		t.Skipf("%s has no picture %s here: %v", module, name, err)
	}
	return imaging.Clone(img)
}

// The pictures and hashes are those that evanw publishes with thumbhash; firefox.png is half transparent.
func TestPublishedThumbhashes(t *testing.T) {
	for name, want := range map[string]string{
		"data/sunrise.jpg": "1QcSHQRnh493V4dIh4eXh1h4kJUI", "data/firefox.png": "YJqGPQw7sFlslqhFafSE+Q6oJ1h2iHB2Rw==",
	} {
		got, err := Placeholder(fixtureOf(t, "github.com/galdor/go-thumbhash", name))
		if err != nil || got.Thumbhash != want {
			t.Errorf("%s: %s, published %s (%v)", name, got.Thumbhash, want, err)
		}
	}
}

// blurLevels is how far, of 255, the blurhash of a picture shrunk first may show a quarter of it, in the mean, from that of all its pixels: a
// shrunk pixel is a mean of stored values, a blurhash one of light.
const blurLevels = 8

// The picture and its hash of 4 × 3 components stand in the tests of woltapp's ports. A square has 4 × 4 in ours: the published part
// comes out to the letter, and the picture shrunk first, as Placeholder does, shows the same.
func TestPublishedBlurhash(t *testing.T) {
	const published = "LFE.@D9F01_2%L%MIVD*9Goe-;WB"
	img := fixtureOf(t, "github.com/bbrks/go-blurhash", "fixtures/test.png")
	if got, err := blurhash.Encode(4, 3, img); err != nil || got != published {
		t.Errorf("%s, published %s (%v)", got, published, err)
	}
	whole, err := blurhash.Encode(4, 4, img)
	if err != nil || whole[1:len(published)] != published[1:] {
		t.Fatalf("%s does not begin like the published %s (%v)", whole, published, err)
	}
	got, err := Placeholder(img)
	if err != nil {
		t.Fatal(err)
	}
	want, shown := hashMeans(t, whole), hashMeans(t, got.Blurhash)
	for q := range want {
		for i := range want[q] {
			if math.Abs(shown[q][i]-want[q][i]) > blurLevels {
				t.Errorf("%s: quarter %d channel %d shows %.0f, of all pixels %.0f", got.Blurhash, q, i, shown[q][i], want[q][i])
			}
		}
	}
}

func hashMeans(t *testing.T, hash string) [4][3]float64 {
	t.Helper()
	pic, err := blurhash.Decode(hash, 32, 32, 1)
	if err != nil {
		t.Fatal(err)
	}
	return quarterMeans(pic)
}

// hashTolerance is how far, of 255, a decoded hash's mean over a quarter may lie from the picture's: both keep a few frequencies.
const hashTolerance = 30

func quarterMeans(img image.Image) [4][3]float64 {
	var sums [4][3]float64
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			q := 2*(2*(y-b.Min.Y)/b.Dy()) + 2*(x-b.Min.X)/b.Dx()
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			for i, v := range []uint8{c.R, c.G, c.B} {
				sums[q][i] += float64(v) * 4 / float64(b.Dx()*b.Dy())
			}
		}
	}
	return sums
}

func TestHashesOfLargePicturesShowThem(t *testing.T) {
	for _, size := range []image.Point{{1280, 960}, {300, 900}, {800, 800}} {
		img := pattern("gradient", size.X, size.Y)
		got, err := Placeholder(img)
		if err != nil {
			t.Fatal(err)
		}
		blurred, err := blurhash.Decode(got.Blurhash, 32, 32, 1)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(got.Thumbhash)
		if err != nil {
			t.Fatal(err)
		}
		thumb, err := thumbhash.DecodeImage(raw)
		if err != nil {
			t.Fatal(err)
		}
		want := quarterMeans(img)
		for name, decoded := range map[string]image.Image{"blurhash": blurred, "thumbhash": thumb} {
			for q, means := range quarterMeans(decoded) {
				for i, v := range means {
					if math.Abs(v-want[q][i]) > hashTolerance {
						t.Errorf("%v %s: quarter %d channel %d is %.0f, want %.0f", size, name, q, i, v, want[q][i])
					}
				}
			}
		}
	}
}

func TestBlurhashComponents(t *testing.T) {
	for _, tt := range []struct{ w, h, x, y int }{{400, 300, 4, 3}, {300, 400, 3, 4}, {300, 300, 4, 4}, {1, 1, 4, 4}, {16_000, 20, 4, 3}, {20, 16_000, 3, 4}} {
		got, err := Placeholder(image.NewNRGBA(image.Rect(0, 0, tt.w, tt.h)))
		if err != nil {
			t.Fatal(err)
		}
		x, y, err := blurhash.Components(got.Blurhash)
		if err != nil || x != tt.x || y != tt.y {
			t.Errorf("%d×%d: %d×%d components, want %d×%d (%v)", tt.w, tt.h, x, y, tt.x, tt.y, err)
		}
	}
}

func TestDominantColour(t *testing.T) {
	fill := func(w, h int, at func(x, y int) color.NRGBA) *image.NRGBA {
		img := image.NewNRGBA(image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				img.SetNRGBA(x, y, at(x, y))
			}
		}
		return img
	}
	red, blue, glass := color.NRGBA{200, 10, 20, 255}, color.NRGBA{10, 20, 200, 255}, color.NRGBA{0, 255, 0, 0}
	for name, tt := range map[string]struct {
		img  *image.NRGBA
		want string
	}{
		"one colour":        {fill(9, 7, func(int, int) color.NRGBA { return red }), "#c80a14"},
		"two thirds":        {fill(90, 60, func(x, _ int) color.NRGBA { return map[bool]color.NRGBA{true: blue, false: red}[x < 60] }), "#0a14c8"},
		"transparent most":  {fill(90, 60, func(x, _ int) color.NRGBA { return map[bool]color.NRGBA{true: glass, false: red}[x < 60] }), "#c80a14"},
		"nothing but glass": {fill(4, 4, func(int, int) color.NRGBA { return glass }), "#ffffff"},
		"large":             {fill(1000, 500, func(int, int) color.NRGBA { return blue }), "#0a14c8"},
	} {
		got, err := Placeholder(tt.img)
		if err != nil {
			t.Fatal(err)
		}
		if got.Color != tt.want || !regexp.MustCompile(`^#[0-9a-f]{6}$`).MatchString(got.Color) {
			t.Errorf("%s: %s, want %s", name, got.Color, tt.want)
		}
	}
}

func TestTransparentPictureIsBlurredOverWhite(t *testing.T) {
	got, err := Placeholder(image.NewNRGBA(image.Rect(0, 0, 40, 30)))
	if err != nil {
		t.Fatal(err)
	}
	img, err := blurhash.Decode(got.Blurhash, 8, 8, 1)
	if err != nil {
		t.Fatal(err)
	}
	if r, g, b, _ := img.At(4, 4).RGBA(); min(r, g, b)>>8 < 250 {
		t.Errorf("a transparent picture is blurred to %d,%d,%d", r>>8, g>>8, b>>8)
	}
}

func TestPlaceholderOfASubImage(t *testing.T) {
	whole := pattern("gradient", 100, 80)
	part := whole.SubImage(image.Rect(20, 10, 60, 40)).(*image.NRGBA)
	alone := image.NewNRGBA(image.Rect(0, 0, 40, 30))
	for y := range 30 {
		for x := range 40 {
			alone.SetNRGBA(x, y, whole.NRGBAAt(20+x, 10+y))
		}
	}
	got, err := Placeholder(part)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := Placeholder(alone); err != nil || got != want {
		t.Errorf("%v, want %v (%v)", got, want, err)
	}
}

func TestPlaceholderOfNothing(t *testing.T) {
	for _, img := range []*image.NRGBA{nil, {}} {
		if _, err := Placeholder(img); err == nil || pipeline.AsError(err).Code != pipeline.CodeInternal {
			t.Errorf("%v", err)
		}
	}
}

func BenchmarkPlaceholder(b *testing.B) {
	img := pattern("gradient", 640, 480)
	for b.Loop() {
		if _, err := Placeholder(img); err != nil {
			b.Fatal(err)
		}
	}
}
