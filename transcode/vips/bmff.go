package vips

import (
	"encoding/binary"
	"errors"
	"slices"
)

var errBMFF = errors.New("not a whole ISO base media file")

// Bounds of the walk, whatever the boxes say: more is no picture but an attack.
const (
	maxBoxes     = 10_000
	maxBoxDepth  = 16
	fullBoxBytes = 4 // version and flags
)

// box is one ISO base media box; body excludes its header. Bodies share the file's bytes: writing to head renames the box in place.
type box struct {
	kind string
	head []byte // the four bytes of the kind
	body []byte
}

// boxReader counts the boxes of one file.
type boxReader struct{ left int }

func newBoxReader() *boxReader { return &boxReader{left: maxBoxes} }

// list reads the boxes that fill data. Fewer than eight trailing bytes are passed over, as decoders do.
func (r *boxReader) list(data []byte) ([]box, error) {
	var out []box
	for len(data) >= 8 {
		if r.left--; r.left < 0 {
			return nil, errBMFF
		}
		header, size := uint64(8), uint64(binary.BigEndian.Uint32(data))
		switch {
		case size == 1 && len(data) >= 16:
			header, size = 16, binary.BigEndian.Uint64(data[8:])
		case size == 0:
			size = uint64(len(data))
		}
		if size < header || size > uint64(len(data)) {
			return out, errBMFF
		}
		out = append(out, box{string(data[4:8]), data[4:8], data[header:size]})
		data = data[size:]
	}
	return out, nil
}

// at follows a path of box kinds to the first box there; boxes named in full have version and flags before their children.
func (r *boxReader) at(data []byte, path ...string) (box, bool) {
	if len(path) > maxBoxDepth {
		return box{}, false
	}
	boxes, _ := r.list(data) // what came before the damage is still there
	i := slices.IndexFunc(boxes, func(b box) bool { return b.kind == path[0] })
	if i < 0 {
		return box{}, false
	}
	if len(path) == 1 {
		return boxes[i], true
	}
	return r.at(boxes[i].children(), path[1:]...)
}

// children is the part of the body that holds boxes.
func (b box) children() []byte {
	if (b.kind == "meta" || b.kind == "iref") && len(b.body) >= fullBoxBytes {
		return b.body[fullBoxBytes:]
	}
	return b.body
}

// largestExtent returns the largest picture size that the file's item properties speak of.
func largestExtent(data []byte) (w, h int64) {
	for _, b := range allProperties(data) {
		if b.kind == "ispe" && len(b.body) >= fullBoxBytes+8 {
			w = max(w, int64(binary.BigEndian.Uint32(b.body[fullBoxBytes:])))
			h = max(h, int64(binary.BigEndian.Uint32(b.body[fullBoxBytes+4:])))
		}
	}
	return w, h
}

// allProperties lists the properties of all items, as associations count them.
func allProperties(data []byte) []box {
	r := newBoxReader()
	properties, ok := r.at(data, "meta", "iprp", "ipco")
	if !ok {
		return nil
	}
	list, _ := r.list(properties.body)
	return list
}

// primaryProperties lists the properties of the item that a viewer shows, in their order.
func primaryProperties(data []byte) []box {
	id, ok := primaryItem(data)
	if !ok {
		return nil
	}
	return itemProperties(data, id)
}

// itemProperties lists the properties of one item, in their order.
func itemProperties(data []byte, id uint32) []box {
	ipma, ok := newBoxReader().at(data, "meta", "iprp", "ipma")
	if !ok {
		return nil
	}
	var out []box
	all := allProperties(data)
	for _, a := range associations(ipma.body) {
		for _, index := range a.indexes {
			if i := int(index & a.mask()); a.item == id && i >= 1 && i <= len(all) {
				out = append(out, all[i-1])
			}
		}
	}
	return out
}

// association is one entry of an ipma box: the properties of an item, by their number from 1. The highest bit of a number says that a reader
// must understand the property.
type association struct {
	item              uint32
	indexes           []uint32
	idBytes, indexLen int
}

func (a association) mask() uint32 { return 1<<(8*a.indexLen-1) - 1 }

// associations reads an ipma box: version 1 has ids of 32 bits, flag 1 numbers of 15.
func associations(b []byte) (out []association) {
	if len(b) < fullBoxBytes+4 {
		return nil
	}
	idBytes, indexLen := 2, 1
	if b[0] > 0 {
		idBytes = 4
	}
	if b[3]&1 > 0 {
		indexLen = 2
	}
	for b = b[fullBoxBytes+4:]; len(b) >= idBytes+1; {
		a, n := association{item: bigEndian(b[:idBytes]), idBytes: idBytes, indexLen: indexLen}, int(b[idBytes])
		b = b[idBytes+1:]
		if len(b) < n*indexLen {
			return out
		}
		for i := range n {
			a.indexes = append(a.indexes, bigEndian(b[i*indexLen:(i+1)*indexLen]))
		}
		out, b = append(out, a), b[n*indexLen:]
	}
	return out
}

// associationBytes writes entries as associations reads them.
func associationBytes(entries []association) (out []byte) {
	for _, a := range entries {
		out = append(appendNumber(out, a.item, a.idBytes), byte(len(a.indexes)))
		for _, index := range a.indexes {
			out = appendNumber(out, index, a.indexLen)
		}
	}
	return out
}

// appendNumber appends the last n bytes of v, big-endian.
func appendNumber(b []byte, v uint32, n int) []byte {
	return append(b, binary.BigEndian.AppendUint32(nil, v)[4-n:]...)
}

// bigEndian reads up to four bytes as a number.
func bigEndian(b []byte) (v uint32) {
	for _, x := range b {
		v = v<<8 | uint32(x)
	}
	return v
}
