package ffmpeg

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

// headers read what the headers of a plain voice note say, by demuxer. Each takes only what it fully understands, one stream of sound
// in its usual form; for all else it answers nil, and ffprobe is asked. A header is a claim, here as there: the decoding holds it.
//
// Starting ffprobe costs 0.07 CPU-s, a sixth of what a note of 18 seconds costs to decode and to encode twice.
var headers = map[string]func(f *os.File, size int64) *heard{
	"mov": hearMP4, "ogg": hearOgg, "matroska": hearWebM, "aac": hearADTS, "amr": hearAMR, "wav": hearWAV,
}

// heard is a file with one stream of sound and nothing else.
type heard struct {
	codec      string // ffmpeg's name
	profile    string
	rate       int // Hz
	channels   int
	durationMS int64 // 0 = not said
}

// hear reads f's headers. ok is false where ffprobe must be asked.
func hear(dir string, f pipeline.File) (pipeline.Media, bool) {
	read := headers[f.Type.Demuxer]
	if read == nil {
		return pipeline.Media{}, false
	}
	file, err := os.Open(filepath.Join(dir, f.Path))
	if err != nil {
		return pipeline.Media{}, false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return pipeline.Media{}, false
	}
	h := read(file, info.Size())
	if h == nil || h.channels < 1 || h.channels > 2 || h.rate < 4000 || h.rate > 192_000 || h.durationMS < 0 {
		return pipeline.Media{}, false
	}
	return h.media(f), true
}

func (h *heard) media(f pipeline.File) pipeline.Media {
	m := pipeline.Media{
		MIME: f.Type.MIME, Kind: pipeline.KindVoice, Size: f.Size, Format: f.Type.Demuxer, Streams: 1, DurationMS: h.durationMS,
		Audio: &pipeline.Stream{Codec: h.codec, Profile: h.profile, SampleRate: h.rate, Channels: h.channels},
	}
	if h.durationMS > 0 {
		m.BitRate = f.Size * 8 * 1000 / h.durationMS
	}
	return m
}

// plainBoxes are all that an M4A of one track of sound consists of; a cover, chapters, fragments or a second track bring others.
var plainBoxes = []string{
	"ftyp", "moov", "mdat", "free", "skip", "wide", "mvhd", "trak", "tkhd", "edts", "elst", "mdia", "mdhd", "hdlr", "minf", "smhd", "dinf",
	"dref", "url ", "udta", "meta", "stbl", "stsd", "mp4a", "esds", "btrt", "stts", "stsc", "stsz", "stco", "sgpd", "sbgp", "iods", "name",
}

// hearMP4 takes one track of AAC-LC.
func hearMP4(f *os.File, size int64) *heard {
	m, err := parseMP4(f, size)
	if err != nil || len(m.tracks) != 1 || m.tracks[0].handler != "soun" || m.tracks[0].samples == 0 {
		return nil
	}
	entries := 0
	for _, kind := range m.all {
		if kind == "mp4a" {
			entries++
		}
		if !slices.Contains(plainBoxes, kind) {
			return nil
		}
	}
	for _, meta := range m.metas {
		if bytes.Contains(meta, []byte("covr")) {
			return nil
		}
	}
	moov, err := readMoov(f, size)
	config := audioConfig(leaf(moov, "trak", "mdia", "minf", "stbl", "stsd"))
	if err != nil || entries != 1 || len(config) < 2 || m.durationMS == 0 {
		return nil
	}
	bits := binary.BigEndian.Uint16(config)
	h := heardAAC(int(bits>>11), int(bits>>7&15), int(bits>>3&15))
	if h != nil {
		h.durationMS = m.durationMS
	}
	return h
}

// audioConfig finds the AudioSpecificConfig (ISO/IEC 14496-3): descriptor 5 of the esds, behind a length of one to four bytes.
func audioConfig(stsd []byte) []byte {
	_, esds, ok := bytes.Cut(stsd, []byte("esds"))
	if !ok || len(esds) < 4 {
		return nil
	}
	d := esds[4:] // after version and flags
	for _, step := range []struct {
		tag  byte
		skip int // what stands before the descriptor inside
	}{{3, 3}, {4, 13}, {5, 0}} {
		if len(d) < 2 || d[0] != step.tag {
			return nil
		}
		at := 1
		for at < len(d) && at < 5 && d[at] >= 0x80 {
			at++
		}
		if at++; len(d) < at+step.skip {
			return nil
		}
		if step.tag == 3 && d[at+2] != 0 || step.tag == 4 && d[at] != 0x40 {
			return nil // optional fields, or sound that is not MPEG-4 audio
		}
		d = d[at+step.skip:]
	}
	return d
}

// aacRates are the sampling frequency indices of ISO/IEC 14496-3, Hz.
var aacRates = []int{96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350}

// heardAAC takes AAC-LC.
func heardAAC(object, rateIndex, channels int) *heard {
	if object != 2 || rateIndex >= len(aacRates) {
		return nil
	}
	return &heard{codec: "aac", profile: "LC", rate: aacRates[rateIndex], channels: channels}
}

// hearOgg takes one Opus stream, whole and with every checksum right. A cover is a comment there, and a stream to ffmpeg.
func hearOgg(f *os.File, _ int64) *heard {
	o, err := readOpus(f)
	if err != nil || !o.Ended {
		return nil
	}
	for _, c := range o.Comments {
		key, _, _ := strings.Cut(strings.ToUpper(c), "=")
		if strings.Contains(key, "PICTURE") || strings.Contains(key, "COVER") || strings.Contains(key, "CHAPTER") {
			return nil
		}
	}
	return &heard{codec: "opus", rate: rateHz, channels: o.Channels, durationMS: millisOf(o.Samples)}
}

// hearADTS takes AAC-LC whose first two frames say the same.
func hearADTS(f *os.File, _ int64) *heard {
	head, err := bufio.NewReaderSize(f, 16<<10).Peek(7)
	if err != nil || head[0] != 0xff || head[1]&0xf6 != 0xf0 {
		return nil
	}
	first := int64(head[3]&3)<<11 | int64(head[4])<<3 | int64(head[5])>>5
	var next [4]byte
	const channelsBit = 0xc0 // of the fourth byte; the rest of it is the frame's own
	if !readAt(f, next[:], first) || !bytes.Equal(next[:3], head[:3]) || (next[3]^head[3])&channelsBit != 0 {
		return nil
	}
	return heardAAC(int(head[2]>>6)+1, int(head[2]>>2&15), int(head[2]&1)<<2|int(head[3]>>6))
}

// hearAMR tells the two rates by their magic; there is nothing else in the header.
func hearAMR(f *os.File, size int64) *heard {
	var head [9]byte
	switch {
	case !readAt(f, head[:], 0):
		return nil
	case string(head[:]) == "#!AMR-WB\n":
		return &heard{codec: "amr_wb", rate: 16_000, channels: 1}
	case string(head[:6]) == "#!AMR\n" && size > 6:
		return &heard{codec: "amr_nb", rate: 8_000, channels: 1}
	}
	return nil
}

// hearWAV takes 16-bit PCM whose sizes are filled in, with the format before the data and no more than a list besides.
func hearWAV(f *os.File, size int64) *heard {
	var head [8]byte
	var format [16]byte
	told := false
	for at, left := int64(12), maxChunks; left > 0 && readAt(f, head[:], at); left-- {
		length := int64(binary.LittleEndian.Uint32(head[4:]))
		switch string(head[:4]) {
		case "fmt ":
			if told || length != 16 || !readAt(f, format[:], at+8) {
				return nil
			}
			told = true
		case "data":
			if !told || length == 0 || at+8+length > size {
				return nil
			}
			return heardPCM(format, length)
		case "LIST":
		default:
			return nil
		}
		at += 8 + length + length&1
	}
	return nil
}

func heardPCM(format [16]byte, length int64) *heard {
	tag, channels := binary.LittleEndian.Uint16(format[:]), int(binary.LittleEndian.Uint16(format[2:]))
	rate, bits := int64(binary.LittleEndian.Uint32(format[4:])), binary.LittleEndian.Uint16(format[14:])
	block := int64(binary.LittleEndian.Uint16(format[12:]))
	if tag != 1 || bits != 16 || channels < 1 || block != int64(2*channels) || rate < 1 {
		return nil
	}
	return &heard{codec: "pcm_s16le", rate: int(rate), channels: channels, durationMS: length / block * 1000 / rate}
}

// section reads n bytes of r at at; nil where they are not there.
func section(r io.ReaderAt, at, n int64) []byte {
	data := make([]byte, n)
	if !readAt(r, data, at) {
		return nil
	}
	return data
}
