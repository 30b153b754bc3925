package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// lightLevels are the boxes clli and mdcv as Android writes them into every HDR10 recording, and a stereo and a spherical view.
func lightLevels() []byte {
	clli := makeBox("clli", 0x03, 0xe8, 0x01, 0x90)
	mdcv := makeBox("mdcv", make([]byte, 24)...)
	for i, v := range []uint16{13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450} {
		binary.BigEndian.PutUint16(mdcv[8+2*i:], v)
	}
	binary.BigEndian.PutUint32(mdcv[24:], 10_000_000)
	binary.BigEndian.PutUint32(mdcv[28:], 50)
	return slices.Concat(clli, mdcv, makeBox("st3d", 0, 0, 0, 0, 1))
}

// withEntryBoxes puts boxes into the sample entry of the only track of a file whose headers come last.
func withEntryBoxes(t *testing.T, file []byte, entry string, boxes []byte) []byte {
	t.Helper()
	if moov, mdat := bytes.Index(file, []byte("moov")), bytes.Index(file, []byte("mdat")); moov < mdat {
		t.Fatal("the headers come first: every offset would move")
	}
	at := bytes.LastIndex(file, []byte(entry)) - 4
	end := at + int(binary.BigEndian.Uint32(file[at:]))
	out := slices.Concat(file[:end], boxes, file[end:])
	for _, kind := range []string{entry, "stsd", "stbl", "minf", "mdia", "trak", "moov"} {
		at := bytes.LastIndex(file[:at+8], []byte(kind)) - 4
		binary.BigEndian.PutUint32(out[at:], binary.BigEndian.Uint32(file[at:])+uint32(len(boxes)))
	}
	return out
}

// TestLightLevelsAreNotDelivered: of an HDR10 recording, which is toned to SDR, of HLG, and of a copy. What comes out plays, verifies and
// holds none of the boxes.
func TestLightLevelsAreNotDelivered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entry, method string
		args          []string
	}{
		"hdr10.mp4": {"hvc1", transcode.MethodTranscode, []string{
			"-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none",
			"-tag:v", "hvc1", "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc", "-color_range", "tv",
		}},
		"hlg.mp4": {"hvc1", transcode.MethodTranscode, []string{
			"-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none",
			"-tag:v", "hvc1", "-color_primaries", "bt2020", "-color_trc", "arib-std-b67", "-colorspace", "bt2020nc", "-color_range", "tv",
		}},
		"copy.mp4": {"avc1", transcode.MethodRemux, []string{"-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newVideoKit(t)
			k.ffmpeg(slices.Concat([]string{"-f", "lavfi", "-i", "testsrc2=s=320x180:r=30:d=1"}, c.args, []string{name})...)
			plain, err := os.ReadFile(filepath.Join(k.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			k.write(name, withEntryBoxes(t, plain, c.entry, lightLevels()))
			res, plan := k.video(name)
			if p := res.Rendered.Part; p.Method != c.method || abs(p.DurationMS-1000) > durationSlackMS || len(p.Warnings) > 0 {
				t.Errorf("%s (%s), %d ms, %v", p.Method, plan.Why, p.DurationMS, p.Warnings)
			}
			k.plainEntry(res)
		})
	}
}

// plainEntry wants a playback without boxes that nobody may deliver, each frame of which still decodes.
func (k *videoKit) plainEntry(res *VideoResult) {
	k.Helper()
	path := res.Rendered.Part.Renditions[0].Path
	data, err := os.ReadFile(filepath.Join(k.dir, path))
	if err != nil {
		k.Fatal(err)
	}
	for _, kind := range []string{"clli", "mdcv", "st3d"} {
		if bytes.Contains(data[:bytes.Index(data, []byte("mdat"))], []byte(kind)) {
			k.Errorf("%s is delivered", kind)
		}
	}
	if out := k.ffmpeg("-i", path, "-map", "0:v", "-f", "framecrc", "-"); bytes.Count(out, []byte("\n0,")) != 30 {
		k.Errorf("%d frames decode, want 30", bytes.Count(out, []byte("\n0,")))
	}
}

// TestAndroidsHDR10 is the recording that was refused.
func TestAndroidsHDR10(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	res, _ := k.video(k.fault("23-what-androids-player-is-tested-with/hdr10-clli.mp4"))
	if p := res.Rendered.Part; abs(p.DurationMS-1000) > durationSlackMS || len(p.Warnings) > 0 {
		t.Errorf("%d ms, %v", p.DurationMS, p.Warnings)
	}
	k.plainEntry(res)
}

// TestUnknownBrand is a movie whose brands nobody knows, and a note whose brand ends in a NUL.
func TestUnknownBrand(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	name := k.fault("23-what-androids-player-is-tested-with/unknown-brand.mp4")
	if f := k.file(name); f.Type != pipeline.TypeMP4 {
		t.Errorf("taken for %s", f.Type.MIME)
	}
	if res, _ := k.video(name); abs(res.Rendered.Part.DurationMS-1020) > durationSlackMS {
		t.Errorf("%d ms", res.Rendered.Part.DurationMS)
	}
	k.ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac", "-brand", "M4A ", "note.m4a")
	note, err := os.ReadFile(filepath.Join(k.dir, "note.m4a"))
	if err != nil {
		t.Fatal(err)
	}
	note[11] = 0
	k.write("note.m4a", note)
	if f := k.file("note.m4a"); f.Type != pipeline.TypeM4A || k.probe("note.m4a").Kind != pipeline.KindVoice {
		t.Errorf("taken for %s", f.Type.MIME)
	}
}
