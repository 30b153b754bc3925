package vips

import (
	"bytes"
	"encoding/binary"

	"github.com/ninefold/ninefold/pipeline"
)

// exif is a TIFF structure of directories.
type exif struct {
	data  []byte
	order binary.ByteOrder
}

func newExif(b []byte) (exif, bool) {
	b = bytes.TrimPrefix(b, []byte("Exif\x00\x00"))
	if len(b) < 8 {
		return exif{}, false
	}
	if string(b[:2]) == "II" {
		return exif{b, binary.LittleEndian}, true
	}
	return exif{b, binary.BigEndian}, true
}

// first is where the first directory begins.
func (e exif) first() int64 { return e.long(4) }

// long reads 32 bits.
func (e exif) long(at int64) int64 { return int64(e.order.Uint32(e.data[at:])) }

// find returns where the four bytes of a tag's value stand, in the directory at at.
func (e exif) find(at int64, tag uint16) (value int64, ok bool) {
	if at+2 > int64(len(e.data)) {
		return 0, false
	}
	entries := int(e.order.Uint16(e.data[at:]))
	for at += 2; entries > 0 && at+12 <= int64(len(e.data)); entries, at = entries-1, at+12 {
		if e.order.Uint16(e.data[at:]) == tag {
			return at + 8, true
		}
	}
	return 0, false
}

// tagOrientation is in the first directory.
const tagOrientation = 0x0112

// exifOrientation reads the orientation from an Exif block, 1 where it is absent or nonsense.
func exifOrientation(b []byte) int {
	e, ok := newExif(b)
	if !ok {
		return 1
	}
	at, ok := e.find(e.first(), tagOrientation)
	if !ok {
		return 1
	}
	if o := int(e.order.Uint16(e.data[at:])); o >= 1 && o <= 8 {
		return o
	}
	return 1
}

// orientation is what is still to be done to the decoded picture p. HEIC and AVIF turn by their own boxes, which the decoder obeys,
// and their Exif orientation is then history. Some camera programs write no such box and leave the turn to Exif, as JPEG does.
func (s source) orientation(p picture) int {
	if s.typ != pipeline.TypeHEIC && s.typ != pipeline.TypeAVIF {
		return p.orientation()
	}
	data, err := s.bytes(p)
	if err != nil || turnsItself(data) {
		return 1
	}
	return exifOrientation(p.exif())
}

// turnsItself reports whether a HEIC or AVIF has a rotation or mirror box of its own picture.
func turnsItself(data []byte) bool {
	for _, b := range primaryProperties(data) {
		if b.kind == "irot" || b.kind == "imir" {
			return true
		}
	}
	return false
}
