package vips

// #include "bridge.h"
import "C"

import (
	"encoding/binary"
	"slices"
)

// iccFacts is what a profile's header and list of tags say.
type iccFacts struct {
	space  string  // "RGB ", "GRAY", "CMYK"
	tables [3]bool // of iccTables, which it has
}

// Of a profile's header: its length, where the class, the space and the signature stand, and where the list of tags begins.
const (
	iccHeaderBytes = 128
	iccClassAt     = 12
	iccSpaceAt     = 16
	iccSignatureAt = 36
	iccTagBytes    = 12
	maxICCTags     = 200
)

// readICC reads a profile as far as it must be known to choose how it is used: nothing of what does not describe a picture.
func readICC(data []byte) (f iccFacts) {
	if len(data) < iccHeaderBytes+4 || string(data[iccSignatureAt:iccSignatureAt+4]) != "acsp" ||
		!slices.Contains(iccClasses, string(data[iccClassAt:iccClassAt+4])) {
		return f
	}
	f.space = string(data[iccSpaceAt : iccSpaceAt+4])
	tags := data[iccHeaderBytes+4:]
	for range min(binary.BigEndian.Uint32(data[iccHeaderBytes:]), maxICCTags) {
		if len(tags) < iccTagBytes {
			break
		}
		if i := slices.Index(iccTables, string(tags[:4])); i >= 0 {
			f.tables[i] = true
		}
		tags = tags[iccTagBytes:]
	}
	return f
}

var (
	// iccClasses are the profiles that describe a picture's values: display, scanner or camera, printer, colour space.
	iccClasses = []string{"mntr", "scnr", "prtr", "spac"}
	// iccTables are the tags of tables to the connection space, in the order in which browsers look for them.
	iccTables = []string{"A2B0", "A2B1", "A2B2"}
	// iccIntents are the intents that those tables are for.
	iccIntents = []C.int{C.VIPS_INTENT_PERCEPTUAL, C.VIPS_INTENT_RELATIVE, C.VIPS_INTENT_SATURATION}
)

// intent is the one that the profile has a table for: libvips takes no profile for an intent that it lacks. Without tables, a matrix or a
// curve serves every intent, and relative changes nothing but the white.
func (f iccFacts) intent() C.int {
	if i := slices.Index(f.tables[:], true); i >= 0 {
		return iccIntents[i]
	}
	return C.VIPS_INTENT_RELATIVE
}

// meaning is how a picture of so many colour bands is read: by its profile where that fits, else as sRGB, grey or ink.
func (f iccFacts) meaning(colours int) C.int {
	switch {
	case f.space == "RGB " && (colours == 3 || colours == 1):
		return C.NF_EMBEDDED_RGB
	case f.space == "GRAY" && colours == 1, f.space == "CMYK" && colours == 4:
		return C.NF_EMBEDDED
	case colours == 4:
		return C.NF_INK
	}
	return C.NF_ASSUMED
}

// fits reports whether there is a profile and it is of use to a picture of so many colour bands.
func (f iccFacts) fits(colours int) bool { return f.meaning(colours) != (iccFacts{}).meaning(colours) }
