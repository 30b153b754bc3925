package vips

// #include "bridge.h"
import "C"

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
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
	iccPCSAt       = 20
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
	for _, name := range iccTagNames(data) {
		if i := slices.Index(iccTables, string(name)); i >= 0 {
			f.tables[i] = true
		}
	}
	return f
}

// iccTagNames are the names in a profile's list of tags, as they stand there.
func iccTagNames(data []byte) (names [][]byte) {
	for _, entry := range iccEntries(data) {
		names = append(names, entry[:4])
	}
	return names
}

// iccEntries is a profile's list of tags: of each its name, and where it stands and how long it is. The profile has a header.
func iccEntries(data []byte) (entries [][]byte) {
	tags := data[iccHeaderBytes+4:]
	for range min(binary.BigEndian.Uint32(data[iccHeaderBytes:]), maxICCTags) {
		if len(tags) < iccTagBytes {
			break
		}
		entries, tags = append(entries, tags[:iccTagBytes]), tags[iccTagBytes:]
	}
	return entries
}

var (
	// iccClasses are the profiles that describe a picture's values: display, scanner or camera, printer, colour space.
	iccClasses = []string{"mntr", "scnr", "prtr", "spac"}
	// iccTables are the tags of tables to the connection space, in the order in which browsers look for them; in each profile one is used.
	iccTables = []string{"A2B0", "A2B1", "A2B2"}
	// iccFloatTables are newer tags, which LittleCMS prefers to those and browsers do not read.
	iccFloatTables = []string{"D2B0", "D2B1", "D2B2", "D2B3"}
)

// iccRelative is the tag of the table for the relative intent, the only one that is asked for: with the others, LittleCMS compensates for
// the black point where the profile of the output is of version 4, and libvips' own sRGB is one since 8.15. Ink came out darker on Debian 13
// than on 12, and than in browsers.
const iccRelative = "A2B1"

func (f iccFacts) hasTables() bool { return f.tables != [len(f.tables)]bool{} }

// relative is the profile with the table that browsers take as its only one, under the name of the relative intent: libvips takes no profile
// for an intent that it lacks. A matrix or a curve serves every intent.
func (f iccFacts) relative(profile []byte) []byte {
	out := bytes.Clone(profile)
	used := iccTables[slices.Index(f.tables[:], true)]
	for _, name := range iccTagNames(out) {
		switch tag := string(name); {
		case tag == used:
			copy(name, iccRelative)
		case slices.Contains(iccTables, tag), slices.Contains(iccFloatTables, tag):
			copy(name, strings.ToLower(tag))
		}
	}
	return out
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
