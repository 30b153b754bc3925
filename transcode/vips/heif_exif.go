package vips

import (
	"encoding/binary"
	"slices"
)

// itemExif is the Exif block that describes the primary picture, nil where there is none: read here because libheif does not hand over one
// whose reference had to be taken out.
func itemExif(data []byte) []byte {
	primary, ok := primaryItem(data)
	if !ok {
		return nil
	}
	kinds := itemKinds(data)
	for _, r := range references(data) {
		if r.kind == "cdsc" && kinds[r.from] == "Exif" && slices.Contains(r.to, primary) {
			return afterExifHeader(itemData(data, r.from))
		}
	}
	return nil
}

// afterExifHeader skips what stands before the block: its distance, in four bytes, and as many as that says.
func afterExifHeader(b []byte) []byte {
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil
	}
	return b[4+binary.BigEndian.Uint32(b):]
}

// itemData is what an item consists of, up to maxExif bytes of it; nil where the boxes do not tell.
func itemData(data []byte, id uint32) (out []byte) {
	r := newBoxReader()
	where, ok := r.at(data, "meta", "iloc")
	if !ok {
		return nil
	}
	idat, _ := r.at(data, "meta", "idat")
	for _, e := range itemExtents(where.body, id) {
		from := data
		if e.inMeta {
			from = idat.body
		}
		if e.at > uint64(len(from)) || e.length > uint64(len(from))-e.at || e.length > uint64(maxExif-len(out)) {
			return nil
		}
		out = append(out, from[e.at:e.at+e.length]...)
	}
	return out
}

// extent is a piece of an item, in the file or in the idat box.
type extent struct {
	at, length uint64
	inMeta     bool
}

// itemExtents finds an item's pieces in an iloc box: version 0 has no construction method, version 2 has ids of 32 bits.
func itemExtents(b []byte, id uint32) (out []extent) {
	c := &cursor{b: b}
	version := c.number(1)
	c.number(3)
	sizes := c.number(2)
	offsetLen, lengthLen, baseLen, indexLen := int(sizes>>12), int(sizes>>8&15), int(sizes>>4&15), int(sizes&15)
	idLen := 2
	if version == 2 {
		idLen = 4
	}
	if version == 0 {
		indexLen = 0
	}
	left := maxBoxes // an extent may take no byte at all
	for n := c.number(idLen); n > 0 && !c.short; n-- {
		item, method := c.number(idLen), uint64(0)
		if version > 0 {
			method = c.number(2) & 15
		}
		c.number(2) // data reference: this file
		base := c.number(baseLen)
		for k := c.number(2); k > 0 && !c.short; k-- {
			if left--; left < 0 {
				return nil
			}
			c.number(indexLen)
			e := extent{at: base + c.number(offsetLen), length: c.number(lengthLen), inMeta: method == 1}
			if uint64(id) == item && !c.short && method < 2 {
				out = append(out, e)
			}
		}
	}
	return out
}

// cursor reads big-endian numbers one after the other; short says that there was not enough.
type cursor struct {
	b     []byte
	short bool
}

func (c *cursor) number(n int) (v uint64) {
	if n > len(c.b) {
		c.short, c.b = true, nil
		return 0
	}
	for _, x := range c.b[:n] {
		v = v<<8 | uint64(x)
	}
	c.b = c.b[n:]
	return v
}
