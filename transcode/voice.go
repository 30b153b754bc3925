package transcode

import (
	"github.com/ninefold/ninefold/pipeline"
)

// VoiceRate is the sample rate everything is decoded to and encoded at, Hz. Opus knows no other.
const VoiceRate = 48_000

// maxCopyRate is the highest bit rate of an Opus note that is passed on without encoding it again, bit/s: more
// would be delivered to people who pay for it without sounding better.
const maxCopyRate = 40_000

// VoicePlan is the work order for a voice note. What depends on the sound itself, its length and loudness, is decided by the numbers
// in Profile when the note has been decoded: no header is believed.
type VoicePlan struct {
	StartMS  int64        `json:"start_ms"` // of the trim edits together
	EndMS    int64        `json:"end_ms"`   // 0 = to the end
	Stream   int          `json:"stream"`   // the sound's index in the file
	Channels int          `json:"channels"` // to decode: 1, or 2 to be mixed once it is known what is in them
	SourceMS int64        `json:"source_ms"`
	Steady   string       `json:"steady_decoder,omitempty"` // to decode by where ffmpeg's own decoder has lost its footing; dearer
	MayCopy  bool         `json:"may_copy"`                 // an Ogg/Opus note that is passed on as it is if its sound proves good
	Profile  VoiceProfile `json:"profile"`
}

// voiceCodecs are the audio codecs that are taken, by ffmpeg's names: those of phones' and browsers' recorders and of messengers.
var voiceCodecs = map[string]bool{
	"opus": true, "aac": true, "mp3": true, "vorbis": true, "flac": true, "alac": true, "amr_nb": true, "amr_wb": true,
	"adpcm_ima_qt": true, "adpcm_ima_wav": true, "adpcm_ms": true,
	"pcm_s16le": true, "pcm_s16be": true, "pcm_s24le": true, "pcm_s24be": true, "pcm_s32le": true, "pcm_s32be": true,
	"pcm_u8": true, "pcm_s8": true, "pcm_f32le": true, "pcm_f32be": true, "pcm_f64le": true, "pcm_f64be": true,
	"pcm_alaw": true, "pcm_mulaw": true,
}

// planVoice decides what is known before decoding. Media passed CheckLimits, so there is an audio stream.
func planVoice(item pipeline.Item, m pipeline.Media, prof Profile) (*VoicePlan, error) {
	if !TakesSound(m.Audio.Codec) {
		return nil, RefuseSound(m.Audio.Codec)
	}
	start, end, err := trimSpan(item.Edits, prof.Voice.MinMS)
	if err != nil {
		return nil, err
	}
	return &VoicePlan{
		StartMS: start, EndMS: end, Stream: m.Audio.Index, Channels: min(max(1, m.Audio.Channels), 2), SourceMS: m.DurationMS, Steady: steadyDecoder(m.Audio),
		MayCopy: mayCopyVoice(item, m, prof.Voice), Profile: prof.Voice,
	}, nil
}

// steadyDecoder is a decoder that is right about sound which ffmpeg's first choice may be wrong about, "" = there is no need. ffmpeg 5.1's
// own Opus decoder loses its footing on tones in Opus' speech mode: a whistle of constant -11 dBFS came out with bursts at full scale.
func steadyDecoder(s *pipeline.Stream) string {
	if s != nil && s.Codec == "opus" {
		return "libopus"
	}
	return ""
}

// trimSpan composes trims in order, each counted from the start of what the one before left. end 0 = to the end.
func trimSpan(edits []pipeline.Edit, minMS int64) (start, end int64, err error) {
	const far = int64(1) << 40 // ms, 34 years: keeps sums in range
	for _, e := range edits {
		if e.Op != pipeline.OpTrim {
			continue
		}
		from, to := min(start+min(e.StartMS, far), far), end
		if e.EndMS != 0 {
			to = min(start+min(e.EndMS, far), far)
			if end != 0 {
				to = min(to, end)
			}
		}
		start, end = from, to
		if end != 0 && end-start < minMS {
			return 0, 0, pipeline.Refuse(pipeline.CodeTooShort, "the trim leaves less than %d ms; keep more", minMS)
		}
	}
	return start, end, nil
}

// mayCopyVoice tells a note that needs no second lossy generation, as far as its headers can.
func mayCopyVoice(item pipeline.Item, m pipeline.Media, p VoiceProfile) bool {
	return len(item.Edits) == 0 && m.Format == "ogg" && m.Audio.Codec == "opus" && m.Audio.Channels == 1 && m.Streams == 1 &&
		m.DurationMS > 0 && m.DurationMS <= p.MaxMS && m.BitRate > 0 && m.BitRate <= maxCopyRate
}
