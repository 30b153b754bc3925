package ffmpeg

import (
	"image"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// TestFaultsOfSize are recordings whose picture changes in mid-stream: what comes before the change is shown to the classifier as to everybody.
func TestFaultsOfSize(t *testing.T) {
	for name, changesAt := range map[string]int64{"bypass.mp4": 3000, "bypass-vp8.webm": 3000, "bypass-orientation-message.mp4": 3000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newVideoKit(t)
			res, _ := k.video(k.fault("01-size-change-blinds-classifier/" + name))
			before := 0
			for _, s := range k.shown(res) {
				if s.AtMS >= changesAt {
					continue
				}
				before++
				if got := spread(k.sample(s)); got < 20 {
					t.Errorf("the sample of %d ms is flat: %.1f", s.AtMS, got)
				}
			}
			if before < 10 {
				t.Errorf("%d samples before the change", before)
			}
		})
	}
}

// spread is the standard deviation of a picture's luma: the grey behind the change has none.
func spread(img *image.RGBA) float64 {
	mean, sum := meanLuma(img), 0.0
	for i := 0; i < len(img.Pix); i += 4 {
		d := 0.2126*float64(img.Pix[i]) + 0.7152*float64(img.Pix[i+1]) + 0.0722*float64(img.Pix[i+2]) - mean
		sum += d * d
	}
	return math.Sqrt(sum / float64(len(img.Pix)/4))
}

// TestPictureChanges joins a red second and half a blue one of another kind, and wants both at their time in what is delivered and in what
// is looked at. A blue picture of another shape is whole, on black.
func TestPictureChanges(t *testing.T) {
	k := newVideoKit(t)
	for name, tc := range map[string]struct {
		encoder []string
		second  string // of the blue part
		filter  string
		edits   []pipeline.Edit
	}{
		"small.mkv":   {[]string{"-c:v", "libx264", "-bf", "0", "-bsf:v", "h264_mp4toannexb"}, "160x120", "format=yuv420p", nil},
		"turned.mkv":  {[]string{"-c:v", "libx264", "-bf", "0", "-bsf:v", "h264_mp4toannexb"}, "120x160", "format=yuv420p", nil},
		"larger.mkv":  {[]string{"-c:v", "libx264", "-bf", "0", "-bsf:v", "h264_mp4toannexb"}, "640x480", "format=yuv420p", nil},
		"format.mkv":  {[]string{"-c:v", "libx264", "-bf", "0", "-bsf:v", "h264_mp4toannexb"}, "320x240", "format=yuv444p", nil},
		"cropped.mkv": {[]string{"-c:v", "libx264", "-bf", "0", "-bsf:v", "h264_mp4toannexb"}, "64x48", "format=yuv420p", []pipeline.Edit{{Op: pipeline.OpCrop, X: 0.25, Y: 0.25, W: 0.5, H: 0.5}}},
		"vp9.webm":    {[]string{"-c:v", "libvpx-vp9", "-deadline", "realtime"}, "160x120", "format=yuv420p", nil},
	} {
		k.join(name, tc.encoder, tc.second, tc.filter)
		res, _ := k.video(name, append(tc.edits, pipeline.Edit{Op: pipeline.OpMute})...)
		p := res.Rendered.Part
		if abs(p.DurationMS-1500) > 50 || len(p.Warnings) > 0 {
			t.Errorf("%s: %d ms, %v", name, p.DurationMS, p.Warnings)
		}
		for _, s := range k.shown(res) {
			img := k.sample(s)
			if c := img.RGBAAt(img.Rect.Dx()/2, img.Rect.Dy()/2); (c.R > 200 && c.B < 60) != (s.AtMS < 1000) {
				t.Errorf("%s: the sample of %d ms shows %v", name, s.AtMS, c)
			}
		}
		for _, at := range []int64{0, 500, 900, 1100, 1400} {
			img := k.frame(p.Renditions[0].Path, at)
			c := img.RGBAAt(img.Rect.Dx()/2, img.Rect.Dy()/2)
			if (c.R > 200 && c.B < 60) != (at < 1000) || (c.B > 200 && c.R < 60) != (at >= 1000) {
				t.Errorf("%s: %v at %d ms", name, c, at)
			}
			if edge := img.RGBAAt(2, img.Rect.Dy()/2); name == "turned.mkv" && at >= 1000 && edge.B > 40 {
				t.Errorf("%s: stretched, %v at its edge", name, edge)
			}
		}
	}
}

// join makes a file of a red second of 320×240 and half a blue one of another kind.
func (k *videoKit) join(name string, encoder []string, size, filter string) {
	k.Helper()
	raw, ext := "h264", ".264"
	if filepath.Ext(name) == ".webm" {
		raw, ext = "ivf", ".ivf"
	}
	k.ffmpeg(append(append([]string{"-f", "lavfi", "-i", "color=red:s=320x240:r=30:d=1", "-vf", "format=yuv420p"}, encoder...), "-f", raw, "red"+ext)...)
	k.ffmpeg(append(append([]string{"-f", "lavfi", "-i", "color=blue:s=" + size + ":r=30:d=0.5", "-vf", filter}, encoder...), "-f", raw, "blue"+ext)...)
	if raw == "h264" {
		var both []byte
		for _, part := range []string{"red.264", "blue.264"} {
			data, err := os.ReadFile(filepath.Join(k.dir, part))
			if err != nil {
				k.Fatal(err)
			}
			both = append(both, data...)
		}
		k.write("both.264", both)
		k.ffmpeg("-fflags", "+genpts", "-framerate", "30", "-i", "both.264", "-c", "copy", name)
		return
	}
	k.write("list", []byte("file red.ivf\nfile blue.ivf\n"))
	k.ffmpeg("-f", "concat", "-i", "list", "-c", "copy", name)
}

// TestOneSizeComesFirst would read beyond a frame if a filter that believes in the first size came before the one that mends it.
func TestOneSizeComesFirst(t *testing.T) {
	plan := &transcode.VideoPlan{VideoIndex: 0, AudioIndex: -1, Picture: transcode.VideoPicture{SourceWidth: 320, SourceHeight: 240, Deinterlace: true}}
	j := videoJob{plan: plan, src: fileSource(pipeline.File{Path: "in.mp4", Type: pipeline.TypeMP4}, plan)}
	v, err := j.shown()
	if err != nil {
		t.Fatal(err)
	}
	args, err := BuildArgs(v.Output("o.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		if a == "-filter_complex" && !strings.HasPrefix(args[i+1], "[0:0]scale=") {
			t.Errorf("the graph begins %.60s", args[i+1])
		}
	}
}

// TestLargestSizeIsDelivered steps up, as a browser's recording does when the connection gets better.
func TestLargestSizeIsDelivered(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "color=red:s=160x120:r=30:d=0.5", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-f", "ivf", "red.ivf")
	k.ffmpeg("-f", "lavfi", "-i", "color=blue:s=320x240:r=30:d=0.5", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-f", "ivf", "blue.ivf")
	k.write("list", []byte("file red.ivf\nfile blue.ivf\n"))
	k.ffmpeg("-f", "concat", "-i", "list", "-c", "copy", "up9.webm")
	for name, want := range map[string]image.Point{
		"up9.webm": image.Pt(320, 240), k.fault("01-size-change-blinds-classifier/steps-up.webm"): image.Pt(640, 480),
	} {
		res, _ := k.video(name)
		if p := res.Rendered.Part; p.Width != want.X || p.Height != want.Y || len(p.Warnings) > 0 {
			t.Errorf("%s: %d×%d, want %v; %v", name, p.Width, p.Height, want, p.Warnings)
		}
	}
}
