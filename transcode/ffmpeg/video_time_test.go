package ffmpeg

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// TestFaultsOfTime are files whose clocks went wrong: how long they are, and that nobody calls them damaged.
func TestFaultsOfTime(t *testing.T) {
	const frame = 40 // ms
	trim := func(from, to int64) []pipeline.Edit {
		return []pipeline.Edit{{Op: pipeline.OpTrim, StartMS: from, EndMS: to}}
	}
	for _, tc := range []struct {
		name  string
		edits []pipeline.Edit
		want  int64
		slack int64
	}{
		{"04-last-frame-of-silent-clip/lasthold.mp4", nil, 15_000, 1},
		{"14-trim-end-late-stream/sync-v07.mp4", trim(0, 2000), 2000, 1},
		{"14-trim-end-late-stream/sync-a05.mp4", trim(0, 3000), 3000, 1},
		{"14-trim-end-late-stream/positive-shift.mp4", trim(200, 900), 700, 1},
		{"14-trim-end-late-stream/slow.mp4", trim(200, 900), 700, 1},
		{"23-what-androids-player-is-tested-with/first-picture-at-10s.mp4", nil, 4000, frame},
		{"23-what-androids-player-is-tested-with/late-fragments.mp4", nil, 1070, frame},
	} {
		t.Run(filepath.Base(tc.name), func(t *testing.T) {
			t.Parallel()
			k := newVideoKit(t)
			res, plan := k.video(k.fault(tc.name), tc.edits...)
			p := res.Rendered.Part
			t.Logf("%s (%s): expected %d ms, %d ms, %v", p.Method, plan.Why, plan.Time.ExpectMS, p.DurationMS, p.Warnings)
			if abs(p.DurationMS-tc.want) > tc.slack || len(p.Warnings) > 0 {
				t.Errorf("%d ms, want %d; warnings %v", p.DurationMS, tc.want, p.Warnings)
			}
			info, err := readMP4(filepath.Join(k.dir, p.Renditions[0].Path))
			if err != nil {
				t.Fatal(err)
			}
			for _, track := range info.tracks {
				if len(tc.edits) > 0 && track.durationMS > tc.want+1 {
					t.Errorf("%d ms of %s", track.durationMS, track.handler)
				}
			}
		})
	}
}

// TestTrimShowsWhatStands trims clips between two of their pictures: the one that stands there is shown for the whole trim.
func TestTrimShowsWhatStands(t *testing.T) {
	k := newVideoKit(t)
	// A picture every second: red, green, blue, red...
	k.ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64:r=1:d=9,drawbox=c=lime:t=fill:enable='eq(mod(n,3),1)',drawbox=c=blue:t=fill:enable='eq(mod(n,3),2)'",
		"-c:v", "libx264", "-bf", "2", "-g", "100", "-qp", "8", "-pix_fmt", "yuv420p", "slow.mp4")
	k.ffmpeg("-i", "slow.mp4", "-c", "copy", "slow.mkv")
	k.ffmpeg("-i", "slow.mp4", "-c:v", "libvpx", "-b:v", "1M", "-deadline", "realtime", "slow.webm")
	k.ffmpeg("-i", "slow.mp4", "-c", "copy", "-output_ts_offset", "7", "late.mkv")
	for _, name := range []string{"slow.mp4", "slow.mkv", "slow.webm", "late.mkv"} {
		for _, tc := range []struct {
			from, to int64
			want     [3]uint8 // at its beginning
		}{
			{200, 900, [3]uint8{255, 0, 0}},
			{4300, 4600, [3]uint8{0, 255, 0}},
			{5010, 5500, [3]uint8{0, 0, 255}},
			{6950, 8100, [3]uint8{255, 0, 0}},
			{8500, 8900, [3]uint8{0, 0, 255}},
		} {
			res, _ := k.video(name, pipeline.Edit{Op: pipeline.OpTrim, StartMS: tc.from, EndMS: tc.to})
			p := res.Rendered.Part
			got := k.asPlayed(p.Renditions[0].Path).RGBAAt(32, 32)
			if abs(p.DurationMS-(tc.to-tc.from)) > 1 || len(p.Warnings) > 0 {
				t.Errorf("%s %d..%d: %d ms, %v", name, tc.from, tc.to, p.DurationMS, p.Warnings)
			}
			if abs(int64(got.R)-int64(tc.want[0]))+abs(int64(got.G)-int64(tc.want[1]))+abs(int64(got.B)-int64(tc.want[2])) > 60 {
				t.Errorf("%s %d..%d begins with %v, want %v", name, tc.from, tc.to, got, tc.want)
			}
			if err := os.RemoveAll(filepath.Join(k.dir, "out-"+name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestLastPictureStands ends recordings of a screen with a picture that stands: none of them is damaged.
func TestLastPictureStands(t *testing.T) {
	k := newVideoKit(t)
	// Pictures at 0, 0.1, 2 and 3 s; a copy lets the last one stand until 6 s.
	pictures := []string{"-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=4", "-vf", "select='eq(n,0)+eq(n,1)+eq(n,20)+eq(n,30)'", "-fps_mode", "vfr"}
	for name, args := range map[string][]string{
		"hevc.mp4": {"-c:v", "libx265", "-x265-params", "log-level=none:bframes=0", "-tag:v", "hvc1"},
		"flip.mp4": {"-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p"},
		"m4v.mov":  {"-c:v", "mpeg4", "-bf", "0"},
		"hold.mkv": {"-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p"},
	} {
		k.ffmpeg(append(append(append([]string{}, pictures...), args...), "-video_track_timescale", "90000", "all.mp4")...)
		copied := []string{"-i", "all.mp4", "-c", "copy", "-bsf:v", `setts=pts=PTS:dts=DTS:duration=if(eq(N\,3)\,270000\,DURATION)`}
		switch name {
		case "hevc.mp4":
			copied = append(copied, "-tag:v", "hvc1")
		case "hold.mkv":
			k.ffmpeg(append(copied, "held.mp4")...)
			copied = []string{"-i", "held.mp4", "-c", "copy"}
		}
		k.ffmpeg(append(copied, name)...)
		res, _ := k.video(name, pipeline.Edit{Op: pipeline.OpFlip, Direction: pipeline.FlipHorizontal})
		if p := res.Rendered.Part; abs(p.DurationMS-6000) > 10 || len(p.Warnings) > 0 {
			t.Errorf("%s: %d ms, want 6000; %v", name, p.DurationMS, p.Warnings)
		}
	}
}

// TestUpToTheLimit sends what a recorder makes that stops at the limit.
func TestUpToTheLimit(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r=30:d=2.2", "-f", "lavfi", "-i", "sine=d=2.22", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "a.mp4")
	k.ffmpeg("-i", "a.mp4", "-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus", "-f", "webm", "-live", "1", "unknown.webm")
	prof := transcode.DefaultProfile()
	prof.Video.MaxMS = 2000
	for _, name := range []string{"a.mp4", "unknown.webm"} {
		f := k.file(name)
		m, err := k.tools.Probe(context.Background(), k.dir, f)
		if err != nil {
			t.Fatal(err)
		}
		if err := transcode.CheckLimits(m, prof); err != nil {
			t.Fatal(name, err)
		}
		plan, err := transcode.NewPlan(pipeline.Item{ID: "i1", Kind: pipeline.KindAuto}, m, prof)
		if err != nil {
			t.Fatal(err)
		}
		res, err := k.tools.Video(context.Background(), k.dir, "out-"+name, f, plan.Video, nil, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		if p := res.Rendered.Part; p.DurationMS > 2000 || p.DurationMS < 1990 || len(p.Warnings) > 0 {
			t.Errorf("%s of %d ms: %d ms (%s), %v", name, m.DurationMS, p.DurationMS, p.Method, p.Warnings)
		}
	}
}

// TestClocksThatBeginLate have all their streams begin at 7 s, or days later.
func TestClocksThatBeginLate(t *testing.T) {
	k := newVideoKit(t)
	k.clip("a.mp4")
	for name, args := range map[string][]string{
		"late.mkv":      {"-output_ts_offset", "7"},
		"days.mp4":      {"-output_ts_offset", "200000", "-movflags", "+frag_keyframe+empty_moov"},
		"fragments.mp4": {"-movflags", "+frag_keyframe+empty_moov+default_base_moof"},
		"late.mp4":      {"-output_ts_offset", "7"},
	} {
		k.ffmpeg(append(append([]string{"-i", "a.mp4", "-c", "copy"}, args...), name)...)
		for _, edits := range [][]pipeline.Edit{nil, {{Op: pipeline.OpTrim, StartMS: 500, EndMS: 1500}}} {
			want := int64(2000)
			if edits != nil {
				want = 1000
			}
			res, plan := k.video(name, edits...)
			if p := res.Rendered.Part; abs(p.DurationMS-want) > 40 || len(p.Warnings) > 0 {
				t.Errorf("%s %v: %d ms of %d, %v", name, edits, p.DurationMS, plan.Time.ExpectMS, p.Warnings)
			}
			if err := os.RemoveAll(filepath.Join(k.dir, "out-"+name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestLastFrameOfEveryRate: a clip that is transcoded lasts as long as its source, to a millisecond, at every rate and at the end of a trim.
func TestLastFrameOfEveryRate(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	for rate, pictures := range map[string]int{"12": 25, "15": 31, "24": 49, "25": 51, "24000/1001": 50, "30000/1001": 61, "50": 101, "60000/1001": 121} {
		name := strings.ReplaceAll(rate, "/", "-") + ".mp4"
		k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r="+rate, "-frames:v", fmt.Sprint(pictures), "-c:v", "libx264", "-preset", "veryfast", name)
		want := k.probe(name).DurationMS
		res, _ := k.video(name, pipeline.Edit{Op: pipeline.OpFlip, Direction: pipeline.FlipHorizontal})
		if p := res.Rendered.Part; abs(p.DurationMS-want) > 1 || len(p.Warnings) > 0 {
			t.Errorf("%s a second: %d ms, want %d, %q", rate, p.DurationMS, want, p.Warnings)
		}
	}
	res, _ := k.video("25.mp4", pipeline.Edit{Op: pipeline.OpTrim, StartMS: 500, EndMS: 1730})
	if got := res.Rendered.Part.DurationMS; abs(got-1230) > 1 {
		t.Errorf("the trim lasts %d ms, want 1230", got)
	}
}
