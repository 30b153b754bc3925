package vips

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/h2non/bimg"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// traces are bytes that only metadata contain.
var traces = []string{"Exif", "EXIF", "http://ns.adobe.com", "xpacket", "XMP ", "8BIM", "ICC_PROFILE", "ICCP", "Apple", "SecretMaker", "SecretComment"}

func noTraces(t *testing.T, r rendered) {
	t.Helper()
	for _, x := range r.Part.Renditions {
		data, err := os.ReadFile(filepath.Join(r.dir, x.Path))
		if err != nil {
			t.Fatal(err)
		}
		for _, trace := range traces {
			if bytes.Contains(data, []byte(trace)) {
				t.Errorf("%s %s carries %q", x.Name, x.MIME, trace)
			}
		}
	}
}

func TestNoMetadataLeaves(t *testing.T) {
	tagged := withSegment(withSegment(jpegOf(t, card(cardW, cardH)), 0xfe, []byte("SecretComment")), 0xe1, exifBlock(1))
	tagged = withSegment(tagged, 0xe1, []byte("http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta>SecretMaker</x:xmpmeta>"))
	for name, data := range map[string][]byte{
		"JPEG": tagged,
		"PNG":  converted(t, tagged, ".png", "", "copy"),
		"WebP": converted(t, tagged, ".webp", "[Q=90]", "copy"),
		"HEIC": converted(t, tagged, ".heic", "[Q=90]", "copy"),
		"AVIF": converted(t, tagged, ".avif", "[Q=90]", "copy"),
	} {
		t.Run(name, func(t *testing.T) {
			if !bytes.Contains(data, []byte("SecretMaker")) {
				t.Fatal("the source has nothing to lose")
			}
			dir, f := staged(t, data)
			noTraces(t, mustProcess(t, dir, f))
		})
	}
}

// Every format a profile may ask for is written, verifies and shows the picture.
func TestEveryFormat(t *testing.T) {
	prof := transcode.DefaultProfile()
	prof.Photo.Renditions = append(prof.Photo.Renditions, transcode.ImageSpec{Name: "preview", Format: transcode.AVIF, Fit: transcode.FitInside, Side: 1280, Quality: 63})
	dir, f := staged(t, pngOf(t, card(cardW, cardH)))
	m, err := Probe(filepath.Join(dir, f.Path), f.Type)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := transcode.NewPlan(pipeline.Item{Kind: pipeline.KindPhoto}, m, prof)
	if err != nil {
		t.Fatal(err)
	}
	res, err := Render(context.Background(), dir, "out", f, plan.Photo, tools{})
	if err != nil {
		t.Fatal(err)
	}
	r := rendered{res, dir, m}
	for _, x := range r.Part.Renditions {
		if err := Verify(dir, x); err != nil {
			t.Error(err)
		}
	}
	cardColours(t, "avif", r.pixels(t, "preview", "image/avif"), wholeCard)
}

// Photographs have a colour for four pixels, drawings one for each.
func TestJPEGIsProgressiveWithTheRightChroma(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		luma byte
	}{
		"photo": {jpegOf(t, card(cardW, cardH)), 0x22}, "noise": {pngOf(t, noise(300, 200)), 0x22}, "screenshot": {pngOf(t, screenshot(300, 200)), 0x11},
		"pixel art": {pngOf(t, pixelArt(96, 64)), 0x11}, "GIF": {converted(t, pngOf(t, pixelArt(96, 64)), ".gif", "", "copy"), 0x11},
		"grey noise": {pngPicture(128, 8, pngGrey, func(x, y, _ int) float64 { return float64((x*7919+y*104729)%251) / 250 }), 0x22},
	} {
		dir, f := staged(t, c.data)
		segs, _, err := walkJPEG(mustRead(t, filepath.Join(dir, mustProcess(t, dir, f).find(t, "display", "image/jpeg").Path)))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range segs {
			if isSOF(s.marker) && (s.marker != markSOF2 || s.payload[7] != c.luma || s.payload[10] != 0x11) {
				t.Errorf("%s: frame %#x, sampling %#x and %#x: want progressive and %#x", name, s.marker, s.payload[7], s.payload[10], c.luma)
			}
		}
	}
}

// pixelArt is a picture of few colours in which hardly a pixel is like the one before.
func pixelArt(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			k := uint8((x*5 + y*3 + x*y) % 7)
			img.SetNRGBA(x, y, color.NRGBA{R: 36 * k, G: 255 - 30*k, B: 80 * (k % 4), A: 255})
		}
	}
	return img
}

// Coloured pixels stay apart in the JPEG, too: 4:2:0 smears them by 60 levels and more.
func TestDrawingsKeepTheirColoursInJPEG(t *testing.T) {
	src := pixelArt(96, 64)
	dir, f := staged(t, pngOf(t, src))
	want := raster{src.Pix, 96, 64, 4}
	if d := apart(t, mustProcess(t, dir, f).pixels(t, "display", "image/jpeg"), want); d > 6 {
		t.Errorf("the JPEG is %.1f levels from the drawing", d)
	}
}

// translucent has nothing in its upper left quarter, half of red in its upper right, and the card below.
func translucent() *image.NRGBA {
	img := card(800, 600)
	for y := range 300 {
		for x := range 800 {
			img.SetNRGBA(x, y, color.NRGBA{R: 255, A: uint8(x / 400 * 128)})
		}
	}
	return img
}

// What is delivered, blurred and judged lies on the same white.
func TestAlphaLiesOnWhite(t *testing.T) {
	dir, f := staged(t, pngOf(t, translucent()))
	r := mustProcess(t, dir, f)
	if !r.media.Image.HasAlpha {
		t.Error("the probe saw no alpha")
	}
	want := map[string]color.NRGBA{"top left": {R: 255, G: 255, B: 255}, "top right": {R: 255, G: 127, B: 127}, "bottom right": bottomRight}
	for _, x := range r.Part.Renditions {
		got := r.pixels(t, x.Name, x.MIME)
		if got.bands != 3 {
			t.Errorf("%s %s has %d bands", x.Name, x.MIME, got.bands)
		}
		if x.Name == "display" || x.Name == "thumb" {
			cardColours(t, x.Name+" "+x.MIME, got, want)
		}
	}
	cardColours(t, "sample", r.sampled(t), want)
	cardColours(t, "blurred", r.pixels(t, "blurred", "image/jpeg"), map[string]color.NRGBA{"top left": {R: 255, G: 255, B: 255}})
}

// A deployment may keep it where the format has it.
func TestKeptAlpha(t *testing.T) {
	dir, f := staged(t, pngOf(t, translucent()))
	m, err := Probe(filepath.Join(dir, f.Path), f.Type)
	if err != nil {
		t.Fatal(err)
	}
	prof := transcode.DefaultProfile()
	prof.Photo.KeepAlpha = true
	plan, err := transcode.NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindPhoto}, m, prof)
	if err != nil {
		t.Fatal(err)
	}
	res, err := Render(context.Background(), dir, "out", f, plan.Photo, tools{})
	if err != nil {
		t.Fatal(err)
	}
	r := rendered{res, dir, m}
	for _, name := range []string{"display", "thumb"} {
		got := r.pixels(t, name, "image/webp")
		if got.bands != 4 || got.alphaAt(got.w/8, got.h/8) != 0 || got.alphaAt(got.w/8, got.h*7/8) != 255 {
			t.Fatalf("%s: bands %d", name, got.bands)
		}
		if a := got.alphaAt(got.w*7/8, got.h/8); a < 126 || a > 130 {
			t.Errorf("%s: half-transparent came out as %d", name, a)
		}
	}
	want := map[string]color.NRGBA{"top left": {R: 255, G: 255, B: 255}, "top right": {R: 255, G: 127, B: 127}}
	cardColours(t, "jpeg", r.pixels(t, "display", "image/jpeg"), want)
	cardColours(t, "sample", r.sampled(t), want)
}

// A picture drawn in the alpha channel over the grey that the classifier was once shown: it sees what the recipient does.
func TestPictureInTheAlphaChannel(t *testing.T) {
	for _, name := range []string{"alphahide.png", "alphahide.webp"} {
		dir, f := fault(t, "18-picture-in-the-alpha-channel/"+name)
		r := mustProcess(t, dir, f)
		shown, judged := r.pixels(t, "display", "image/webp").shrunkTo(16, 16), r.sampled(t).shrunkTo(16, 16)
		if d := apart(t, shown, judged); d > 3 {
			t.Errorf("%s: what is judged is %.1f levels from what is shown", name, d)
		}
		flat := raster{bytes.Repeat([]byte{128}, 3*16*16), 16, 16, 3}
		if d := apart(t, judged, flat); d < 10 {
			t.Errorf("%s: what is judged is %.1f levels from flat grey", name, d)
		}
	}
}

// The colour under transparent pixels must not bleed into what is next to them when the picture is scaled down.
func TestHiddenColourDoesNotBleed(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 3000, 300))
	for y := range 300 {
		for x := range 3000 {
			c := color.NRGBA{G: 255, A: 0} // hidden green
			if x >= 1500 {
				c = color.NRGBA{R: 200, G: 30, B: 30, A: 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	dir, f := staged(t, pngOf(t, img))
	got := mustProcess(t, dir, f).pixels(t, "display", "image/jpeg")
	for x := got.w/2 - 4; x < got.w/2+4; x++ {
		if c := got.at(x, got.h/2); c[1] > c[0]+8 {
			t.Errorf("at column %d of %d: %v is greener than red on white can be", x, got.w, c)
		}
	}
}

func TestIdleAlphaIsDropped(t *testing.T) {
	dir, f := staged(t, converted(t, pngOf(t, card(40, 30)), ".png", "", "bandjoin_const", "255"))
	r := mustProcess(t, dir, f)
	if !r.media.Image.HasAlpha {
		t.Fatal("the source has no alpha to drop")
	}
	if got := r.pixels(t, "display", "image/webp"); got.bands != 3 {
		t.Errorf("%d bands for an opaque picture", got.bands)
	}
}

func TestExtremeSizes(t *testing.T) {
	for name, c := range map[string]struct{ w, h, outW, outH int }{
		"one pixel":     {1, 1, 1, 1},
		"16,000 × 20":   {16000, 20, 2048, 3},
		"20 × 16,000":   {20, 16000, 3, 2048},
		"16,383 × 1":    {16383, 1, 2048, 1},
		"odd and small": {3, 5, 3, 5},
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, jpegOf(t, card(c.w, c.h)))
			r := mustProcess(t, dir, f)
			if r.Part.Width != c.outW || r.Part.Height != c.outH {
				t.Errorf("%d×%d, want %d×%d", r.Part.Width, r.Part.Height, c.outW, c.outH)
			}
			r.sampled(t)
		})
	}
}

// noise is a picture that hardly compresses.
func noise(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	r := rand.New(rand.NewPCG(5, 6))
	for i := range img.Pix {
		img.Pix[i] = byte(r.Uint32())
	}
	for i := 3; i < len(img.Pix); i += 4 {
		img.Pix[i] = 255
	}
	return img
}

func TestByteBudget(t *testing.T) {
	t.Parallel()
	dir, f := staged(t, pngOf(t, noise(2048, 1400)))
	r := mustProcess(t, dir, f)
	budget := transcode.DefaultProfile().Photo.DisplayBytes
	for _, mime := range []string{"image/jpeg", "image/webp"} {
		x := r.find(t, "display", mime)
		t.Logf("%s: %d bytes, %d×%d", mime, x.Size, x.Width, x.Height)
		if x.Size > budget {
			t.Errorf("%s has %d bytes, budget %d", mime, x.Size, budget)
		}
		if x.Width < 800 {
			t.Errorf("%s is %d wide: shrunk more than its budget asks", mime, x.Width)
		}
	}
	if x := r.find(t, "display", "image/jpeg"); r.Part.Width != x.Width || r.Part.Height != x.Height {
		t.Errorf("the part is %d×%d, its default rendition %d×%d", r.Part.Width, r.Part.Height, x.Width, x.Height)
	}
}

// Of a small picture display, preview and thumb are the same: the same bytes, so the store keeps them once.
func TestEqualRenditionsAreEqualBytes(t *testing.T) {
	dir, f := staged(t, pngOf(t, card(cardW, cardH)))
	r := mustProcess(t, dir, f)
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, r.find(t, name, "image/webp").Path))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, name := range []string{"preview", "thumb"} {
		if !bytes.Equal(read("display"), read(name)) {
			t.Errorf("%s is not display's bytes", name)
		}
	}
}

func TestThriftGivesUpQualityBeforeSize(t *testing.T) {
	im := transcode.ImageOut{Width: 1000, Height: 500, Quality: 82}
	got := thrift(im)[:5]
	want := []attempt{{1000, 500, 75}, {1000, 500, 70}, {800, 400, 70}, {800, 400, 60}, {640, 320, 70}}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%v, want %v", got, want)
		}
	}
	for _, a := range thrift(transcode.ImageOut{Width: 10, Height: 10, Quality: 50}) {
		if a.quality != 50 || a.width == 10 {
			t.Errorf("%v from quality 50", a)
		}
	}
}

// screenshot is even areas with thin lines of text on them.
func screenshot(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{R: 250, G: 250, B: 252, A: 255}
			if y%40 < 14 && (x*7+y*3)%31 < 6 {
				c = color.NRGBA{R: 20, G: 20, B: 24, A: 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	return img
}

func TestScreenshotsAreLossless(t *testing.T) {
	src := screenshot(900, 700)
	dir, f := staged(t, pngOf(t, src))
	got := mustProcess(t, dir, f).pixels(t, "display", "image/webp")
	for y := range got.h {
		for x := range got.w {
			if got.at(x, y) != rgb(src.NRGBAAt(x, y)) {
				t.Fatalf("pixel %d, %d is %v, was %v", x, y, got.at(x, y), src.NRGBAAt(x, y))
			}
		}
	}
}

// Only what was lossless and even before stays lossless.
func TestWhichWebPIsLossless(t *testing.T) {
	for name, c := range map[string]struct {
		data  []byte
		chunk string
	}{
		"PNG screenshot":  {pngOf(t, screenshot(300, 200)), "VP8L"},
		"JPEG screenshot": {jpegOf(t, screenshot(300, 200)), "VP8 "},
		"PNG photo":       {pngOf(t, noise(300, 200)), "VP8 "},
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, c.data)
			data, err := os.ReadFile(filepath.Join(dir, mustProcess(t, dir, f).find(t, "display", "image/webp").Path))
			if err != nil {
				t.Fatal(err)
			}
			if chunks, err := walkWebP(data); err != nil || chunks[0].id != c.chunk {
				t.Errorf("%v (%v), want %q", chunks[0].id, err, c.chunk)
			}
		})
	}
}

// Whatever a picture ends in, libvips holds no pixels afterwards and no goroutine stays.
func TestNothingIsLeftBehind(t *testing.T) {
	whole := jpegOf(t, noise(400, 300))
	once := func() {
		for _, data := range [][]byte{whole, whole[:len(whole)/3], whole[:len(whole)*19/20], pngOf(t, screenshot(300, 200))} {
			dir, f := staged(t, data)
			_, _ = process(t, dir, f, turn(90))
		}
	}
	once() // what libvips sets up once
	before, routines := bimg.VipsMemory(), runtime.NumGoroutine()
	once()
	after := bimg.VipsMemory()
	for until := time.Now().Add(10 * time.Second); after.Memory > before.Memory || after.Allocations > before.Allocations; after = bimg.VipsMemory() {
		if time.Now().After(until) { // libvips' threads let go of their buffers a moment after the work is done
			t.Fatalf("%+v before, %+v after", before, after)
		}
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > routines {
		t.Errorf("%d goroutines, %d before", n, routines)
	}
}

// The safe rendition's limits: alike at 12 pixels (mean levels), and of all detail finer than 12 pixels can show no more left than this
// share of its contrast.
const (
	blurAlike = 12.0
	blurLeft  = 0.05
)

func TestBlurredShowsNoDetail(t *testing.T) {
	t.Parallel()
	src := blocks(1280, 960, 8)
	dir, f := staged(t, pngOf(t, src))
	r := mustProcess(t, dir, f)
	x := r.find(t, "blurred", "image/jpeg")
	if x.Class != pipeline.ClassSafe || x.Width != 640 || x.Height != 480 {
		t.Errorf("%+v", x)
	}
	blurred, original := r.pixels(t, "blurred", "image/jpeg"), decoded(t, filepath.Join(dir, f.Path)).shrunkTo(640, 480)
	if d := apart(t, blurred.shrunkTo(12, 9), original.shrunkTo(12, 9)); d > blurAlike {
		t.Errorf("at 12 px it is %.1f levels from the original", d)
	}
	for cycles := 7; cycles <= 60; cycles++ { // 12 pixels show 6 cycles
		for _, along := range []func(raster, int) float64{rowWave, columnWave} {
			left, was := along(blurred, cycles), along(original, cycles)
			if was < 0.5 {
				t.Fatalf("the original has an amplitude of %.2f levels at %d cycles: nothing is proved", was, cycles)
			}
			if left/was > blurLeft {
				t.Errorf("%.1f %% of the contrast at %d cycles is left", 100*left/was, cycles)
			}
		}
	}
}

// blocks is noise of squares of side pixels: detail at every frequency up to their own.
func blocks(w, h, side int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	r := rand.New(rand.NewPCG(7, 8))
	for y := 0; y < h; y += side {
		for x := 0; x < w; x += side {
			c := color.NRGBA{R: byte(r.Uint32()), G: byte(r.Uint32()), B: byte(r.Uint32()), A: 255}
			for i := range side * side {
				img.SetNRGBA(x+i%side, y+i/side, c)
			}
		}
	}
	return img
}

// rowWave is the mean amplitude, in levels of green, of a wave of so many cycles across the picture, over its rows.
func rowWave(r raster, cycles int) float64 {
	sum, n := 0.0, 0
	for y := 4; y < r.h; y += 16 {
		sum += wave(r.w, cycles, func(i int) float64 { return r.at(i, y)[1] })
		n++
	}
	return sum / float64(n)
}

// columnWave is rowWave of the columns, with as many cycles in the length of a row.
func columnWave(r raster, cycles int) float64 {
	sum, n := 0.0, 0
	for x := 4; x < r.w; x += 16 {
		sum += wave(r.h, cycles*r.h/r.w, func(i int) float64 { return r.at(x, i)[1] })
		n++
	}
	return sum / float64(n)
}

// wave is one coefficient of the Fourier transform of n values, with a window that keeps the ends from ringing.
func wave(n, cycles int, at func(int) float64) float64 {
	var re, im float64
	for i := range n {
		phase := 2 * math.Pi * float64(i) / float64(n)
		v := at(i) * (0.5 - 0.5*math.Cos(phase))
		re, im = re+v*math.Cos(phase*float64(cycles)), im+v*math.Sin(phase*float64(cycles))
	}
	return 4 * math.Hypot(re, im) / float64(n)
}

// Two pictures that differ in fine detail only must have the same safe rendition, to within what JPEG makes of rounding.
func TestBlurredForgetsFineDetail(t *testing.T) {
	shown := func(inverted bool) raster {
		img := image.NewNRGBA(image.Rect(0, 0, 1280, 1280))
		for y := range 1280 {
			for x := range 1280 {
				on := (x/2+y/2)%2 == 0
				v := uint8(40)
				if on != inverted {
					v = 210
				}
				img.SetNRGBA(x, y, color.NRGBA{R: v, G: v, B: v, A: 255})
			}
		}
		dir, f := staged(t, pngOf(t, img))
		return mustProcess(t, dir, f).pixels(t, "blurred", "image/jpeg")
	}
	if d := apart(t, shown(false), shown(true)); d > 1 {
		t.Errorf("%.2f levels tell the two apart", d)
	}
}

func TestVerifyFindsWhatDoesNotBelong(t *testing.T) {
	dir, f := staged(t, pngOf(t, card(cardW, cardH)))
	r := mustProcess(t, dir, f)
	jpg, webp := r.find(t, "display", "image/jpeg"), r.find(t, "display", "image/webp")
	read := func(x pipeline.Rendition) []byte {
		data, err := os.ReadFile(filepath.Join(dir, x.Path))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	chunk := func(id, body string) []byte {
		data := appendChunk(read(webp), webpChunk{id, []byte(body)})
		data[4], data[5], data[6] = byte(len(data)-8), byte((len(data)-8)>>8), byte((len(data)-8)>>16)
		return data
	}
	for name, c := range map[string]struct {
		of   pipeline.Rendition
		data []byte
	}{
		"Exif":             {jpg, withSegment(read(jpg), 0xe1, exifBlock(1))},
		"ICC":              {jpg, withSegment(read(jpg), 0xe2, []byte("ICC_PROFILE\x00\x01\x01x"))},
		"IPTC":             {jpg, withSegment(read(jpg), 0xed, []byte("Photoshop 3.0\x008BIM"))},
		"comment":          {jpg, withSegment(read(jpg), 0xfe, []byte("hello"))},
		"trailing bytes":   {jpg, append(read(jpg), "trailer"...)},
		"cut short":        {jpg, read(jpg)[:len(read(jpg))-2]},
		"another type":     {jpg, read(webp)},
		"empty":            {jpg, nil},
		"WebP Exif":        {webp, chunk("EXIF", "II*\x00")},
		"WebP XMP":         {webp, chunk("XMP ", "<x/>")},
		"WebP profile":     {webp, chunk("ICCP", "abcd")},
		"WebP, cut short":  {webp, read(webp)[:len(read(webp))-1]},
		"WebP, more bytes": {webp, append(read(webp), 0)},
	} {
		t.Run(name, func(t *testing.T) {
			x := c.of
			x.Path, x.Size = "bad", int64(len(c.data))
			if err := os.WriteFile(filepath.Join(dir, "bad"), c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := Verify(dir, x); codeOf(err) != pipeline.CodeEncodeFailed {
				t.Errorf("%v, want encode_failed", err)
			}
		})
	}
	wrong := jpg
	wrong.Width++
	for name, x := range map[string]pipeline.Rendition{"size": wrong, "path": {Path: "../x", MIME: "image/jpeg"}, "gone": {Path: "gone", MIME: "image/jpeg"}} {
		if err := Verify(dir, x); codeOf(err) != pipeline.CodeEncodeFailed {
			t.Errorf("%s: %v, want encode_failed", name, err)
		}
	}
}
