package main

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// TestAnAmbiguousCopyIsTranscoded sends videos that would be copied and that decoders show differently: one with a part of a picture missing,
// one with a picture in luma below black. What one decoder made of them is judged and delivered.
func TestAnAmbiguousCopyIsTranscoded(t *testing.T) {
	setUp(t)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	clip := func(file, source string, args ...string) {
		tool(t, "ffmpeg", slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p"}, copied, args, []string{in(file)})...)
	}
	clip("whole.mp4", "testsrc2=s=320x192:r=10:d=2", "-g", "10", "-threads", "1", "-x264-params", "slices=2")
	clip("damaged.mp4", "testsrc2=s=320x192:r=10:d=12", "-g", "10", "-threads", "1", "-x264-params", "slices=2")
	dropSlice(t, in("damaged.mp4"), 5)
	clip("dark.mp4", "color=black:s=320x192:r=10:d=2,format=yuv420p,geq=lum='if(lt(X,160),1,15)':cb=128:cr=128,setparams=range=tv", "-qp", "1", "-color_range", "tv")
	out := t.TempDir()
	m := sendOut(t, dir, out, nil, []attack{{file: "whole.mp4"}, {file: "damaged.mp4"}, {file: "dark.mp4"}}, teen)
	for i, want := range []string{transcode.MethodRemux, transcode.MethodTranscode, transcode.MethodTranscode} {
		p := m.Parts[i]
		if p.Method != want || p.Moderation == nil || p.Moderation.Coverage != 1 || p.Moderation.Level == pipeline.LevelUnknown {
			t.Errorf("part %d: %s, want %s; %+v %+v", i, p.Method, want, p.Error, p.Moderation)
		}
	}
	playback := slices.IndexFunc(m.Parts[2].Renditions, func(r pipeline.Rendition) bool { return r.Name == "playback" })
	raw, err := exec.Command("ffmpeg", "-v", "error", "-i", filepath.Join(out, m.Parts[2].Renditions[playback].Key), "-vf", "extractplanes=y", "-f", "rawvideo", "-").Output()
	if err != nil || len(raw) < 320*192 || slices.Min(raw) < 14 || slices.Max(raw) > 18 {
		t.Errorf("luma %d to %d in %d bytes, %v", slices.Min(raw), slices.Max(raw), len(raw), err)
	}
}

// dropSlice takes the second slice out of a picture.
func dropSlice(t *testing.T, file string, picture int) {
	t.Helper()
	said, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pos", "-of", "json", file).Output()
	var list struct {
		Packets []struct {
			Pos string `json:"pos"`
		} `json:"packets"`
	}
	if err != nil || json.Unmarshal(said, &list) != nil || len(list.Packets) <= picture {
		t.Fatalf("%v: %s", err, said)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at, err := strconv.Atoi(list.Packets[picture].Pos)
	if err != nil {
		t.Fatal(err)
	}
	second := data[at+4+int(binary.BigEndian.Uint32(data[at:])):]
	second[4] = 30 // of no meaning: no decoder shows it
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
