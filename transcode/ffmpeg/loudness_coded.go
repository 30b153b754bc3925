package ffmpeg

import (
	"context"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// What the codecs do to a note is known well enough for most speech. Of the others both renditions are decoded and metered, and the note
// is levelled and encoded again by what was found. Reading back costs a sixth of encoding, encoding again as much as the first time.
const (
	// maxCorrections bounds how often a note is encoded again. One is enough where the codec does the same twice.
	maxCorrections = 2
	// tightMargin is what is kept below the profile's true peak, dB, where codecMargin would cost loudness and the note is measured.
	tightMargin = 1.0
	// codedPeak is the true peak that a decoded rendition may have, dBTP, and peakRoom what a correction keeps below it.
	codedPeak = -1.0
	peakRoom  = 0.3
	// goodLU is how far the middle of the two may be from the target.
	goodLU = 0.3
	// A correction aims at most maxLack beside the target, LU, and limits to no less than leastCeiling, dBTP: what takes more is no speech.
	maxLack      = 2.5
	leastCeiling = -7.0
	// hissDB is the level of the sample-to-sample difference to that of the sound, dB, above which Opus takes more than codecLoss allows.
	// Of speech it measured -31 to -11, of a whisper -9, of pink noise -6: Opus took 1.3 and 2 LU of these.
	hissDB = -11.5
	// steadyBusy is the share of loud frames above which a sound is no speech: noise, a hum, music.
	steadyBusy = 0.9
	// hardDB is the limiter's reduction in the speech, dB, that at most hardShare of it may exceed before the ceiling is raised.
	hardDB    = 16.0
	hardShare = 0.05
)

// level brings the sound to the target. Where the codecs cannot be foreseen, or the ceiling that is safe with every codec is too low for
// the note, it is marked to be read back.
func (n *note) level(p transcode.VoiceProfile) {
	to := firstAim(p)
	l := newLimiter(n.pcm, n.meter, amplitude(to.ceiling))
	r := l.reach(n.in, n.gain, to)
	n.unsure = n.in.Busy > steadyBusy || r.drive > p.MaxGainDB || hiss(n.pcm) > hissDB
	if l.hard(r, n.in) || r.LUFS < math.Min(to.lufs, n.in.LUFS+n.gain.Max)-codecLoss/2 {
		n.unsure = true
		to.ceiling = p.MaxPeakDB - tightMargin
		r = l.reach(n.in, n.gain, to)
	}
	if n.unsure {
		n.source = slices.Clone(n.pcm)
	}
	n.aim = to
	n.take(l, r, p)
}

// holdPeaks leaves the level as it is: of a note whose Opus is passed on, the AAC has no higher peaks either.
func (n *note) holdPeaks(p transcode.VoiceProfile) {
	to := aim{lufs: n.in.LUFS, ceiling: p.MaxPeakDB - tightMargin}
	l := newLimiter(n.pcm, n.meter, amplitude(to.ceiling))
	l.carry(l.reach(n.in, gainPlan{}, to))
}

// take applies what the limiter found.
func (n *note) take(l *limiter, r levelled, p transcode.VoiceProfile) {
	l.carry(r)
	n.out, n.capped = r.loudness, r.LUFS < p.TargetLUFS-p.WindowLU
	if n.trimmed {
		fadeOut(n.pcm, samples(p.FadeOutMS))
	}
}

// hissStep is the distance of the milliseconds that hiss looks at, in samples.
const hissStep = 4 * peakBlock

// hiss is the level of the difference between neighbouring samples to that of the sound, dB.
func hiss(x []float32) float64 {
	var sum, diff float32
	var all, high float64
	for len(x) > hissStep {
		sum, diff = 0, 0
		for i, v := range x[:peakBlock] {
			d := x[i+1] - v
			sum, diff = sum+v*v, diff+d*d
		}
		all, high = all+float64(sum), high+float64(diff)
		x = x[hissStep:]
	}
	return 10 * math.Log10(high/all)
}

// hard reports whether the limiter takes more than hardDB off more than hardShare of the speech.
func (l *limiter) hard(r levelled, in loudness) bool {
	if r.curve == nil {
		return false
	}
	const perFrame = frameLen / peakBlock
	floor, bound := energyOf(in.LUFS+relGate), perFrame*amplitude(r.drive-hardDB)
	speech, taken := 0, 0
	for i, e := range l.m.frames() {
		if e < floor {
			continue
		}
		sum := 0.0
		for _, g := range r.curve[i*perFrame : min((i+1)*perFrame, len(r.curve))] {
			sum += g
		}
		if speech++; sum < bound {
			taken++
		}
	}
	return float64(taken) > hardShare*float64(speech)
}

// correct reads an unsure note's renditions back and encodes it again until both decode to the target, maxCorrections times at most.
func (t Tools) correct(ctx context.Context, dir, out string, pcm *os.File, n *note, p transcode.VoiceProfile) error {
	for range maxCorrections {
		decoded, err := t.readBack(ctx, dir, out)
		if err != nil {
			return err
		}
		next, ok := n.correction(decoded, p)
		if !ok {
			return nil
		}
		n.aim = next
		copy(n.pcm, n.source)
		l := newLimiter(n.pcm, n.meter, amplitude(next.ceiling))
		n.take(l, l.reach(n.in, n.gain, next), p)
		if err := t.encodeVoice(ctx, dir, out, pcm, pipeline.File{}, n, p, func(float64) {}); err != nil {
			return err
		}
	}
	return nil
}

// correction says what to aim at instead; ok is false where the renditions are good, or can be no better.
func (n *note) correction(decoded []loudness, p transcode.VoiceProfile) (next aim, ok bool) {
	least, most, peak := math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, d := range decoded {
		least, most, peak = math.Min(least, d.LUFS), math.Max(most, d.LUFS), math.Max(peak, d.Peak)
	}
	lack, over := p.TargetLUFS-(least+most)/2, peak-(codedPeak-peakRoom)
	next = aim{lufs: math.Max(-maxLack, math.Min(maxLack, n.out.LUFS+lack-p.TargetLUFS)) + p.TargetLUFS, ceiling: n.aim.ceiling}
	held := n.out.LUFS < n.aim.lufs-2*goalLU // by the ceiling
	if over > 0 || held && lack > 0 {
		next.ceiling = math.Max(leastCeiling, math.Min(p.MaxPeakDB, n.out.Peak-over))
	}
	atMost := n.out.LUFS >= n.in.LUFS+n.gain.Max-2*goalLU || held && over > -peakRoom
	quiet, loud := lack > goodLU && !atMost, lack < -goodLU
	return next, quiet || loud || over > peakRoom-goalLU
}

// decodedAs is how each of voiceRenditions is read back: Opus by the decoder that browsers and phones have.
var decodedAs = [...]struct {
	typ           pipeline.Type
	decoder, pipe string
}{{pipeline.TypeOgg, "libopus", "pipe:3"}, {pipeline.TypeM4A, "", "pipe:4"}}

// readBack decodes both renditions as a player does, in one process, and meters them.
func (t Tools) readBack(ctx context.Context, dir, out string) ([]loudness, error) {
	var files []*os.File
	var outputs []*ff.Stream
	for i, r := range voiceRenditions(out) {
		f, err := nameless(filepath.Join(dir, out))
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:gocritic // two files, both needed to the end
		files = append(files, f)
		src := decodedAs[i]
		sound := Input(pipeline.File{Path: r.Path, Type: src.typ}, decodeBy(src.decoder, "a:0")).Get("a:0")
		outputs = append(outputs, sound.Output(src.pipe, ff.KwArgs{
			"format": "f32le", "c:a": "pcm_f32le", "ac": 1, "ar": transcode.VoiceRate, "flush_packets": 0,
		}))
	}
	args, err := BuildArgs(outputs...)
	if err != nil {
		return nil, err
	}
	if err := t.Run(ctx, Run{Args: args, Dir: dir, ExtraFiles: files, Failed: pipeline.CodeEncodeFailed}); err != nil {
		return nil, err
	}
	var all []loudness
	for _, f := range files {
		l, err := meterFile(f)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

func meterFile(f *os.File) (loudness, error) {
	info, err := f.Stat()
	if err != nil {
		return loudness{}, pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Voice", err)
	}
	x := make([]float32, info.Size()/4)
	if err := readPCM(io.NewSectionReader(f, 0, info.Size()), x); err != nil {
		return loudness{}, pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Voice", err)
	}
	return measure(x), nil
}
