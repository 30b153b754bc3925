package vips

import (
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// animation has ffmpeg make 10 frames of 96 × 64, 5 a second, that fade from black to white.
func animation(t *testing.T, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is absent; install it")
	}
	out := filepath.Join(t.TempDir(), "out")
	line := append([]string{"-v", "error", "-nostdin", "-f", "lavfi", "-i", "color=black:s=96x64:r=5:d=2,geq=lum='N*25':cb=128:cr=128"}, args...)
	if msg, err := exec.Command("ffmpeg", append(line, out)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func animatedWebP(t *testing.T) []byte {
	return animation(t, "-c:v", "libwebp_anim", "-lossless", "1", "-loop", "0", "-f", "webp")
}

func TestProbeAnimations(t *testing.T) {
	for name, data := range map[string][]byte{
		"WebP": animatedWebP(t), "APNG": animation(t, "-f", "apng", "-plays", "0"), "GIF": animation(t, "-f", "gif"),
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, data)
			m, err := Probe(filepath.Join(dir, f.Path), f.Type)
			if err != nil {
				t.Fatal(err)
			}
			if !m.Animated || m.Kind != pipeline.KindVideo || m.Frames != 10 || m.Width != 96 || m.Height != 64 {
				t.Errorf("probed %+v", m)
			}
			if f.Type != pipeline.TypeAPNG && m.DurationMS != 2000 {
				t.Errorf("lasts %d ms, want 2000", m.DurationMS)
			}
		})
	}
}

// Bytes behind the picture are common and harmless.
func TestTrailingBytesAreTaken(t *testing.T) {
	plain := pngOf(t, card(cardW, cardH))
	for name, data := range map[string][]byte{
		"JPEG": jpegOf(t, card(cardW, cardH)), "PNG": plain, "WebP": converted(t, plain, ".webp", "[Q=95]", "copy"),
	} {
		dir, f := staged(t, append(data, "a motion photo's video"...))
		r := mustProcess(t, dir, f)
		if len(r.Part.Warnings) != 0 {
			t.Errorf("%s: warnings %v", name, r.Part.Warnings)
		}
		everywhere(t, r, wholeCard)
	}
}

func TestFrames(t *testing.T) {
	dir, f := staged(t, animatedWebP(t))
	raw := filepath.Join(dir, "frames.rgba")
	w, h, delays, err := Frames(filepath.Join(dir, f.Path), f.Type, raw, transcode.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	if w != 96 || h != 64 || !slices.Equal(delays, slices.Repeat([]int{200}, 10)) {
		t.Errorf("%d×%d, delays %v", w, h, delays)
	}
	data, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) != 10*96*64*4 {
		t.Fatalf("%d bytes, want ten frames", len(data))
	}
	for i := range 10 {
		p := data[(i*64+32)*96*4+48*4:]
		want := math.Min(255, math.Max(0, (float64(i)*25-16)*255/219)) // studio range to full
		if math.Abs(float64(p[0])-want) > 3 || p[3] != 255 {
			t.Errorf("frame %d shows %v, want a grey of %.0f", i, p[:4], want)
		}
	}
}

func TestFramesAreBounded(t *testing.T) {
	dir, f := staged(t, animatedWebP(t))
	prof := transcode.DefaultProfile()
	prof.Photo.MaxFrames = 9
	raw := filepath.Join(dir, "frames.rgba")
	if _, _, _, err := Frames(filepath.Join(dir, f.Path), f.Type, raw, prof); codeOf(err) != pipeline.CodeTooManyPixels {
		t.Errorf("%v, want too_many_pixels", err)
	}
	data := animatedWebP(t)
	dir, f = staged(t, data[:len(data)/2])
	raw = filepath.Join(dir, "frames.rgba")
	if _, _, _, err := Frames(filepath.Join(dir, f.Path), f.Type, raw, transcode.DefaultProfile()); codeOf(err) != pipeline.CodeCorrupt {
		t.Errorf("cut short: %v, want corrupt", err)
	}
	if _, err := os.Stat(raw); err == nil {
		t.Error("a file was left behind")
	}
}

func TestLoadersAndVersion(t *testing.T) {
	have := Loaders()
	for _, need := range []string{"jpeg load", "png load", "webp load", "gif load", "heif load", "avif load", "jpeg save", "webp save"} {
		if !have[need] {
			t.Errorf("no %s", need)
		}
	}
	if len(Version()) < 5 {
		t.Errorf("version %q", Version())
	}
}

// A loader outside our list stays shut, even for a file of ours.
func TestOtherLoadersAreBlocked(t *testing.T) {
	configure()
	for _, name := range []string{"jpegload", "heifload", "webpload"} {
		if !has(name) {
			t.Errorf("no %s", name)
		}
	}
	svg := filepath.Join(t.TempDir(), "x.svg")
	if err := os.WriteFile(svg, []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, typ := range []pipeline.Type{pipeline.TypeJPEG, pipeline.TypePNG, pipeline.TypeWebP, pipeline.TypeGIF, pipeline.TypeHEIC} {
		if _, err := Probe(svg, typ); codeOf(err) != pipeline.CodeCorrupt {
			t.Errorf("an SVG as %s: %v", typ.MIME, err)
		}
	}
}

// An animated WebP that says in its Exif how it is to be turned is turned, as a still one is: its left half is grey, the right black.
func TestFramesAreTurned(t *testing.T) {
	t.Parallel()
	plain := animation(t, "-vf", "geq=lum='lt(X,W/2)*(200-5*N)':cb=128:cr=128", "-c:v", "libwebp_anim", "-lossless", "1", "-loop", "0", "-f", "webp")
	for orientation, want := range map[int]struct {
		w, h   int
		whiteX float64 // of a white pixel, as a share of the width; its opposite is black
		whiteY float64
	}{
		1: {96, 64, .25, .5}, 2: {96, 64, .75, .5}, 3: {96, 64, .75, .5}, 4: {96, 64, .25, .5},
		5: {64, 96, .5, .25}, 6: {64, 96, .5, .25}, 7: {64, 96, .5, .75}, 8: {64, 96, .5, .75},
	} {
		data := webpWithOrientation(plain, byte(orientation))
		dir, f := staged(t, data)
		raw := filepath.Join(dir, "raw")
		w, h, delays, err := Frames(filepath.Join(dir, f.Path), f.Type, raw, transcode.DefaultProfile())
		if err != nil || w != want.w || h != want.h || len(delays) != 10 {
			t.Errorf("orientation %d: %d×%d, %d frames, %v", orientation, w, h, len(delays), err)
			continue
		}
		pixels, err := os.ReadFile(raw)
		if err != nil || len(pixels) != 4*w*h*len(delays) {
			t.Fatalf("orientation %d: %d bytes, %v", orientation, len(pixels), err)
		}
		last := pixels[4*w*h*(len(delays)-1):]
		at := func(x, y float64) byte { return last[4*(int(y*float64(h))*w+int(x*float64(w)))] }
		if white, black := at(want.whiteX, want.whiteY), at(1-want.whiteX, 1-want.whiteY); white < 120 || black > 5 {
			t.Errorf("orientation %d: %d where grey belongs, %d where black does", orientation, white, black)
		}
	}
}

// An APNG is turned as its Exif says where that comes before the pixels, as browsers do; ffmpeg's frames are turned later, by the plan.
func TestAnimatedPNGIsTurned(t *testing.T) {
	t.Parallel()
	plain := animation(t, "-f", "apng", "-plays", "0")
	block := pngChunk("eXIf", orientationBlock(6))
	const headEnd, tailBytes = 33, 12 // signature and IHDR; IEND
	for name, c := range map[string]struct {
		data []byte
		w, h int
	}{
		"before the pixels": {slices.Concat(plain[:headEnd], block, plain[headEnd:]), 64, 96},
		"behind them":       {slices.Concat(plain[:len(plain)-tailBytes], block, plain[len(plain)-tailBytes:]), 96, 64},
	} {
		dir, f := staged(t, c.data)
		m, err := Probe(filepath.Join(dir, f.Path), f.Type)
		if err != nil || !m.Animated || m.Width != c.w || m.Height != c.h {
			t.Errorf("%s: probed %+v, %v", name, m, err)
		}
	}
}

// orientationBlock is an Exif block that says how to turn, without its signature.
func orientationBlock(orientation byte) []byte {
	return []byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00" + string(rune(orientation)) + "\x00\x00\x00\x00\x00\x00\x00")
}

// webpWithOrientation adds an Exif block to an extended WebP.
func webpWithOrientation(data []byte, orientation byte) []byte {
	out := slices.Clone(data)
	out[20] |= 0x08 // VP8X: has Exif
	block := orientationBlock(orientation)
	out = append(out, "EXIF"...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(block)))
	out = append(out, block...)
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
}
