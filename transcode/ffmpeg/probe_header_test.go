package ffmpeg

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// headersWithinMS is how far the two readings of a duration may lie apart: ffprobe counts an Opus stream's pre-skip and a last frame's
// padding in some containers.
const headersWithinMS = 60

// plainNotes are what phones and browsers record, by name; true = ffprobe is not needed.
var plainNotes = map[string]struct {
	args  []string
	heard bool
}{
	"n.ogg":        {[]string{"-c:a", "libopus"}, true},
	"two.ogg":      {[]string{"-c:a", "libopus", "-ac", "2", "-ar", "48000"}, true},
	"vorbis.ogg":   {[]string{"-c:a", "libvorbis"}, false},
	"n.webm":       {[]string{"-c:a", "libopus"}, true},
	"live.webm":    {[]string{"-c:a", "libopus", "-f", "webm", "-live", "1"}, true},
	"n.mkv":        {[]string{"-c:a", "flac"}, false},
	"n.m4a":        {[]string{"-c:a", "aac"}, true},
	"n.3gp":        {[]string{"-c:a", "aac", "-ar", "16000"}, true},
	"fast.m4a":     {[]string{"-c:a", "aac", "-movflags", "+faststart", "-ac", "2"}, true},
	"pieces.m4a":   {[]string{"-c:a", "aac", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4"}, false},
	"alac.m4a":     {[]string{"-c:a", "alac"}, false},
	"surround.m4a": {[]string{"-c:a", "aac", "-af", "pan=5.1|FC=c0", "-ar", "48000"}, false},
	"n.aac":        {[]string{"-c:a", "aac"}, true},
	"n.wav":        {[]string{"-c:a", "pcm_s16le"}, true},
	"float.wav":    {[]string{"-c:a", "pcm_f32le"}, false},
	"n.mp3":        {[]string{"-c:a", "libmp3lame"}, false},
	"n.flac":       {[]string{"-c:a", "flac"}, false},
}

func TestHeadersSayWhatFFprobeSays(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "anoisesrc=d=1:a=0.1:r=44100", "src.wav")
	for name, c := range plainNotes {
		t.Run(name, func(t *testing.T) {
			k := &videoKit{T: t, tools: k.tools, dir: k.dir}
			k.ffmpeg(append(append([]string{"-i", "src.wav"}, c.args...), name)...)
			k.agrees(name, c.heard)
		})
	}
	for _, name := range []string{"voice/speech-18s.ogg", "voice/speech-18s-browser.webm", "voice/speech-75s.m4a", "hostile/file-type-fixture.amr"} {
		k.agrees(k.fixture(name), true)
	}
}

// agrees holds that the two readings of a file are the same.
func (k *videoKit) agrees(name string, heard bool) {
	k.Helper()
	f := k.file(name)
	got, ok := hear(k.dir, f)
	if ok != heard {
		k.Fatalf("%s: read here: %v, want %v", name, ok, heard)
	}
	want, err := k.tools.askProbe(k.Context(), k.dir, f)
	if err != nil {
		k.Fatalf("%s: %v", name, err)
	}
	if !ok {
		return
	}
	said := func(m pipeline.Media) string {
		return fmt.Sprint(m.Kind, m.MIME, m.Format, m.Size, m.Streams, m.Video, m.Audio.Index, m.Audio.Codec, m.Audio.SampleRate, m.Audio.Channels)
	}
	if said(got) != said(want) {
		k.Errorf("%s: %s, ffprobe: %s", name, said(got), said(want))
	}
	if d := got.DurationMS - want.DurationMS; d > headersWithinMS || d < -headersWithinMS {
		k.Errorf("%s: %d ms, ffprobe: %d", name, got.DurationMS, want.DurationMS)
	}
}

// TestHeadersLeaveTheOddToFFprobe holds that whatever has more in it than one voice is not read here.
func TestHeadersLeaveTheOddToFFprobe(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64:d=0.04", "-frames:v", "1", "cover.jpg")
	sound := []string{"-f", "lavfi", "-i", "sine=d=1"}
	two := append(append([]string{}, sound...), "-f", "lavfi", "-i", "sine=d=2", "-map", "0", "-map", "1")
	pictured := append(append([]string{}, sound...), "-i", "cover.jpg", "-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v:0", "attached_pic")
	video := append(append([]string{}, sound...), "-f", "lavfi", "-i", "testsrc2=s=64x64:d=1", "-pix_fmt", "yuv420p")
	k.writeFile("chapters.txt", []byte(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=one\n"))
	for name, args := range map[string][]string{
		"cover.m4a": pictured, "two.m4a": append(two, "-c:a", "aac"), "two.ogg": append(two, "-c:a", "libopus"), "two.webm": append(two, "-c:a", "libopus"),
		"video.mp4": append(video, "-c:v", "libx264", "-c:a", "aac"), "video.webm": append(video, "-c:v", "libvpx", "-c:a", "libopus"),
		"chapters.m4a": append(append([]string{}, sound...), "-i", "chapters.txt", "-map_chapters", "1", "-c:a", "aac"),
		"attached.mkv": append(append([]string{}, sound...), "-attach", "cover.jpg", "-metadata:s:t", "mimetype=image/jpeg", "-c:a", "libopus"),
	} {
		k.ffmpeg(append(args, name)...)
		if m, ok := hear(k.dir, k.file(name)); ok {
			t.Errorf("%s: read as %+v", name, m)
		}
	}
}

// TestDamagedHeadersKeepTheirBounds turns bytes around: nothing makes the reader panic, and what it takes is one voice within bounds.
func TestDamagedHeadersKeepTheirBounds(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "anoisesrc=d=1:a=0.1:r=44100", "src.wav")
	random := rand.New(rand.NewPCG(3, 9))
	for _, name := range []string{"n.ogg", "n.webm", "n.m4a", "n.aac", "n.wav"} {
		k.ffmpeg(append(append([]string{"-i", "src.wav"}, plainNotes[name].args...), name)...)
		data := k.readFile(name)
		head := min(len(data), 600)
		if strings.HasSuffix(name, "m4a") {
			head = len(data) // the headers stand last
		}
		for i := range 100 {
			bad := append([]byte{}, data...)
			for range 1 + i%3 {
				bad[len(data)-1-random.IntN(head)] ^= byte(1 + random.IntN(255))
				bad[random.IntN(head)] ^= byte(1 + random.IntN(255))
			}
			k.writeFile("bad", bad)
			f := pipeline.File{Path: "bad", Size: int64(len(bad)), Type: k.file(name).Type}
			if m, ok := hear(k.dir, f); ok && (m.Audio.Channels > 2 || m.DurationMS < 0 || m.Audio.SampleRate < 4000) {
				t.Fatalf("%s: %+v", name, m)
			}
		}
	}
}

// TestHeadersOfEmptyChunksEnd holds that files made of nothing but empty elements cost a bounded number of reads.
func TestHeadersOfEmptyChunksEnd(t *testing.T) {
	dir := t.TempDir()
	webm := append([]byte("\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff"), make([]byte, 1<<20)...)
	for i := 17; i+1 < len(webm); i += 2 {
		binary.BigEndian.PutUint16(webm[i:], 0xEC80)
	}
	wav := append([]byte("RIFF\xff\xff\xff\x7fWAVE"), strings.Repeat("LIST\x00\x00\x00\x00", 1<<17)...)
	for name, f := range map[string]struct {
		data []byte
		typ  pipeline.Type
	}{"webm": {webm, pipeline.TypeWebM}, "wav": {wav, pipeline.TypeWAV}} {
		if err := os.WriteFile(filepath.Join(dir, name), f.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok := hear(dir, pipeline.File{Path: name, Type: f.typ, Size: int64(len(f.data))}); ok {
			t.Errorf("%s was read", name)
		}
		if f.typ == pipeline.TypeWAV && cutShort(filepath.Join(dir, name), f.typ) {
			t.Errorf("%s: cut short", name)
		}
	}
}
