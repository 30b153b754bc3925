package ffmpeg

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// note runs one file of the kit through probe, plan, Voice and VerifyAudio.
func (k *videoKit) note(name string, edits ...pipeline.Edit) (*pipeline.Part, error) {
	k.Helper()
	return k.noteWith(name, transcode.DefaultProfile(), edits...)
}

func (k *videoKit) noteWith(name string, prof transcode.Profile, edits ...pipeline.Edit) (*pipeline.Part, error) {
	k.Helper()
	f := k.file(name)
	m, err := k.tools.Probe(k.Context(), k.dir, f)
	if err != nil {
		return nil, err
	}
	plan, err := transcode.NewPlan(pipeline.Item{Kind: pipeline.KindVoice, Edits: edits}, m, prof)
	if err != nil {
		return nil, err
	}
	r, err := k.tools.Voice(k.Context(), k.dir, "out-"+name, f, plan.Voice, nil)
	if err != nil {
		return nil, err
	}
	for _, rendition := range r.Part.Renditions {
		if err := k.tools.VerifyAudio(k.Context(), k.dir, rendition); err != nil {
			return nil, err
		}
	}
	return &r.Part, nil
}

func (k *videoKit) mustNote(name string, edits ...pipeline.Edit) *pipeline.Part {
	k.Helper()
	part, err := k.note(name, edits...)
	if err != nil {
		k.Fatalf("%s: %v", name, err)
	}
	return part
}

// speech makes n seconds of real speech, mono, 22,050 Hz, peaking at half of full scale.
func (k *videoKit) speech(name string, seconds float64) {
	k.Helper()
	if _, err := exec.LookPath("espeak-ng"); err != nil {
		k.Skip("espeak-ng is not installed: no speech to test with")
	}
	text := strings.Repeat("The quick brown fox jumps over the lazy dog, and nobody at the lake has seen it come back. ", 1+int(seconds/4))
	if err := exec.Command("espeak-ng", "-w", filepath.Join(k.dir, "raw-"+name), text).Run(); err != nil {
		k.Fatal(err)
	}
	k.ffmpeg("-i", "raw-"+name, "-t", fmt.Sprint(seconds), "-af", "volume=0.5", name)
}

// pcm decodes a file of the kit to mono 48 kHz floats, with ffmpeg and nothing of ours.
func (k *videoKit) pcm(name string) []float32 {
	k.Helper()
	raw := k.ffmpeg("-i", name, "-f", "f32le", "-ac", "1", "-ar", "48000", "pipe:1")
	return floats(raw)
}

// wav writes 48 kHz float samples, interleaved.
func (k *videoKit) wav(name string, channels int, x []float32) {
	k.Helper()
	raw := make([]byte, 4*len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	if err := os.WriteFile(filepath.Join(k.dir, name+".raw"), raw, 0o600); err != nil {
		k.Fatal(err)
	}
	k.ffmpeg("-f", "f32le", "-ar", "48000", "-ac", strconv.Itoa(channels), "-i", name+".raw", "-c:a", "pcm_f32le", name)
}

// meterOf asks ffmpeg's ebur128 filter.
func (k *videoKit) meterOf(name string) (lufs, peak float64) {
	k.Helper()
	cmd := exec.Command(k.tools.FFmpeg, "-hide_banner", "-nostats", "-i", name, "-af", "ebur128=peak=true", "-f", "null", "-")
	cmd.Dir = k.dir
	log, err := cmd.CombinedOutput()
	if err != nil {
		k.Fatalf("%v\n%s", err, log)
	}
	summary := log[bytes.LastIndex(log, []byte("Summary:")):]
	find := func(label string) float64 {
		m := regexp.MustCompile(label + `:\s+(-?[\d.]+|-?inf|nan)`).FindSubmatch(summary)
		if m == nil {
			k.Fatalf("no %s in\n%s", label, summary)
		}
		v, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			k.Fatal(err)
		}
		return v
	}
	return find("I"), find("Peak")
}

// paddingMS is how much longer a decoded note may be than what was encoded: ADTS has no way to say that the encoder's first frame
// and the rest of its last are not sound, two frames at 22,050 Hz.
const paddingMS = 93

func TestVoiceTakesEveryContainer(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.speech("speech.wav", 1)
	for name, args := range map[string][]string{
		"note.ogg":      {"-c:a", "libopus"},
		"note.webm":     {"-c:a", "libopus"},
		"note.m4a":      {"-c:a", "aac"},
		"note.aac":      {"-c:a", "aac"},
		"note.mp3":      {"-c:a", "libmp3lame"},
		"note.wav":      {"-c:a", "pcm_s16le"},
		"note.flac":     {"-c:a", "flac"},
		"note.3gp":      {"-c:a", "aac"},
		"note.caf":      {"-c:a", "alac"},
		"pcm.caf":       {"-c:a", "pcm_s16be"},
		"ulaw.wav":      {"-c:a", "pcm_mulaw", "-ar", "8000"},
		"wide.flac":     {"-c:a", "flac", "-ar", "96000", "-sample_fmt", "s32"},
		"surround.flac": {"-c:a", "flac", "-af", "pan=5.1|FC=c0", "-ar", "48000"},
		"stereo.m4a":    {"-c:a", "aac", "-ac", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &videoKit{T: t, tools: k.tools, dir: k.dir}
			k.ffmpeg(append(append([]string{"-i", "speech.wav"}, args...), name)...)
			k.checkNote(k.mustNote(name), 1000, paddingMS)
		})
	}
}

// checkNote holds a part to what every listener relies on. The duration may differ by an encoder's padding.
func (k *videoKit) checkNote(p *pipeline.Part, wantMS, withinMS int64) {
	k.Helper()
	if p.Kind != pipeline.KindVoice || math.Abs(float64(p.DurationMS-wantMS)) > float64(withinMS) || p.Silent {
		k.Errorf("kind %s, %d ms, silent %v", p.Kind, p.DurationMS, p.Silent)
	}
	ogg, m4a, log := k.decodeBoth(p)
	if millisOf(ogg) != p.DurationMS {
		k.Errorf("the Ogg decodes to %d samples, the part says %d ms", ogg, p.DurationMS)
	}
	if math.Abs(float64(m4a-samples(p.DurationMS))) > 1024+48 {
		k.Errorf("the M4A decodes to %d samples, the part says %d ms", m4a, p.DurationMS)
	}
	for _, want := range []string{`Audio: opus, 48000 Hz, mono`, `Audio: aac \(LC\)[^,]*, 48000 Hz, mono`} {
		if !regexp.MustCompile(want).MatchString(log) {
			k.Errorf("no %q in\n%s", want, log)
		}
	}
	if r := p.Renditions; r[0].MIME != "audio/ogg" || r[0].Codecs != "opus" || !r[0].Default || r[1].MIME != "audio/mp4" || r[1].Codecs != "mp4a.40.2" {
		k.Errorf("renditions %+v", r)
	}
}

// decodeBoth decodes a part's renditions in one process, and returns how many samples there are and what ffmpeg says of them.
func (k *videoKit) decodeBoth(p *pipeline.Part) (ogg, m4a int64, log string) {
	k.Helper()
	raw := []string{p.Renditions[0].Path + ".f32", p.Renditions[1].Path + ".f32"}
	cmd := exec.Command(k.tools.FFmpeg, "-hide_banner", "-nostdin", "-nostats", "-y", "-i", p.Renditions[0].Path, "-i", p.Renditions[1].Path,
		"-map", "0:a", "-f", "f32le", raw[0], "-map", "1:a", "-f", "f32le", raw[1])
	cmd.Dir = k.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		k.Fatalf("%v\n%s", err, out)
	}
	return int64(len(k.readFile(raw[0])) / 4), int64(len(k.readFile(raw[1])) / 4), string(out)
}

func TestVoiceFixtures(t *testing.T) {
	for name, want := range map[string]int64{
		"voice/speech-18s.ogg": 18280, "voice/speech-18s-browser.webm": 18280, "voice/wideband-male.wav": 6655,
		"hostile/file-type-fixture.amr": 0,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newVideoKit(t)
			part, err := k.note(k.fixture(name))
			if err != nil {
				t.Fatal(err)
			}
			if want == 0 {
				want = part.DurationMS
			}
			k.checkNote(part, want, 10)
		})
	}
}

func TestVoiceIsCutAtSixtySecondsExactly(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	part := k.mustNote(k.fixture("voice/speech-75s.m4a"))
	if !part.Trimmed || part.DurationMS != 60_000 || part.SourceDurationMS != 75_136 {
		t.Errorf("trimmed %v, %d of %d ms", part.Trimmed, part.DurationMS, part.SourceDurationMS)
	}
	if n := len(k.pcm(part.Renditions[0].Path)); n != 2_880_000 {
		t.Errorf("the Ogg decodes to %d samples", n)
	}
	if n := len(k.pcm(part.Renditions[1].Path)); n < 2_880_000-1024 || n > 2_880_000+1024 {
		t.Errorf("the M4A decodes to %d samples", n)
	}
	prof := transcode.DefaultProfile()
	prof.Voice.Overlength = transcode.OverlengthReject
	if _, err := k.noteWith("speech-75s.m4a", prof); codeOf(err) != pipeline.CodeTooLong {
		t.Errorf("overlength reject: %v", err)
	}
}

// sourceOf makes a decoded source of n samples, each its own value, so that a cut is seen to the sample.
func sourceOf(n int64, plan *transcode.VoicePlan) *voicePCM {
	s := newVoicePCM(plan)
	raw := make([]byte, 4*n)
	for i := range n {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(sampleAt(i)))
	}
	if err := s.read(bytes.NewReader(raw), int64(len(raw))); err != nil {
		panic(err)
	}
	return s
}

func sampleAt(i int64) float32 { return float32(i%9973)/9973 - 0.5 }

func TestTrimsAndCutAreSampleExact(t *testing.T) {
	for name, c := range map[string]struct {
		start, end, sourceMS int64
		first, length        int64 // samples
		trimmed              bool
	}{
		"whole":            {0, 0, 5000, 0, 240_000, false},
		"from":             {1234, 0, 5000, 59_232, 180_768, false},
		"from and to":      {1001, 2003, 5000, 48_048, 48_096, false},
		"beyond the end":   {1000, 9000, 5000, 48_000, 192_000, false},
		"cut":              {0, 0, 61_000, 0, 2_880_000, true},
		"exactly a minute": {0, 0, 60_000, 0, 2_880_000, false},
		"trim, then cut":   {500, 62_000, 70_000, 24_000, 2_880_000, true},
		"trim to a minute": {500, 60_500, 70_000, 24_000, 2_880_000, false},
	} {
		t.Run(name, func(t *testing.T) {
			prof := transcode.DefaultProfile().Voice
			prof.FadeOutMS = 0
			plan := &transcode.VoicePlan{StartMS: c.start, EndMS: c.end, Channels: 1, Profile: prof}
			s := sourceOf(samples(c.sourceMS), plan)
			kept := s.mono()
			if int64(len(kept)) != c.length || s.total != samples(c.sourceMS) {
				t.Fatalf("%d of %d samples", len(kept), s.total)
			}
			if kept[0] != sampleAt(c.first) || kept[c.length-1] != sampleAt(c.first+c.length-1) {
				t.Errorf("begins with %v and ends with %v", kept[0], kept[c.length-1])
			}
			if cut := s.selected() > samples(prof.MaxMS); cut != c.trimmed {
				t.Errorf("trimmed %v", cut)
			}
		})
	}
}

func TestOnlyTheCutIsFaded(t *testing.T) {
	plan := &transcode.VoicePlan{Channels: 1, Profile: transcode.DefaultProfile().Voice}
	tone := func(ms int64) *voicePCM {
		s := newVoicePCM(plan)
		for i := range samples(ms) {
			s.kept = append(s.kept, float32(0.2*math.Sin(float64(i)*0.05)))
		}
		s.total, s.kept = int64(len(s.kept)), s.kept[:min(len(s.kept), 2_880_000)]
		return s
	}
	for ms, faded := range map[int64]bool{59_000: false, 61_000: true} {
		n, err := newNote(tone(ms), plan, false)
		if err != nil {
			t.Fatal(err)
		}
		end := n.pcm[len(n.pcm)-480:] // the last 10 ms: at most half of the level where faded
		before := n.pcm[len(n.pcm)-3*960 : len(n.pcm)-2*960]
		if quiet := samplePeak(end) < 0.6*samplePeak(before); quiet != faded || n.trimmed != faded {
			t.Errorf("%d ms: end %v, before %v, trimmed %v", ms, samplePeak(end), samplePeak(before), n.trimmed)
		}
		if last := n.pcm[len(n.pcm)-1]; faded && last != 0 {
			t.Errorf("the last sample is %v", last)
		}
	}
}

// TestAWhistleStaysEven has one in Opus' speech mode, of which ffmpeg's own decoder makes a burst 6 dB louder in the first half second.
func TestAWhistleStaysEven(t *testing.T) {
	t.Parallel()
	const evenDB = 1.0
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "aevalsrc='0.4*sin(2*PI*(1600*t-(600/(2*PI*2.3))*cos(2*PI*2.3*t)))':s=48000:d=3",
		"-c:a", "libopus", "-b:a", "24k", "-application", "voip", "whistle.ogg")
	k.ffmpeg("-i", "whistle.ogg", "-f", "lavfi", "-i", "color=s=64x64:d=3", "-map", "1:v", "-map", "0:a", "-c:a", "copy", "-c:v", "libvpx", "whistle.webm")
	note := k.mustNote("whistle.ogg").Renditions
	film, _ := k.video("whistle.webm")
	for _, path := range []string{note[1].Path, film.Rendered.Part.Renditions[0].Path} {
		x := k.pcm(path)
		half := samples(500)
		quiet, loud := math.Inf(1), math.Inf(-1)
		for at := samples(100); at+half < samples(2900); at += half {
			level := decibel(math.Sqrt(squares(x[at:at+half]) / float64(half)))
			quiet, loud = min(quiet, level), max(loud, level)
		}
		if loud-quiet > evenDB {
			t.Errorf("%s: half seconds of %.1f to %.1f dBFS", path, quiet, loud)
		}
	}
}

func TestTrimEditsReachTheRenditions(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.speech("speech.wav", 4)
	part := k.mustNote("speech.wav", pipeline.Edit{Op: pipeline.OpTrim, StartMS: 503, EndMS: 3504}, pipeline.Edit{Op: pipeline.OpTrim, StartMS: 500})
	k.checkNote(part, 2501, 0)
	if part.Trimmed || part.SourceDurationMS != 4000 {
		t.Errorf("trimmed %v, source %d ms", part.Trimmed, part.SourceDurationMS)
	}
}

// decodedPeakDB is the highest true peak that either rendition may decode to, dBTP, and loudnessWindow the distance from the target.
const (
	decodedPeakDB  = -1.0
	loudnessWindow = 1.0
)

func TestLoudnessReachesTheTarget(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.speech("speech.wav", 5)
	lufs, _ := k.meterOf("speech.wav")
	for _, input := range []float64{-35, -23, -16, -8} {
		t.Run(fmt.Sprint(input), func(t *testing.T) {
			t.Parallel()
			k := &videoKit{T: t, tools: k.tools, dir: k.dir}
			name := fmt.Sprintf("at%v.wav", -input)
			k.ffmpeg("-i", "speech.wav", "-af", fmt.Sprintf("volume=%fdB", input-lufs), "-c:a", "pcm_f32le", name)
			l := k.mustNote(name).Loudness
			if math.Abs(*l.InputLUFS-input) > 0.3 || l.GainDB > 20 || math.Abs(*l.InputLUFS+l.GainDB-*l.OutputLUFS) > 0.011 {
				t.Errorf("input measured as %v, gain %v", *l.InputLUFS, l.GainDB)
			}
			for _, out := range []string{"voice.ogg", "voice.m4a"} {
				got, peak := k.meterOf("out-" + name + "/" + out)
				if math.Abs(got+16) > loudnessWindow && !l.Capped || peak > decodedPeakDB {
					t.Errorf("%s: %v LUFS, %v dBTP; %+v", out, got, peak, *l)
				}
			}
		})
	}
}

func TestSilenceIsLeftAlone(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono:d=2", "silence.wav")
	part := k.mustNote("silence.wav")
	if l := part.Loudness; !part.Silent || l.InputLUFS != nil || l.OutputLUFS != nil || l.TruePeakDB != nil || l.GainDB != 0 {
		t.Errorf("silent %v, %+v", part.Silent, l)
	}
	if peak := samplePeak(k.pcm(part.Renditions[0].Path)); peak > 1e-4 {
		t.Errorf("silence came out at %v", peak)
	}
}

func TestAClickOnSilenceIsNotMadeLouder(t *testing.T) {
	for name, clicks := range map[string][]int{"one": {48_000}, "many": {20_000, 70_000, 120_000, 170_000}} {
		t.Run(name, func(t *testing.T) {
			x := make([]float32, 200_000)
			for _, at := range clicks {
				for i := range 24 {
					x[at+i] = 0.1 * float32(1-2*(i%2)) // half a millisecond at -20 dBFS
				}
			}
			p, m := transcode.DefaultProfile().Voice, newMeter(x)
			n := &note{pcm: x, meter: m, in: m.loudness(), gain: planGain(m.loudness(), p)}
			n.level(p)
			if samplePeak(x) > 0.101 || n.out.LUFS > n.in.LUFS+goalLU {
				t.Errorf("peak %v, %+v, was %+v", samplePeak(x), n.out, n.in)
			}
		})
	}
}

func TestOddSoundsMakeGoodNotes(t *testing.T) {
	voice := make([]float32, 96_000)
	for i := range voice {
		at := float64(i) / 48_000
		voice[i] = float32(0.2 * math.Sin(2*math.Pi*220*at) * math.Abs(math.Sin(2*math.Pi*2*at)))
	}
	interleave := func(left, right func(v float32) float32) []float32 {
		out := make([]float32, 0, 2*len(voice))
		for _, v := range voice {
			out = append(out, left(v), right(v))
		}
		return out
	}
	same, none := func(v float32) float32 { return v }, func(float32) float32 { return 0 }
	for name, c := range map[string]struct {
		channels int
		x        []float32
	}{
		"left-only":  {2, interleave(same, none)},
		"right-only": {2, interleave(none, same)},
		"inverted":   {2, interleave(same, func(v float32) float32 { return -v })},
		"offset":     {2, interleave(func(v float32) float32 { return v + 0.3 }, func(v float32) float32 { return v + 0.3 })},
		"infinite":   {2, interleave(func(v float32) float32 { return v * 1e30 }, func(v float32) float32 { return float32(math.NaN()) })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newVideoKit(t)
			k.wav(name+".wav", c.channels, c.x)
			part := k.mustNote(name + ".wav")
			k.checkNote(part, 2000, 0)
			pcm := k.pcm(part.Renditions[0].Path)
			sum := 0.0
			for _, v := range pcm {
				sum += float64(v)
			}
			if mean := sum / float64(len(pcm)); math.Abs(mean) > 0.005 {
				t.Errorf("the mean is %v", mean)
			}
			if got, peak := k.meterOf(part.Renditions[0].Path); math.Abs(got+16) > loudnessWindow || peak > decodedPeakDB {
				t.Errorf("%v LUFS, %v dBTP", got, peak)
			}
		})
	}
}

func TestOnlyTheFirstSoundIsTaken(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64:d=0.04", "-frames:v", "1", "cover.png")
	k.ffmpeg("-f", "lavfi", "-i", "sine=f=440:d=1", "-f", "lavfi", "-i", "sine=f=2000:d=3", "-i", "cover.png", "-map", "0", "-map", "1", "-map", "2",
		"-c:a", "aac", "-c:v", "png", "-disposition:v:0", "attached_pic", "-metadata", "title=MARKER-TITLE", "-metadata", "comment=MARKER-COMMENT",
		"-metadata", "location=+48.2-MARKER/", "-f", "ipod", "two.m4a")
	part := k.mustNote("two.m4a")
	k.checkNote(part, 1000, 60)
	for _, r := range part.Renditions {
		data, err := os.ReadFile(filepath.Join(k.dir, r.Path))
		if err != nil || bytes.Contains(data, []byte("MARKER")) {
			t.Errorf("%s carries what the sender's file said of itself (%v)", r.Path, err)
		}
	}
}

func TestAGoodNoteIsPassedOn(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.speech("speech.wav", 4)
	first := k.mustNote("speech.wav")
	k.ffmpeg("-i", first.Renditions[0].Path, "-c", "copy", "-metadata", "title=MARKER", "good.ogg")
	part := k.mustNote("good.ogg")
	if part.Method != "remux" || part.Loudness.GainDB != 0 {
		t.Fatalf("method %s, %+v", part.Method, part.Loudness)
	}
	k.checkNote(part, 4000, 0)
	packets := func(name string) []byte { return k.ffmpeg("-i", name, "-c", "copy", "-f", "framemd5", "pipe:1") }
	sums := func(b []byte) string { return string(b[bytes.Index(b, []byte("\n0,")):]) }
	if sums(packets("good.ogg")) != sums(packets(part.Renditions[0].Path)) {
		t.Error("the packets are not the sender's")
	}
	if data, err := os.ReadFile(filepath.Join(k.dir, part.Renditions[0].Path)); err != nil || bytes.Contains(data, []byte("MARKER")) {
		t.Error("the title was passed on", err)
	}
	if trimmed := k.mustNote("good.ogg", pipeline.Edit{Op: pipeline.OpTrim, StartMS: 1000}); trimmed.Method != "transcode" {
		t.Error("a trimmed note was passed on whole")
	}
	k.ffmpeg("-i", "good.ogg", "-af", "volume=-10dB", "-c:a", "libopus", "-b:a", "24k", "quiet.ogg")
	if quiet := k.mustNote("quiet.ogg"); quiet.Method != "transcode" {
		t.Error("a quiet note was passed on")
	}
}

func TestVoiceIsRepeatable(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.speech("a.wav", 2)
	k.ffmpeg("-i", "a.wav", "-c", "copy", "b.wav")
	a, b := k.mustNote("a.wav"), k.mustNote("b.wav")
	for i := range a.Renditions {
		one, err1 := os.ReadFile(filepath.Join(k.dir, a.Renditions[i].Path))
		two, err2 := os.ReadFile(filepath.Join(k.dir, b.Renditions[i].Path))
		if err := errors.Join(err1, err2); err != nil || !bytes.Equal(one, two) {
			t.Errorf("%s differs from run to run (%v)", a.Renditions[i].MIME, err)
		}
	}
}

func TestBadNotesHaveTheirCodes(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", "short.wav")
	k.ffmpeg("-f", "lavfi", "-i", "sine=r=8000:d=660", "-c:a", "pcm_mulaw", "eleven.wav")
	k.ffmpeg("-f", "lavfi", "-i", "sine=r=8000:d=601", "-c:a", "libmp3lame", "-b:a", "8k", "-write_xing", "0", "unsaid.mp3")
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:d=1", "-c:v", "libx264", "silent.mp4")
	k.clip("video.mp4")
	k.ffmpeg("-f", "lavfi", "-i", "sine=d=2", "-c:a", "ac3", "foreign.mp4")
	k.ffmpeg("-f", "lavfi", "-i", "sine=d=2", "-c:a", "aac", "whole.m4a")
	k.writeFile("tail.m4a", k.readFile("whole.m4a")[:3000])
	k.writeFile("noise.ogg", append([]byte("OggS"), bytes.Repeat([]byte{7}, 4000)...))
	k.writeFile("empty.wav", []byte("RIFF\x24\x00\x00\x00WAVE"))
	trimAll := pipeline.Edit{Op: pipeline.OpTrim, StartMS: 5000}
	for name, c := range map[string]struct {
		edits []pipeline.Edit
		want  pipeline.Code
	}{
		"short.wav":   {nil, pipeline.CodeTooShort},
		"eleven.wav":  {nil, pipeline.CodeTooLong},
		"unsaid.mp3":  {nil, pipeline.CodeTooLong},
		"silent.mp4":  {nil, pipeline.CodeUnsupportedType},
		"video.mp4":   {nil, pipeline.CodeUnsupportedType},
		"foreign.mp4": {nil, pipeline.CodeUnsupportedType},
		"tail.m4a":    {nil, pipeline.CodeCorrupt},
		"noise.ogg":   {nil, pipeline.CodeCorrupt},
		"empty.wav":   {nil, pipeline.CodeCorrupt},
		"whole.m4a":   {[]pipeline.Edit{trimAll}, pipeline.CodeTooShort},
	} {
		t.Run(name, func(t *testing.T) {
			k := &videoKit{T: t, tools: k.tools, dir: k.dir}
			if _, err := k.note(name, c.edits...); codeOf(err) != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestDisguisedPlaylistsOpenNothing plants scripts and playlists under types that ffmpeg would otherwise recognise for itself.
func TestDisguisedPlaylistsOpenNothing(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.speech("secret.wav", 1)
	for i, text := range []string{
		"ffconcat version 1.0\nfile secret.wav\n", "#EXTM3U\n#EXTINF:1,\nsecret.wav\n", "#EXTM3U\n#EXTINF:1,\nfile://" + k.dir + "/secret.wav\n",
		"<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"/>", "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
	} {
		for _, typ := range []pipeline.Type{pipeline.TypeM4A, pipeline.TypeOgg, pipeline.TypeMP3, pipeline.TypeWAV, pipeline.TypeWebM, pipeline.TypeAMR} {
			name := fmt.Sprintf("list%d%s", i, typ.Ext)
			k.writeFile(name, []byte(text+strings.Repeat("\n", 2000)))
			f := pipeline.File{Path: name, Type: typ, Size: int64(len(text))}
			plan := &transcode.VoicePlan{Channels: 1, Profile: transcode.DefaultProfile().Voice}
			if _, err := k.tools.Voice(t.Context(), k.dir, "out", f, plan, nil); !isResult(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// isResult reports whether err is a refusal of the file, no trouble of ours.
func isResult(err error) bool { return err != nil && !codeOf(err).Trouble() }

// hearOut does with a note all that comes before its encoding, which no damage of the source can reach.
func (k *videoKit) hearOut(name string) (warnings []string, err error) {
	k.Helper()
	f := k.file(name)
	m, err := k.tools.Probe(k.Context(), k.dir, f)
	if err != nil {
		return nil, err
	}
	plan, err := transcode.NewPlan(pipeline.Item{Kind: pipeline.KindVoice}, m, transcode.DefaultProfile())
	if err != nil {
		return nil, err
	}
	pcm, err := nameless(k.dir)
	if err != nil {
		return nil, err
	}
	defer pcm.Close()
	src, err := k.tools.decodeVoice(k.Context(), k.dir, pcm, f, plan.Voice, func(float64) {})
	if err != nil {
		return nil, err
	}
	if _, err := newNote(src, plan.Voice, false); err != nil {
		return nil, err
	}
	return src.warnings(filepath.Join(k.dir, name), f.Type, plan.Voice.SourceMS), nil
}

// TestNotesCutShortAnywhere holds that a truncated note is either refused with a code or delivered with a warning, and that a whole one
// has none.
func TestNotesCutShortAnywhere(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.speech("speech.wav", 1)
	k.writeFile("n.amr", amrFrames(50))
	args := map[string][]string{"n.ogg": {"-c:a", "libopus"}, "n.webm": {"-c:a", "libopus"}, "n.3gp": {"-c:a", "aac"}, "n.caf": {"-c:a", "pcm_s16be"}}
	for _, name := range []string{"n.ogg", "n.m4a", "n.flac", "n.webm", "n.caf", "n.3gp", "n.mp3", "n.aac", "w.wav", "n.amr"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &videoKit{T: t, tools: k.tools, dir: k.dir}
			if name != "n.amr" {
				k.ffmpeg(append(append([]string{"-i", "speech.wav"}, args[name]...), name)...)
			}
			if warnings, err := k.hearOut(name); err != nil || len(warnings) > 0 {
				t.Errorf("whole: %q, %v", warnings, err)
			}
			data := k.readFile(name)
			for _, at := range []int{len(data) / 100, len(data) * 2 / 5, len(data) * 4 / 5, len(data)*97/100 + 1, len(data) - 1} {
				cut := fmt.Sprintf("cut%d-%s", at, name)
				k.writeFile(cut, data[:at])
				warnings, err := k.hearOut(cut)
				if err == nil && len(warnings) == 0 {
					t.Errorf("%s, of %d bytes: ready without a warning", cut, len(data))
				}
				if err != nil && !isResult(err) {
					t.Errorf("%s: %v", cut, err)
				}
			}
		})
	}
}

// amrFrames makes n frames of 20 ms in AMR's lowest mode, whose bits are noise: there is no encoder of AMR to be had.
func amrFrames(n int) []byte {
	data := []byte("#!AMR\n")
	for i := range n {
		data = append(data, 0x04)
		for b := range 12 {
			data = append(data, byte(i*37+b*101))
		}
	}
	return data
}

func TestAMRFixtureIsNotCutShort(t *testing.T) {
	k := newVideoKit(t)
	name := k.fixture("hostile/file-type-fixture.amr")
	if cutShort(filepath.Join(k.dir, name), pipeline.TypeAMR) {
		t.Error("a whole file")
	}
	data := k.readFile(name)
	k.writeFile("cut.amr", data[:len(data)-3])
	if !cutShort(filepath.Join(k.dir, "cut.amr"), pipeline.TypeAMR) {
		t.Error("three bytes short")
	}
}

// TestAnOggWithoutItsLastMarkIsWhole takes what recorders leave that are stopped by closing their file.
func TestAnOggWithoutItsLastMarkIsWhole(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "anoisesrc=d=2:a=0.1", "-c:a", "libopus", "-page_duration", "200000", "whole.ogg")
	data := k.readFile("whole.ogg")
	last := bytes.LastIndex(data, []byte("OggS"))
	k.writeFile("unmarked.ogg", data[:last])
	part := k.mustNote("unmarked.ogg")
	if len(part.Warnings) > 0 || part.DurationMS < 1500 || part.Method != "transcode" {
		t.Errorf("%q, %d ms, %s", part.Warnings, part.DurationMS, part.Method)
	}
	k.writeFile("torn.ogg", data[:last-5])
	if part := k.mustNote("torn.ogg"); len(part.Warnings) == 0 {
		t.Error("a torn page has no warning")
	}
}

func TestVoiceReportsProgressAndCanBeCancelled(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "anoisesrc=d=60:r=48000:a=0.1", "noise.wav")
	f := k.file("noise.wav")
	plan := &transcode.VoicePlan{Channels: 1, SourceMS: 60_000, Profile: transcode.DefaultProfile().Voice}
	ctx, cancel := context.WithCancel(t.Context())
	var cancelled time.Time
	last := -1.0
	_, err := k.tools.Voice(ctx, k.dir, "out", f, plan, func(percent float64) {
		if percent < last || percent > 100 {
			t.Errorf("progress went from %v to %v", last, percent)
		}
		if last = percent; percent > decodedPercent && cancelled.IsZero() {
			cancelled = time.Now()
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if took := time.Since(cancelled); took > time.Second {
		t.Errorf("ended %v after it was cancelled", took)
	}
}

func (k *videoKit) readFile(name string) []byte {
	k.Helper()
	data, err := os.ReadFile(filepath.Join(k.dir, name))
	if err != nil {
		k.Fatal(err)
	}
	return data
}

func (k *videoKit) writeFile(name string, data []byte) {
	k.Helper()
	if err := os.WriteFile(filepath.Join(k.dir, name), data, 0o600); err != nil {
		k.Fatal(err)
	}
}
