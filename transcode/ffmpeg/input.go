package ffmpeg

import (
	"maps"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
)

const (
	// probeBytes and probeMicros bound how far ffmpeg looks for streams (reliability.md, table of limits).
	probeBytes  = 5_000_000
	probeMicros = 5_000_000
	// maxStreams bounds a 10,000-stream container; above it nothing is opened.
	maxStreams = 64
	// maxVideoPixels leaves room above 3840×2160 for the padding of coded frames; the limits themselves are CheckLimits'.
	maxVideoPixels = 4096 * 4096
	// maxImagePixels is the photo limit: animations are read here too.
	maxImagePixels = 50_000_000
)

// InputArgs are the options that stand before -i for f, in the order ffmpeg-go gives them: the demuxer is forced to the sniffed
// type, and nothing that the file names is opened.
func InputArgs(f pipeline.File) []string {
	opts := inputOptions(f)
	delete(opts, "format")
	return append([]string{"-f", f.Type.Demuxer}, ff.ConvertKwargsToCmdLineArgs(opts)...)
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
		"max_pixels":         pixels,
		"max_streams":        maxStreams,
	}
}
