package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// filmScene is a scene of videos.
type filmScene struct{ noteScene }

func newFilmScene(t *testing.T) filmScene {
	t.Helper()
	return filmScene{noteScene{scene{t.TempDir()}}}
}

// clip makes a video of some seconds with sound, from a source of lavfi.
func (s filmScene) clip(t *testing.T, name, source string, seconds int, args ...string) {
	t.Helper()
	d := fmt.Sprintf("%d", seconds)
	s.ffmpeg(t, slices.Concat([]string{"-f", "lavfi", "-i", source + ":d=" + d, "-f", "lavfi", "-i", "sine=d=" + d, "-pix_fmt", "yuv420p"}, args, []string{name})...)
}

// process takes a job through the real engine; with is more of the job.
func (s filmScene) process(t *testing.T, items, with string, flags ...string) (pipeline.Manifest, string) {
	t.Helper()
	job := s.job(t, items)
	if with != "" {
		text := strings.Replace(string(s.read(t, "job.json")), `"message_id"`, with+`, "message_id"`, 1)
		s.write(t, "job.json", []byte(text))
	}
	out := t.TempDir()
	r := call(t.Context(), append([]string{"process", "--job", job, "--out", out, "--json"}, flags...)...)
	return r.manifest(t), out
}

// count says how many renditions of a part have this name and type.
func count(p pipeline.Part, name, mime string) (n int) {
	for _, r := range p.Renditions {
		if r.Name == name && r.MIME == mime {
			n++
		}
	}
	return n
}

// TestVideoOptionalWork asks for a sprite and a small playback, with all the time in the world and with none.
func TestVideoOptionalWork(t *testing.T) {
	scratch := setUp(t)
	s := newFilmScene(t)
	s.clip(t, "a.mp4", "testsrc2=s=480x270:r=15", 7, "-c:v", "libx264", "-preset", "ultrafast", "-g", "15", "-b:v", "400k")
	s.write(t, "profile.json", []byte(`{"video": {"sprite": {"every_ms": 2000}, "small": {"short_edge": 120}}}`))
	profile := filepath.Join(s.dir, "profile.json")
	mute := item("i1", "video", "a.mp4", `{"op": "mute"}`)
	for name, c := range map[string]struct {
		item, with string
		made       int
	}{
		"transcode":         {mute, "", 1},
		"remux":             {item("i1", "video", "a.mp4"), "", 1},
		"a far deadline":    {mute, fmt.Sprintf(`"deadline": %q`, time.Now().Add(time.Hour).Format(time.RFC3339)), 1},
		"a passed deadline": {mute, fmt.Sprintf(`"deadline": %q`, time.Now().Add(-time.Hour).Format(time.RFC3339)), 0},
	} {
		m, out := s.process(t, c.item, c.with, "--profile", profile)
		p := m.Parts[0]
		if p.Status != pipeline.StatusReady || count(p, "playback", "video/mp4") != 1 {
			t.Fatalf("%s: %s, %+v", name, p.Status, p.Error)
		}
		for _, what := range [][2]string{{"small", "video/mp4"}, {"sprite", "image/webp"}, {"sprite", "application/json"}} {
			if got := count(p, what[0], what[1]); got != c.made {
				t.Errorf("%s: %d of %v, want %d", name, got, what, c.made)
			}
		}
		if want := []string{transcode.OptionalSprite, transcode.OptionalSmall}; (c.made == 0) != slices.Equal(p.Degraded, want) || c.made == 1 && p.Degraded != nil {
			t.Errorf("%s: degraded %v", name, p.Degraded)
		}
		if want := map[bool]string{true: transcode.MethodRemux, false: transcode.MethodTranscode}[name == "remux"]; p.Method != want {
			t.Errorf("%s: by %s", name, p.Method)
		}
		checkPart(t, out, p)
		if c.made == 1 {
			s.checkOptional(t, name, out, p)
		}
	}
	leavesNothing(t, scratch)
}

// checkOptional reads the index, and holds sprite and small playback to it and to the video.
func (s filmScene) checkOptional(t *testing.T, name, out string, p pipeline.Part) {
	t.Helper()
	var index transcode.SpriteIndex
	for _, r := range p.Renditions {
		if r.MIME != "application/json" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(out, r.Key))
		if err != nil || json.Unmarshal(data, &index) != nil {
			t.Fatal(name, err)
		}
	}
	if index.Count != 4 || index.Columns != 4 || index.Rows != 1 || index.Width != 160 || index.Height != 90 || index.IntervalMS != 2000 {
		t.Errorf("%s: index %+v", name, index)
	}
	for _, r := range p.Renditions {
		switch {
		case r.Name == "sprite" && r.MIME == "image/webp" && (r.Width != 640 || r.Height != 90):
			t.Errorf("%s: the sprite is %d×%d", name, r.Width, r.Height)
		case r.Name == "small" && (r.Height != 120 || r.Width != 212 || r.Default || r.Size >= p.Renditions[0].Size || abs(r.DurationMS-7000) > frameMS):
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestCancelEndsFFmpegAndLeavesNoFile cancels a message in the middle of its transcode.
func TestCancelEndsFFmpegAndLeavesNoFile(t *testing.T) {
	scratch := setUp(t)
	s := newFilmScene(t)
	s.clip(t, "long.mp4", "testsrc2=s=1280x720:r=30", 20, "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "8M")
	job := s.job(t, item("i1", "video", "long.mp4", `{"op": "mute"}`))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan result, 1)
	go func() { ended <- call(ctx, "process", "--job", job, "--out", t.TempDir(), "--json", "--model", "none") }()
	waitFor(t, "ffmpeg writing its video", func() bool {
		written, _ := filepath.Glob(filepath.Join(scratch, "*", "out", "0", "playback.mp4"))
		return len(written) > 0 && len(descendants(os.Getpid(), "ffmpeg")) > 0
	})
	at := time.Now()
	cancel()
	waitFor(t, "the end of every ffmpeg", func() bool { return len(descendants(os.Getpid(), "ffmpeg")) == 0 })
	if took := time.Since(at); took > time.Second {
		t.Errorf("ffmpeg lived for %v", took)
	}
	if r := <-ended; r.code == exitOK {
		t.Errorf("a cancelled message ended with %d", r.code)
	}
	leavesNothing(t, scratch)
}

// descendants are the processes of this name below pid that are not yet dead.
func descendants(pid int, name string) (found []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		list, _ := os.ReadFile(task)
		for field := range strings.FieldsSeq(string(list)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				continue
			}
			if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child)); err == nil && strings.TrimSpace(string(comm)) == name {
				found = append(found, child)
			}
			found = append(found, descendants(child, name)...)
		}
	}
	return found
}
