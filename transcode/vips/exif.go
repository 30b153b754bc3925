package vips

import (
	"bytes"
	"encoding/binary"

	"github.com/ninefold/ninefold/pipeline"
)

// exifOrientation reads the orientation from an Exif block: IFD0's tag 0x0112, 1 where it is absent or nonsense.
func exifOrientation(b []byte) int {
	b = bytes.TrimPrefix(b, []byte("Exif\x00\x00"))
	if len(b) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if string(b[:2]) == "II" {
		order = binary.LittleEndian
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return 1
	}
	entries := int(order.Uint16(b[at:]))
	for at += 2; entries > 0 && at+12 <= int64(len(b)); entries, at = entries-1, at+12 {
		if order.Uint16(b[at:]) != 0x0112 {
			continue
		}
		if o := int(order.Uint16(b[at+8:])); o >= 1 && o <= 8 {
			return o
		}
		return 1
	}
	return 1
}

// orientation is what is still to be done to the decoded picture p. HEIC and AVIF turn by their own boxes, which the decoder obeys,
// and their Exif orientation is then history. Some camera programs write no such box and leave the turn to Exif, as JPEG does.
func (s source) orientation(p picture) int {
	if s.typ != pipeline.TypeHEIC && s.typ != pipeline.TypeAVIF {
		return p.orientation()
	}
	data, err := readBounded(s.path)
	if err != nil || turnsItself(data) {
		return 1
	}
	return exifOrientation(p.exif())
}

// turnsItself reports whether a HEIC or AVIF has a rotation or mirror box.
func turnsItself(data []byte) bool {
	r := newBoxReader()
	properties, ok := r.at(data, "meta", "iprp", "ipco")
	if !ok {
		return false
	}
	list, _ := r.list(properties.body)
	for _, b := range list {
		if b.kind == "irot" || b.kind == "imir" {
			return true
		}
	}
	return false
}
