package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// Sources of the inputs below, one second of each.
const (
	movingHD = "testsrc2=s=320x180:r=30:d=1"
	oneTone  = "sine=f=440:d=1:r=48000"
)

// TestInputsOfPhonesAndBrowsers takes what is recorded in the world and holds what is delivered to size, length, sound and rate.
func TestInputsOfPhonesAndBrowsers(t *testing.T) {
	t.Parallel()
	both := []string{"-f", "lavfi", "-i", movingHD, "-f", "lavfi", "-i", oneTone}
	x264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"}
	for name, c := range map[string]struct {
		args          []string
		width, height int
		durationMS    int64
		sound         bool
		fps           float64 // most; 0 = not looked at
	}{
		"fragmented.mp4":   {slices.Concat(both, x264, []string{"-movflags", "frag_keyframe+empty_moov+default_base_moof"}), 320, 180, 1000, true, 0},
		"recorder.webm":    {slices.Concat(both, []string{"-pix_fmt", "yuv420p", "-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus", "-live", "1"}), 320, 180, 1000, true, 0},
		"recorder-264.mkv": {slices.Concat(both, []string{"-pix_fmt", "yuv420p", "-c:v", "libx264", "-c:a", "libopus", "-live", "1", "-f", "matroska"}), 320, 180, 1000, true, 0},
		"fast.mp4":         {slices.Concat([]string{"-f", "lavfi", "-i", "testsrc2=s=320x180:r=120:d=1"}, x264), 320, 180, 1000, false, 30},
		"two-sounds.mp4":   {slices.Concat(both, []string{"-f", "lavfi", "-i", "sine=f=880:d=1", "-map", "0", "-map", "1", "-map", "2"}, x264), 320, 180, 1000, true, 0},
		"sound-first.mp4":  {slices.Concat(both, []string{"-map", "1", "-map", "0"}, x264), 320, 180, 1000, true, 0},
		"negative.mp4":     {slices.Concat(both, x264, []string{"-output_ts_offset", "-0.4", "-avoid_negative_ts", "disabled"}), 320, 180, 600, true, 0},
		"late.mkv":         {slices.Concat(both, x264, []string{"-output_ts_offset", "7"}), 320, 180, 1000, true, 0},
		"timecode.mov":     {slices.Concat(both, x264, []string{"-timecode", "01:00:00:00", "-write_tmcd", "1"}), 320, 180, 1000, true, 0},
		"av1.mp4":          {slices.Concat(both, []string{"-vf", "scale=64:64,setsar=1", "-pix_fmt", "yuv420p", "-c:v", "libsvtav1", "-preset", "12", "-c:a", "aac"}), 64, 64, 1000, true, 0},
		"tall.mp4":         {slices.Concat(both, []string{"-vf", "scale=90:320,setsar=1"}, x264), 90, 320, 1000, true, 0},
		"covered.mp4":      {slices.Concat(both, []string{"-f", "lavfi", "-i", "color=red:s=64x64:r=1:d=1", "-map", "0", "-map", "1", "-map", "2", "-c:v:1", "mjpeg", "-disposition:v:1", "attached_pic", "-c:v:0", "libx264", "-pix_fmt:v:0", "yuv420p", "-c:a", "aac"}), 320, 180, 1000, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newVideoKit(t)
			k.ffmpeg(append(c.args, name)...)
			res, plan := k.video(name)
			p := res.Rendered.Part
			if p.Width != c.width || p.Height != c.height || *p.HasAudio != c.sound || abs(p.DurationMS-c.durationMS) > durationSlackMS || len(p.Warnings) > 0 {
				t.Errorf("%s (%s): %d×%d, %d ms, sound %v, %v", p.Method, plan.Why, p.Width, p.Height, p.DurationMS, *p.HasAudio, p.Warnings)
			}
			k.checkStreams(p.Renditions[0])
			m, err := k.tools.askProbe(t.Context(), k.dir, pipeline.File{Path: p.Renditions[0].Path, Type: pipeline.TypeMP4})
			if err != nil || m.StartMS > 40 || c.fps > 0 && m.Video.FPS > c.fps+0.1 {
				t.Errorf("begins at %d ms, %v frames a second, %v", m.StartMS, m.Video.FPS, err)
			}
		})
	}
}

// TestH263WithAMR is what phones of before 2008 recorded. Debian's ffmpeg writes no AMR: a real note lends its own.
func TestH263WithAMR(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	note := k.fixture("hostile/file-type-fixture.amr")
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=176x144:r=15:d=1", "-i", note, "-c:v", "h263", "-c:a", "copy", "old.3gp")
	if f := k.file("old.3gp"); f.Type != pipeline.Type3GP {
		t.Errorf("taken for %s", f.Type.MIME)
	}
	res, _ := k.video("old.3gp")
	if p := res.Rendered.Part; p.Width != 176 || p.Height != 144 || !*p.HasAudio || p.DurationMS < 950 {
		t.Errorf("%d×%d, %d ms, sound %v", p.Width, p.Height, p.DurationMS, *p.HasAudio)
	}
	k.checkStreams(res.Rendered.Part.Renditions[0])
}

// What every program that is started for a file may take until the file is refused. The kernel holds them to it: who takes more fails with
// another code.
const (
	refusalSeconds = 1         // of CPU
	refusalKiB     = 768 << 10 // of address space, of which ffmpeg's libraries are 0.3 GiB
)

// thrifty are the tools within those limits.
func thrifty(t *testing.T, tools Tools) Tools {
	t.Helper()
	dir := t.TempDir()
	within := func(program string) string {
		name := filepath.Join(dir, filepath.Base(program))
		text := fmt.Sprintf("#!/bin/sh\nulimit -t %d && ulimit -v %d && exec %s \"$@\"\n", refusalSeconds, refusalKiB, program)
		if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return name
	}
	return Tools{FFmpeg: within(tools.FFmpeg), FFprobe: within(tools.FFprobe)}
}

// TestVideosThatAreRefused wants the listed code of each, before anything is decoded, for little time and memory.
func TestVideosThatAreRefused(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	tools := thrifty(t, k.tools)
	x264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"}
	made := func(name, source string, args ...string) string {
		k.ffmpeg(slices.Concat([]string{"-f", "lavfi", "-i", source}, args, []string{name})...)
		return name
	}
	for name, want := range map[string]pipeline.Code{
		made("ten-hours.mp4", "color=s=16x16:r=0.02:d=36000", x264...): pipeline.CodeTooLong,
		made("too-wide.mp4", "color=s=8704x64:r=10:d=0.1", x264...):    pipeline.CodeTooManyPixels,
		made("sound.mp4", "sine=d=1", "-c:a", "aac"):                   pipeline.CodeNoVideo,
		made("cover.mp4", "sine=d=1", "-f", "lavfi", "-i", "color=red:s=64x64:d=0.1", "-c:a", "aac", "-c:v", "mjpeg", "-frames:v", "1", "-disposition:v", "attached_pic"): pipeline.CodeNoVideo,
		made("other.mkv", "color=s=64x64:r=10:d=0.5", "-c:v", "mpeg2video"):                                                                                               pipeline.CodeUnsupportedType,
	} {
		f := k.file(name)
		m, err := tools.Probe(t.Context(), k.dir, f)
		if err == nil {
			_, err = transcode.NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindVideo}, m, transcode.DefaultProfile())
		}
		if wantCode(t, err, want); err != nil && pipeline.AsError(err).Message == "" {
			t.Errorf("%s: no message", name)
		}
	}
}

// TestNothingToShow has headers of a video and no picture, or a picture and no length.
func TestNothingToShow(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "color=s=64x64:r=10:d=0.5", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "empty_moov+frag_keyframe", "pieces.mp4")
	pieces, err := os.ReadFile(filepath.Join(k.dir, "pieces.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	k.write("head.mp4", pieces[:bytes.Index(pieces, []byte("moof"))-4])
	k.ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:r=10:d=0.1", "-c:v", "libx264", "-pix_fmt", "yuv420p", "zero.mp4")
	zero, err := os.ReadFile(filepath.Join(k.dir, "zero.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	for _, box := range []string{"mvhd", "tkhd", "mdhd", "stts", "elst"} { // every length there is becomes 0
		at := bytes.Index(zero, []byte(box)) + 4
		field := map[string]int{"mvhd": 16, "tkhd": 20, "mdhd": 16, "stts": 12, "elst": 8}[box]
		binary.BigEndian.PutUint32(zero[at+field:], 0)
	}
	k.write("zero.mp4", zero)
	k.tools = thrifty(t, k.tools)
	for name, codes := range map[string][]pipeline.Code{"head.mp4": {pipeline.CodeCorrupt, pipeline.CodeNoVideo}, "zero.mp4": {pipeline.CodeCorrupt, ""}} {
		res, _, err := k.try(name)
		switch {
		case err == nil && slices.Contains(codes, "") && res.Rendered.Part.DurationMS <= 150: // one picture, shown as long as a picture stands
		case err == nil:
			t.Errorf("%s: %d ms were made of it", name, res.Rendered.Part.DurationMS)
		default:
			wantCode(t, err, codes...)
		}
	}
}

// TestMotionPhoto appends a video to a JPEG as Android phones do: the whole is a photo, and the video sent by itself a video.
func TestMotionPhoto(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240:d=0.1", "-frames:v", "1", "still.jpg")
	k.clip("part.mp4", "-movflags", "+faststart")
	still, err := os.ReadFile(filepath.Join(k.dir, "still.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	part, err := os.ReadFile(filepath.Join(k.dir, "part.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	k.write("motion.jpg", append(still, part...))
	if f := k.file("motion.jpg"); f.Type != pipeline.TypeJPEG {
		t.Errorf("a motion photo is %s", f.Type.MIME)
	}
	if res, _ := k.video("part.mp4"); abs(res.Rendered.Part.DurationMS-2000) > durationSlackMS {
		t.Errorf("its video lasts %d ms", res.Rendered.Part.DurationMS)
	}
}

// TestDolbyVision84 is HLG with a box that says that its Dolby Vision has an HLG base: phones since 2020 record so. The box changes nothing,
// and the picture comes out as bright as its SDR original.
func TestDolbyVision84(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg(append([]string{
		"-f", "lavfi", "-i", "testsrc=s=320x240:r=10:d=0.5", "-vf", "format=yuv420p,zscale=m=bt709:p=bt709:t=bt709:r=tv:min=smpte170m:pin=bt709:tin=bt709:rin=tv",
		"-c:v", "libx264",
	}, append(colourTags(), "sdr.mp4")...)...)
	k.ffmpeg("-i", "sdr.mp4", "-vf", "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt2020:t=arib-std-b67:m=bt2020nc:r=tv:npl=203,format=yuv420p10le",
		"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-tag:v", "hvc1",
		"-color_primaries", "bt2020", "-color_trc", "arib-std-b67", "-colorspace", "bt2020nc", "-color_range", "tv", "hlg.mp4")
	hlg, err := os.ReadFile(filepath.Join(k.dir, "hlg.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	k.write("dolby.mp4", withDolbyVision(t, hlg))
	if out := k.ffmpeg("-i", "dolby.mp4", "-f", "null", "-"); out == nil {
		t.Log("decodes")
	}
	res, plan := k.video("dolby.mp4")
	if plan.Picture.Color.Method != transcode.ColorTonemap {
		t.Errorf("%+v", plan.Picture.Color)
	}
	want, got := meanLuma(k.frame("sdr.mp4", 200)), meanLuma(k.frame(res.Rendered.Part.Renditions[0].Path, 200))
	t.Logf("mean luma %.1f, SDR %.1f", got, want)
	if math.Abs(got-want) > 0.15*want {
		t.Errorf("mean luma %.1f, of the SDR picture %.1f", got, want)
	}
	m, err := k.tools.askProbe(t.Context(), k.dir, pipeline.File{Path: res.Rendered.Part.Renditions[0].Path, Type: pipeline.TypeMP4})
	if err != nil || m.Video.Transfer != "bt709" || m.Video.Primaries != "bt709" || m.Video.Matrix != "bt709" {
		t.Errorf("%v, %+v", err, m.Video)
	}
	data, err := os.ReadFile(filepath.Join(k.dir, res.Rendered.Part.Renditions[0].Path))
	if err != nil || bytes.Contains(data, []byte("dvvC")) {
		t.Errorf("the box is delivered, %v", err)
	}
}

// withDolbyVision puts a dvvC box for profile 8, compatibility 4, into the sample entry of the only track, whose headers come last.
func withDolbyVision(t *testing.T, file []byte) []byte {
	t.Helper()
	if moov, mdat := bytes.Index(file, []byte("moov")), bytes.Index(file, []byte("mdat")); moov < mdat {
		t.Fatal("the headers come first: every offset would move")
	}
	const profile, level, rpuAndBase, hlg = 8, 4, 0b101, 4
	box := make([]byte, 32)
	binary.BigEndian.PutUint32(box, 32)
	copy(box[4:], "dvvC")
	box[8], box[10], box[11], box[12] = 1, profile<<1|level>>5, level<<3&0xff|rpuAndBase, hlg<<4
	entry := bytes.LastIndex(file, []byte("hvc1")) - 4
	end := entry + int(binary.BigEndian.Uint32(file[entry:]))
	out := slices.Concat(file[:end], box, file[end:])
	for _, kind := range []string{"hvc1", "stsd", "stbl", "minf", "mdia", "trak", "moov"} {
		at := bytes.LastIndex(file[:entry+8], []byte(kind)) - 4
		binary.BigEndian.PutUint32(out[at:], binary.BigEndian.Uint32(file[at:])+32)
	}
	if !strings.Contains(string(out), "dvvC") {
		t.Fatal("no box")
	}
	return out
}
