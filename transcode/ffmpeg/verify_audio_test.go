package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

func TestVerifyAudioRefusesWhatIsNotAsItShouldBe(t *testing.T) {
	k := newVideoKit(t)
	k.speech("speech.wav", 1)
	part := k.mustNote("speech.wav")
	ogg, m4a := part.Renditions[0], part.Renditions[1]
	k.ffmpeg("-i", m4a.Path, "-c", "copy", "-map_metadata", "-1", "-fflags", "+bitexact", "-f", "ipod", "last.m4a") // moov after mdat
	k.ffmpeg("-i", m4a.Path, "-c", "copy", "-metadata", "title=X", "-movflags", "+faststart", "tagged.m4a")
	k.ffmpeg("-i", "speech.wav", "-ac", "2", "-ar", "48000", "-c:a", "aac", "-map_metadata", "-1", "-fflags", "+bitexact", "-movflags", "+faststart", "-f", "ipod", "stereo.m4a")
	k.ffmpeg("-i", ogg.Path, "-c", "copy", "-metadata", "title=X", "-fflags", "+bitexact", "tagged.ogg")
	k.ffmpeg("-i", "speech.wav", "-ac", "2", "-c:a", "libopus", "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "stereo.ogg")
	k.ffmpeg("-i", "speech.wav", "-t", "0.5", "-c:a", "libopus", "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "half.ogg")
	data := k.readFile(ogg.Path)
	k.writeFile("cut.ogg", data[:len(data)*2/3])
	flipped := bytes.Clone(data)
	flipped[len(flipped)/2] ^= 1
	k.writeFile("flipped.ogg", flipped)
	whole := k.readFile(m4a.Path)
	k.writeFile("cut.m4a", whole[:len(whole)-100])
	k.writeFile("empty.m4a", nil)
	for name, r := range map[string]pipeline.Rendition{
		"last.m4a": m4a, "tagged.m4a": m4a, "stereo.m4a": m4a, "cut.m4a": m4a, "empty.m4a": m4a,
		"tagged.ogg": ogg, "stereo.ogg": ogg, "half.ogg": ogg, "cut.ogg": ogg, "flipped.ogg": ogg, "missing.ogg": ogg,
	} {
		r.Path = name
		if name != "missing.ogg" {
			r.Size = int64(len(k.readFile(name)))
		}
		if err := k.tools.VerifyAudio(t.Context(), k.dir, r); codeOf(err) != pipeline.CodeEncodeFailed {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrongSize := ogg
	wrongSize.Size++
	if err := k.tools.VerifyAudio(t.Context(), k.dir, wrongSize); codeOf(err) != pipeline.CodeEncodeFailed {
		t.Error("another size than promised:", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.tools.VerifyAudio(ctx, k.dir, ogg); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzReadOpus(f *testing.F) {
	f.Add([]byte("OggS\x00\x02"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if o, err := readOpus(bytes.NewReader(data)); err == nil && o.Packets == 0 {
			t.Error("nothing is taken for sound")
		}
	})
}
