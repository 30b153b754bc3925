package main

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// animated takes a file through the engine as a session does: identify, plan, render, verify.
func animated(t *testing.T, data []byte) (dir string, m pipeline.Media, r *pipeline.Rendered) {
	t.Helper()
	typ, ok := pipeline.Sniff(data[:min(len(data), pipeline.SniffLen)])
	if !ok {
		t.Fatal("a file of no type")
	}
	dir = t.TempDir()
	f := pipeline.File{Path: "source" + typ.Ext, Type: typ, Size: int64(len(data))}
	if err := os.WriteFile(filepath.Join(dir, f.Path), data, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := newEngine()
	if err != nil {
		t.Skip(err)
	}
	e.Dir = dir
	if m, err = e.Identify(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	plan, err := transcode.NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindAuto}, m, transcode.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	if r, err = e.Render(t.Context(), f, plan, "out", func(float64) {}); err != nil {
		t.Fatal(err)
	}
	if err := e.Verify(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return dir, m, r
}

// wantLength holds the delivered video to what the counted frames last, within a frame of 30 a second.
func wantLength(t *testing.T, r *pipeline.Rendered, lengthMS int64) {
	t.Helper()
	if d := r.Part.DurationMS - lengthMS; d < -34 || d > 34 {
		t.Errorf("%d ms; want %d ms", r.Part.DurationMS, lengthMS)
	}
	if len(r.Part.Warnings) > 0 {
		t.Errorf("warnings %q", r.Part.Warnings)
	}
}

// pixelAt is one pixel of the delivered video at a moment.
func pixelAt(t *testing.T, dir string, r *pipeline.Rendered, atMS, x, y int) [3]float64 {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", filepath.Join(dir, r.Part.Renditions[0].Path), "-vf",
		"select='lte(t,"+strconv.FormatFloat(float64(atMS)/1000, 'f', 3, 64)+")',crop=1:1:"+strconv.Itoa(x)+":"+strconv.Itoa(y)+":exact=1,format=rgb24",
		"-fps_mode", "passthrough", "-f", "rawvideo", "-").Output()
	if err != nil || len(out) < 3 {
		t.Fatal(len(out), err)
	}
	p := out[len(out)-3:]
	return [3]float64{float64(p[0]), float64(p[1]), float64(p[2])}
}

// near is how far a colour may be after one lossy encoding, of 255.
const near = 24

func wantColour(t *testing.T, what string, got, want [3]float64) {
	t.Helper()
	for i := range got {
		if math.Abs(got[i]-want[i]) > near {
			t.Errorf("%s is %v, want %v", what, got, want)
			return
		}
	}
}

var white = [3]float64{255, 255, 255}

// The background colour of a GIF is never painted; what is not covered, and what is taken away, is transparent and lies on white.
func TestGIFBackground(t *testing.T) {
	t.Parallel()
	read := func(name string) []byte {
		data, err := os.ReadFile("../../../shared/faults/09-gif-background/" + name)
		if err != nil {
			t.Skipf("the fault %s is absent: %v", name, err)
		}
		return data
	}
	for _, name := range []string{"bg-dispose.gif", "bg-dispose-tr.gif"} {
		dir, _, r := animated(t, read(name))
		wantColour(t, name+": the hole", pixelAt(t, dir, r, 700, 60, 40), white)
	}
	dir, _, r := animated(t, read("bg-one.gif"))
	for _, x := range r.Part.Renditions {
		if x.Name != "display" || x.MIME != "image/jpeg" {
			continue
		}
		out, err := exec.Command("ffmpeg", "-v", "error", "-i", filepath.Join(dir, x.Path), "-vf", "crop=1:1:4:4,format=rgb24", "-f", "rawvideo", "-").Output()
		if err != nil || len(out) != 3 {
			t.Fatal(err)
		}
		wantColour(t, "bg-one.gif: the corner", [3]float64{float64(out[0]), float64(out[1]), float64(out[2])}, white)
	}
	_, m, r := animated(t, read("screen0.gif"))
	if m.Width != 96 || m.Height != 64 || r.Part.Width != 96 {
		t.Errorf("a screen of 0×0 came out as %d×%d", m.Width, m.Height)
	}
}

// gifOf has frames of w × h in turning colours, partial ones where part is set, a palette whose entry 1 is the background.
func gifOf(t *testing.T, frames, w, h, delay, loop int, part bool) []byte {
	t.Helper()
	pal := color.Palette{color.RGBA{0, 0, 0, 255}, color.RGBA{255, 0, 0, 255}, color.RGBA{0, 255, 0, 255}, color.RGBA{0, 0, 255, 255}}
	anim := &gif.GIF{Config: image.Config{ColorModel: pal, Width: w, Height: h}, BackgroundIndex: 1, LoopCount: loop}
	for i := range frames {
		area := image.Rect(0, 0, w, h)
		if part {
			area = image.Rect(w/4, h/4, w*3/4, h*3/4)
		}
		img := image.NewPaletted(area, pal)
		for p := range img.Pix {
			img.Pix[p] = uint8(2 + i%2)
		}
		anim.Image, anim.Delay, anim.Disposal = append(anim.Image, img), append(anim.Delay, delay), append(anim.Disposal, gif.DisposalBackground)
	}
	var out bytes.Buffer
	if err := gif.EncodeAll(&out, anim); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPartialFirstFrame(t *testing.T) {
	t.Parallel()
	dir, _, r := animated(t, gifOf(t, 3, 96, 64, 30, 0, true))
	wantColour(t, "outside the frames", pixelAt(t, dir, r, 100, 4, 4), white)
	wantColour(t, "inside the frames", pixelAt(t, dir, r, 100, 48, 32), [3]float64{0, 255, 0})
}

// An everyday animation is as long as a video may be; every frame is delivered and looked at.
func TestLongGIF(t *testing.T) {
	t.Parallel()
	_, m, r := animated(t, gifOf(t, 380, 118, 74, 4, 0, false))
	if m.Frames != 380 {
		t.Errorf("%d frames counted", m.Frames)
	}
	wantLength(t, r, 15_200)
}

// A second GIF behind the first one's trailer is neither counted nor decoded.
func TestFramesBehindTheTrailer(t *testing.T) {
	t.Parallel()
	one, two := gifOf(t, 3, 64, 48, 10, 0, false), gifOf(t, 40, 64, 48, 10, 0, false)
	behind := append(append([]byte{}, one...), two[13+12:]...)
	_, _, r := animated(t, append(behind, two...))
	wantLength(t, r, 300)
}

// A GIF that is meant to stop says so.
func TestPlays(t *testing.T) {
	t.Parallel()
	for loop, want := range map[int]int{-1: 1, 0: 0, 2: 3} {
		if _, _, r := animated(t, gifOf(t, 2, 64, 48, 10, loop, false)); r.Part.Plays != want {
			t.Errorf("loop %d: plays %d, want %d", loop, r.Part.Plays, want)
		}
	}
}

// apngOf has ffmpeg make an APNG of five frames.
func apngOf(t *testing.T, plays string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "a.png")
	if msg, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=5:d=1", "-f", "apng", "-plays", plays, out).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// named changes how many frames the animation claims to have.
func named(data []byte, n uint32) []byte {
	data = bytes.Clone(data)
	at := bytes.Index(data, []byte("acTL"))
	binary.BigEndian.PutUint32(data[at+4:], n)
	binary.BigEndian.PutUint32(data[at+12:], crcOf(data[at:at+12]))
	return data
}

func crcOf(b []byte) uint32 {
	crc := ^uint32(0)
	for _, v := range b {
		crc ^= uint32(v)
		for range 8 {
			crc = crc>>1 ^ 0xedb88320&-(crc&1)
		}
	}
	return ^crc
}

// An APNG shows no frame beyond those that it names, and one whose chunks are not valid is the still picture.
func TestAPNGCounts(t *testing.T) {
	t.Parallel()
	whole := apngOf(t, "1")
	_, _, r := animated(t, named(whole, 2))
	wantLength(t, r, 400)
	if r.Part.Plays != 1 {
		t.Errorf("plays %d, want 1", r.Part.Plays)
	}
	swapped := bytes.Replace(bytes.Clone(whole), []byte("fdAT"), []byte("xdAT"), 1)
	for name, data := range map[string][]byte{
		"none": named(whole, 0), "too many": named(whole, 2147483649), "more than there are": named(whole, 6), "a frame without pixels": swapped,
	} {
		_, m, r := animated(t, data)
		if m.Animated || r.Part.Kind != pipeline.KindPhoto || r.Part.Width != 64 || len(r.Part.Warnings) > 0 {
			t.Errorf("%s: %+v, %v", name, m, r.Part.Warnings)
		}
	}
}

// withOrientation puts an Exif block that says how to turn behind the head of a PNG.
func withOrientation(data []byte, orientation byte) []byte {
	const headEnd = 33 // signature and IHDR
	block := []byte("eXIfII*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	block[4+8+2+8] = orientation
	chunk := append(binary.BigEndian.AppendUint32(nil, uint32(len(block)-4)), block...)
	return slices.Concat(data[:headEnd], binary.BigEndian.AppendUint32(chunk, crcOf(block)), data[headEnd:])
}

// An APNG is turned as its Exif says, as browsers show it: its top left quarter is red, the rest white.
func TestAPNGIsTurned(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "a.png")
	quarter := "color=white:s=96x64:r=5:d=1,drawbox=0:0:48:32:red:fill"
	if msg, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", quarter, "-f", "apng", "-plays", "0", out).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for orientation, c := range map[byte]struct{ w, h, x, y int }{ // and a point in the red quarter
		1: {96, 64, 20, 20}, 2: {96, 64, 76, 20}, 3: {96, 64, 76, 44}, 5: {64, 96, 20, 20}, 6: {64, 96, 44, 20}, 8: {64, 96, 20, 76},
	} {
		dir, m, r := animated(t, withOrientation(data, orientation))
		if m.Width != c.w || m.Height != c.h || r.Part.Width != c.w || r.Part.Height != c.h {
			t.Errorf("orientation %d: %d×%d read, %d×%d delivered, want %d×%d", orientation, m.Width, m.Height, r.Part.Width, r.Part.Height, c.w, c.h)
			continue
		}
		what := "orientation " + strconv.Itoa(int(orientation))
		wantColour(t, what, pixelAt(t, dir, r, 500, c.x, c.y), [3]float64{255, 0, 0})
		wantColour(t, what+", opposite", pixelAt(t, dir, r, 500, c.w-c.x, c.h-c.y), white)
	}
}

// withoutFirstSample makes the second picture of a sequence its first: what the others are predicted from is missing. The picture that the
// file shows first is an item of its own, and stays.
func withoutFirstSample(t *testing.T, data []byte) []byte {
	t.Helper()
	data = bytes.Clone(data)
	sizes, offsets := bytes.Index(data, []byte("stsz")), bytes.Index(data, []byte("stco"))
	if sizes < 0 || offsets < 0 {
		t.Fatal("no tables of samples")
	}
	const first, countAt = 16, 12
	skip := binary.BigEndian.Uint32(data[sizes+first:])
	at := data[offsets+countAt:]
	binary.BigEndian.PutUint32(at, binary.BigEndian.Uint32(at)+skip)
	n := int(binary.BigEndian.Uint32(data[sizes+countAt:]))
	copy(data[sizes+first:], data[sizes+first+4:sizes+first+4*n])
	return data
}

// A sequence whose pictures are predicted from others that are not there is the picture that it shows first, and never grey residue: the kind
// of C046 in Nokia's conformance files, all the way through the engine.
func TestSequenceThatDoesNotDecode(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "a.avif")
	film := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=5:d=2", "-c:v", "libaom-av1", "-cpu-used", "8", "-pix_fmt", "yuv420p", "-f", "avif", out}
	if msg, err := exec.Command("ffmpeg", film...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if _, m, r := animated(t, data); !m.Animated || len(r.Part.Warnings) > 0 {
		t.Errorf("whole: %+v, %q", m, r.Part.Warnings)
	}
	dir, m, r := animated(t, withoutFirstSample(t, data))
	if m.Animated || r.Part.Kind != pipeline.KindPhoto || r.Part.Width != 96 || r.Part.Height != 64 {
		t.Fatalf("broken: %+v, a %s of %d×%d", m, r.Part.Kind, r.Part.Width, r.Part.Height)
	}
	if len(r.Part.Warnings) != 1 || !strings.HasPrefix(r.Part.Warnings[0], "still: ") {
		t.Errorf("broken: warnings %q", r.Part.Warnings)
	}
	shown := exec.Command("ffmpeg", "-v", "error", "-i", filepath.Join(dir, r.Part.Renditions[0].Path), "-f", "lavfi", "-i", "testsrc2=s=96x64:r=5:d=0.2",
		"-lavfi", "[0:v]format=yuv420p[a];[1:v]format=yuv420p[b];[a][b]ssim=-", "-f", "null", "-")
	log, err := shown.Output()
	_, all, found := strings.Cut(string(log), "All:")
	if like, _ := strconv.ParseFloat(strings.Fields(all + " 0")[0], 64); err != nil || !found || like < 0.8 {
		t.Errorf("SSIM with the first picture: %q, %v", log, err)
	}
}
