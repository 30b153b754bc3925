package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// noteScene is a scene of sound.
type noteScene struct{ scene }

// voiceNote processes one file of the scene as a voice note, through the real engine.
func (s noteScene) voiceNote(t *testing.T, kind, name string, flags ...string) (pipeline.Part, int) {
	t.Helper()
	one := scene{t.TempDir()}
	if err := os.Symlink(filepath.Join(s.dir, name), filepath.Join(one.dir, name)); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"process", "--job", one.job(t, item("note", kind, name)), "--out", t.TempDir(), "--json", "--model", "none"}, flags...)
	r := call(t.Context(), args...)
	return r.manifest(t).Parts[0], r.code
}

func (s noteScene) ffmpeg(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...)
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
	}
}

// badNotes makes what must be refused.
func badNotes(t *testing.T) noteScene {
	t.Helper()
	s := noteScene{scene{t.TempDir()}}
	sine := func(seconds string) []string { return []string{"-f", "lavfi", "-i", "sine=r=8000:d=" + seconds} }
	s.ffmpeg(t, append(sine("0.2"), "short.wav")...)
	s.ffmpeg(t, append(sine("0.2"), "-c:a", "libopus", "short.ogg")...)
	s.ffmpeg(t, append(sine("660"), "-c:a", "pcm_mulaw", "eleven.wav")...)
	s.ffmpeg(t, append(sine("660"), "-c:a", "libmp3lame", "-b:a", "8k", "-write_xing", "0", "eleven.mp3")...)
	s.ffmpeg(t, append(sine("2"), "-c:a", "ac3", "-ar", "48000", "-f", "mp4", "foreign.m4a")...)
	s.ffmpeg(t, append(sine("2"), "-c:a", "pcm_s16le", "good.wav")...)
	s.ffmpeg(t, "-f", "lavfi", "-i", "testsrc2=s=64x64:d=1", "-f", "lavfi", "-i", "sine=d=1", "-c:v", "libx264", "-c:a", "aac", "-f", "mp4", "video.m4a")
	s.ffmpeg(t, "-f", "lavfi", "-i", "testsrc2=s=64x64:d=1", "-c:v", "libx264", "silent.mp4")
	s.write(t, "words.srt", []byte("1\n00:00:00,000 --> 00:00:02,000\nhello\n"))
	s.ffmpeg(t, "-i", "words.srt", "-c:s", "mov_text", "words.mp4")
	s.write(t, "concat.m4a", []byte("ffconcat version 1.0\nfile good.wav\n"))
	s.write(t, "list.m4a", []byte("#EXTM3U\n#EXTINF:1,\ngood.wav\n"))
	s.write(t, "hidden.m4a", append([]byte("\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00M4A mp42"), "ffconcat version 1.0\nfile good.wav\n"...))
	s.write(t, "empty.ogg", nil)
	s.write(t, "noise.ogg", append([]byte("OggS"), bytes.Repeat([]byte{7}, 4000)...))
	s.write(t, "large.wav", append(s.read(t, "good.wav"), make([]byte, 20<<20)...))
	return s
}

func TestVoiceBadInputHasItsCode(t *testing.T) {
	scratch := setUp(t)
	s := badNotes(t)
	for _, c := range []struct {
		name, kind string
		want       pipeline.Code
	}{
		{"words.mp4", "voice", pipeline.CodeNoAudio},
		{"silent.mp4", "voice", pipeline.CodeUnsupportedType},
		{"video.m4a", "voice", pipeline.CodeUnsupportedType},
		{"foreign.m4a", "voice", pipeline.CodeUnsupportedType},
		{"short.wav", "voice", pipeline.CodeTooShort},
		{"short.ogg", "auto", pipeline.CodeTooShort},
		{"eleven.wav", "voice", pipeline.CodeTooLong},
		{"eleven.mp3", "auto", pipeline.CodeTooLong},
		{"large.wav", "voice", pipeline.CodeTooLarge},
		{"large.wav", "auto", pipeline.CodeTooLarge},
		{"concat.m4a", "voice", pipeline.CodeUnsupportedType},
		{"list.m4a", "auto", pipeline.CodeUnsupportedType},
		{"hidden.m4a", "voice", pipeline.CodeCorrupt},
		{"empty.ogg", "voice", pipeline.CodeCorrupt},
		{"noise.ogg", "voice", pipeline.CodeCorrupt},
		{"good.wav", "photo", pipeline.CodeTypeMismatch},
		{"good.wav", "video", pipeline.CodeNoVideo},
		{"good.wav", "voice", ""},
	} {
		t.Run(c.kind+" "+c.name, func(t *testing.T) {
			part, code := s.voiceNote(t, c.kind, c.name)
			var got pipeline.Code
			if part.Error != nil {
				got = part.Error.Code
			}
			if want := map[bool]int{true: exitOK, false: exitRejected}[c.want == ""]; got != c.want || code != want {
				t.Errorf("code %q, exit %d, want %q, %d (%+v)", got, code, c.want, want, part.Error)
			}
			if part.Error != nil && (part.Error.Message == "" || len(part.Renditions) > 0) {
				t.Errorf("%+v with %d renditions", part.Error, len(part.Renditions))
			}
		})
	}
	leavesNothing(t, scratch)
}

// TestVoiceCutAnywhere holds that what a broken upload leaves is corrupt or too short, or is delivered and says that it is cut.
func TestVoiceCutAnywhere(t *testing.T) {
	scratch := setUp(t)
	s := noteScene{scene{t.TempDir()}}
	for name, codec := range map[string]string{
		"n.ogg": "libopus", "n.webm": "libopus", "n.m4a": "aac", "n.aac": "aac", "n.mp3": "libmp3lame", "n.wav": "pcm_s16le", "n.flac": "flac",
		"n.3gp": "aac", "n.caf": "pcm_s16be",
	} {
		s.ffmpeg(t, "-f", "lavfi", "-i", "anoisesrc=d=1:a=0.1:r=16000", "-c:a", codec, name)
		whole := s.read(t, name)
		for _, at := range []int{3, len(whole) / 3, len(whole)*9/10 + 1} {
			t.Run(fmt.Sprintf("%s at %d", name, at), func(t *testing.T) {
				cut := fmt.Sprintf("cut%d%s", at, name)
				s.write(t, cut, whole[:at])
				part, _ := s.voiceNote(t, "voice", cut)
				switch e := part.Error; {
				case e == nil && !strings.Contains(strings.Join(part.Warnings, " "), "truncated"):
					t.Errorf("ready, %d ms, without a warning", part.DurationMS)
				case e != nil && e.Code != pipeline.CodeCorrupt && e.Code != pipeline.CodeTooShort && e.Code != pipeline.CodeUnsupportedType:
					t.Errorf("%+v", e)
				}
			})
		}
	}
	leavesNothing(t, scratch)
}

// TestVoiceOverlengthCanBeRefused sets the profile as an integrator would.
func TestVoiceOverlengthCanBeRefused(t *testing.T) {
	setUp(t)
	s := noteScene{scene{t.TempDir()}}
	s.ffmpeg(t, "-f", "lavfi", "-i", "sine=r=8000:d=61", "long.wav")
	if part, _ := s.voiceNote(t, "voice", "long.wav"); part.DurationMS != 60_000 || !part.Trimmed || part.SourceDurationMS != 61_000 {
		t.Errorf("%d of %d ms, trimmed %v", part.DurationMS, part.SourceDurationMS, part.Trimmed)
	}
	s.write(t, "profile.json", []byte(`{"voice": {"overlength": "reject"}}`))
	part, _ := s.voiceNote(t, "voice", "long.wav", "--profile", filepath.Join(s.dir, "profile.json"))
	if part.Error == nil || part.Error.Code != pipeline.CodeTooLong {
		t.Errorf("%+v", part.Error)
	}
}
