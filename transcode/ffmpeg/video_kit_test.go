package ffmpeg

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// videoKit makes inputs, runs them through probe, plan and Video, and reads what came out.
type videoKit struct {
	*testing.T
	tools Tools
	dir   string
}

func newVideoKit(t *testing.T) *videoKit {
	t.Helper()
	tools, err := FindTools()
	if err != nil {
		t.Skip(err)
	}
	return &videoKit{T: t, tools: tools, dir: t.TempDir()}
}

// ffmpeg runs ffmpeg in the kit's directory.
func (k *videoKit) ffmpeg(args ...string) []byte {
	k.Helper()
	var out, log bytes.Buffer
	cmd := exec.Command(k.tools.FFmpeg, append([]string{"-hide_banner", "-loglevel", "error", "-nostdin", "-y"}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = k.dir, &out, &log
	if err := cmd.Run(); err != nil {
		k.Fatalf("ffmpeg %v: %v\n%s", args, err, log.String())
	}
	return out.Bytes()
}

// clip makes a small H.264/AAC file that no remux takes: its bit rate cap and frame rate are ordinary, its metadata is not.
func (k *videoKit) clip(name string, args ...string) {
	k.Helper()
	k.ffmpeg(append(append([]string{
		"-f", "lavfi", "-i", "testsrc2=s=320x240:r=30:d=2", "-f", "lavfi", "-i", "sine=f=440:d=2:r=48000",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k",
	}, args...), name)...)
}

// file sniffs a file of the kit's directory.
func (k *videoKit) file(name string) pipeline.File {
	k.Helper()
	data, err := os.ReadFile(filepath.Join(k.dir, name))
	if err != nil {
		k.Fatal(err)
	}
	typ, ok := pipeline.Sniff(data[:min(len(data), pipeline.SniffLen)])
	if !ok {
		k.Fatalf("%s: not of a known type", name)
	}
	return pipeline.File{Path: name, Type: typ, Size: int64(len(data))}
}

// fixture copies a file of the shared fixtures into the kit's directory.
func (k *videoKit) fixture(name string) string {
	k.Helper()
	data, err := os.ReadFile(filepath.Join("../../../shared/fixtures", name))
	if err != nil {
		k.Skipf("shared fixture %s is not here", name)
	}
	base := filepath.Base(name)
	if err := os.WriteFile(filepath.Join(k.dir, base), data, 0o600); err != nil {
		k.Fatal(err)
	}
	return base
}

// fault copies a file of the shared faults into the kit's directory.
func (k *videoKit) fault(name string) string {
	k.Helper()
	return k.fixture("../faults/" + name)
}

func (k *videoKit) plan(f pipeline.File, edits ...pipeline.Edit) (*transcode.VideoPlan, pipeline.Media, error) {
	k.Helper()
	m, err := k.tools.Probe(context.Background(), k.dir, f)
	if err != nil {
		return nil, m, err
	}
	plan, err := transcode.NewPlan(pipeline.Item{ID: "i1", Kind: pipeline.KindAuto, Edits: edits}, m, transcode.DefaultProfile())
	if err != nil {
		return nil, m, err
	}
	return plan.Video, m, nil
}

// video runs the whole path and fails the test where it does.
func (k *videoKit) video(name string, edits ...pipeline.Edit) (*VideoResult, *transcode.VideoPlan) {
	k.Helper()
	res, plan, err := k.try(name, edits...)
	if err != nil {
		k.Fatalf("%s: %v", name, err)
	}
	return res, plan
}

func (k *videoKit) try(name string, edits ...pipeline.Edit) (*VideoResult, *transcode.VideoPlan, error) {
	k.Helper()
	f := k.file(name)
	plan, _, err := k.plan(f, edits...)
	if err != nil {
		return nil, nil, err
	}
	res, err := k.tools.Video(context.Background(), k.dir, "out-"+name, f, plan, solidCards{}, k.rises())
	if err != nil {
		return nil, plan, err
	}
	if err := k.tools.VerifyVideo(context.Background(), k.dir, res.Rendered.Part.Renditions[0]); err != nil {
		k.Errorf("%s: %v", name, err)
	}
	return res, plan, nil
}

// rises is a progress callback that wants to be called with rising values up to 100.
func (k *videoKit) rises() func(float64) {
	last := -1.0
	k.Cleanup(func() {
		if !k.Failed() && last >= 0 && last != 100 {
			k.Errorf("progress ended at %v", last)
		}
	})
	return func(p float64) {
		if p <= last || p > 100 {
			k.Errorf("progress %v after %v", p, last)
		}
		last = p
	}
}

// frame decodes one frame of a delivered video at a time, by ffmpeg's default rotation, as a player would.
func (k *videoKit) frame(path string, atMS int64) *image.RGBA {
	k.Helper()
	raw := k.ffmpeg("-ss", seconds(atMS), "-i", path, "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-")
	return k.decode(bytes.NewReader(raw))
}

func (k *videoKit) poster(p Poster, plan *transcode.VideoPlan) *image.RGBA {
	k.Helper()
	return k.sample(pipeline.Sample{Path: p.Path, Width: plan.Picture.Width, Height: plan.Picture.Height})
}

func (k *videoKit) decode(r io.Reader) *image.RGBA {
	k.Helper()
	img, err := png.Decode(r)
	if err != nil {
		k.Fatal(err)
	}
	out := image.NewRGBA(img.Bounds())
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			out.Set(x, y, img.At(x, y))
		}
	}
	return out
}

// sample reads a classifier's frame.
// shown is every frame of the delivered playback, as reading back decodes it, in full size.
func (k *videoKit) shown(res *VideoResult) (frames []pipeline.Sample) {
	k.Helper()
	r := res.Rendered.Part.Renditions[0]
	to := Reduction{Width: r.Width, Height: r.Height}
	name := r.Path + ".frames"
	f, err := os.Create(filepath.Join(k.dir, name))
	if err != nil {
		k.Fatal(err)
	}
	defer f.Close()
	at := int64(0)
	_, err = k.tools.ReadBack(k.Context(), k.dir, r, to, func(d DeliveredFrame) error {
		frames = append(frames, pipeline.Sample{Path: name, Offset: at, Width: to.Width, Height: to.Height, AtMS: d.AtMS})
		at += int64(len(d.Base))
		_, err := f.Write(d.Base)
		return err
	})
	if err != nil {
		k.Fatal(err)
	}
	return frames
}

func (k *videoKit) sample(s pipeline.Sample) *image.RGBA {
	k.Helper()
	data, err := os.ReadFile(filepath.Join(k.dir, s.Path))
	if err != nil {
		k.Fatal(err)
	}
	data = data[s.Offset : s.Offset+int64(s.Width*s.Height*3)]
	img := image.NewRGBA(image.Rect(0, 0, s.Width, s.Height))
	for i := range s.Width * s.Height {
		copy(img.Pix[4*i:4*i+3], data[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	return img
}

// mean is the mean luma of a picture, 0..255.
func meanLuma(img *image.RGBA) float64 { return meanIn(img, img.Rect) }

func meanIn(img *image.RGBA, r image.Rectangle) float64 {
	sum := 0.0
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := img.RGBAAt(x, y)
			sum += 0.2126*float64(c.R) + 0.7152*float64(c.G) + 0.0722*float64(c.B)
		}
	}
	return sum / float64(r.Dx()*r.Dy())
}

// corner names the quarter of the picture in which the red marker lies.
func corner(img *image.RGBA) string {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	for _, q := range []struct {
		name string
		x, y int
	}{{"top left", w / 8, h / 8}, {"top right", w * 7 / 8, h / 8}, {"bottom left", w / 8, h * 7 / 8}, {"bottom right", w * 7 / 8, h * 7 / 8}} {
		if c := img.RGBAAt(q.x, q.y); c.R > 150 && c.G < 90 && c.B < 90 {
			return q.name
		}
	}
	return "none"
}

// solidCards draws captions as a magenta bar over the lower quarter: easy to find again.
type solidCards struct{}

func (solidCards) CardPNG(_ transcode.Step, w, h int, file string) (x, y int, err error) {
	img := image.NewNRGBA(image.Rect(0, 0, w, h/4))
	for i := 0; i < len(img.Pix); i += 4 {
		copy(img.Pix[i:], []byte{255, 0, 255, 255})
	}
	f, err := os.Create(file)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	return 0, h - h/4, png.Encode(f, img)
}

func wantCode(t *testing.T, err error, codes ...pipeline.Code) {
	t.Helper()
	for _, c := range codes {
		if err != nil && pipeline.AsError(err).Code == c {
			return
		}
	}
	t.Errorf("got %v, want one of %v", err, codes)
}
