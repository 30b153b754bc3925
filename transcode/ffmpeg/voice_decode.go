package ffmpeg

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

var (
	errNoSamples    = errors.New("nothing was decoded")
	errTooMuchSound = errors.New("longer than the longest source")
)

// decodeArgs decode the first audio stream to 32-bit float on pipe:1. Nothing is cut here: timestamps may lie, samples do not. Frames are
// gathered into 32 KiB before they are written: one by one, 2,132 wake-ups of both sides of the pipe for 75 s, was 0.018 CPU-s dearer.
func decodeArgs(f pipeline.File, channels int) ([]string, error) {
	sound := Input(f, ff.KwArgs{"vn": "", "sn": "", "dn": ""}).Get("a:0")
	return BuildArgs(sound.Output("pipe:1", ff.KwArgs{
		"format": "f32le", "c:a": "pcm_f32le", "ac": channels, "ar": transcode.VoiceRate, "map_metadata": -1, "map_chapters": -1,
		"flush_packets": 0,
	}))
}

// decodeVoice runs the one decoding of a voice note.
func (t Tools) decodeVoice(ctx context.Context, dir string, f pipeline.File, plan *transcode.VoicePlan, progress func(float64)) (*voicePCM, error) {
	args, err := decodeArgs(f, plan.Channels)
	if err != nil {
		return nil, err
	}
	src := newVoicePCM(plan, progress)
	var log []byte
	err = t.Run(ctx, Run{Args: args, Dir: dir, Stdout: src, Log: &log})
	if src.over { // the reason the pipe was closed on ffmpeg, whatever it said then
		return nil, pipeline.Refuse(pipeline.CodeTooLong, "the recording lasts more than %d ms; send a shorter one", plan.Profile.MaxSourceMS)
	}
	if err != nil {
		return nil, err
	}
	src.log = string(log)
	if src.total == 0 {
		return nil, refuse(pipeline.CodeCorrupt, errNoSamples)
	}
	return src, nil
}

// voicePCM takes ffmpeg's PCM: it counts all of it and keeps the selection that may be published.
type voicePCM struct {
	channels   int
	start, end int64 // of the selection, samples; end 0 = none
	most       int64 // of the selection that is kept, samples
	limit      int64 // of the whole source, samples
	claimed    int64 // length of the source as its container says, samples, 0 = unknown
	progress   func(float64)

	kept  []float32 // interleaved
	total int64     // samples of a channel that the source has
	told  int       // percent last reported
	over  bool      // the source is longer than limit
	rest  []byte    // an incomplete sample
	log   string    // what ffmpeg complained of
}

func newVoicePCM(plan *transcode.VoicePlan, progress func(float64)) *voicePCM {
	expected := plan.Profile.MaxMS
	if plan.SourceMS > 0 {
		expected = min(expected, plan.SourceMS)
	}
	return &voicePCM{
		kept:     make([]float32, 0, samples(expected)*int64(plan.Channels)),
		channels: plan.Channels, start: samples(plan.StartMS), end: samples(plan.EndMS), most: samples(plan.Profile.MaxMS),
		limit: samples(plan.Profile.MaxSourceMS), claimed: samples(min(plan.SourceMS, plan.Profile.MaxSourceMS)), progress: progress,
	}
}

// Write takes whole samples and keeps an incomplete one for later. It ends the run when the source is too long.
func (s *voicePCM) Write(p []byte) (int, error) {
	n := len(p)
	size := 4 * s.channels
	if len(s.rest) > 0 {
		fill := min(size-len(s.rest), len(p))
		s.rest = append(s.rest, p[:fill]...)
		p = p[fill:]
		if len(s.rest) < size {
			return n, nil
		}
		s.take(s.rest)
		s.rest = s.rest[:0]
	}
	whole := len(p) / size * size
	s.take(p[:whole])
	s.rest = append(s.rest, p[whole:]...)
	if s.total > s.limit {
		s.over = true
		return 0, errTooMuchSound
	}
	s.report()
	return n, nil
}

// report tells of every whole percent once; a pipe brings hundreds of pieces.
func (s *voicePCM) report() {
	if s.claimed == 0 {
		return
	}
	if now := int(decodedPercent * math.Min(1, float64(s.total)/float64(s.claimed))); now > s.told {
		s.told = now
		s.progress(float64(now))
	}
}

func (s *voicePCM) take(p []byte) {
	size := 4 * s.channels
	first, last := s.total, s.total+int64(len(p)/size)
	s.total = last
	from, to := max(first, s.start), min(last, s.start+s.most)
	if s.end > 0 {
		to = min(to, s.end)
	}
	if from >= to {
		return
	}
	s.keep(p[(from-first)*int64(size) : (to-first)*int64(size)])
}

func (s *voicePCM) keep(p []byte) {
	at := len(s.kept)
	s.kept = slices.Grow(s.kept, len(p)/4)[:at+len(p)/4]
	for i, out := 0, s.kept[at:]; i < len(out); i++ {
		out[i] = sane(math.Float32frombits(binary.LittleEndian.Uint32(p[4*i:])))
	}
}

// maxAmplitude bounds what a float file may claim, 24 dB above full scale: the meters' sums stay finite.
const maxAmplitude = 16

func sane(v float32) float32 {
	if v >= -maxAmplitude && v <= maxAmplitude {
		return v
	}
	if v != v {
		return 0
	}
	return float32(math.Copysign(maxAmplitude, float64(v)))
}

// selected is how long the selection is in the source, samples, whatever of it is kept.
func (s *voicePCM) selected() int64 {
	to := s.total
	if s.end > 0 {
		to = min(to, s.end)
	}
	return max(0, to-s.start)
}

// Below these a stereo recording's second channel holds nothing of its own: 30 dB under the other, and 13 dB of the sound lost by
// adding two channels of opposite sign.
const (
	deadChannel   = 1e-3
	cancelledHalf = 0.05
)

// mono mixes two channels. Where one is dead, or one is the other inverted, the louder alone is taken: adding would cost level, or
// the whole sound.
func (s *voicePCM) mono() []float32 {
	if s.channels == 1 {
		return s.kept
	}
	var left, right, mid float64
	for i := 0; i+1 < len(s.kept); i += 2 {
		l, r := float64(s.kept[i]), float64(s.kept[i+1])
		left, right, mid = left+l*l, right+r*r, mid+(l+r)*(l+r)/4
	}
	a, b := float32(0.5), float32(0.5)
	if min(left, right) < deadChannel*max(left, right) || mid < cancelledHalf*(left+right)/2 {
		a, b = 1, 0
		if right > left {
			a, b = 0, 1
		}
	}
	out := s.kept[:len(s.kept)/2]
	for i := range out {
		out[i] = a*s.kept[2*i] + b*s.kept[2*i+1]
	}
	return out
}

// lossMessages are what ffmpeg says of a file that ends early or has holes.
var lossMessages = []string{"Invalid data", "partial file", "runcat", "prematurely", "orrupt", "Error", "nvalid", "Header missing", "overread"}

// warnings says what of the source is missing: a note that lost its end is delivered, and says so.
func (s *voicePCM) warnings(path string, typ pipeline.Type, claimedMS int64) []string {
	missing := claimedMS - millisOf(s.total)
	switch {
	case missing > 250+claimedMS/50, cutShort(path, typ):
		return []string{"truncated: the recording ends before it should; what could be decoded is delivered"}
	case containsAny(s.log, lossMessages):
		return []string{"truncated: the recording is damaged; what could be decoded is delivered"}
	}
	return nil
}
