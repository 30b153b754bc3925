package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// plainVideoBoxes are all that an upright H.264 MP4 with or without sound consists of; fragments, protection, pictures as attachments
// and streams of another kind bring others.
var plainVideoBoxes = append(slices.Clone(plainBoxes), "vmhd", "avc1", "avcC", "pasp", "colr", "stss", "ctts", "sdtp", "co64")

// see reads the headers of a plain MP4: one upright H.264 track, at most one of AAC-LC. ok is false where anything else is in it, and
// ffprobe must be asked: starting it costs as much CPU as copying the whole file.
func see(dir string, f pipeline.File) (pipeline.Media, bool) {
	if f.Type.Demuxer != pipeline.TypeMP4.Demuxer {
		return pipeline.Media{}, false
	}
	info, err := readMP4(filepath.Join(dir, filepath.FromSlash(f.Path)))
	if err != nil || info.durationMS <= 0 || !info.plain() {
		return pipeline.Media{}, false
	}
	m := pipeline.Media{
		MIME: f.Type.MIME, Kind: pipeline.KindVideo, Size: f.Size, Format: f.Type.Demuxer, Streams: len(info.tracks), DurationMS: info.durationMS,
	}
	for i := range info.tracks {
		t := &info.tracks[i]
		switch {
		case t.handler == "vide" && m.Video == nil:
			m.Video = t.picture(i)
		case t.handler == "soun" && m.Audio == nil:
			m.Audio = t.sound(i)
		default:
			return m, false
		}
	}
	if m.Video == nil || len(info.tracks) > 1 && m.Audio == nil {
		return m, false
	}
	m.Width, m.Height = m.Video.Width, m.Video.Height
	m.BitRate = f.Size * 8 * 1000 / m.DurationMS
	return m, true
}

// textTag begins the names of QuickTime's text tags.
const textTag = 0xa9

// plain reports whether the file has no more in it than what see reads.
func (m *mp4) plain() bool {
	for _, kind := range m.all {
		if !slices.Contains(plainVideoBoxes, kind) && kind[0] != textTag {
			return false
		}
	}
	for _, meta := range m.metas {
		if bytes.Contains(meta, []byte("covr")) {
			return false
		}
	}
	entries := 0
	for _, kind := range m.all {
		if kind == "avc1" || kind == "mp4a" {
			entries++
		}
	}
	return entries == len(m.tracks) && !slices.Contains(m.top, "meta")
}

// timed reports whether a track has samples, lies in this file and begins at 0.
func (t *mp4Track) timed() bool {
	return t.samples > 0 && t.timescale > 0 && t.ticks > 0 && !t.outside && len(t.edits) <= 1 && t.startsClean(editSlackMS)
}

func (t *mp4Track) bitRate() int64 {
	return int64(float64(t.bytes) * 8 * float64(t.timescale) / float64(t.ticks))
}

// picture is nil for a track that is not plain.
func (t *mp4Track) picture(index int) *pipeline.Stream {
	s, ok := readSPS(t.config)
	if !ok || t.format != "avc1" || t.matrix != identityMatrix || !t.timed() || s.full {
		return nil
	}
	if s.width != t.width || s.height != t.height || s.sarNum != s.sarDen || !t.square() || !t.coloured(s) {
		return nil
	}
	v := &pipeline.Stream{
		Index: index, Codec: "h264", Profile: s.profile, Level: s.level, BitRate: t.bitRate(), Width: s.width, Height: s.height,
		PixelFormat: "yuv420p", Frames: t.samples, SARNum: s.sarNum, SARDen: s.sarDen, FPS: float64(t.samples) * float64(t.timescale) / float64(t.ticks),
		Primaries: colourNames[0][s.colour[0]], Transfer: colourNames[1][s.colour[1]], Matrix: colourNames[2][s.colour[2]],
		FieldOrder: "progressive",
	}
	if s.ranged {
		v.Range = "tv"
	}
	return v
}

// square reports whether the container leaves the pixels square.
func (t *mp4Track) square() bool {
	return t.aspect == nil || len(t.aspect) == 8 && bytes.Equal(t.aspect[:4], t.aspect[4:])
}

// colourNames are ffmpeg's words for the code points of H.273: of primaries, transfer and matrix. Others are ffprobe's to name.
var colourNames = [3]map[int]string{
	{1: "bt709", 5: "bt470bg", 6: "smpte170m", unspecified: ""},
	{1: "bt709", 6: "smpte170m", unspecified: ""},
	{1: "bt709", 5: "bt470bg", 6: "smpte170m", unspecified: ""},
}

// coloured reports whether stream and container agree on colours that have a name here.
func (t *mp4Track) coloured(s sps) bool {
	for i, code := range s.colour {
		if _, ok := colourNames[i][code]; !ok {
			return false
		}
	}
	if t.colour == nil {
		return true
	}
	if kind := string(t.colour[:min(4, len(t.colour))]); len(t.colour) < 10 || kind != "nclx" && kind != "nclc" {
		return false
	}
	for i, code := range s.colour {
		if int(binary.BigEndian.Uint16(t.colour[4+2*i:])) != code {
			return false
		}
	}
	return t.colour[3] == 'c' || len(t.colour) == 11 && t.colour[10]&0x80 == 0
}

// leastPlainRate is below which AAC-LC may be the core of HE-AAC, which only its frames tell, Hz.
const leastPlainRate = 32_000

// sound is nil for a track that is not plain.
func (t *mp4Track) sound(index int) *pipeline.Stream {
	if t.format != "mp4a" || !t.timed() || len(t.asc) < 2 {
		return nil
	}
	bits := binary.BigEndian.Uint16(t.asc)
	h := heardAAC(int(bits>>11), int(bits>>7&15), int(bits>>3&15))
	if h == nil || h.rate < leastPlainRate || h.channels < 1 || h.channels > 2 {
		return nil
	}
	return &pipeline.Stream{Index: index, Codec: h.codec, Profile: h.profile, BitRate: t.bitRate(), SampleRate: h.rate, Channels: h.channels}
}
