package ffmpeg

import (
	"context"
	"math"
	"os"
	"path"
	"path/filepath"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// The share of the work, in percent, after which the note is decoded and after which it is encoded.
const (
	decodedPercent = 10.0
	encodedPercent = 99.0
)

// Voice renders a voice note: f, in the workspace dir, becomes an Ogg/Opus and an M4A file in the directory out inside dir.
//
//  1. f is decoded once, to 48 kHz PCM, and again by another decoder where the first derailed; duration, cut, loudness, waveform and both
//     encodings come from that PCM.
//  2. Two ffmpeg processes are started, one that decodes and one that encodes both. One file of no name in out is between them.
//  3. Length limits hold for decoded samples: too_short, too_long. Decoding ends soon after the longest source allowed.
//  4. progress is called with 0..100 and may be nil.
func (t Tools) Voice(ctx context.Context, dir, out string, f pipeline.File, plan *transcode.VoicePlan, progress func(float64)) (*pipeline.Rendered, error) {
	if progress == nil {
		progress = func(float64) {}
	}
	pcm, err := nameless(filepath.Join(dir, out))
	if err != nil {
		return nil, err
	}
	defer pcm.Close()
	src, err := t.decodeVoice(ctx, dir, pcm, f, plan, progress)
	if err != nil {
		return nil, err
	}
	n, err := newNote(src, plan, plan.MayCopy && len(src.log) == 0 && sameOpus(filepath.Join(dir, f.Path), src.total))
	if err != nil {
		return nil, err
	}
	if err := t.encodeVoice(ctx, dir, out, pcm, f, n, plan.Profile, progress); err != nil {
		return nil, err
	}
	if n.unsure {
		if err := t.correct(ctx, dir, out, pcm, n, plan.Profile); err != nil {
			return nil, err
		}
	}
	part, err := n.part(dir, out, plan.Profile)
	if err != nil {
		return nil, err
	}
	part.Warnings = src.warnings(filepath.Join(dir, f.Path), f.Type, plan.SourceMS)
	progress(100)
	return &pipeline.Rendered{Part: *part}, nil
}

// note is a voice note as it is published.
type note struct {
	pcm      []float32 // mono, 48 kHz
	sourceMS int64
	trimmed  bool // cut at the longest note allowed
	copy     bool // the Ogg is the source's own packets
	in, out  loudness
	gain     gainPlan
	aim      aim
	capped   bool      // quieter than the target asks for
	meter    meter     // of the sound before it was levelled
	unsure   bool      // what the codecs make of it is to be measured
	source   []float32 // the sound before it was levelled, of an unsure note
}

// newNote selects, cuts and levels the decoded sound. A source that may be copied is left as it is if its level is good.
func newNote(src *voicePCM, plan *transcode.VoicePlan, mayCopy bool) (*note, error) {
	p := plan.Profile
	selected := src.selected()
	if selected == 0 {
		return nil, pipeline.Refuse(pipeline.CodeTooShort, "nothing is left after the trim: it begins at %d ms of %d ms", plan.StartMS, millisOf(src.total))
	}
	if selected < samples(p.MinMS) {
		return nil, pipeline.Refuse(pipeline.CodeTooShort, "the note lasts %d ms; at least %d, record a longer one", millisOf(selected), p.MinMS)
	}
	if p.Overlength == transcode.OverlengthReject && selected > samples(p.MaxMS+overlengthGraceMS) {
		return nil, pipeline.Refuse(pipeline.CodeTooLong, "the note lasts %s s; at most %s, send a shorter one", seconds(millisOf(selected)), seconds(p.MaxMS))
	}
	n := &note{pcm: src.mono(), sourceMS: millisOf(src.total), trimmed: selected > samples(p.MaxMS)}
	moved := removeOffset(n.pcm)
	n.meter = newMeter(n.pcm)
	n.in = n.meter.loudness()
	n.gain = planGain(n.in, p)
	n.out = n.in
	n.copy = mayCopy && !moved && !n.trimmed && selected == src.total && (n.gain.Leave || n.gain.Silent)
	switch {
	case n.gain.Silent && n.trimmed:
		fadeOut(n.pcm, samples(p.FadeOutMS))
	case n.gain.Silent:
	case n.copy:
		n.holdPeaks(p)
	default:
		n.level(p)
	}
	return n, nil
}

// overlengthGraceMS forgives a recorder that stops at the limit and still writes its last packet.
const overlengthGraceMS = 100

// samples converts milliseconds to samples; the sample rate is a whole number of samples a millisecond.
func samples(ms int64) int64 { return ms * (transcode.VoiceRate / 1000) }

// millisOf rounds to the nearest millisecond.
func millisOf(n int64) int64 {
	return int64(math.Round(float64(n) * 1000 / transcode.VoiceRate))
}

// minOffset is the DC offset that is removed, -60 dBFS; below it is the natural asymmetry of speech.
const minOffset = 0.001

// removeOffset takes the mean away, so that neither level nor waveform is that of a faulty microphone.
func removeOffset(x []float32) bool {
	offset := float32(total(x) / float64(max(1, len(x))))
	if offset < minOffset && offset > -minOffset {
		return false
	}
	for i := range x {
		x[i] -= offset
	}
	return true
}

// total is the sum of x, as four sums, like squares.
func total(x []float32) float64 {
	var a, b, c, d float64
	for ; len(x) >= 4; x = x[4:] {
		a, b, c, d = a+float64(x[0]), b+float64(x[1]), c+float64(x[2]), d+float64(x[3])
	}
	for _, v := range x {
		a += float64(v)
	}
	return a + b + (c + d)
}

// fadeOut turns the last n samples down to nothing, in a line.
func fadeOut(x []float32, n int64) {
	n = min(n, int64(len(x)))
	tail := x[int64(len(x))-n:]
	for i := range tail {
		tail[i] *= float32(n-1-int64(i)) / float32(n)
	}
}

// part describes the encoded note.
func (n *note) part(dir, out string, p transcode.VoiceProfile) (*pipeline.Part, error) {
	env := newEnvelope(n.pcm)
	part := &pipeline.Part{
		Kind: pipeline.KindVoice, Method: "transcode", DurationMS: millisOf(int64(len(n.pcm))), SourceDurationMS: n.sourceMS,
		Trimmed: n.trimmed, Silent: n.gain.Silent, Loudness: n.loudness(), Waveform: env.waveform(p.WavePoints), Waveforms: env.exports(),
	}
	if n.copy {
		part.Method = "remux"
	}
	for _, r := range voiceRenditions(out) {
		info, err := os.Stat(filepath.Join(dir, r.Path))
		if err != nil {
			return nil, pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Voice", err)
		}
		r.Size, r.DurationMS = info.Size(), part.DurationMS
		r.Bitrate = r.Size * 8 * 1000 / part.DurationMS
		part.Renditions = append(part.Renditions, r)
	}
	return part, nil
}

// voiceRenditions are the two encodings, the default first.
func voiceRenditions(out string) []pipeline.Rendition {
	return []pipeline.Rendition{
		{Name: "voice", Class: pipeline.ClassFull, Path: path.Join(out, "voice.ogg"), MIME: "audio/ogg", Codecs: "opus", Default: true},
		{Name: "voice", Class: pipeline.ClassFull, Path: path.Join(out, "voice.m4a"), MIME: "audio/mp4", Codecs: "mp4a.40.2"},
	}
}

// loudness rounds to a hundredth, the resolution of the meter's standard being a tenth. Infinite is null. The gain is what a listener
// gets, the difference of the two loudnesses, and not what stood before the limiter.
func (n *note) loudness() *pipeline.Loudness {
	l := &pipeline.Loudness{Capped: n.capped, TruePeakDB: finite(n.out.Peak)}
	if n.gain.Silent {
		return l
	}
	l.InputLUFS, l.OutputLUFS = finite(n.in.LUFS), finite(n.out.LUFS)
	if l.InputLUFS != nil && l.OutputLUFS != nil {
		l.GainDB = hundredth(*l.OutputLUFS - *l.InputLUFS)
	}
	return l
}

func hundredth(v float64) float64 { return math.Round(v*100) / 100 }

func finite(v float64) *float64 {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	v = hundredth(v)
	return &v
}
