// Package icu tells where a line may end, also in scripts that put no blank between words: Thai, Lao, Khmer and Burmese need a dictionary
// for it, and ICU's library carries all four. libvips brings that library along. It is the only package that links ICU.
package icu

// #cgo pkg-config: icu-uc
// #include "bridge.h"
import "C"

import (
	"fmt"
	"unicode/utf16"
)

// LineBreaks returns the indexes of the runes that may begin a line, in rising order, by UAX #14 and ICU's dictionaries; 0 is not among
// them. An error means that the installed ICU lacks its data. It is safe for concurrent use.
func LineBreaks(text []rune) ([]int, error) {
	if len(text) < 2 {
		return nil, nil
	}
	units := utf16.Encode(text)
	places := make([]C.int32_t, len(units))
	n := C.nf_line_breaks((*C.uint16_t)(&units[0]), C.int32_t(len(units)), &places[0], C.int32_t(len(places)))
	if n < 0 {
		return nil, fmt.Errorf("icu: no line breaks (error %d)", -n)
	}
	return runeIndexes(text, places[:n]), nil
}

// runeIndexes translates places in code units.
func runeIndexes(text []rune, places []C.int32_t) []int {
	out := make([]int, 0, len(places))
	unit := 0
	for i, r := range text {
		if len(out) < len(places) && unit == int(places[len(out)]) {
			out = append(out, i)
		}
		unit += max(1, utf16.RuneLen(r)) // -1: no character, encoded as one unit
	}
	return out
}
