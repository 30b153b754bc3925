package ffmpeg

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// marked is a picture with a red marker in its top left quarter, on grey.
const marked = "color=gray:s=320x240:r=30:d=0.5,drawbox=x=0:y=0:w=iw/3:h=ih/3:c=red:t=fill"

// colourTags says BT.709, as cameras do.
func colourTags() []string {
	return []string{"-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"}
}

// TestVideoFixtures runs real files of phones and browsers.
func TestVideoFixtures(t *testing.T) {
	for _, c := range []struct {
		name          string
		method        string
		width, height int
		durationMS    int64
		audio         bool
		edits         []pipeline.Edit
	}{
		{"video/quicktime-hvc1.mov", transcode.MethodTranscode, 720, 1280, 1167, true, nil},
		{"video/talking-head.mp4", transcode.MethodRemux, 768, 432, 15_013, true, nil},
		{"video/bunny.webm", transcode.MethodTranscode, 640, 360, 4000, true, []pipeline.Edit{{Op: pipeline.OpTrim, StartMS: 9000, EndMS: 13_000}}},
		{"photo/animated.gif", transcode.MethodTranscode, 978, 720, 1500, false, []pipeline.Edit{{Op: pipeline.OpTrim, EndMS: 1500}}},
	} {
		t.Run(filepath.Base(c.name), func(t *testing.T) {
			k := newVideoKit(t)
			res, plan := k.video(k.fixture(c.name), c.edits...)
			p := res.Rendered.Part
			if p.Method != c.method || p.Width != c.width || p.Height != c.height || *p.HasAudio != c.audio || len(p.Warnings) > 0 {
				t.Errorf("%s (%s) %d×%d, audio %v, %v", p.Method, plan.Why, p.Width, p.Height, *p.HasAudio, p.Warnings)
			}
			if abs(p.DurationMS-c.durationMS) > durationSlackMS {
				t.Errorf("%d ms, want %d", p.DurationMS, c.durationMS)
			}
			k.checkStreams(p.Renditions[0])
		})
	}
}

// checkStreams holds what a player asks for, with ffprobe's own words.
func (k *videoKit) checkStreams(r pipeline.Rendition) {
	k.Helper()
	m, err := k.tools.Probe(context.Background(), k.dir, pipeline.File{Path: r.Path, Type: pipeline.TypeMP4, Size: r.Size})
	if err != nil {
		k.Fatal(err)
	}
	v := m.Video
	if v.Codec != "h264" || v.PixelFormat != "yuv420p" || v.Rotation != 0 || v.Width%2+v.Height%2 != 0 || v.Level > 42 {
		k.Errorf("video stream %+v", v)
	}
	if m.Audio != nil && (m.Audio.Codec != "aac" || m.Audio.Profile != "LC") {
		k.Errorf("audio stream %+v", m.Audio)
	}
}

func TestTranscodedStream(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=321x241:r=60:d=1", "-f", "lavfi", "-i", "sine=d=1:r=22050", "-ac", "1",
		"-c:v", "libvpx-vp9", "-deadline", "realtime", "-pix_fmt", "yuv444p", "-c:a", "libopus", "odd.webm")
	res, _ := k.video("odd.webm")
	r := res.Rendered.Part.Renditions[0]
	m, err := k.tools.Probe(context.Background(), k.dir, pipeline.File{Path: r.Path, Type: pipeline.TypeMP4})
	if err != nil {
		t.Fatal(err)
	}
	v, a := m.Video, m.Audio
	// The last picture stands until the sound ends, which moves the mean rate a little.
	if v.Profile != "High" || v.Level != 40 || v.Width != 320 || v.Height != 240 || math.Abs(v.FPS-30) > 0.5 {
		t.Errorf("video %+v", v)
	}
	if v.Matrix != "bt709" || v.Primaries != "bt709" || v.Transfer != "bt709" || v.Range != "tv" {
		t.Errorf("colour %s %s %s %s", v.Matrix, v.Primaries, v.Transfer, v.Range)
	}
	if a == nil || a.SampleRate != 48_000 || a.Channels != 1 { // one channel stays one
		t.Errorf("audio %+v", a)
	}
	if r.Codecs != "avc1.640028,mp4a.40.2" || r.MIME != "video/mp4" || !r.Default || r.Bitrate <= 0 {
		t.Errorf("rendition %+v", r)
	}
}

func digestFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

func TestVideoBytesRepeat(t *testing.T) {
	k := newVideoKit(t)
	k.clip("a.mp4", "-vf", "noise=alls=20:allf=t")
	mute := pipeline.Edit{Op: pipeline.OpTrim, StartMS: 500}
	k.video("a.mp4", mute)
	if err := os.Rename(filepath.Join(k.dir, "out-a.mp4"), filepath.Join(k.dir, "before")); err != nil {
		t.Fatal(err)
	}
	k.video("a.mp4", mute)
	if a, b := digestFile(t, filepath.Join(k.dir, "before", playbackName)), digestFile(t, filepath.Join(k.dir, "out-a.mp4", playbackName)); a != b {
		t.Errorf("two runs gave %s and %s", a, b)
	}
}

// TestOrientation sets all eight display matrices and compares what is delivered with what a player shows of the source.
func TestOrientation(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg(append([]string{"-f", "lavfi", "-i", marked, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"}, append(colourTags(), "plain.mp4")...)...)
	plain, err := os.ReadFile(filepath.Join(k.dir, "plain.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	const one = 1 << 16
	for i, m := range [][4]int32{
		{one, 0, 0, one},
		{0, one, -one, 0},
		{-one, 0, 0, -one},
		{0, -one, one, 0},
		{-one, 0, 0, one},
		{one, 0, 0, -one},
		{0, one, one, 0},
		{0, -one, -one, 0},
	} {
		name := fmt.Sprintf("m%d.mp4", i)
		k.write(name, withMatrix(plain, m))
		want := k.frame(name, 0)
		res, plan := k.video(name)
		got := k.frame(res.Rendered.Part.Renditions[0].Path, 0)
		if corner(want) == "none" || corner(got) != corner(want) || got.Rect.Size() != want.Rect.Size() {
			t.Errorf("matrix %v: marker %s in %v, a player shows it %s in %v", m, corner(got), got.Rect.Size(), corner(want), want.Rect.Size())
		}
		if i > 0 && plan.Method != transcode.MethodTranscode {
			t.Errorf("matrix %v was remuxed", m)
		}
		if c := corner(k.sample(k.shown(res)[0])); c != corner(want) {
			t.Errorf("matrix %v: the classifier sees the marker %s", m, c)
		}
	}
}

// withMatrix replaces the 2 × 2 part of the display matrix of the only track.
func withMatrix(file []byte, m [4]int32) []byte {
	out := bytes.Clone(file)
	at := bytes.Index(out, []byte("tkhd")) + 4 + 40
	for i, slot := range []int{0, 1, 3, 4} {
		binary.BigEndian.PutUint32(out[at+4*slot:], uint32(m[i]))
	}
	return out
}

func (k *videoKit) write(name string, data []byte) {
	k.Helper()
	if err := os.WriteFile(filepath.Join(k.dir, name), data, 0o600); err != nil {
		k.Fatal(err)
	}
}

func TestVideoEdits(t *testing.T) {
	k := newVideoKit(t)
	k.clip("a.mp4", append([]string{"-filter_complex", "[0:v]drawbox=x=0:y=0:w=iw:h=ih:c=gray:t=fill,drawbox=x=0:y=0:w=80:h=60:c=red:t=fill"}, colourTags()...)...)
	crop := pipeline.Edit{Op: pipeline.OpCrop, X: 0, Y: 0, W: 0.5, H: 0.5}
	turn := pipeline.Edit{Op: pipeline.OpRotate, Degrees: 90}
	flip := pipeline.Edit{Op: pipeline.OpFlip, Direction: pipeline.FlipVertical}
	caption := pipeline.Edit{Op: pipeline.OpCaption, Text: "hi", Position: pipeline.CaptionBottom, Style: pipeline.CaptionBar}
	darker := pipeline.Edit{Op: pipeline.OpAdjust, Brightness: -0.5}
	for name, c := range map[string]struct {
		edits []pipeline.Edit
		size  image.Point
		red   string
		magenta,
		dark bool
	}{
		"crop":               {[]pipeline.Edit{crop}, image.Pt(160, 120), "top left", false, false},
		"turn":               {[]pipeline.Edit{turn}, image.Pt(240, 320), "top right", false, false},
		"flip":               {[]pipeline.Edit{flip}, image.Pt(320, 240), "bottom left", false, false},
		"crop, turn, flip":   {[]pipeline.Edit{crop, turn, flip}, image.Pt(120, 160), "bottom right", false, false},
		"crop and caption":   {[]pipeline.Edit{crop, caption}, image.Pt(160, 120), "top left", true, false},
		"caption, then flip": {[]pipeline.Edit{crop, caption, flip}, image.Pt(160, 120), "bottom left", false, false},
		"caption, then crop": {[]pipeline.Edit{caption, crop}, image.Pt(160, 120), "top left", false, false},
		"darker":             {[]pipeline.Edit{darker}, image.Pt(320, 240), "top left", false, true},
	} {
		out := strings.NewReplacer(" ", "", ",", "").Replace(name)
		f := k.file("a.mp4")
		plan, _, err := k.plan(f, c.edits...)
		if err != nil {
			t.Fatal(name, err)
		}
		res, err := k.tools.Video(context.Background(), k.dir, out, f, plan, solidCards{}, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		img := k.frame(res.Rendered.Part.Renditions[0].Path, 1000)
		if img.Rect.Size() != c.size || corner(img) != c.red || isMagenta(img, 0.9) != c.magenta || (meanLuma(img) < 40) != c.dark {
			t.Errorf("%s: %v, red %s, magenta %v, luma %.0f", name, img.Rect.Size(), corner(img), isMagenta(img, 0.9), meanLuma(img))
		}
		if name == "caption, then flip" && !isMagenta(img, 0.1) {
			t.Errorf("%s: the caption was not flipped with the picture", name)
		}
	}
}

// isMagenta looks at the middle of the row that is this far down.
func isMagenta(img *image.RGBA, down float64) bool {
	c := img.RGBAAt(img.Rect.Dx()/2, int(float64(img.Rect.Dy())*down))
	return c.R > 200 && c.G < 60 && c.B > 200
}

// counting shows the number of each frame as its brightness: frame n of 30 a second has luma 16 + 3n.
const counting = "color=black:s=64x64:r=30:d=2,format=gray,geq=lum='min(235,16+3*N)'"

// frameNumber reads a counting frame; gray is full range, and comes back as it was.
func frameNumber(img *image.RGBA) float64 { return (meanLuma(img) - 16) / 3 }

func TestTrimToTheFrame(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg(append([]string{
		"-f", "lavfi", "-i", counting, "-f", "lavfi", "-i", "sine=d=2", "-c:v", "libx264", "-bf", "2", "-g", "60", "-qp", "4",
		"-pix_fmt", "yuv420p", "-c:a", "aac",
	}, append(colourTags(), "count.mp4")...)...)
	res, _ := k.video("count.mp4", pipeline.Edit{Op: pipeline.OpTrim, StartMS: 700, EndMS: 1500})
	p := res.Rendered.Part
	if abs(p.DurationMS-800) > 34 {
		t.Errorf("800 ms became %d", p.DurationMS)
	}
	for at, want := range map[int64]float64{0: 21, 400: 33, 760: 44} {
		if got := frameNumber(k.frame(p.Renditions[0].Path, at)); math.Abs(got-want) > 1 {
			t.Errorf("at %d ms: frame %.1f, want %.0f", at, got, want)
		}
	}
	for _, s := range k.shown(res) {
		want := 21 + float64(s.AtMS)*30/1000
		if got := frameNumber(k.sample(s)); math.Abs(got-want) > 1 {
			t.Errorf("the sample of %d ms shows frame %.1f, want %.1f", s.AtMS, got, want)
		}
	}
}

func TestChosenPoster(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg(append([]string{"-f", "lavfi", "-i", counting, "-c:v", "libx264", "-qp", "4", "-pix_fmt", "yuv420p"}, append(colourTags(), "count.mp4")...)...)
	k.ffmpeg(append([]string{"-stream_loop", "4", "-i", "count.mp4", "-c:v", "libx264", "-g", "30", "-qp", "4"}, append(colourTags(), "long.mp4")...)...)
	for name, edits := range map[string][]pipeline.Edit{
		"count.mp4": {{Op: pipeline.OpMute}, {Op: pipeline.OpPoster, AtMS: 1500}}, // transcoded
		"long.mp4":  {{Op: pipeline.OpPoster, AtMS: 5500}},                        // remuxed, by its key frames
	} {
		res, plan := k.video(name, edits...)
		found := false
		for _, p := range res.Posters {
			if p.Wanted {
				found = true
				if got := frameNumber(k.poster(p, plan)); math.Abs(got-45) > 1 {
					t.Errorf("%s (%s): the poster shows frame %.1f, want 45", name, plan.Method, got)
				}
			}
		}
		if !found {
			t.Errorf("%s (%s): no candidate is the chosen one: %+v", name, plan.Method, res.Posters)
		}
	}
}

// TestPosterNotBlack has 5 s of which all but a flash in the middle are black.
func TestPosterNotBlack(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240:r=30:d=5", "-vf", "drawbox=c=black:t=fill:enable='not(between(t,2.6,3.7))'",
		"-c:v", "libx264", "-preset", "ultrafast", "-b:v", "4M", "-pix_fmt", "yuv420p", "dark.mp4")
	res, plan := k.video("dark.mp4", pipeline.Edit{Op: pipeline.OpMute})
	best := 0.0
	for _, p := range res.Posters {
		img := k.poster(p, plan)
		if img.Rect.Size() != image.Pt(320, 240) {
			t.Errorf("candidate of %v", img.Rect.Size())
		}
		best = max(best, meanLuma(img))
	}
	if best < 30 {
		t.Errorf("all of %d candidates are black", len(res.Posters))
	}
}

func TestMuteAndNoAudio(t *testing.T) {
	k := newVideoKit(t)
	k.clip("a.mp4")
	k.clip("silent.mp4", "-an")
	for name, edits := range map[string][]pipeline.Edit{"a.mp4": {{Op: pipeline.OpMute}}, "silent.mp4": nil} {
		res, _ := k.video(name, edits...)
		info, err := readMP4(filepath.Join(k.dir, res.Rendered.Part.Renditions[0].Path))
		if err != nil {
			t.Fatal(err)
		}
		if *res.Rendered.Part.HasAudio || info.track("soun") != nil || strings.Contains(res.Rendered.Part.Renditions[0].Codecs, "mp4a") {
			t.Errorf("%s: sound in %+v", name, res.Rendered.Part.Renditions[0])
		}
	}
}

func TestSoundOfAnotherLength(t *testing.T) {
	k := newVideoKit(t)
	for name, lengths := range map[string][2]string{"long.mp4": {"1", "2"}, "short.mp4": {"2", "1"}} {
		k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r=30:d="+lengths[0], "-f", "lavfi", "-i", "sine=d="+lengths[1],
			"-c:v", "mpeg4", "-c:a", "aac", name)
		res, _ := k.video(name)
		if p := res.Rendered.Part; abs(p.DurationMS-2000) > 50 || len(p.Warnings) > 0 {
			t.Errorf("%s: %d ms, %v", name, p.DurationMS, p.Warnings)
		}
	}
}

// TestSync has a flash and a beep at the same time, in a video of variable frame rate whose sound begins 0.3 s late and whose
// timestamps do not begin at 0.
func TestSync(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "color=black:s=64x64:r=30:d=3,drawbox=c=white:t=fill:enable='gte(t,2)',select='not(mod(n,7))+not(mod(n,10))+eq(n,60)'",
		"-fps_mode", "vfr", "-c:v", "libvpx", "-deadline", "realtime", "picture.webm")
	k.ffmpeg("-f", "lavfi", "-i", "sine=f=1000:d=2.7:r=48000,volume='if(gte(t,1.7),1,0)':eval=frame", "-c:a", "libopus", "sound.webm")
	k.ffmpeg("-i", "picture.webm", "-itsoffset", "0.3", "-i", "sound.webm", "-map", "0:v", "-map", "1:a", "-c", "copy", "-output_ts_offset", "5", "sync.webm")
	res, _ := k.video("sync.webm")
	out := res.Rendered.Part.Renditions[0].Path
	flash := k.firstTime("-i", out, "-vf", "blackframe=amount=0:threshold=128,metadata=select:key=lavfi.blackframe.pblack:value=50:function=less,showinfo", "-an")
	beep := k.silenceEnd(out)
	t.Logf("flash at %.3f s, beep at %.3f s", flash, beep)
	if math.Abs(flash-beep) > 0.040 || math.Abs(flash-2) > 0.040 {
		t.Errorf("flash at %.3f s, beep at %.3f s, want both at 2", flash, beep)
	}
	info, err := readMP4(filepath.Join(k.dir, out))
	if err != nil {
		t.Fatal(err)
	}
	for _, track := range info.tracks {
		if len(track.edits) > 1 || len(track.edits) == 1 && track.edits[0].media < 0 {
			t.Errorf("%s begins with an empty edit: %+v", track.handler, track.edits)
		}
	}
}

// firstTime runs a filter that ends in showinfo and reads the time of the first frame that passed.
func (k *videoKit) firstTime(args ...string) float64 {
	k.Helper()
	return k.logged("pts_time:", append(args, "-f", "null", "-")...)
}

func (k *videoKit) silenceEnd(name string) float64 {
	k.Helper()
	return k.logged("silence_end:", "-i", name, "-vn", "-af", "silencedetect=n=-40dB:d=0.5", "-f", "null", "-")
}

func (k *videoKit) logged(key string, args ...string) float64 {
	k.Helper()
	var log []byte
	if err := k.tools.Run(context.Background(), Run{Args: args, Dir: k.dir, Log: &log, LogLevel: "info"}); err != nil {
		k.Fatal(err)
	}
	_, after, ok := strings.Cut(string(log), key)
	if !ok {
		k.Fatalf("no %s in %s", key, log)
	}
	var v float64
	if _, err := fmt.Sscan(after, &v); err != nil {
		k.Fatal(err)
	}
	return v
}

// TestHDR makes PQ and HLG of an SDR picture and wants the brightness back.
func TestHDR(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg(append([]string{
		"-f", "lavfi", "-i", "testsrc=s=320x240:r=10:d=0.5", "-vf", "format=yuv420p,zscale=m=bt709:p=bt709:t=bt709:r=tv:min=smpte170m:pin=bt709:tin=bt709:rin=tv",
		"-c:v", "libx264",
	}, append(colourTags(), "sdr.mp4")...)...)
	want := meanLuma(k.frame("sdr.mp4", 200))
	for transfer, file := range map[string]string{"smpte2084": "pq.mp4", "arib-std-b67": "hlg.mp4"} {
		k.ffmpeg("-i", "sdr.mp4", "-vf", "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt2020:t="+transfer+":m=bt2020nc:r=tv:npl=203,format=yuv420p10le",
			"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-tag:v", "hvc1",
			"-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc", "-color_range", "tv", file)
		res, plan := k.video(file)
		if plan.Picture.Color.Method != transcode.ColorTonemap {
			t.Errorf("%s: %+v", file, plan.Picture.Color)
		}
		got := meanLuma(k.frame(res.Rendered.Part.Renditions[0].Path, 200))
		t.Logf("%s: mean luma %.1f, SDR %.1f", file, got, want)
		if math.Abs(got-want) > 0.15*want {
			t.Errorf("%s: mean luma %.1f, of the SDR picture %.1f", file, got, want)
		}
	}
}

// TestColourIsKept sends the same colours in other matrices and ranges.
func TestColourIsKept(t *testing.T) {
	k := newVideoKit(t)
	for name, c := range map[string]struct{ matrix, space, rng, format string }{
		"bt601":            {"smpte170m", "smpte170m", "tv", "yuv420p"},
		"bt601 of PAL":     {"bt470", "bt470bg", "tv", "yuv420p"},
		"bt601 full range": {"smpte170m", "smpte170m", "pc", "yuv420p"},
		"bt601 ten bit":    {"smpte170m", "smpte170m", "tv", "yuv420p10le"},
		"full range":       {"bt709", "bt709", "pc", "yuv420p"},
		"ten bit":          {"bt709", "bt709", "tv", "yuv420p10le"},
	} {
		file := strings.ReplaceAll(name, " ", "") + ".mp4"
		k.ffmpeg("-f", "lavfi", "-i", "color=0xC81E3C:s=128x128:r=10:d=0.5,format=gbrp",
			"-vf", "scale=out_color_matrix="+c.matrix+":out_range="+c.rng+",format="+c.format,
			"-c:v", "libx264", "-qp", "2", "-colorspace", c.space, "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", c.rng, file)
		res, plan := k.video(file, pipeline.Edit{Op: pipeline.OpMute})
		for what, img := range map[string]*image.RGBA{
			"video": k.asPlayed(res.Rendered.Part.Renditions[0].Path),
			"read":  k.sample(k.shown(res)[0]), "poster": k.poster(res.Posters[0], plan),
		} {
			p := img.RGBAAt(64, 64)
			if far(p.R, 200) || far(p.G, 30) || far(p.B, 60) {
				t.Errorf("%s: the %s shows %v, want 200 30 60", name, what, p)
			}
		}
	}
}

// colourTolerance is what 8-bit limited range, 4:2:0 and CRF 23 may move a flat colour, of 255.
const colourTolerance = 6

func far(a, b uint8) bool { return abs(int64(a)-int64(b)) > colourTolerance }

// asPlayed decodes by the matrix that the file names; swscale alone would not ask.
func (k *videoKit) asPlayed(name string) *image.RGBA {
	k.Helper()
	raw := k.ffmpeg("-i", name, "-frames:v", "1", "-vf", "scale=in_color_matrix=bt709:in_range=tv:out_range=pc,format=rgb24", "-f", "image2pipe", "-c:v", "png", "-")
	return k.decode(bytes.NewReader(raw))
}

func TestInterlacedAndAnamorphic(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=352x288:r=50:d=0.5", "-vf", "interlace=lowpass=off,setsar=16/11", "-c:v", "libx264", "-flags", "+ildct+ilme",
		"-x264-params", "tff=1", "-pix_fmt", "yuv420p", "pal.mp4")
	res, plan := k.video("pal.mp4")
	if !plan.Picture.Deinterlace || res.Rendered.Part.Width != 512 || res.Rendered.Part.Height != 288 {
		t.Errorf("deinterlace %v, %d×%d", plan.Picture.Deinterlace, res.Rendered.Part.Width, res.Rendered.Part.Height)
	}
}

// TestRemuxIsClean sends what phones put into their files and wants none of it back.
func TestRemuxIsClean(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240:r=30:d=17", "-f", "lavfi", "-i", "sine=d=17:r=48000", "-c:v", "libx264", "-preset", "ultrafast", "-g", "30",
		"-pix_fmt", "yuv420p", "-c:a", "aac", "-metadata", "location=+52.5200+013.4050/", "-metadata", "com.apple.quicktime.model=SecretPhone",
		"-metadata", "title=SecretTitle", "-metadata:s:v", "handler_name=SecretHandler", "-movflags", "use_metadata_tags", "phone.mp4")
	res, plan := k.video("phone.mp4")
	p := res.Rendered.Part
	if plan.Method != transcode.MethodRemux || p.Method != transcode.MethodRemux {
		t.Fatalf("%s because of %s", p.Method, plan.Why)
	}
	data, err := os.ReadFile(filepath.Join(k.dir, p.Renditions[0].Path))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"Secret", "52.52", "x264 - core", "apple"} {
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("%q is left in the delivered file", secret)
		}
	}
	if shown := k.shown(res); len(shown) != 510 || shown[509].AtMS < 16_900 {
		t.Errorf("%d frames of 510 are read back", len(shown))
	}
	source := k.file("phone.mp4").Size
	if p.Renditions[0].Size > source {
		t.Errorf("%d bytes became %d", source, p.Renditions[0].Size)
	}
}

// TestRemuxWithRareKeyFrames has one key frame in 8 s, a black one: the poster is another frame.
func TestRemuxWithRareKeyFrames(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=30:d=8,drawbox=t=fill:c=black:enable='lt(t,0.2)'", "-c:v", "libx264", "-preset", "ultrafast", "-g", "1000", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "rare.mp4")
	res, plan := k.video("rare.mp4")
	if r := res.Rendered; r.Part.Method != transcode.MethodRemux || len(res.Posters) < 3 {
		t.Errorf("%s with %d posters", r.Part.Method, len(res.Posters))
	}
	if last := res.Posters[len(res.Posters)-1]; meanLuma(k.poster(last, plan)) < 40 {
		t.Error("every poster is black")
	}
}

func TestVerifyVideoRefuses(t *testing.T) {
	k := newVideoKit(t)
	k.clip("a.mp4", "-metadata", "title=hello", "-movflags", "+faststart")
	k.clip("late.mp4", "-fflags", "+bitexact", "-map_metadata", "-1")
	k.clip("good.mp4", "-fflags", "+bitexact", "-map_metadata", "-1", "-movflags", "+faststart", "-flags", "+bitexact", "-profile:v", "high",
		"-color_range", "tv", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-bsf:v", slicesOnly)
	good := pipeline.Rendition{Path: "good.mp4", Width: 320, Height: 240, DurationMS: 2000, Codecs: "avc1.640028,mp4a.40.2"}
	if err := k.tools.VerifyVideo(context.Background(), k.dir, good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*pipeline.Rendition){
		"tags":          func(r *pipeline.Rendition) { r.Path = "a.mp4" },
		"headers last":  func(r *pipeline.Rendition) { r.Path = "late.mp4" },
		"another width": func(r *pipeline.Rendition) { r.Width = 322 },
		"duration":      func(r *pipeline.Rendition) { r.DurationMS = 3000 },
		"no sound":      func(r *pipeline.Rendition) { r.Codecs = "avc1.640028" },
	} {
		r := good
		change(&r)
		err := k.tools.VerifyVideo(context.Background(), k.dir, r)
		if pipeline.AsError(err).Code != pipeline.CodeEncodeFailed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVideoBadInput(t *testing.T) {
	k := newVideoKit(t)
	k.clip("a.mp4")
	whole, err := os.ReadFile(filepath.Join(k.dir, "a.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	concat := []byte("ffconcat version 1.0\nfile a.mp4\n")
	plan := mustPlan(t, k)
	k.tools = thrifty(t, k.tools)
	hls := []byte("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.mp4\n#EXT-X-ENDLIST\n")
	for name, data := range map[string][]byte{
		"concat.mp4": concat, "hls.mp4": hls, "noise.mp4": bytes.Repeat([]byte{7, 1, 9}, 5000), "empty.mp4": {}, "cut.mp4": whole[:len(whole)/3],
	} {
		k.write(name, data)
		for _, typ := range []pipeline.Type{pipeline.TypeMP4, pipeline.TypeWebM} {
			f := pipeline.File{Path: name, Type: typ, Size: int64(len(data))}
			_, err = k.tools.Video(context.Background(), k.dir, "bad", f, plan, nil, nil)
			wantCode(t, err, pipeline.CodeCorrupt)
			if files, err := filepath.Glob(filepath.Join(k.dir, "bad", "frames", "*")); err != nil || len(files) > 0 {
				t.Errorf("%s left %v", name, files)
			}
		}
	}
}

// mustPlan is the plan of the kit's a.mp4, for other bytes under its name.
func mustPlan(t *testing.T, k *videoKit) *transcode.VideoPlan {
	t.Helper()
	return mustPlanOf(t, k, "a.mp4")
}

// TestTruncated cuts a file whose headers are in front: what is there is delivered, and said to be less.
func TestTruncated(t *testing.T) {
	k := newVideoKit(t)
	for _, edits := range [][]pipeline.Edit{nil, {{Op: pipeline.OpMute}}} {
		k.clip("a.mp4", "-movflags", "+faststart", "-g", "15")
		data, err := os.ReadFile(filepath.Join(k.dir, "a.mp4"))
		if err != nil {
			t.Fatal(err)
		}
		k.write("a.mp4", data[:len(data)*6/10])
		res, _ := k.video("a.mp4", edits...)
		p := res.Rendered.Part
		if len(p.Warnings) != 1 || !strings.HasPrefix(p.Warnings[0], "truncated: ") || p.DurationMS > 1900 {
			t.Errorf("%v: %d ms, warnings %v", edits, p.DurationMS, p.Warnings)
		}
		if err := os.RemoveAll(filepath.Join(k.dir, "out-a.mp4")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamagedInTheMiddle overwrites a stretch of the media.
func TestDamagedInTheMiddle(t *testing.T) {
	k := newVideoKit(t)
	k.clip("a.mp4", "-movflags", "+faststart")
	data, err := os.ReadFile(filepath.Join(k.dir, "a.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	for i := len(data) / 2; i < len(data)*6/10; i++ {
		data[i] = byte(i * 7)
	}
	k.write("a.mp4", data)
	res, _ := k.video("a.mp4")
	if w := res.Rendered.Part.Warnings; len(w) != 1 || !strings.HasPrefix(w[0], "truncated: ") {
		t.Errorf("warnings %v", w)
	}
}

// TestLongerThanItSays gives a plan that believes in a short video and a limit.
func TestLongerThanItSays(t *testing.T) {
	k := newVideoKit(t)
	k.clip("a.mp4")
	plan := mustPlan(t, k)
	plan.Time.LimitMS, plan.Time.ExpectMS = 500, 300
	_, err := k.tools.Video(context.Background(), k.dir, "long", k.file("a.mp4"), plan, nil, nil)
	wantCode(t, err, pipeline.CodeTooLong)
}

func TestWithoutDuration(t *testing.T) {
	k := newVideoKit(t)
	pipe := k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=30:d=2", "-f", "lavfi", "-i", "sine=d=2", "-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus", "-f", "webm", "-")
	k.write("live.webm", pipe)
	res, plan := k.video("live.webm")
	if p := res.Rendered.Part; plan.Time.ExpectMS != 0 || abs(p.DurationMS-2000) > 50 || len(k.shown(res)) != 60 {
		t.Errorf("expected %d, got %d ms and %d frames", plan.Time.ExpectMS, p.DurationMS, len(k.shown(res)))
	}
}

// TestTrimmedToNothing begins behind the end of what a container did not say.
func TestTrimmedToNothing(t *testing.T) {
	k := newVideoKit(t)
	k.clip("a.mp4")
	plan := mustPlan(t, k)
	plan.Time.StartMS = 5000
	_, err := k.tools.Video(context.Background(), k.dir, "none", k.file("a.mp4"), plan, nil, nil)
	wantCode(t, err, pipeline.CodeTooShort, pipeline.CodeCorrupt)
}

// TestCancel ends a run that would take a minute and looks for its processes.
func TestCancel(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30:d=3", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "big.mp4")
	plan, _, err := k.plan(k.file("big.mp4"), pipeline.Edit{Op: pipeline.OpMute})
	if err != nil {
		t.Fatal(err)
	}
	plan.Encode.Preset = "placebo"
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	started := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		_, err := k.tools.Video(ctx, k.dir, "cancelled", k.file("big.mp4"), plan, nil, func(float64) {
			select {
			case started <- struct{}{}:
			default:
			}
		})
		ended <- err
	}()
	<-started
	at := time.Now()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run gave %v", err)
	}
	if took := time.Since(at); took > time.Second {
		t.Errorf("took %v to end", took)
	}
	if left := processesIn(t, k.dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := os.Stat(filepath.Join(k.dir, "cancelled")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("files are left behind: %v", err)
	}
}

// processesIn lists the processes whose working directory is dir.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == dir {
			found = append(found, l)
		}
	}
	return found
}
