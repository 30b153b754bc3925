package transcode

import (
	"fmt"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// TakesVideo reports whether pictures of that codec, by ffmpeg's name, are taken.
func TakesVideo(codec string) bool { return slices.Contains(videoCodecs, codec) }

// TakesSound reports whether sound of that codec, by ffmpeg's name, is taken.
func TakesSound(codec string) bool { return voiceCodecs[codec] }

// RefuseSound refuses a recording whose only sound is of a codec that is not taken.
func RefuseSound(codec string) *pipeline.Error {
	return pipeline.Refuse(pipeline.CodeUnsupportedType, "the sound is encoded as %s, which is not taken; send Opus, AAC, MP3, FLAC, WAV or AMR", codec)
}

// refusePicture refuses a video whose only picture is of a codec that is not taken.
func refusePicture(codec string) *pipeline.Error {
	return pipeline.Refuse(pipeline.CodeUnsupportedType,
		"the picture is encoded as %s, which is not taken; send H.264, HEVC, VP8, VP9, AV1, MPEG-4 or H.263", codec)
}

// leftOutWarnings say what of m is not delivered. Sound that the sender muted is not missed.
func leftOutWarnings(m pipeline.Media, muted bool) (warnings []string) {
	for _, l := range m.LeftOut {
		switch {
		case l.Kind == pipeline.KindVoice && muted:
		case l.Kind == pipeline.KindVoice && m.Audio == nil:
			warnings = append(warnings, fmt.Sprintf("left out: the sound (%s) cannot be taken", l.Codec))
		case l.Kind == pipeline.KindVoice:
			warnings = append(warnings, fmt.Sprintf("left out: another sound track (%s) cannot be taken", l.Codec))
		case l.Taken:
			warnings = append(warnings, fmt.Sprintf("left out: another picture track (%s)", l.Codec))
		default:
			warnings = append(warnings, fmt.Sprintf("left out: another picture track (%s) cannot be taken", l.Codec))
		}
	}
	return slices.Compact(warnings)
}

// soundLeftOut names sound that is not taken, "" = there is none.
func soundLeftOut(m pipeline.Media) string {
	for _, l := range m.LeftOut {
		if l.Kind == pipeline.KindVoice {
			return l.Codec
		}
	}
	return ""
}
