package vips

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

// openHEIF reads a HEIC or AVIF. What older versions of libheif are known to refuse (doc.go) is taken out before they see it; what they
// refuse beyond that though it is sound is read without what the decoder stumbles over; where that is the picture itself, its embedded
// preview is taken, and the picture says so. Without one it is CodeUnsupportedType, never CodeCorrupt.
func (s source) openHEIF(a *arena, ld loader, l loading) (picture, error) {
	data, err := readBounded(s.path)
	if err != nil {
		return picture{}, err
	}
	var mended []byte // nil while the file can be read as it is
	block := itemExif(data)
	closed, uncrowded := withClosedBox(data), withoutCrowdedReferences(data)
	if closed || uncrowded {
		mended = data
	}
	reason, refused := undecodable(data), error(nil)
	if reason == "" {
		p, err := s.load(a, ld, l, mended)
		if err == nil {
			p.read, p.block = mended, block
			return p, nil
		}
		if pipeline.AsError(err).Code == pipeline.CodeOutOfMemory {
			return picture{}, err
		}
		reason, refused = refusalOf(err), err
	}
	for _, m := range heifMends {
		if m.preview && reason == "" || !m.mend(data) { // a damaged picture is not passed off by its preview
			continue
		}
		if p, err := s.load(a, ld, l, data); err == nil && undecodable(data) == "" {
			p.read, p.preview, p.block = data, m.preview, block
			return p, nil
		}
	}
	if reason == "" {
		return picture{}, refused
	}
	return picture{}, pipeline.Refuse(pipeline.CodeUnsupportedType, "this %s %s; send it as JPEG", strings.ToUpper(s.typ.Ext[1:]), reason)
}

// heifMends are tried in order, each on top of those before. mend changes data and reports whether there was anything to change.
var heifMends = []struct {
	mend    func(data []byte) bool
	preview bool // what is left is not the whole picture
}{
	{mend: withoutBareItems},
	{mend: withoutIdentities},
	{mend: withoutAux},
	{mend: withBasePicture},
	{mend: withPreview, preview: true},
}

// refusalOf is what a sender is told where libheif itself says that it lacks something, "" for a file that is damaged.
func refusalOf(err error) string {
	if strings.Contains(err.Error(), "Unsupported") {
		return "uses a feature that the decoder does not have"
	}
	return ""
}

// How pictures are coded in items that libheif decodes, or derived from other items.
var (
	codedKinds   = []string{"hvc1", "av01"}
	derivedKinds = []string{"grid", "iden", "iovl"}
)

// otherCodings names the codings that a phone may write and this decoder does not read.
var otherCodings = map[string]string{
	"avc1": "H.264", "hvt1": "HEVC tiles", "j2k1": "JPEG 2000", "jpeg": "JPEG", "lhv1": "layered HEVC", "tmap": "a tone map", "unci": "plain pixels",
	"vvc1": "VVC",
}

// lastPlainProfile is the last of HEVC's profiles that are decoded: 1 Main, 2 Main 10, 3 Main Still Picture, 4 the range extensions.
const lastPlainProfile = 4

// undecodable says why the decoder cannot read the primary picture of a sound file; "" where it can, and where the boxes do not tell.
func undecodable(data []byte) string {
	id, ok := codedItem(data)
	if !ok {
		return ""
	}
	kind := itemKinds(data)[id]
	if !slices.Contains(codedKinds, kind) {
		if name := otherCodings[kind]; name != "" {
			return "holds its picture as " + name + ", which the decoder does not read"
		}
		return "holds its picture in a coding that the decoder does not know"
	}
	for _, b := range itemProperties(data, id) {
		if b.kind == "hvcC" && len(b.body) > 1 && b.body[1]&0x1f > lastPlainProfile {
			return "uses a profile of HEVC that the decoder does not read"
		}
	}
	return ""
}

// codedItem is the primary picture, or the first of the coded pictures that it is derived from. ok is false where the boxes do not tell.
func codedItem(data []byte) (id uint32, ok bool) {
	if id, ok = primaryItem(data); !ok {
		return 0, false
	}
	kinds := itemKinds(data)
	for range maxDerivations {
		if !slices.Contains(derivedKinds, kinds[id]) {
			break
		}
		parts := referencesFrom(data, "dimg", id)
		if len(parts) == 0 {
			return 0, false
		}
		id = parts[0]
	}
	kind, known := kinds[id]
	return id, known && !slices.Contains(derivedKinds, kind)
}

// maxDerivations bounds the walk from a derived picture to the coded ones it is made of.
const maxDerivations = 4

// withoutAux renames every auxiliary reference, that of an alpha plane, too.
func withoutAux(data []byte) bool {
	return renameReferences(data, func(r reference) bool { return r.kind == "auxl" })
}

// withBasePicture makes the picture under a tone map the primary one: the map only tells how to show it brighter.
func withBasePicture(data []byte) bool {
	id, ok := primaryItem(data)
	if !ok || itemKinds(data)[id] != "tmap" {
		return false
	}
	base := referencesFrom(data, "dimg", id)
	return len(base) > 0 && setPrimaryItem(data, base[0])
}

// withPreview makes the thumbnail of the primary picture the primary one, and drops what else refers to the picture: the decoder misses
// an item whose coding it does not know.
func withPreview(data []byte) bool {
	id, ok := primaryItem(data)
	if !ok {
		return false
	}
	refs := references(data)
	at := slices.IndexFunc(refs, func(r reference) bool { return r.kind == "thmb" && slices.Contains(r.to, id) })
	if at < 0 {
		return false
	}
	for _, r := range refs {
		if r.from == id || slices.Contains(r.to, id) {
			copy(r.head, "xref")
		}
	}
	return setPrimaryItem(data, refs[at].from)
}

// primaryItem is the item that a viewer shows.
func primaryItem(data []byte) (id uint32, ok bool) {
	b, ok := newBoxReader().at(data, "meta", "pitm")
	if !ok || len(b.body) < fullBoxBytes+idBytes(b) {
		return 0, false
	}
	return bigEndian(b.body[fullBoxBytes : fullBoxBytes+idBytes(b)]), true
}

// setPrimaryItem changes it in data.
func setPrimaryItem(data []byte, id uint32) bool {
	b, ok := newBoxReader().at(data, "meta", "pitm")
	if !ok || len(b.body) < fullBoxBytes+idBytes(b) {
		return false
	}
	if idBytes(b) == 2 {
		binary.BigEndian.PutUint16(b.body[fullBoxBytes:], uint16(id))
	} else {
		binary.BigEndian.PutUint32(b.body[fullBoxBytes:], id)
	}
	return true
}

// idBytes is how long item ids are in a pitm, iref or ipma box: 16 bits in version 0, 32 after.
func idBytes(b box) int {
	if len(b.body) > 0 && b.body[0] > 0 {
		return 4
	}
	return 2
}

// reference is one of the iref box: from one item to others. Writing to head renames it in place, writing to ids has it name others.
type reference struct {
	kind    string
	head    []byte
	from    uint32
	to      []uint32
	ids     []byte
	idBytes int
}

// maxReferenced bounds the items that all references of a file name: twice the tiles of the largest grid.
const maxReferenced = 1 << 17

func references(data []byte) []reference {
	r := newBoxReader()
	iref, ok := r.at(data, "meta", "iref")
	if !ok || len(iref.body) < fullBoxBytes {
		return nil
	}
	n := idBytes(iref)
	list, _ := r.list(iref.children())
	out, left := make([]reference, 0, len(list)), maxReferenced
	for _, b := range list {
		if left < 0 || len(b.body) < n+2 {
			continue
		}
		ref := reference{kind: b.kind, head: b.head, from: bigEndian(b.body[:n]), ids: b.body[n+2:], idBytes: n}
		count := int(binary.BigEndian.Uint16(b.body[n:]))
		for rest := b.body[n+2:]; count > 0 && len(rest) >= n; count, rest = count-1, rest[n:] {
			ref.to = append(ref.to, bigEndian(rest[:n]))
		}
		left -= len(ref.to)
		out = append(out, ref)
	}
	return out
}

// referencesFrom lists what an item refers to by references of one kind.
func referencesFrom(data []byte, kind string, id uint32) (to []uint32) {
	for _, r := range references(data) {
		if r.kind == kind && r.from == id {
			to = append(to, r.to...)
		}
	}
	return to
}

// itemKinds lists the items' types.
func itemKinds(data []byte) map[uint32]string {
	out := map[uint32]string{}
	for _, it := range itemEntries(data) {
		out[it.id] = it.kind
	}
	return out
}

// itemEntry is an item as it is listed.
type itemEntry struct {
	id   uint32
	kind string
	head []byte // four bytes of the entry's own type, "infe"
}

func itemEntries(data []byte) (out []itemEntry) {
	r := newBoxReader()
	list, ok := r.at(data, "meta", "iinf")
	if !ok {
		return nil
	}
	skip := fullBoxBytes + idBytes(list) // the count has the length that ids have elsewhere
	items, _ := r.list(list.body[min(skip, len(list.body)):])
	for _, it := range items {
		if it.kind != "infe" || len(it.body) < fullBoxBytes || it.body[0] < 2 {
			continue
		}
		n := 2 // of the id: 16 bits in version 2, 32 in version 3
		if it.body[0] > 2 {
			n = 4
		}
		if b := it.body[fullBoxBytes:]; len(b) >= n+6 {
			out = append(out, itemEntry{bigEndian(b[:n]), string(b[n+2 : n+6]), it.head})
		}
	}
	return out
}

// dropItem makes a free box of an item's entry: no reader knows of the item any more.
func dropItem(data []byte, id uint32) bool {
	entries := itemEntries(data)
	at := slices.IndexFunc(entries, func(it itemEntry) bool { return it.id == id })
	if at < 0 {
		return false
	}
	copy(entries[at].head, "free")
	return true
}
