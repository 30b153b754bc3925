package ffmpeg

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// Need is one piece of ffmpeg that Ninefold needs, and whether the installed one has it.
type Need struct {
	Kind string // "encoders", "decoders", "demuxers", "muxers", "filters": ffmpeg's option that lists them
	Name string
	OK   bool
}

// needed are the parts that the graphs here are made of and that the sniffed types need. One of several names, split by |, is enough.
var needed = []struct {
	kind  string
	names []string
}{
	{"encoders", []string{"libopus", "aac", "libx264", "png", "rawvideo", "pcm_f32le", "wrapped_avframe"}},
	{"decoders", []string{
		"opus", "aac", "mp3float|mp3", "vorbis", "flac", "alac", "amrnb", "amrwb", "pcm_s16le",
		"h264", "hevc", "vp8", "vp9", "libdav1d|av1", "mpeg4", "h263", "gif", "apng", "png", "libvpx", "libvpx-vp9",
	}},
	{"demuxers", []string{"mov", "matroska", "ogg", "mp3", "aac", "wav", "flac", "amr", "caf", "gif", "apng", "png_pipe", "rawvideo", "f32le"}},
	{"muxers", []string{"ipod", "mp4", "ogg", "f32le", "image2", "null"}},
	{"filters", []string{
		"alimiter", "aresample", "atrim", "blackframe", "bwdif", "crop", "eq", "extractplanes", "format", "fps", "hstack", "limiter", "lut", "metadata",
		"negate", "overlay", "pad", "premultiply", "scale", "select", "setparams", "setpts", "setsar", "settb", "split", "tonemap", "tpad", "transpose",
		"trim", "vstack", "zscale",
	}},
}

// Check asks ffmpeg what it was built with and returns every part that is needed, present or not.
func (t Tools) Check(ctx context.Context) ([]Need, error) {
	var parts []Need
	for _, need := range needed {
		has, err := t.list(ctx, need.kind)
		if err != nil {
			return nil, err
		}
		for _, names := range need.names {
			parts = append(parts, Need{Kind: need.kind, Name: names, OK: anyOf(has, names)})
		}
	}
	return parts, nil
}

func anyOf(has map[string]bool, names string) bool {
	for name := range strings.SplitSeq(names, "|") {
		if has[name] {
			return true
		}
	}
	return false
}

// Examine says in a line what the installed ffmpeg lacks, or that it has everything; ok tells which.
func (t Tools) Examine(ctx context.Context) (detail string, ok bool) {
	version, err := t.Version(ctx)
	if err != nil {
		return fmt.Sprintf("%v; install the ffmpeg package", err), false
	}
	needs, err := t.Check(ctx)
	if err != nil {
		return fmt.Sprintf("%v; install the ffmpeg package", err), false
	}
	var missing []string
	for _, n := range needs {
		if !n.OK {
			missing = append(missing, strings.TrimSuffix(n.Kind, "s")+" "+n.Name)
		}
	}
	if len(missing) > 0 {
		return fmt.Sprintf("%s lacks %s; install an ffmpeg built with them", version, strings.Join(missing, ", ")), false
	}
	return fmt.Sprintf("%s has all %d encoders, decoders, formats and filters needed", version, len(needs)), true
}

// list reads one of ffmpeg's tables: flags, then a name or several with commas between.
func (t Tools) list(ctx context.Context, kind string) (map[string]bool, error) {
	out, err := t.ask(ctx, "-"+kind)
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	for line := range bytes.Lines(out) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 {
			continue
		}
		for name := range strings.SplitSeq(fields[1], ",") {
			has[name] = true
		}
	}
	return has, nil
}

// Version is ffmpeg's own, "5.1.9-0+deb12u1".
func (t Tools) Version(ctx context.Context) (string, error) {
	out, err := t.ask(ctx, "-version")
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(out))
	if len(fields) < 3 {
		return "", fmt.Errorf("%s -version says nothing that can be read", t.FFmpeg)
	}
	return fields[2], nil
}

func (t Tools) ask(ctx context.Context, question string) ([]byte, error) {
	out := &capped{left: probeCap}
	err := process{name: t.FFmpeg, order: t.order, args: []string{"-hide_banner", question}, run: Run{Stdout: out}}.start(ctx)
	return out.buf.Bytes(), err
}
