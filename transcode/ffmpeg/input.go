package ffmpeg

import (
	"maps"
	"slices"
	"strings"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
)

const (
	// probeBytes and probeMicros bound how far ffmpeg looks for streams, bytes and microseconds.
	probeBytes  = 5_000_000
	probeMicros = 5_000_000
	// maxStreams bounds a 10,000-stream container; above it nothing is opened.
	maxStreams = 64
	// maxVideoPixels leaves room above 8192×4320 for the padding of coded frames; the limits themselves are CheckLimits'.
	maxVideoPixels = 8192 * 4608
	// maxImagePixels is the photo limit: animations are read here too.
	maxImagePixels = 65_000_000
)

// decoders are the only ones that may be opened on a sender's bytes: the codecs that the README names and what phones of the last
// twenty years put into their containers. A file with a stream of another codec is CodeUnsupportedType.
var decoders = []string{
	"opus", "libopus", "aac", "mp3float", "mp3", "vorbis", "flac", "alac", "amrnb", "amrwb", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms",
	"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_u8", "pcm_s8",
	"pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw",
	"h264", "hevc", "vp8", "vp9", "libdav1d", "av1", "mpeg4", "h263", "gif", "apng", "libvpx", "libvpx-vp9",
}

// alsoProbed are the decoders that ffprobe may open besides: of covers and subtitles, which are listed and then left out. ffprobe opens
// one for every stream and gives up on a file where it may not.
var alsoProbed = []string{
	"mjpeg", "png", "bmp", "webp", "mov_text", "ass", "ssa", "srt", "subrip", "text", "webvtt", "dvdsub", "cc_dec",
}

// InputArgs are the options that stand before -i of ffprobe for f, in the order ffmpeg-go gives them: the demuxer is forced to the
// sniffed type, and nothing that the file names is opened. The decoders in opened are opened besides, and are given nothing to decode.
func InputArgs(f pipeline.File, opened ...string) []string {
	opts := inputOptions(f)
	list := strings.Join(append(slices.Clone(decoders), alsoProbed...), ",")
	opts["codec_whitelist"] = list
	delete(opts, "format")
	args := append([]string{"-f", f.Type.Demuxer}, ff.ConvertKwargsToCmdLineArgs(opts)...)
	if len(opened) == 0 {
		return args
	}
	for _, kind := range []string{"v", "a", "s", "d"} { // an option of a kind is the decoder's alone, the one without also the demuxer's
		args = append(args, "-codec_whitelist:"+kind, list+","+strings.Join(opened, ","))
	}
	return args
}

// Input is f as the source of an ffmpeg-go graph, read under the options of InputArgs and extra ones.
func Input(f pipeline.File, extra ...ff.KwArgs) *ff.Stream {
	opts := inputOptions(f)
	for _, e := range extra {
		maps.Copy(opts, e)
	}
	return ff.Input(inputName(f), opts)
}

// inputName names the protocol, so that no name can be taken for another protocol or an option.
func inputName(f pipeline.File) string { return "file:" + f.Path }

func inputOptions(f pipeline.File) ff.KwArgs {
	pixels := maxVideoPixels
	if f.Type.Family == pipeline.FamilyImage {
		pixels = maxImagePixels
	}
	return ff.KwArgs{
		"format":             f.Type.Demuxer,
		"format_whitelist":   f.Type.Demuxer,
		"protocol_whitelist": "file,pipe",
		"probesize":          probeBytes,
		"analyzeduration":    probeMicros,
		"codec_whitelist":    strings.Join(decoders, ","),
		"max_pixels":         pixels,
		"max_streams":        maxStreams,
	}
}
