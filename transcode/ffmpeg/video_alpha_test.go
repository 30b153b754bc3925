package ffmpeg

import (
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// disc is a lavfi source of a disc of a colour on nothing: what is transparent holds another colour, which nobody is to see.
func disc(r, g, b, hidden int, size string, alpha int) string {
	inside := "lt(hypot(X-W/2,Y-H/2),H/3)"
	return fmt.Sprintf("color=black:s=%s:r=10:d=1,format=rgba,geq=r='if(%[2]s,%[3]d,0)':g='if(%[2]s,%[4]d,%[6]d)':b='if(%[2]s,%[5]d,0)':a='if(%[2]s,%[7]d,0)'",
		size, inside, r, g, b, hidden, alpha)
}

// TestAlphaIsPutOnWhite: of VP8 and VP9, of any size and turned, what is transparent is white for the viewer and for the classifier, and the rest keeps
// its colour.
func TestAlphaIsPutOnWhite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source string
		args   []string
		edits  []pipeline.Edit
		middle [3]int
	}{
		"vp9.webm":       {disc(255, 0, 0, 255, "320x240", 255), []string{"-c:v", "libvpx-vp9"}, nil, [3]int{255, 0, 0}},
		"vp8.webm":       {disc(20, 0, 0, 0, "320x240", 255), []string{"-c:v", "libvpx"}, nil, [3]int{20, 0, 0}},
		"half.webm":      {disc(0, 0, 255, 255, "320x240", 128), []string{"-c:v", "libvpx-vp9"}, nil, [3]int{127, 127, 255}},
		"odd.webm":       {disc(255, 0, 0, 255, "321x243", 255), []string{"-c:v", "libvpx-vp9"}, nil, [3]int{255, 0, 0}},
		"mkv.mkv":        {disc(255, 0, 0, 255, "320x240", 255), []string{"-c:v", "libvpx-vp9"}, nil, [3]int{255, 0, 0}},
		"bt709-full.mkv": {disc(255, 0, 0, 255, "320x240", 255), []string{"-c:v", "libvpx-vp9", "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuva420p", "-colorspace", "bt709"}, nil, [3]int{255, 0, 0}},
		"edited.webm": {
			disc(255, 0, 0, 255, "320x240", 255),
			[]string{"-c:v", "libvpx-vp9"},
			[]pipeline.Edit{{Op: pipeline.OpCrop, X: 0, Y: 0, W: 0.9, H: 0.9}, {Op: pipeline.OpRotate, Degrees: 90}},
			[3]int{255, 0, 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newVideoKit(t)
			args := append([]string{"-f", "lavfi", "-i", c.source, "-pix_fmt", "yuva420p", "-deadline", "realtime", "-auto-alt-ref", "0", "-b:v", "1M"}, c.args...)
			k.ffmpeg(append(args, name)...)
			res, _ := k.video(name, c.edits...)
			k.onWhite("delivered", k.frame(res.Rendered.Part.Renditions[0].Path, 500), c.middle)
			for _, s := range k.shown(res) {
				k.onWhite("judged at "+strconv.FormatInt(s.AtMS, 10), k.sample(s), c.middle)
			}
		})
	}
}

// onWhite wants white in the corners and a colour in the middle.
func (k *videoKit) onWhite(what string, img *image.RGBA, middle [3]int) {
	k.Helper()
	const near = 14 // of 255: two lossy generations
	w, h := img.Rect.Dx(), img.Rect.Dy()
	for at, want := range map[image.Point][3]int{{4, 4}: {255, 255, 255}, {w / 2, h / 2}: middle} {
		c := img.RGBAAt(at.X, at.Y)
		for i, got := range []uint8{c.R, c.G, c.B} {
			if d := int(got) - want[i]; d > near || d < -near {
				k.Errorf("%s: %v at %v, want %v", what, c, at, want)
				break
			}
		}
	}
}

// TestTransparentVideos are the two that were delivered wrong.
func TestTransparentVideos(t *testing.T) {
	t.Parallel()
	for name, middle := range map[string][3]int{"alpha9.webm": {255, 0, 0}, "alpha8.webm": {20, 0, 0}} {
		k := newVideoKit(t)
		res, _ := k.video(k.fault("05-alpha-video/" + name))
		k.onWhite(name, k.frame(res.Rendered.Part.Renditions[0].Path, 500), middle)
	}
}

// TestSurroundStaysBelowFullScale: of film sound, of channels that are all loud and alike, and of such that are louder than full scale, no delivered
// sample is beyond full scale; stereo stays as it is.
func TestSurroundStaysBelowFullScale(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	tones := func(level float64, layout string, n int) string {
		var all []string
		for range n {
			all = append(all, fmt.Sprintf("%g*sin(2*PI*440*t)", level))
		}
		return "aevalsrc=" + strings.Join(all, "|") + ":c=" + layout + ":s=48000:d=1"
	}
	const kept = "libopus" // keeps what is above full scale
	for name, c := range map[string]struct {
		source, codec string
		least, most   float64 // peak
	}{
		"loud51.mp4":  {tones(0.8, "5.1", 6), "aac", 0.3, 1},
		"over51.mkv":  {tones(1.6, "5.1", 6), kept, 0.3, 1},
		"loud71.mkv":  {tones(0.9, "7.1", 8), "aac", 0.3, 1},
		"quad.mkv":    {tones(0.9, "quad", 4), "aac", 0.3, 1},
		"loud50.mp4":  {tones(0.8, "5.0", 5), "aac", 0.3, 1},
		"stereo.mp4":  {tones(0.7, "stereo", 2), "aac", 0.62, 0.78},
		"mono.mp4":    {tones(0.7, "mono", 1), "aac", 0.44, 0.78},
		"silent0.mp4": {tones(0, "5.1", 6), "aac", 0, 0.001},
	} {
		k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=1", "-f", "lavfi", "-i", c.source, "-c:v", "mpeg4", "-c:a", c.codec, "-b:a", "320k", name)
		res, _ := k.video(name)
		if peak := k.peak(res.Rendered.Part.Renditions[0].Path); peak < c.least || peak > c.most {
			t.Errorf("%s: the peak is %.3f, want %.2f to %.2f", name, peak, c.least, c.most)
		}
	}
	res, _ := k.video(k.fault("15-surround-clips/film51.mp4"))
	if peak := k.peak(res.Rendered.Part.Renditions[0].Path); peak > 1 || peak < 0.3 {
		t.Errorf("the film's peak is %.3f", peak)
	}
}

// soundLU is how far a video's loudness may be from its source's.
const soundLU = 1.0

// TestSoundKeepsItsLoudness: a video that is transcoded is as loud as what was sent, from one channel to eight; mono stays mono, which players
// give to both sides in full.
func TestSoundKeepsItsLoudness(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.speech("speech.wav", 4)
	for name, c := range map[string]struct {
		sound    string // filter on the speech
		channels int
	}{
		"mono.mkv":     {"anull", 1},
		"stereo.mkv":   {"pan=stereo|c0=c0|c1=0.5*c0", 2},
		"centre51.mkv": {"pan=5.1|FC=c0", 2},
		"centre71.mkv": {"pan=7.1|FC=c0", 2},
		"film51.mkv":   {"pan=5.1|FC=c0|FL=0.3*c0|FR=0.3*c0|BL=0.2*c0|BR=0.2*c0,adelay=21|37|0|0|53|71", 2},
		"left51.mkv":   {"pan=5.1|FL=c0", 2},
		"quad.mkv":     {"pan=quad|FL=0.6*c0|FR=0.6*c0", 2},
	} {
		k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=4", "-i", "speech.wav", "-af", "aresample=48000,"+c.sound, "-c:v", "mpeg4", "-c:a", "flac", name)
		res, _ := k.video(name)
		out := res.Rendered.Part.Renditions[0].Path
		want, _ := k.meterOf(name)
		got, _ := k.meterOf(out)
		t.Logf("%s: %.1f LUFS, from %.1f", name, got, want)
		if math.Abs(got-want) > soundLU {
			t.Errorf("%s: %.1f LUFS, want %.1f", name, got, want)
		}
		if m := k.probe(out); m.Audio == nil || m.Audio.Channels != c.channels {
			t.Errorf("%s: %+v, want %d channels", name, m.Audio, c.channels)
		}
	}
}

// settledSamples is how long ffmpeg's AAC encoder takes to find its feet when a tone begins from nothing, of both channels: a source of stereo at
// 0.7 comes out with 1.05 there, whatever is done before it.
const settledSamples = 2 * 48_000 / 4

// peak is the largest sample of a file's sound, its beginning apart.
func (k *videoKit) peak(path string) float64 {
	k.Helper()
	peak := float32(0)
	for _, v := range k.samples(path)[settledSamples:] {
		peak = max(peak, v, -v)
	}
	return float64(peak)
}

// TestThriftyCodecsStaySharp: a clip of 311 kb/s in HEVC that is shared again looks as it would without a cap, and grows by less than the thrift of
// its codec.
func TestThriftyCodecsStaySharp(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-i", k.fault("17-rate-cap-blind-to-codec/hevc-311k-1080p.mp4"), "-c", "copy", "-t", "3", "clip.mp4")
	res, plan := k.video("clip.mp4")
	k.ffmpeg("-i", "clip.mp4", "-vf", "scale=1280:720:flags=bicubic", "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "free.mp4")
	got, free := k.ssim(res.Rendered.Part.Renditions[0].Path, "clip.mp4"), k.ssim("free.mp4", "clip.mp4")
	size := res.Rendered.Part.Renditions[0].Size
	t.Logf("SSIM %.4f, without a cap %.4f; %d of %d bytes, cap %d", got, free, size, k.file("clip.mp4").Size, plan.Encode.MaxRate)
	if got < free-0.003 || size > 5*k.file("clip.mp4").Size/2 {
		t.Errorf("SSIM %.4f, without a cap %.4f; %d of %d bytes", got, free, size, k.file("clip.mp4").Size)
	}
}

// ssim compares a 720p video with its source.
func (k *videoKit) ssim(made, source string) float64 {
	k.Helper()
	k.ffmpeg("-i", made, "-i", source, "-lavfi", "[1:v]scale=1280:720:flags=bicubic[s];[0:v][s]ssim=stats_file="+made+".txt", "-f", "null", "-")
	return meanSSIM(k, made+".txt")
}

func meanSSIM(k *videoKit, stats string) float64 {
	k.Helper()
	data, err := os.ReadFile(filepath.Join(k.dir, stats))
	if err != nil {
		k.Fatal(err)
	}
	sum, n := 0.0, 0
	for line := range strings.Lines(string(data)) {
		_, after, ok := strings.Cut(line, "All:")
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.Fields(after)[0], 64)
		if err != nil {
			k.Fatal(err)
		}
		sum, n = sum+v, n+1
	}
	return sum / float64(max(1, n))
}
