package ffmpeg

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"strconv"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

var errNoSamples = errors.New("nothing was decoded")

// fillGaps puts silence where the clock goes on and no packet is: what an encoder sent nothing for (DTX), what was lost, and the AMR frames
// that ffmpeg does not decode (silence descriptors, no data). Smaller jumps than the second number, seconds, are a clock's own.
const fillGaps = "aresample=async=1:min_hard_comp=0.1"

// decodeArgs decode the plan's stream to 32-bit float on pipe:1, at most most bytes and a frame. No trim is cut here.
func decodeArgs(f pipeline.File, plan *transcode.VoicePlan, most int64, decoder string) ([]string, error) {
	opts, stream := ff.KwArgs{"vn": "", "sn": "", "dn": ""}, strconv.Itoa(plan.Stream)
	maps.Copy(opts, decodeBy(decoder, stream))
	sound := Input(f, opts).Get(stream)
	return BuildArgs(sound.Output("pipe:1", ff.KwArgs{
		"format": "f32le", "c:a": "pcm_f32le", "ac": plan.Channels, "ar": transcode.VoiceRate, "af": fillGaps, "map_metadata": -1, "map_chapters": -1,
		"flush_packets": 0, "fs": most,
	}))
}

// decodeBy are the options before -i that have a stream of sound decoded by a certain decoder. "" is ffmpeg's own choice. libopus would give
// 16 bits: dearer, and without what is above full scale.
func decodeBy(decoder, stream string) ff.KwArgs {
	if decoder == "" {
		return nil
	}
	return ff.KwArgs{"c:" + stream: decoder, "request_sample_fmt:" + stream: "flt"}
}

// decodeVoice decodes a voice note into pcm: once, unless the decoder lost its footing.
func (t Tools) decodeVoice(
	ctx context.Context, dir string, pcm *os.File, f pipeline.File, plan *transcode.VoicePlan, progress func(float64),
) (*voicePCM, error) {
	src, err := t.decodeWith(ctx, "", dir, pcm, f, plan, progress)
	if err != nil || plan.Steady == "" || !derailed(src.kept, src.channels) {
		return src, err
	}
	if err := errors.Join(pcm.Truncate(0), rewind(pcm)); err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Voice", err)
	}
	return t.decodeWith(ctx, plan.Steady, dir, pcm, f, plan, func(float64) {})
}

// A decoder that has lost its footing swings at full scale until its next frame: each of derailedMS milliseconds reaches derailedPeak. Of
// 33 made whistles, chirps and tunes those it happened to had 32 to 2,800 such in a row, but for one that was 2 dB off for a moment; all others,
// and speech, had 4 at most.
const (
	derailedMS   = 12
	derailedPeak = 0.9
)

func derailed(x []float32, channels int) bool {
	row, block := 0, peakBlock*channels
	for len(x) > 0 && row < derailedMS {
		n := min(block, len(x))
		if row++; samplePeak(x[:n]) < derailedPeak {
			row = 0
		}
		x = x[n:]
	}
	return row >= derailedMS
}

// decodeWith runs ffmpeg with a decoder, "" = its own choice.
func (t Tools) decodeWith(
	ctx context.Context, decoder, dir string, pcm *os.File, f pipeline.File, plan *transcode.VoicePlan, progress func(float64),
) (*voicePCM, error) {
	src := newVoicePCM(plan)
	args, err := decodeArgs(f, plan, src.offset(src.limit+1), decoder)
	if err != nil {
		return nil, err
	}
	run := Run{Args: args, Dir: dir, Stdout: pcm, Log: &src.log}
	if plan.SourceMS > 0 {
		run.Progress = func(outMS int64) { progress(decodedPercent * math.Min(1, float64(outMS)/float64(plan.SourceMS))) }
	}
	if err := t.Run(ctx, run); err != nil {
		return nil, err
	}
	info, err := pcm.Stat()
	if err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Voice", err)
	}
	return src, src.read(pcm, info.Size())
}

// voicePCM is a decoded source: how long it is, and the selection of it that may be published.
type voicePCM struct {
	channels   int
	start, end int64 // of the selection, samples; end 0 = none
	most       int64 // of the selection that is kept, samples
	limit      int64 // of the whole source, samples

	kept  []float32 // interleaved
	total int64     // samples of a channel that the source has
	log   []byte    // what ffmpeg complained of
}

func newVoicePCM(plan *transcode.VoicePlan) *voicePCM {
	return &voicePCM{
		channels: plan.Channels, start: samples(plan.StartMS), end: samples(plan.EndMS), most: samples(plan.Profile.MaxMS),
		limit: samples(plan.Profile.MaxSourceMS),
	}
}

// offset is where a sample of all channels begins, bytes.
func (s *voicePCM) offset(sample int64) int64 { return sample * 4 * int64(s.channels) }

// read takes the selection from pcm, which has size bytes.
func (s *voicePCM) read(pcm io.ReaderAt, size int64) error {
	s.total = size / s.offset(1)
	if s.total == 0 {
		return refuse(pipeline.CodeCorrupt, errNoSamples)
	}
	if s.total > s.limit {
		return pipeline.Refuse(pipeline.CodeTooLong, "the recording lasts more than %s s; send a shorter one", seconds(millisOf(s.limit)))
	}
	to := min(s.total, s.start+s.most)
	if s.end > 0 {
		to = min(to, s.end)
	}
	if s.start >= to {
		return nil
	}
	s.kept = make([]float32, (to-s.start)*int64(s.channels))
	if err := readPCM(io.NewSectionReader(pcm, s.offset(s.start), s.offset(to-s.start)), s.kept); err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Voice", err)
	}
	return nil
}

// readPCM fills x with little-endian samples.
func readPCM(r io.Reader, x []float32) error {
	var buf [64 << 10]byte
	for len(x) > 0 {
		n := min(len(buf)/4, len(x))
		if _, err := io.ReadFull(r, buf[:4*n]); err != nil {
			return err
		}
		for i := range x[:n] {
			x[i] = sane(math.Float32frombits(binary.LittleEndian.Uint32(buf[4*i:])))
		}
		x = x[n:]
	}
	return nil
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

// A channel 30 dB under the other has nothing of its own. Two whose correlation is below opposed are the same sound with opposite signs:
// speech recorded by two microphones, or in stereo, measures above 0.
const (
	deadChannel = 1e-3
	opposed     = -0.3
)

// mono mixes two channels by what they have in common over the whole selection. Where one is dead the louder alone is taken; where they are
// opposed the quieter is turned over first: adding would cost level, or the whole sound.
func (s *voicePCM) mono() []float32 {
	if s.channels == 1 {
		return s.kept
	}
	var left, right, both float64
	for i := 0; i+1 < len(s.kept); i += 2 {
		l, r := float64(s.kept[i]), float64(s.kept[i+1])
		left, right, both = left+l*l, right+r*r, both+l*r
	}
	a, b := float32(0.5), float32(0.5)
	switch louder := left >= right; {
	case min(left, right) < deadChannel*max(left, right):
		a, b = 0, 1
		if louder {
			a, b = 1, 0
		}
	case both < opposed*math.Sqrt(left*right):
		a = -0.5
		if louder {
			a, b = 0.5, -0.5
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

// pauseMessages are what ffmpeg's AMR decoders say of the frames that stand for a pause; of speech they find no fault, it has no checksum.
var pauseMessages = []string{"[amrnb @", "[amrwb @"}

// warnings says what of the source is missing: a note that lost its end is delivered, and says so.
func (s *voicePCM) warnings(path string, typ pipeline.Type, claimedMS int64) []string {
	missing := claimedMS - millisOf(s.total)
	switch {
	case missing > 250+claimedMS/50, cutShort(path, typ):
		return []string{"truncated: the recording ends before it should; what could be decoded is delivered"}
	case containsAny(string(s.log), lossMessages) && !containsAny(string(s.log), pauseMessages):
		return []string{"truncated: the recording is damaged; what could be decoded is delivered"}
	}
	return nil
}
