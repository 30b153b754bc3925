package ffmpeg

import (
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

func (k *videoKit) probe(name string) pipeline.Media {
	k.Helper()
	m, err := k.tools.Probe(k.Context(), k.dir, k.file(name))
	if err != nil {
		k.Fatalf("%s: %v", name, err)
	}
	return m
}

func TestProbeReadsWhatAnIPhoneWrites(t *testing.T) {
	k := newVideoKit(t)
	m := k.probe(k.fixture("video/quicktime-hvc1.mov"))
	v := m.Video
	if m.Kind != pipeline.KindVideo || m.Width != 720 || m.Height != 1280 || m.Streams != 5 || m.DurationMS != 1167 || m.Format != "mov" {
		t.Errorf("%+v", m)
	}
	if v.Codec != "hevc" || v.Rotation != 90 || v.Mirrored || v.Width != 1280 || v.Height != 720 || v.PixelFormat != "yuv420p" || v.Transfer != "bt709" || v.Range != "tv" {
		t.Errorf("%+v", v)
	}
	if m.Audio == nil || m.Audio.Codec != "aac" || m.Audio.SampleRate != 44100 {
		t.Errorf("%+v", m.Audio)
	}
}

func TestProbeOrientationAndAspect(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240:r=24:d=0.5", "-vf", "setsar=4/3", "-c:v", "libx264", "-preset", "ultrafast", "wide.mp4")
	if m := k.probe("wide.mp4"); m.Width != 427 || m.Height != 240 || m.Video.SARNum != 4 || m.Video.SARDen != 3 || m.Video.FPS != 24 || m.Audio != nil {
		t.Errorf("%+v %+v", m, m.Video)
	}
	for matrix, want := range map[string]struct {
		clockwise int
		mirrored  bool
	}{
		"1 0 0 0 1 0 0 0 1": {0, false}, "0 1 0 -1 0 0 0 0 1": {90, false}, "-1 0 0 0 -1 0 0 0 1": {180, false}, "0 -1 0 1 0 0 0 0 1": {270, false},
		"-1 0 0 0 1 0 0 0 1": {180, true}, "0 1 0 1 0 0 0 0 1": {90, true},
	} {
		if c, m := orientation(matrix, float64(-want.clockwise)); c != want.clockwise || m != want.mirrored {
			t.Errorf("%s: %d %v", matrix, c, m)
		}
	}
}

func TestProbeTellsCoversFromPictures(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64:d=0.04", "-frames:v", "1", "cover.jpg")
	for _, name := range []string{"song.mp3", "song.m4a", "song.flac"} {
		k.ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-i", "cover.jpg", "-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v:0", "attached_pic", name)
		if m := k.probe(name); m.Kind != pipeline.KindVoice || m.Video != nil || m.Audio == nil || m.Streams != 2 {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestProbeOfAnimations(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=40x30:r=10:d=1", "moving.gif")
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=40x30:r=10:d=1", "-f", "apng", "moving.png")
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=40x30:r=10:d=1", "-frames:v", "1", "still.gif")
	for name, frames := range map[string]int{"moving.gif": 10, "moving.png": 10, "still.gif": 1} {
		m := k.probe(name)
		kind := pipeline.KindVideo
		if frames == 1 {
			kind = pipeline.KindPhoto
		}
		if m.Frames != frames || m.Animated != (frames > 1) || m.Kind != kind || m.Width != 40 || m.Height != 30 {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestProbeTrustsNoGuessedDuration(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "sine=d=2", "-c:a", "libmp3lame", "-q:a", "9", "-write_xing", "0", "vbr.mp3")
	k.ffmpeg("-f", "lavfi", "-i", "sine=d=2", "-c:a", "aac", "raw.aac")
	k.ffmpeg("-f", "lavfi", "-i", "sine=d=2", "-c:a", "libopus", "said.ogg")
	for name, want := range map[string]bool{"vbr.mp3": false, "raw.aac": false, "said.ogg": true} {
		if m := k.probe(name); (m.DurationMS > 0) != want {
			t.Errorf("%s: %d ms", name, m.DurationMS)
		}
	}
}

// TestProbeOfHostileFiles holds that every odd file is probed or refused with a code that is a result.
func TestProbeOfHostileFiles(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	for _, name := range []string{
		"file-type-fixture-corrupt.mkv", "mp4parse-rust-chunk_out_of_range.mp4", "file-type-fixture-bad-offset.mp3", "mp4parse-rust-invalid_userdata.mp4",
		"mp4parse-rust-bipbop-cenc-audioinit.mp4", "file-type-fixture.spx", "file-type-fixture-dash.mp4", "mp4parse-rust-amr_wb_1f.3gp",
		"file-type-fixture.flac", "file-type-fixture.oga", "file-type-fixture-ffe3.mp3", "file-type-fixture.m4a",
	} {
		f := k.file(k.fixture("hostile/" + name))
		if _, err := k.tools.Probe(t.Context(), k.dir, f); err != nil && !isResult(err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := k.note(name); err != nil && !isResult(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNumbersOfAProbe(t *testing.T) {
	for s, want := range map[string]int64{"75.125000": 75125, "N/A": 0, "": 0, "nan": 0, "inf": 1e15, "-1e300": -1e15, "-0.007": -7} {
		if got := millis(s); got != want {
			t.Errorf("millis(%q) = %d", s, got)
		}
	}
	for s, want := range map[string]int64{"00:01:15.020000000": 75020, "": 0, "-1:00:00": 0, "99999999:00:00": 0} {
		if got := clock(s); got != want {
			t.Errorf("clock(%q) = %d", s, got)
		}
	}
	if rate("30000/1001") < 29.9 || rate("0/0") != 0 || rate("x") != 0 {
		t.Error("rate")
	}
	for s, want := range map[string][2]int{"4:3": {4, 3}, "1:100": {0, 0}, "0:1": {0, 0}, "N/A": {0, 0}} {
		if a, b := aspect(s); a != want[0] || b != want[1] {
			t.Errorf("aspect(%q) = %d:%d", s, a, b)
		}
	}
}
