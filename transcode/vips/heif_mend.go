package vips

import (
	"encoding/binary"
	"slices"
)

// withClosedBox writes its length into a last box that goes to the end of the file and says so by a length of 0: libheif takes that of mdat
// only.
func withClosedBox(data []byte) bool {
	top, _ := newBoxReader().list(data)
	if len(top) == 0 {
		return false
	}
	last := top[len(top)-1]
	const headBytes = 8
	at := len(data) - len(last.body) - headBytes
	if last.kind != "meta" || at < 0 || binary.BigEndian.Uint32(data[at:]) != 0 {
		return false
	}
	binary.BigEndian.PutUint32(data[at:], uint32(len(last.body)+headBytes))
	return true
}

// withoutCrowdedReferences renames the references of auxiliary pictures and of metadata that name more than one picture. iPhones write
// them since iOS 18: one for the picture, one for its tone map. libheif before 1.18 refuses the whole file for either ("Too many auxiliary
// image references", "Metadata not correctly assigned to image"). The picture does not need them: what turns it stands in its own boxes.
func withoutCrowdedReferences(data []byte) bool {
	return renameReferences(data, func(r reference) bool { return len(r.to) > 1 && (r.kind == "auxl" || r.kind == "cdsc") })
}

// renameReferences gives the chosen references a type that no decoder knows. No length changes.
func renameReferences(data []byte, which func(reference) bool) bool {
	changed := false
	for _, r := range references(data) {
		if which(r) {
			copy(r.head, "xref")
			changed = true
		}
	}
	return changed
}

// configurations are the properties without which a coded picture cannot be decoded.
var configurations = map[string]string{"hvc1": "hvcC", "av01": "av1C"}

// withoutBareItems takes out coded pictures that lack their configuration and that the primary picture is not made of. iPhones write such
// beside sound ones, and libheif before 1.21 refuses the file for them ("No 'hvcC' box").
func withoutBareItems(data []byte) bool {
	parts, have, changed := madeOf(data), configured(data), false
	left := maxIdentities
	for _, it := range itemEntries(data) {
		if config := configurations[it.kind]; config == "" || parts[it.id] || have[it.id] {
			continue
		}
		if left--; left < 0 {
			break
		}
		copy(it.head, "free")
		redirect(data, it.id, 0, false)
		changed = true
	}
	return changed
}

// configured lists the items that have a decoder's configuration.
func configured(data []byte) map[uint32]bool {
	out := map[uint32]bool{}
	ipma, ok := newBoxReader().at(data, "meta", "iprp", "ipma")
	if !ok {
		return out
	}
	all := allProperties(data)
	for _, a := range associations(ipma.body) {
		for _, index := range a.indexes {
			if i := int(index & a.mask()); i >= 1 && i <= len(all) && (all[i-1].kind == "hvcC" || all[i-1].kind == "av1C") {
				out[a.item] = true
			}
		}
	}
	return out
}

// withoutIdentities takes out identity items (iden), which show another picture turned or cut. They have no data, for which libheif before
// 1.18 refuses the file. Where the primary picture is made of one, the picture that it shows stands in for it: the turns and cuts become
// that picture's own, after those that it has, and whoever names the identity item names the picture then.
func withoutIdentities(data []byte) bool {
	changed := false
	for range maxIdentities {
		id, shown, needed := identity(data)
		if id == 0 || needed && !moveTransforms(data, id, shown) || !dropItem(data, id) {
			break
		}
		redirect(data, id, shown, needed)
		changed = true
	}
	return changed
}

// maxIdentities bounds the identity items that are replaced in one file; each costs a walk over its boxes.
const maxIdentities = 64

// identity finds an identity item and the one that it shows, 0 where there is none. needed says that the primary picture is made of it.
// One whose picture is shown by others, too, is left alone: its turns are not theirs.
func identity(data []byte) (id, shown uint32, needed bool) {
	kinds, refs := itemKinds(data), references(data)
	parts, shows := madeOf(data), map[uint32]int{}
	for _, r := range refs {
		for _, to := range r.to {
			if r.kind == "dimg" && parts[r.from] {
				shows[to]++
			}
		}
	}
	for _, r := range refs {
		if r.kind != "dimg" || len(r.to) != 1 || kinds[r.from] != "iden" {
			continue
		}
		if to := r.to[0]; !parts[r.from] || kinds[to] != "iden" && shows[to] == 1 {
			return r.from, to, parts[r.from]
		}
	}
	return 0, 0, false
}

// madeOf is the primary picture with all that it is derived from.
func madeOf(data []byte) map[uint32]bool {
	primary, _ := primaryItem(data)
	parts, refs := map[uint32]bool{primary: true}, references(data)
	for range maxDerivations {
		for _, r := range refs {
			for _, to := range r.to {
				if r.kind == "dimg" && parts[r.from] {
					parts[to] = true
				}
			}
		}
	}
	return parts
}

// redirect makes every mention of an item one of another, or forgets it where that is not needed. What the item itself refers to is
// forgotten.
func redirect(data []byte, from, to uint32, needed bool) {
	for _, r := range references(data) {
		if r.from == from || !needed && slices.Contains(r.to, from) {
			copy(r.head, "xref")
			continue
		}
		for i, id := range r.to {
			if id == from {
				putID(r.ids[i*r.idBytes:(i+1)*r.idBytes], to)
			}
		}
	}
	if id, ok := primaryItem(data); ok && id == from {
		setPrimaryItem(data, to)
	}
}

func putID(at []byte, id uint32) {
	if len(at) == 2 {
		binary.BigEndian.PutUint16(at, uint16(id))
		return
	}
	binary.BigEndian.PutUint32(at, id)
}

// transforms are the properties that change how a picture is shown, in the order in which they are listed.
var transforms = []string{"clap", "irot", "imir"}

// moveTransforms appends the transforms of one item to another's properties. The association box keeps its length: what one entry loses
// the other has more.
func moveTransforms(data []byte, from, to uint32) bool {
	b, ok := newBoxReader().at(data, "meta", "iprp", "ipma")
	if !ok || len(b.body) < fullBoxBytes+4 {
		return false
	}
	entries, all := associations(b.body), allProperties(data)
	at := slices.IndexFunc(entries, func(e association) bool { return e.item == from })
	target := slices.IndexFunc(entries, func(e association) bool { return e.item == to })
	if at < 0 || target < 0 {
		return at < 0 && target >= 0 // nothing to move
	}
	var kept, moved []uint32
	for _, index := range entries[at].indexes {
		if i := int(index & entries[at].mask()); i >= 1 && i <= len(all) && slices.Contains(transforms, all[i-1].kind) {
			moved = append(moved, index)
		} else {
			kept = append(kept, index)
		}
	}
	entries[at].indexes, entries[target].indexes = kept, append(entries[target].indexes, moved...)
	if len(entries[target].indexes) > 255 {
		return false
	}
	copy(b.body[fullBoxBytes+4:], associationBytes(entries))
	return true
}
