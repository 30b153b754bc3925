package ffmpeg

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// onTarget measures what either rendition decodes to, with ffmpeg's meter and nothing of ours.
func (k *videoKit) onTarget(part *pipeline.Part) {
	k.Helper()
	for _, r := range part.Renditions {
		if got, peak := k.meterOf(r.Path); math.Abs(got+16) > loudnessWindow || peak > decodedPeakDB {
			k.Errorf("%s: %v LUFS, %v dBTP; %+v", r.Path, got, peak, *part.Loudness)
		}
	}
	if part.Loudness.Capped {
		k.Errorf("capped: %+v", *part.Loudness)
	}
}

func TestRecordedSpeechReachesTheTarget(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"natural-dialogue.opus", "natural-male-16k.wav", "speech-18s-browser.webm", "speech-18s.ogg", "speech-75s.m4a", "wideband-male.wav",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newVideoKit(t)
			k.onTarget(k.mustNote(k.fixture("voice/" + name)))
		})
	}
}

// TestWhispersReachTheTarget: of what is nearly noise, Opus takes more than of a voice.
func TestWhispersReachTheTarget(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.speech("speech.wav", 1) // skips where there is no espeak-ng
	text := "This is a whisper that nobody else should get, please do not play it on the loudspeaker."
	if err := exec.Command("espeak-ng", "-v", "en+whisper", "-w", filepath.Join(k.dir, "whisper.wav"), text).Run(); err != nil {
		t.Fatal(err)
	}
	k.onTarget(k.mustNote("whisper.wav"))
}

// crestOf is peak to RMS, dB.
func crestOf(x []float32) float64 {
	return decibel(float64(samplePeak(x))) - 10*math.Log10(squares(x)/float64(len(x)))
}

// crested gives speech a crest factor by bending its samples: loud ones up or down.
func crested(x []float32, db float64) []float32 {
	out := make([]float32, len(x))
	low, high := 0.1, 3.0
	for range 30 {
		power := (low + high) / 2
		for i, v := range x {
			out[i] = float32(math.Copysign(0.9*math.Pow(math.Abs(float64(v)), power), float64(v)))
		}
		if crestOf(out) > db {
			high = power
		} else {
			low = power
		}
	}
	return out
}

func TestSpeechOfAnyCrestReachesTheTarget(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.speech("speech.wav", 6)
	x := k.pcm("speech.wav")
	for _, db := range []float64{8, 12, 16, 20, 24} {
		t.Run(fmt.Sprint(db), func(t *testing.T) {
			t.Parallel()
			k := &videoKit{T: t, tools: k.tools, dir: k.dir}
			y := crested(x, db)
			if got := crestOf(y); math.Abs(got-db) > 0.2 {
				t.Fatalf("a crest factor of %v", got)
			}
			name := fmt.Sprintf("crest%v.wav", db)
			k.wav(name, 1, y)
			k.onTarget(k.mustNote(name))
		})
	}
}

// TestQuietNotes: a clean one is made louder by up to 30 dB, one whose own noise would come up by no more than 20.
func TestQuietNotes(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.speech("speech.wav", 5)
	lufs, _ := k.meterOf("speech.wav")
	x := k.pcm("speech.wav")
	rng := rand.New(rand.NewPCG(1, 2))
	for name, c := range map[string]struct {
		lufs, noise float64 // noise in dBFS
	}{"clean": {-43, -90}, "noisy": {-43, -62}} {
		t.Run(name, func(t *testing.T) {
			y := make([]float32, len(x))
			for i, v := range x {
				y[i] = v*float32(amplitude(c.lufs-lufs)) + float32(rng.NormFloat64()*amplitude(c.noise))
			}
			k := &videoKit{T: t, tools: k.tools, dir: k.dir}
			k.wav(name+".wav", 1, y)
			part := k.mustNote(name + ".wav")
			if name == "clean" {
				k.onTarget(part)
				return
			}
			if l := part.Loudness; !l.Capped || l.GainDB > 20.05 || l.GainDB < 19 {
				t.Errorf("%+v", *l)
			}
		})
	}
}

// steadyGainDB is how far below its median the gain of speech may lie in at most a twentieth of it: what more a limiter takes than that
// is heard as the voice ducking under its own loudest syllables.
const steadyGainDB = 10.0

func TestTheLimiterDoesNotPump(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"natural-dialogue.opus", "natural-male-16k.wav", "speech-18s.ogg", "speech-75s.m4a", "wideband-male.wav"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newVideoKit(t)
			n := &note{pcm: k.pcm(k.fixture("voice/" + name))}
			before := slices.Clone(n.pcm)
			p := transcode.DefaultProfile().Voice
			n.meter = newMeter(n.pcm)
			n.in = n.meter.loudness()
			n.gain = planGain(n.in, p)
			n.level(p)
			floor := energyOf(n.in.LUFS + relGate)
			var gains []float64
			for i, e := range n.meter.frames() {
				if from, to := i*frameLen, min((i+1)*frameLen, len(before)); e > floor {
					gains = append(gains, 10*math.Log10(squares(n.pcm[from:to])/squares(before[from:to])))
				}
			}
			slices.Sort(gains)
			if low, median := gains[len(gains)/20], gains[len(gains)/2]; median-low > steadyGainDB {
				t.Errorf("a gain of %.1f dB, but %.1f in a twentieth of the speech", median, low)
			}
		})
	}
}
