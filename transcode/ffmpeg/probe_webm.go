package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"math/bits"
	"os"
)

// The elements of Matroska (RFC 9559) that matter to a recording of one voice.
const (
	ebmlHeader    = 0x1A45DFA3
	ebmlSegment   = 0x18538067
	ebmlSeekHead  = 0x114D9B74
	ebmlInfo      = 0x1549A966
	ebmlTracks    = 0x1654AE6B
	ebmlCluster   = 0x1F43B675
	ebmlTimestamp = 0xE7
	ebmlVoid      = 0xEC
	ebmlCRC       = 0xBF
	ebmlTags      = 0x1254C367
	ebmlScale     = 0x2AD7B1
	ebmlDuration  = 0x4489
	ebmlTrack     = 0xAE
	ebmlTrackType = 0x83
	ebmlCodecID   = 0x86
	ebmlEncodings = 0x6D80
	ebmlAudio     = 0xE1
	ebmlChannels  = 0x9F
)

// maxEBML bounds what is read of one element, bytes.
const maxEBML = 64 << 10

// attachments is the identifier that a seek head holds where pictures are attached behind the sound.
var attachments = []byte{0x19, 0x41, 0xA4, 0x69}

// ebmlElement is one element's identifier and where its content lies; size -1 = until the end, as a recorder leaves it.
type ebmlElement struct{ id, at, size int64 }

// hearWebM takes one track of Opus, as browsers record it, reading up to the first cluster.
func hearWebM(f *os.File, size int64) *heard {
	head, ok := elementAt(f, 0)
	if !ok || head.id != ebmlHeader || head.size < 0 {
		return nil
	}
	segment, ok := elementAt(f, head.at+head.size)
	if !ok || segment.id != ebmlSegment {
		return nil
	}
	var h *heard
	durationMS, startMS, scale := int64(0), int64(0), 1e6
	for at, left := segment.at, maxChunks; at < size; left-- {
		e, ok := elementAt(f, at)
		if !ok || left == 0 {
			return nil
		}
		if e.id == ebmlCluster {
			startMS = int64(float64(clusterTime(f, e.at)) * scale / 1e6)
			break
		}
		if e.size < 0 || e.size > maxEBML {
			return nil
		}
		body := section(f, e.at, e.size)
		if body == nil {
			return nil
		}
		switch e.id {
		case ebmlSeekHead:
			if bytes.Contains(body, attachments) {
				return nil
			}
		case ebmlInfo:
			durationMS, scale = ebmlDurationMS(body), ebmlScaleOf(body)
		case ebmlTracks:
			if h != nil {
				return nil
			}
			if h = heardTrack(body); h == nil {
				return nil
			}
		case ebmlVoid, ebmlCRC, ebmlTags:
		default:
			return nil
		}
		at = e.at + e.size
	}
	if h != nil {
		h.durationMS = max(0, durationMS-startMS) // counted from 0, wherever the recording begins
	}
	return h
}

// heardTrack reads a Tracks element that holds one track of Opus.
func heardTrack(tracks []byte) *heard {
	all := elements(tracks)
	if len(all[ebmlTrack]) != 1 {
		return nil
	}
	track := elements(all[ebmlTrack][0])
	audio := elements(only(track[ebmlAudio]))
	if ebmlUint(only(track[ebmlTrackType])) != 2 || string(only(track[ebmlCodecID])) != "A_OPUS" || len(track[ebmlEncodings]) > 0 {
		return nil
	}
	h := &heard{codec: "opus", rate: rateHz, channels: int(min(ebmlUint(only(audio[ebmlChannels])), 255))}
	if len(audio[ebmlChannels]) == 0 {
		h.channels = 1 // the default
	}
	return h
}

func only(v [][]byte) []byte {
	if len(v) != 1 {
		return nil
	}
	return v[0]
}

// ebmlScaleOf is the clock's tick, ns.
func ebmlScaleOf(info []byte) float64 {
	if v := only(elements(info)[ebmlScale]); v != nil {
		return float64(ebmlUint(v))
	}
	return 1e6 // the default
}

// clusterTime is when the cluster whose content begins at at begins, ticks: its first element, but for a checksum.
func clusterTime(r io.ReaderAt, at int64) int64 {
	for range 3 {
		e, ok := elementAt(r, at)
		if !ok || e.size < 0 || e.size > 8 {
			return 0
		}
		if e.id == ebmlTimestamp {
			return ebmlUint(section(r, e.at, e.size))
		}
		at = e.at + e.size
	}
	return 0
}

func ebmlDurationMS(info []byte) int64 {
	ms := ebmlFloat(only(elements(info)[ebmlDuration])) * ebmlScaleOf(info) / 1e6
	if !(ms > 0 && ms < maxSeconds) {
		return 0
	}
	return int64(math.Round(ms))
}

// elements lists the children in data by identifier. What is broken ends the list.
func elements(data []byte) map[int64][][]byte {
	all, r := map[int64][][]byte{}, bytes.NewReader(data)
	for at := int64(0); at < int64(len(data)); {
		e, ok := elementAt(r, at)
		if !ok || e.size < 0 || e.size > int64(len(data))-e.at {
			return all
		}
		all[e.id] = append(all[e.id], data[e.at:e.at+e.size])
		at = e.at + e.size
	}
	return all
}

// elementAt reads an element's head: an identifier of one to four bytes, a size of one to eight.
func elementAt(r io.ReaderAt, at int64) (ebmlElement, bool) {
	var head [12]byte
	n, _ := r.ReadAt(head[:], at)
	id, idLen := vint(head[:n], false)
	if idLen < 1 || idLen > 4 {
		return ebmlElement{}, false
	}
	size, sizeLen := vint(head[idLen:n], true)
	if sizeLen < 1 {
		return ebmlElement{}, false
	}
	if size == 1<<(7*sizeLen)-1 {
		size = -1
	}
	return ebmlElement{id: id, at: at + int64(idLen+sizeLen), size: size}, true
}

// vint reads a number whose length is in the leading zeros of its first byte, with or without the marker bit.
func vint(p []byte, plain bool) (v int64, n int) {
	if len(p) == 0 || p[0] == 0 {
		return 0, 0
	}
	n = bits.LeadingZeros8(p[0]) + 1
	if len(p) < n {
		return 0, 0
	}
	for _, b := range p[:n] {
		v = v<<8 | int64(b)
	}
	if plain {
		v &= 1<<(7*n) - 1
	}
	return v, n
}

func ebmlUint(p []byte) int64 {
	if len(p) > 7 {
		return 0
	}
	v := int64(0)
	for _, b := range p {
		v = v<<8 | int64(b)
	}
	return v
}

func ebmlFloat(p []byte) float64 {
	switch len(p) {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(p)))
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(p))
	}
	return 0
}
