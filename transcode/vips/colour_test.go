package vips

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// CMYK holds fewer colours than the card has; the truth is what libvips' own tool shows of the same file, and without a profile what
// browsers do: each ink takes its share of the light.
func TestCMYK(t *testing.T) {
	ink := converted(t, pngOf(t, card(cardW, cardH)), ".jpg", "[Q=98,strip]", "icc_transform", "cmyk", "--input-profile", "srgb")
	for name, data := range map[string][]byte{
		"perceptual": withJPEGProfile(ink, tableProfile("CMYK", "A2B0")), "relative": withJPEGProfile(ink, tableProfile("CMYK", "A2B1")), "without": ink,
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, data)
			truth := inkTruth(t, dir, f)
			if name != "without" {
				shown := filepath.Join(t.TempDir(), "shown.png")
				vipsTool(t, "icc_transform", filepath.Join(dir, f.Path), shown, srgbFile(t), "--embedded", "--intent", name)
				truth = decoded(t, shown)
			}
			want := map[string]color.NRGBA{}
			for corner, p := range map[string]image.Point{"top left": {X: 20, Y: 15}, "bottom left": {X: 20, Y: 105}, "middle": {X: 80, Y: 60}} {
				c := truth.at(p.X, p.Y)
				want[corner] = color.NRGBA{R: uint8(c[0]), G: uint8(c[1]), B: uint8(c[2]), A: 255}
			}
			everywhere(t, mustProcess(t, dir, f), want)
		})
	}
}

// Browsers take the inks of a JPEG to be stored inverted, whether Adobe's mark says so or not.
func TestCMYKWithoutAdobe(t *testing.T) {
	t.Parallel()
	ink := converted(t, pngOf(t, card(cardW, cardH)), ".jpg", "[Q=98,strip]", "icc_transform", "cmyk", "--input-profile", "srgb")
	for name, data := range map[string][]byte{"no profile": ink, "profile": withJPEGProfile(ink, tableProfile("CMYK", "A2B0"))} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, data)
			want := mustProcess(t, dir, f)
			dir, f = staged(t, withoutAdobe(t, data))
			if d := apart(t, want.sampled(t), mustProcess(t, dir, f).sampled(t)); d > 0 {
				t.Errorf("%.1f levels from the same picture with the mark", d)
			}
		})
	}
}

// adobeMark is where Adobe's segment begins, which says how a JPEG's colours are stored.
func adobeMark(t testing.TB, data []byte) int {
	t.Helper()
	at := bytes.Index(data, []byte("\xff\xee\x00\x0eAdobe"))
	if at < 0 {
		t.Fatal("a JPEG of inks without Adobe's mark")
	}
	return at
}

func withoutAdobe(t testing.TB, data []byte) []byte {
	t.Helper()
	at := adobeMark(t, data)
	return append(bytes.Clone(data[:at]), data[at+16:]...)
}

// withYCCK says of a JPEG of inks that three of them are stored as luma and chroma: other colours, which browsers decode likewise.
func withYCCK(t testing.TB, data []byte) []byte {
	t.Helper()
	out := bytes.Clone(data)
	out[adobeMark(t, data)+15] = 2
	return out
}

// inkTruth multiplies what the inks of a CMYK JPEG leave of the light.
func inkTruth(t *testing.T, dir string, f pipeline.File) raster {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(mustRead(t, filepath.Join(dir, f.Path))))
	if err != nil {
		t.Fatal(err)
	}
	cmyk, ok := img.(*image.CMYK)
	if !ok {
		t.Fatalf("%T is no CMYK", img)
	}
	out := raster{make([]byte, 3*cardW*cardH), cardW, cardH, 3}
	for i := range cardW * cardH {
		for c := range 3 {
			out.pix[3*i+c] = byte(int(255-cmyk.Pix[4*i+c]) * int(255-cmyk.Pix[4*i+3]) / 255)
		}
	}
	return out
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
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
	t.Parallel()
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

// Exif can say Adobe RGB without a profile, as cameras do that write DCF's optional colour space.
func TestAdobeRGBByExif(t *testing.T) {
	raw := converted(t, converted(t, pngOf(t, card(cardW, cardH)), ".png", "", "icc_transform", adobeRGB(t), "--input-profile", "srgb"), ".jpg", "[Q=98,subsample_mode=off,strip]", "copy")
	dir, f := staged(t, withSegment(raw, 0xe1, adobeExif()))
	everywhere(t, mustProcess(t, dir, f), wholeCard)
	dir, f = staged(t, raw)
	if d := deltaE(mustProcess(t, dir, f).sampled(t).at(10, 10), rgb(topLeft)); d < maxDeltaE {
		t.Errorf("without the mark the ΔE is %.1f: nothing is proved", d)
	}
}

// adobeExif is an Exif block whose interoperability directory says R03.
func adobeExif() []byte {
	be := binary.BigEndian
	b := []byte("MM\x00*\x00\x00\x00\x08")
	directory := func(tag, typ uint16, count uint32, value []byte) {
		b = be.AppendUint16(be.AppendUint16(be.AppendUint16(b, 1), tag), typ)
		b = append(be.AppendUint32(b, count), append(value, 0, 0, 0, 0)...)
	}
	next := func() []byte { return be.AppendUint32(nil, uint32(len(b)+18)) } // behind the directory that is being written
	directory(tagExifIFD, 4, 1, next())
	directory(tagInteropIFD, 4, 1, next())
	directory(tagInterop, 2, 4, []byte("R03\x00"))
	return append([]byte("Exif\x00\x00"), b...)
}

func TestExifCutAnywhere(t *testing.T) {
	for _, whole := range [][]byte{adobeExif(), exifBlock(6)} {
		for n := range whole {
			exifSaysAdobe(whole[:n])
			exifOrientation(whole[:n])
		}
	}
	if !exifSaysAdobe(adobeExif()) || exifSaysAdobe(exifBlock(6)) {
		t.Error("the mark is not told from its absence")
	}
}

// hdrDeltaE allows for the bend of bright tones on top of maxDeltaE's encoding.
const hdrDeltaE = 5.0

// Pictures with PQ and HLG light come out as the same scene photographed for an ordinary screen. ffmpeg's zscale makes them.
func TestHDRIsTonedDown(t *testing.T) {
	for name, data := range map[string][]byte{
		"PQ AVIF": hdrAVIF(t, "smpte2084"), "HLG AVIF": hdrAVIF(t, "arib-std-b67"),
		"PQ PNG": hdrPNG(t, "smpte2084", transferPQ), "HLG PNG": hdrPNG(t, "arib-std-b67", transferHLG),
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, data)
			r := mustProcess(t, dir, f)
			if r.media.Image.Space != "rgb16" {
				t.Errorf("decoded as %s: ten bits are needed", r.media.Image.Space)
			}
			got := r.pixels(t, "display", "image/webp")
			for spot, p := range spots(got.w, got.h) {
				if d := deltaE(got.at(p.X, p.Y), rgb(dimmed(wholeCard[spot]))); d > hdrDeltaE {
					t.Errorf("%s: %v, want %v: ΔE %.1f", spot, got.at(p.X, p.Y), rgb(dimmed(wholeCard[spot])), d)
				}
			}
		})
	}
}

// dimmed is half of a colour's light: below the knee of the tone curve.
func dimmed(c color.NRGBA) color.NRGBA {
	half := func(v uint8) uint8 {
		light := srgbCurve(float64(v)/255) / 2
		if light <= 0.0031308 {
			return uint8(math.Round(255 * 12.92 * light))
		}
		return uint8(math.Round(255 * (1.055*math.Pow(light, 1/2.4) - 0.055)))
	}
	return color.NRGBA{R: half(c.R), G: half(c.G), B: half(c.B), A: 255}
}

// hdrAVIF is the dimmed card with paper white at 203 nits, BT.2020, ten bits.
func hdrAVIF(t *testing.T, transfer string) []byte {
	t.Helper()
	return hdrFile(t, "out.avif", "zscale=npl=203:p=bt2020:m=bt2020nc:r=full:t="+transfer+",format=yuv444p10le", "-c:v", "libaom-av1", "-still-picture", "1",
		"-cpu-used", "8", "-crf", "8", "-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc", "-color_range", "pc", "-f", "avif")
}

// hdrPNG is the same in 16 bits, whose cICP says what they are.
func hdrPNG(t *testing.T, transfer string, code byte) []byte {
	t.Helper()
	data := hdrFile(t, "out.png", "zscale=npl=203:p=bt2020:m=gbr:r=full:t="+transfer+",format=gbrp16le,format=rgb48be", "-f", "image2", "-c:v", "png")
	const headEnd = 33 // signature and IHDR
	return slices.Concat(data[:headEnd], pngCICP(primariesBT2020, code), data[headEnd:])
}

func hdrFile(t *testing.T, name, format string, options ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.png"), filepath.Join(dir, name)
	img := image.NewNRGBA(image.Rect(0, 0, cardW, cardH))
	for i, src := 0, card(cardW, cardH); i < len(img.Pix); i += 4 {
		c := dimmed(color.NRGBA{R: src.Pix[i], G: src.Pix[i+1], B: src.Pix[i+2]})
		copy(img.Pix[i:], []byte{c.R, c.G, c.B, 255})
	}
	write(t, in, pngOf(t, img))
	graph := "setparams=color_primaries=bt709:color_trc=iec61966-2-1:colorspace=gbr:range=full,zscale=t=linear:npl=203,format=gbrpf32le," + format
	cmd := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-i", in, "-vf", graph}, options...), out)...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, msg)
	}
	return mustRead(t, out)
}
