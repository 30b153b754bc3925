package vips

// #include "bridge.h"
import "C"

import (
	"encoding/binary"
	"fmt"

	"github.com/ninefold/ninefold/pipeline"
)

// rest is how much there is of a picture whose file ends early.
type rest struct {
	rows, height int  // rows from the top before the first pixel that is missing
	coarse       bool // all rows, without their last detail: a progressive JPEG whose first pass is complete
	jpeg         bool
}

// enough reports whether the picture is worth delivering.
func (l rest) enough() bool {
	share, lost := l.share(), l.height-l.rows
	return l.coarse || share >= leastShare || l.jpeg && lost <= mostLostRows && share >= leastRowsLeft
}

func (l rest) share() float64 {
	if l.height == 0 {
		return 0
	}
	return float64(l.rows) / float64(l.height)
}

// endMissing is the warning for a picture that is all there.
const endMissing = "truncated: the file lacks its last bytes; the picture is whole"

func (l rest) warning() string {
	switch {
	case l.rows == l.height:
		return endMissing
	case l.coarse:
		return "truncated: the file ends early; its finest detail is missing"
	}
	return fmt.Sprintf("truncated: the file ends early; %d %% of the picture is there", int(100*l.share()))
}

// left finds out how much of a broken JPEG or PNG is there. Other types are all or nothing.
func (s source) left() rest {
	switch s.typ {
	case pipeline.TypeJPEG:
		return s.leftOfJPEG()
	case pipeline.TypePNG, pipeline.TypeAPNG:
		return s.countRows(failOnError, nil)
	}
	return rest{}
}

// leftOfJPEG counts rows twice: the decoder that asks for the end gives up some blocks before it has used what is there, and the one that
// is given an end stops at any other fault, too.
func (s source) leftOfJPEG() rest {
	data, err := readBounded(s.path)
	if err != nil {
		return rest{}
	}
	l := s.countRows(failOnError, nil)
	segs, _, incomplete := walkJPEG(data)
	if incomplete != nil {
		ended, late := endedJPEG(data)
		l.rows = max(l.rows, min(l.height, s.countRows(failOnWarning, ended).rows-late))
		l.coarse = firstPassWhole(segs)
	}
	l.jpeg = true
	return l
}

// endedJPEG is a copy of data with the mark that ends a picture, which may have been cut in two, and how many rows late a decoder notices
// what is missing. libvips asks for warnings before it reads eight rows: where there is one scan, it is made to ask behind the last ones by
// rows that are added. Of several scans all are read before the first row.
func endedJPEG(data []byte) (ended []byte, late int) {
	if n := len(data); n > 0 && data[n-1] == 0xff {
		data = data[:n-1]
	}
	ended = append(append(make([]byte, 0, len(data)+2), data...), 0xff, markEOI)
	segs, _, _ := walkJPEG(ended)
	scans := 0
	for _, seg := range segs {
		if seg.marker == markSOS {
			scans++
		}
	}
	for _, seg := range segs {
		if isSOF(seg.marker) && seg.marker != markSOF2 && len(seg.payload) >= 6 && scans == 1 {
			height := seg.payload[1:3]
			binary.BigEndian.PutUint16(height, binary.BigEndian.Uint16(height)+mostBlockRows)
			late = noticedLate(seg.payload)
		}
	}
	return ended, late
}

const (
	mostBlockRows = 32 // rows of pixels that one row of blocks has at most
	rowsAtOnce    = 8  // that libvips reads
)

// noticedLate is rowsAtOnce, or 0 where colours have half as many rows as the picture: they are smoothed with the next row of blocks, which
// is read ahead.
func noticedLate(sof []byte) int {
	least, most := byte(15), byte(1)
	for c := range int(sof[5]) {
		if at := 6 + 3*c + 1; at < len(sof) {
			least, most = min(least, sof[at]&15), max(most, sof[at]&15)
		}
	}
	if most == 2*least {
		return 0
	}
	return rowsAtOnce
}

// countRows reads from the top, the file or data in its place, until the decoder fails.
func (s source) countRows(failOn int, data []byte) rest {
	var a arena
	defer a.free()
	p, err := s.load(&a, loaders[s.typ.MIME], loading{failOn: C.int(failOn)}, data)
	if err != nil {
		return rest{}
	}
	return rest{rows: p.goodRows(), height: p.height()}
}

// endless is the warning for a file whose pixels can all be decoded and that does not end as it should: its decoder takes bytes that were
// never written for pixels, or does not mind what is missing behind them.
func (s source) endless() string {
	switch s.typ {
	case pipeline.TypePNG, pipeline.TypeAPNG:
		if !endsPNG(s.path) {
			return endMissing
		}
	case pipeline.TypeJPEG:
		data, err := readBounded(s.path)
		if err != nil {
			return ""
		}
		_, _, incomplete := walkJPEG(data)
		if incomplete != nil {
			return "truncated: the file does not end as a JPEG does; the foot of the picture may be missing"
		}
	}
	return ""
}
