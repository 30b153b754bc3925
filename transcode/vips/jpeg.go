package vips

import (
	"encoding/binary"
	"errors"
)

// JPEG markers.
const (
	markSOI  = 0xd8
	markEOI  = 0xd9
	markSOS  = 0xda
	markDQT  = 0xdb
	markDRI  = 0xdd
	markDHT  = 0xc4
	markAPP0 = 0xe0
	markSOF2 = 0xc2 // progressive
)

// maxSegments bounds the walk: a progressive JPEG with a large profile has some hundred.
const maxSegments = 10_000

var errJPEG = errors.New("not a whole JPEG")

// jpegSegment is one marker segment; payload excludes the length field, and is nil for markers without one.
type jpegSegment struct {
	marker  byte
	payload []byte
}

// isSOF reports whether m begins a frame: it carries the size.
func isSOF(m byte) bool { return m >= 0xc0 && m <= 0xcf && m != markDHT && m != 0xc8 && m != 0xcc }

// standsAlone reports whether m has no length and no payload.
func standsAlone(m byte) bool {
	return m == markSOI || m == markEOI || m == 0x01 || (m >= 0xd0 && m <= 0xd7)
}

// walkJPEG lists the segments up to the end of the image and returns how many bytes follow it. The segments found so far are
// returned with an error, too.
func walkJPEG(data []byte) (segs []jpegSegment, trailing int, err error) {
	if len(data) < 4 || data[0] != 0xff || data[1] != markSOI {
		return nil, 0, errJPEG
	}
	for at := 2; ; {
		if at, err = nextMarker(data, at); err != nil {
			return segs, 0, err
		}
		seg := jpegSegment{marker: data[at]}
		at++
		if !standsAlone(seg.marker) {
			if at+2 > len(data) {
				return segs, 0, errJPEG
			}
			end := at + int(binary.BigEndian.Uint16(data[at:]))
			if end < at+2 || end > len(data) {
				return segs, 0, errJPEG
			}
			seg.payload, at = data[at+2:end], end
		}
		if segs = append(segs, seg); len(segs) > maxSegments {
			return segs, 0, errJPEG
		}
		if seg.marker == markEOI {
			return segs, len(data) - at, nil
		}
	}
}

// nextMarker skips entropy-coded data, where ff is followed by 00 or a restart marker, and fill bytes.
func nextMarker(data []byte, at int) (int, error) {
	for ; at+1 < len(data); at++ {
		next := data[at+1]
		if data[at] == 0xff && next != 0x00 && next != 0xff && (next < 0xd0 || next > 0xd7) {
			return at + 1, nil
		}
	}
	return 0, errJPEG
}

// jpegSize finds the size in the frame header.
func jpegSize(segs []jpegSegment) (w, h int) {
	for _, s := range segs {
		if isSOF(s.marker) && len(s.payload) >= 5 {
			return int(binary.BigEndian.Uint16(s.payload[3:])), int(binary.BigEndian.Uint16(s.payload[1:]))
		}
	}
	return 0, 0
}

// firstPassWhole reports whether a progressive JPEG that was cut short still shows its whole picture: every component has its DC scan
// and the first scans of all 63 AC coefficients, each followed by another marker. What is missing is refinement, the last bits.
func firstPassWhole(segs []jpegSegment) bool {
	parts, progressive := 0, false
	have := map[byte]*[64]bool{}
	for i, s := range segs {
		if isSOF(s.marker) && len(s.payload) >= 6 {
			parts, progressive = int(s.payload[5]), s.marker == markSOF2
		}
		if s.marker == markSOS && i+1 < len(segs) {
			noteScan(have, s.payload)
		}
	}
	if !progressive || parts == 0 || len(have) < parts {
		return false
	}
	for _, coefficients := range have {
		for _, seen := range coefficients {
			if !seen {
				return false
			}
		}
	}
	return true
}

// noteScan marks the coefficients that a first scan (successive approximation high = 0) brings for its components.
func noteScan(have map[byte]*[64]bool, p []byte) {
	if len(p) < 1 || len(p) < 4+2*int(p[0]) {
		return
	}
	n := int(p[0])
	from, to, high := p[1+2*n], p[2+2*n], p[3+2*n]>>4
	if high != 0 || to > 63 {
		return
	}
	for c := range n {
		id := p[1+2*c]
		if have[id] == nil {
			have[id] = &[64]bool{}
		}
		for k := from; k <= to; k++ {
			have[id][k] = true
		}
	}
}
