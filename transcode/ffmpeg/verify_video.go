package ffmpeg

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

const (
	// deliveredLevel is the highest H.264 level that leaves: 4.2, of a remux.
	deliveredLevel = 42
	// durationSlackMS is the most a probe may differ from the recorded duration: a frame and a block of sound.
	durationSlackMS = 100
)

// VerifyVideo probes a delivered MP4 again, as a stranger would: it is H.264 and AAC-LC of the recorded size and length, upright,
// headers first, holds no box that could carry metadata, and shows the same in every decoder (checkDelivered). Anything else is
// CodeEncodeFailed.
func (t Tools) VerifyVideo(ctx context.Context, dir string, r pipeline.Rendition) error {
	if err := checkDelivered(filepath.Join(dir, filepath.FromSlash(r.Path))); err != nil {
		return unfit(err)
	}
	m, err := t.Probe(ctx, dir, pipeline.File{Path: r.Path, Type: pipeline.TypeMP4, Size: r.Size})
	if err != nil {
		if ctx.Err() != nil || pipeline.AsError(err).Code.Trouble() {
			return err
		}
		return unfit(err)
	}
	if wrong := wrongVideo(m, r); wrong != "" {
		return unfit(fmt.Errorf("%s", wrong))
	}
	return nil
}

func unfit(cause error) error {
	e := pipeline.Refuse(pipeline.CodeEncodeFailed, "%s", refusals[pipeline.CodeEncodeFailed]).In("ffmpeg.VerifyVideo")
	e.Err = cause
	return e
}

// wrongVideo says what a probe found amiss, or "".
func wrongVideo(m pipeline.Media, r pipeline.Rendition) string {
	v, a := m.Video, m.Audio
	if v == nil {
		return "no picture stream"
	}
	for _, rule := range []struct {
		ok   bool
		what string
	}{
		{v.Codec == "h264" && slices.Contains([]string{"High", "Main", "Baseline", "Constrained Baseline"}, v.Profile), "codec " + v.Codec + " " + v.Profile},
		{v.Level > 0 && v.Level <= deliveredLevel, "level"},
		{v.PixelFormat == "yuv420p", "pixel format " + v.PixelFormat},
		{v.Width == r.Width && v.Height == r.Height && v.Width%2 == 0 && v.Height%2 == 0, "size"},
		{v.Rotation == 0 && !v.Mirrored && m.Width == v.Width && m.Height == v.Height, "orientation"},
		{a == nil || a.Codec == "aac" && a.Profile == "LC", "sound"},
		{strings.Contains(r.Codecs, "mp4a") == (a != nil), "sound that is not as recorded"},
		{m.DurationMS > 0 && abs(m.DurationMS-r.DurationMS) <= durationSlackMS, "duration"},
	} {
		if !rule.ok {
			return rule.what
		}
	}
	return ""
}

func abs(n int64) int64 { return max(n, -n) }

// deliveredBoxes are all the boxes a delivered MP4 may hold. A list of what is allowed, because names of metadata boxes are without
// end: uuid, loci, ©xyz, XMP_ and whatever comes next. The muxer always writes udta with a meta; both must be empty.
var deliveredBoxes = []string{
	"ftyp", "free", "mdat", "moov", "mvhd", "trak", "tkhd", "edts", "elst", "mdia", "mdhd", "hdlr", "minf", "vmhd", "smhd", "dinf", "dref",
	"url ", "stbl", "stsd", "stts", "stss", "ctts", "stsc", "stsz", "stco", "co64", "sgpd", "sbgp", "avc1", "avcC", "mp4a", "esds", "pasp", "colr",
	"btrt", "udta", "meta",
}

// handlerNames and encoderNames are the muxer's own; a phone writes its maker's there.
var (
	handlerNames = []string{"", "VideoHandler", "SoundHandler"}
	encoderNames = []string{"", "Lavc libx264"}
)

// checkBoxes holds a file to what may be delivered, by its headers alone.
func checkBoxes(info *mp4) error {
	for _, kind := range info.all {
		if !slices.Contains(deliveredBoxes, kind) {
			return fmt.Errorf("mp4: box %q may carry metadata", kind)
		}
	}
	for _, body := range info.metas {
		if !emptyMeta(body) {
			return fmt.Errorf("mp4: tags were left in")
		}
	}
	if slices.Contains(info.top, "meta") || slices.Contains(info.top, "udta") {
		return fmt.Errorf("mp4: metadata beside the headers")
	}
	if !info.faststart() {
		return fmt.Errorf("mp4: the headers are not in front")
	}
	if len(info.tracks) > 2 {
		return fmt.Errorf("mp4: %d tracks", len(info.tracks))
	}
	for _, t := range info.tracks {
		if t.matrix != identityMatrix || !slices.Contains(handlerNames, t.name) || !slices.Contains(encoderNames, t.encoder) {
			return fmt.Errorf("mp4: a track that is turned or carries a name")
		}
	}
	return nil
}
