package ffmpeg

import (
	"bytes"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// streamed is what a viewer gets of a file of several streams.
type streamed struct {
	width  int // of the delivered picture, 0 = refused
	sound  bool
	left   []string // words of the warnings, each of one
	refuse string   // words of the refusal
}

// TestWhichStreams takes files of several pictures and sounds, in every order, and wants what a player shows and plays.
func TestWhichStreams(t *testing.T) {
	t.Parallel()
	still, clip, large := "color=red:s=160x120:r=1:d=1", "testsrc2=s=320x240:r=15:d=3", "testsrc2=s=480x360:r=15:d=3"
	tone := "sine=d=3:r=48000"
	avc := []string{"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"}
	for name, c := range map[string]struct {
		in   []string // lavfi sources, all mapped in order
		args []string
		want streamed
	}{
		"ac3-second.mp4":  {[]string{clip, tone, tone}, []string{"-c:a:0", "aac", "-c:a:1", "ac3"}, streamed{320, true, []string{"another sound track (ac3)"}, ""}},
		"ac3-first.mp4":   {[]string{clip, tone, tone}, []string{"-c:a:0", "ac3", "-c:a:1", "aac"}, streamed{320, true, []string{"another sound track (ac3)"}, ""}},
		"eac3-second.mp4": {[]string{clip, tone, tone}, []string{"-c:a:0", "aac", "-c:a:1", "eac3"}, streamed{320, true, []string{"another sound track (eac3)"}, ""}},
		"two.mkv":         {[]string{clip, tone, tone, tone}, []string{"-c:a:0", "wmav2", "-c:a:1", "mp2", "-c:a:2", "aac"}, streamed{320, true, []string{"(wmav2)", "(mp2)"}, ""}},
		"only-ac3.mp4":    {[]string{clip, tone}, []string{"-c:a", "ac3"}, streamed{320, false, []string{"the sound (ac3) cannot be taken"}, ""}},
		"only-wma.mkv":    {[]string{clip, tone}, []string{"-c:a", "wmav2"}, streamed{320, false, []string{"the sound (wmav2) cannot be taken"}, ""}},
		"languages.mp4":   {[]string{clip, tone, tone}, []string{"-c:a", "aac"}, streamed{320, true, nil, ""}},
		"preview.mp4":     {[]string{still, clip, tone}, []string{"-c:v:0", "mjpeg"}, streamed{320, true, []string{"another picture track (mjpeg)"}, ""}},
		"preview-second.mov": {
			[]string{clip, still, tone},
			[]string{"-c:v:1", "mjpeg"},
			streamed{320, true, []string{"another picture track (mjpeg)"}, ""},
		},
		"still.mkv":       {[]string{still, clip, tone}, []string{"-disposition:v:0", "0", "-disposition:v:1", "default"}, streamed{320, true, []string{"(h264)"}, ""}},
		"still.mp4":       {[]string{still, clip, tone}, nil, streamed{320, true, []string{"(h264)"}, ""}}, // enabled, both
		"larger.mp4":      {[]string{clip, large, tone}, []string{"-disposition:v", "default"}, streamed{480, true, []string{"(h264)"}, ""}},
		"disabled.mp4":    {[]string{large, clip, tone}, []string{"-disposition:v:0", "0", "-disposition:v:1", "default"}, streamed{320, true, []string{"(h264)"}, ""}},
		"longer.mp4":      {[]string{"testsrc2=s=480x360:r=15:d=1", clip}, []string{"-disposition:v", "default"}, streamed{320, false, []string{"(h264)"}, ""}},
		"mpeg2-first.mkv": {[]string{large, clip}, []string{"-c:v:0", "mpeg2video"}, streamed{320, false, []string{"another picture track (mpeg2video) cannot"}, ""}},
		"prores.mov":      {[]string{clip, tone}, []string{"-c:v", "prores", "-pix_fmt", "yuv422p10le", "-c:a", "pcm_s16le"}, streamed{refuse: "encoded as prores"}},
		"mpeg2.mkv":       {[]string{clip, tone}, []string{"-c:v", "mpeg2video"}, streamed{refuse: "encoded as mpeg2video"}},
		"dnxhd.mov":       {[]string{"testsrc2=s=1280x720:r=25:d=0.2"}, []string{"-c:v", "dnxhd", "-pix_fmt", "yuv422p", "-b:v", "90M"}, streamed{refuse: "encoded as dnxhd"}},
		"pictures.mov":    {[]string{clip}, []string{"-c:v", "mjpeg", "-pix_fmt", "yuvj420p"}, streamed{refuse: "encoded as mjpeg"}},
		"note.m4a":        {[]string{tone}, []string{"-c:a", "ac3", "-f", "mp4", "-brand", "M4A "}, streamed{refuse: "the sound is encoded as ac3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newVideoKit(t)
			var args []string
			for _, in := range c.in {
				args = append(args, "-f", "lavfi", "-i", in)
			}
			for i := range c.in {
				args = append(args, "-map", string(rune('0'+i)))
			}
			if !strings.HasSuffix(name, ".m4a") {
				args = append(args, avc...)
			}
			k.ffmpeg(slices.Concat(args, c.args, []string{name})...)
			k.streams(name, c.want)
		})
	}
}

func (k *videoKit) streams(name string, want streamed) {
	k.Helper()
	res, _, err := k.try(name)
	if want.refuse != "" {
		if wantCode(k.T, err, pipeline.CodeUnsupportedType); err != nil && !strings.Contains(err.Error(), want.refuse) {
			k.Errorf("refused with %v, want %q", err, want.refuse)
		}
		return
	}
	if err != nil {
		k.Fatal(err)
	}
	p := res.Rendered.Part
	if p.Width != want.width || *p.HasAudio != want.sound || len(p.Warnings) != len(want.left) {
		k.Errorf("%d wide, sound %v, %q, want %+v", p.Width, *p.HasAudio, p.Warnings, want)
		return
	}
	for i, words := range want.left {
		if !strings.HasPrefix(p.Warnings[i], "left out: ") || !strings.Contains(p.Warnings[i], words) {
			k.Errorf("%q, want %q", p.Warnings[i], words)
		}
	}
	if want.sound && k.loudness(p.Renditions[0].Path) < -40 {
		k.Errorf("the sound is silence")
	}
}

// loudness is the mean volume of a file's sound, dB.
func (k *videoKit) loudness(path string) float64 {
	k.Helper()
	x, sum := k.samples(path), 1e-12
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(sum/float64(max(1, len(x))))
}

// samples decodes a file's sound, its channels one after the other.
func (k *videoKit) samples(path string) []float32 {
	k.Helper()
	raw := k.ffmpeg("-i", path, "-map", "0:a", "-f", "f32le", "-c:a", "pcm_f32le", "-")
	return floats(raw)
}

// TestFaultyStreams are the files as they were met.
func TestFaultyStreams(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]streamed{
		"03-second-track-refuses-video/aac-then-ac3.mp4":     {160, true, []string{"(ac3)"}, ""},
		"03-second-track-refuses-video/only-ac3.mp4":         {160, false, []string{"the sound (ac3) cannot be taken"}, ""},
		"03-second-track-refuses-video/unknown-then-aac.mov": {160, true, []string{"(apac)"}, ""},
		"08-which-picture-stream/mjpeg-preview-first.mp4":    {320, true, []string{"(mjpeg)"}, ""},
		"08-which-picture-stream/still-first.mp4":            {320, true, []string{"(h264)"}, ""},
		"08-which-picture-stream/still-first.mkv":            {320, true, []string{"(h264)"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newVideoKit(t)
			file := k.fault(name)
			k.streams(file, want)
			if c := k.frame("out-"+file+"/"+playbackName, 500).RGBAAt(10, 10); strings.Contains(name, "08-") && c == (color.RGBA{253, 0, 0, 255}) {
				t.Error("the still is delivered")
			}
		})
	}
}

// TestFloatSound is sound that ffmpeg 5.1 does not know: the video is delivered, and says so.
func TestFloatSound(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	res, _ := k.video(k.fault("23-what-androids-player-is-tested-with/float-pcm-sound.mp4"))
	p := res.Rendered.Part
	if named := slices.Contains(p.Warnings, "left out: the sound (fpcm) cannot be taken"); named == *p.HasAudio {
		t.Errorf("sound %v, %q", *p.HasAudio, p.Warnings)
	}
}

// TestKnownSoundThatIsNotTaken is xHE-AAC, which ffmpeg decodes from 7.1 on, alone and as the sound of a video.
func TestKnownSoundThatIsNotTaken(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	name := k.fixture("hostile/mp4parse-rust-sine-3s-xhe-aac-44khz-mono.mp4")
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=1", "-f", "lavfi", "-i", "sine=d=1:r=48000", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "film.mp4")
	film, err := os.ReadFile(filepath.Join(k.dir, "film.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	plain := []byte{0x11, 0x88} // AAC-LC, 48 kHz, mono
	at := bytes.Index(film, append([]byte{0x05, 0x80, 0x80, 0x80, 0x05}, plain...))
	if at < 0 {
		t.Fatal("no configuration of the sound")
	}
	copy(film[at+5:], []byte{0xf9, 0x46, 0x20}) // object type 42
	k.write("film.mp4", film)
	m, err := k.tools.Probe(t.Context(), k.dir, k.file(name))
	if err != nil || m.Audio == nil {
		if wantCode(t, err, pipeline.CodeUnsupportedType); err != nil && !strings.Contains(err.Error(), "xHE-AAC") {
			t.Errorf("%v names no codec", err)
		}
	}
	if _, err := os.Stat(filepath.Join(k.dir, "out/hidden-sound.mp4")); err == nil {
		t.Error("the copy that was probed was left behind")
	}
	if m, err := k.tools.Probe(t.Context(), k.dir, k.file("film.mp4")); err == nil && m.Audio != nil {
		return // this ffmpeg has the decoder, and the sound is no such thing
	}
	res, _ := k.video("film.mp4")
	const named = "left out: the sound (xHE-AAC) cannot be taken"
	if p := res.Rendered.Part; *p.HasAudio == slices.Contains(p.Warnings, named) {
		t.Errorf("sound %v, %q", *p.HasAudio, p.Warnings)
	}
}

// TestOtherStreamsAreNotPromised: what is left out and lasts longer is not missing from what is delivered.
func TestOtherStreamsAreNotPromised(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=1", "-f", "lavfi", "-i", "sine=d=1:r=48000", "-f", "lavfi", "-i", "sine=d=4:r=48000",
		"-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a:0", "aac", "-c:a:1", "ac3", "long.mp4")
	res, _ := k.video("long.mp4")
	if p := res.Rendered.Part; abs(p.DurationMS-1000) > durationSlackMS || !slices.Equal(p.Warnings, []string{"left out: another sound track (ac3) cannot be taken"}) {
		t.Errorf("%d ms, %q", p.DurationMS, p.Warnings)
	}
	m := k.probe("long.mp4")
	m.LeftOut = append(m.LeftOut, pipeline.LeftOut{Kind: pipeline.KindVideo, Codec: "mjpeg"})
	plan, err := transcode.NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindVideo, Edits: []pipeline.Edit{{Op: pipeline.OpMute}}}, m, transcode.DefaultProfile())
	if err != nil || !slices.Equal(plan.Video.LeftOut, []string{"left out: another picture track (mjpeg) cannot be taken"}) {
		t.Errorf("muted: %+v, %v", plan, err)
	}
}
