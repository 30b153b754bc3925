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

// withoutCrowdedAux renames auxiliary references that name more than one picture. Recent iPhones write them for their HDR gain maps and
// libheif 1.15 refuses the whole file for it ("Too many auxiliary image references"); the picture itself does not need them.
// It changes data and reports whether there was anything to change.
func withoutCrowdedAux(data []byte) bool {
	r := newBoxReader()
	iref, ok := r.at(data, "meta", "iref")
	if !ok || len(iref.body) < fullBoxBytes {
		return false
	}
	idBytes := 2
	if iref.body[0] > 0 {
		idBytes = 4
	}
	refs, _ := r.list(iref.children())
	changed := false
	for _, b := range refs {
		if b.kind == "auxl" && len(b.body) >= idBytes+2 && binary.BigEndian.Uint16(b.body[idBytes:]) > 1 {
			copy(b.head, "xaux")
			changed = true
		}
	}
	return changed
}

// largestExtent returns the largest picture size that the file's item properties speak of.
func largestExtent(data []byte) (w, h int64) {
	r := newBoxReader()
	properties, ok := r.at(data, "meta", "iprp", "ipco")
	if !ok {
		return 0, 0
	}
	list, _ := r.list(properties.body)
	for _, b := range list {
		if b.kind == "ispe" && len(b.body) >= fullBoxBytes+8 {
			w = max(w, int64(binary.BigEndian.Uint32(b.body[fullBoxBytes:])))
			h = max(h, int64(binary.BigEndian.Uint32(b.body[fullBoxBytes+4:])))
		}
	}
	return w, h
}
