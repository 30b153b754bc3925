package emojifont

import (
	"encoding/binary"
	"unicode/utf16"

	"github.com/go-text/typesetting/font/opentype/tables"
)

// family is the font's own name: a system that has Noto Color Emoji must not find these few glyphs in its place, and an OFL font that was
// changed carries another name where its authors reserve theirs.
const family = "Ninefold Emoji"

// Numbers of a name table.
const (
	nameCopyright, nameFamily, nameStyle, nameUnique, nameFull, nameVersion, namePostScript = 0, 1, 2, 3, 4, 5, 6
	nameLicence, nameLicenceURL                                                             = 13, 14
	windows, unicodeBMP, american                                                           = 3, 1, 0x409
)

// nameTable writes the names; copyright and licence are the source's.
func nameTable(source []byte) ([]byte, error) {
	from, _, err := tables.ParseName(source)
	if err != nil {
		return nil, err
	}
	names := []struct {
		id   uint16
		text string
	}{
		{nameCopyright, from.Name(nameCopyright)},
		{nameFamily, family},
		{nameStyle, "Regular"},
		{nameUnique, family + ", of " + from.Name(nameUnique)},
		{nameFull, family},
		{nameVersion, from.Name(nameVersion)},
		{namePostScript, "NinefoldEmoji"},
		{nameLicence, from.Name(nameLicence)},
		{nameLicenceURL, from.Name(nameLicenceURL)},
	}
	be := binary.BigEndian
	const headBytes, recordBytes = 6, 12
	head := be.AppendUint16(be.AppendUint16(nil, 0), uint16(len(names)))
	head = be.AppendUint16(head, uint16(headBytes+recordBytes*len(names)))
	var text []byte
	for _, n := range names {
		at := len(text)
		for _, unit := range utf16.Encode([]rune(n.text)) {
			text = be.AppendUint16(text, unit)
		}
		for _, v := range []int{windows, unicodeBMP, american, int(n.id), len(text) - at, at} {
			head = be.AppendUint16(head, uint16(v))
		}
	}
	return append(head, text...), nil
}
