package main

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
	"github.com/ninefold/ninefold/transcode/known"
)

func openedEngine(t *testing.T) *engine {
	t.Helper()
	e, err := newEngine()
	if err != nil {
		t.Fatal(err)
	}
	e.Dir = t.TempDir() // not Open: a test keeps its working directory
	return e
}

// This machine's libraries make of each known file what must become of it. What fails here fails a worker's start.
func TestKnownAnswers(t *testing.T) {
	e := openedEngine(t)
	before := spent(t)
	for _, kind := range []pipeline.Kind{pipeline.KindPhoto, pipeline.KindVideo, pipeline.KindVoice} {
		if err := e.Prove(t.Context(), kind, "out"); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		after := spent(t)
		t.Logf("%s: %.2f s of CPU", kind, after-before)
		before = after
	}
	if left, _ := filepath.Glob(filepath.Join(e.Dir, "out", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// spent is the CPU time of this process and of those it has waited for, seconds.
func spent(t *testing.T) float64 {
	t.Helper()
	total := 0.0
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			t.Fatal(err)
		}
		total += float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
	}
	return total
}

// liar renders as the engine does, and then changes what was made.
type liar struct {
	*engine
	lie func(t *testing.T, dir string, r *pipeline.Rendered)
	t   *testing.T
}

func (l liar) Render(ctx context.Context, f pipeline.File, plan *transcode.Plan, out string, progress func(float64)) (*pipeline.Rendered, error) {
	r, err := l.engine.Render(ctx, f, plan, out, progress)
	if err == nil {
		l.lie(l.t, l.Dir, r)
	}
	return r, err
}

func (l liar) Verify(context.Context, *pipeline.Rendered) error { return nil }

// What a library that answers otherwise would deliver is found, each kind by its own words.
func TestAnAnswerThatIsNotTheKnownOne(t *testing.T) {
	for name, c := range map[string]struct {
		prove func(*known.Bench, context.Context) error
		lie   func(t *testing.T, dir string, r *pipeline.Rendered)
		want  string
	}{
		"noise":            {(*known.Bench).Pictures, noise, "must be"},
		"on its side":      {(*known.Bench).Pictures, sideways, "pixels, want 96×64"},
		"the last is lost": {(*known.Bench).Video, again("video/mp4", "-frames:v", "11", "-c:v", "libx264"), "11 frames, must be 12"},
		"another range":    {(*known.Bench).Video, again("video/mp4", "-vf", "scale=in_range=pc:out_range=tv,setparams=range=tv", "-c:v", "libx264"), "frame 0: the top left is"},
		"no sound":         {(*known.Bench).Video, again("video/mp4", "-an", "-c:v", "copy"), "encode_failed"},
		"half as fast":     {(*known.Bench).Note, again("audio/ogg", "-af", "asetrate=24000,aresample=48000", "-t", "1.2"), "Hz, must be 440"},
		"too quiet":        {(*known.Bench).Note, again("audio/mp4", "-af", "volume=-20dB"), "dBFS, must be"},
	} {
		t.Run(name, func(t *testing.T) {
			e := openedEngine(t)
			bench := &known.Bench{Engine: liar{e, c.lie, t}, Decoder: e.tools, Dir: e.Dir, Out: "out"}
			err := c.prove(bench, t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q in it", err, c.want)
			}
		})
	}
}

// noise is a picture whose values were taken for bytes and are two bytes each.
func noise(t *testing.T, dir string, r *pipeline.Rendered) {
	rnd := rand.New(rand.NewPCG(1, 2))
	repaint(t, dir, r, func(img *image.NRGBA) *image.NRGBA {
		for i := range img.Pix {
			if i%4 != 3 && i%8 < 4 {
				img.Pix[i] = byte(rnd.IntN(256))
			}
		}
		return img
	})
}

func sideways(t *testing.T, dir string, r *pipeline.Rendered) {
	repaint(t, dir, r, func(img *image.NRGBA) *image.NRGBA {
		out := image.NewNRGBA(image.Rect(0, 0, img.Rect.Dy(), img.Rect.Dx()))
		for y := range out.Rect.Dy() {
			for x := range out.Rect.Dx() {
				out.Set(x, y, img.At(y, x))
			}
		}
		return out
	})
}

// repaint changes the display JPEG.
func repaint(t *testing.T, dir string, r *pipeline.Rendered, change func(*image.NRGBA) *image.NRGBA) {
	t.Helper()
	i := slices.IndexFunc(r.Part.Renditions, func(f pipeline.Rendition) bool { return f.Name == "display" && f.MIME == "image/jpeg" })
	name := filepath.Join(dir, r.Part.Renditions[i].Path)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	pix := image.NewNRGBA(img.Bounds())
	for y := range pix.Rect.Dy() {
		for x := range pix.Rect.Dx() {
			pix.Set(x, y, color.NRGBAModel.Convert(img.At(x, y)))
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, change(pix), &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// again has ffmpeg make the rendition of a type anew, otherwise.
func again(mime string, args ...string) func(*testing.T, string, *pipeline.Rendered) {
	return func(t *testing.T, dir string, r *pipeline.Rendered) {
		t.Helper()
		i := slices.IndexFunc(r.Part.Renditions, func(f pipeline.Rendition) bool { return f.MIME == mime })
		name := filepath.Join(dir, r.Part.Renditions[i].Path)
		other := filepath.Join(dir, "other"+filepath.Ext(name))
		cmd := append(append([]string{"-y", "-v", "error", "-i", name}, args...), other)
		if out, err := exec.Command("ffmpeg", cmd...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := os.Rename(other, name); err != nil {
			t.Fatal(err)
		}
	}
}
