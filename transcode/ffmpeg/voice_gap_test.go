package ffmpeg

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// soundFault copies a file of the shared faults into the kit's directory.
func (k *videoKit) soundFault(name string) string {
	k.Helper()
	data, err := os.ReadFile(filepath.Join("../../../shared/faults", name))
	if err != nil {
		k.Skipf("shared fault %s is not here", name)
	}
	k.write(filepath.Base(name), data)
	return filepath.Base(name)
}

// gapMS is how far a note with gaps may be from its length: one packet and the encoder's padding.
const gapMS = 80

// TestGapsAreSilence holds that a pause which nobody recorded is as long as it was, and that no such note is called damaged.
func TestGapsAreSilence(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int64{"dtx.webm": 6000, "dtx.ogg": 6000, "gap.m4a": 6000, "start10.webm": 6000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newVideoKit(t)
			part := k.mustNote(k.soundFault("11-voice-gaps/" + name))
			if math.Abs(float64(part.DurationMS-want)) > gapMS || len(part.Warnings) > 0 {
				t.Errorf("%d ms, %q", part.DurationMS, part.Warnings)
			}
			if name == "start10.webm" || name == "dtx.ogg" {
				return // other sound, and an Ogg whose gaps lie within its pages, which say only when they end
			}
			const last = 5150 // ms, within the last beep; 4.5 s is silence
			x := k.pcm(part.Renditions[0].Path)
			at := func(ms int64) []float32 { return x[ms*rateHz/1000:][:4*frameLen] }
			if beep, pause := squares(at(last)), squares(at(4500)); beep < 100*pause {
				t.Errorf("the beep at 5.1 s has %v, the pause at 4.5 s %v", beep, pause)
			}
		})
	}
}

func TestAMRKeepsItsPauses(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	speech := amrFrames(50)[len("#!AMR\n"):]
	pause := append([]byte{0x44, 1, 2, 3, 4, 0x10}, bytes.Repeat([]byte{0x7c}, 99)...) // a silence descriptor, then nothing to send
	data := append([]byte("#!AMR\n"), speech...)
	k.write("dtx.amr", append(append(data, pause...), speech...))
	part := k.mustNote("dtx.amr")
	if math.Abs(float64(part.DurationMS-4000)) > gapMS || len(part.Warnings) > 0 {
		t.Errorf("%d ms, %q", part.DurationMS, part.Warnings)
	}
}

func TestMP3BehindZerosIsFound(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	part := k.mustNote(k.soundFault("23-what-androids-player-is-tested-with/mp3-after-zeros.mp3"))
	if math.Abs(float64(part.DurationMS-2800)) > gapMS || len(part.Warnings) > 0 {
		t.Errorf("%d ms, %q", part.DurationMS, part.Warnings)
	}
}

// TestOpposedChannelsKeepTheirLevel mixes a channel and its inverse at half the level, over uncorrelated noise that mixing must not raise.
func TestOpposedChannelsKeepTheirLevel(t *testing.T) {
	left := tone(rateHz, 300, 0.4)
	s := &voicePCM{channels: 2}
	for _, v := range left {
		s.kept = append(s.kept, v, -v/2)
	}
	if lost := decibel(0.4 / float64(samplePeak(s.mono()))); lost > 3 {
		t.Errorf("%.1f dB lost", lost)
	}
}

// TestTheDefaultSoundIsTaken holds that the track is delivered that a player would play, wherever it stands, and never one that is not taken.
func TestTheDefaultSoundIsTaken(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	for name, args := range map[string][]string{
		"second.mka":  {"-c:a", "libopus", "-disposition:a:0", "0", "-disposition:a:1", "default"},
		"foreign.m4a": {"-c:a:0", "ac3", "-c:a:1", "aac", "-f", "mp4"},
	} {
		k.ffmpeg(append(append([]string{
			"-f", "lavfi", "-i", "sine=f=440:d=1", "-f", "lavfi", "-i", "sine=f=2000:d=3", "-map", "0", "-map", "1",
		}, args...), name)...)
		if part := k.mustNote(name); math.Abs(float64(part.DurationMS-3000)) > gapMS {
			t.Errorf("%s: %d ms, want the second track's 3000", name, part.DurationMS)
		}
	}
}

// TestXHEAACIsNamed is 3 s of a tone in a codec that ffmpeg decodes from 7.1 on, in its plain form: a note, or refused by its name.
func TestXHEAACIsNamed(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	part, err := k.note(k.fixture("hostile/mp4parse-rust-sine-3s-xhe-aac-44khz-mono.mp4"))
	if err != nil {
		if wantCode(t, err, pipeline.CodeUnsupportedType); !strings.Contains(err.Error(), "xHE-AAC") {
			t.Errorf("%v names no codec", err)
		}
		return
	}
	x := k.pcm(part.Renditions[0].Path)
	if hertz := crossings(x[rateHz/2:rateHz*5/2]) / 4; math.Abs(hertz-500) > 5 || math.Abs(float64(part.DurationMS-3000)) > gapMS {
		t.Errorf("%d ms of %.0f Hz, want 3000 of 500", part.DurationMS, hertz)
	}
}

// crossings counts how often a sound changes its sign.
func crossings(x []float32) (n float64) {
	for i := 1; i < len(x); i++ {
		if (x[i] >= 0) != (x[i-1] >= 0) {
			n++
		}
	}
	return n
}

// TestUnknownSoundIsNamed reads what ffmpeg 5.1 and 7.1 log of sound that they do not decode.
func TestUnknownSoundIsNamed(t *testing.T) {
	for log, want := range map[string]string{
		"[aac @ 0x1] Audio object type 42 is not implemented. Update your FFmpeg version":      "xHE-AAC",
		"[aac @ 0x1] AAC USAC eSBR is not implemented. Update your FFmpeg version":             "xHE-AAC",
		"[aac @ 0x1] AAC USAC Mps212 is not implemented. Update your FFmpeg version":           "xHE-AAC",
		"[aac @ 0x1] AAC USAC timewarping is not implemented. Update your FFmpeg version":      "xHE-AAC",
		"[aac @ 0x1] Audio object type 39 is not implemented. Update your FFmpeg version":      "AAC-ELD",
		"[aac @ 0x1] Audio object type 77 is not implemented. Update your FFmpeg version":      "MPEG-4-audio-77",
		"[aac @ 0x1] Number of bands (40) exceeds limit (39). This is not implemented, either": "",
	} {
		if got := unknownSound(log); got != want {
			t.Errorf("%s: %q, want %q", log, got, want)
		}
	}
}
