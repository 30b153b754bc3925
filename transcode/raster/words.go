package raster

import (
	"slices"
	"unicode"

	"github.com/ninefold/ninefold/transcode/icu"
)

// wordEnd is ZERO WIDTH SPACE: nothing to see, and a line may end there.
const wordEnd = '\u200b'

// unspaced reports whether r is of a script that writes its words without a blank between them and breaks lines at words only. The
// library that wraps lines has no dictionary, and would not break them before a line is full.
func unspaced(r rune) bool {
	return unicode.In(r, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// withWordEnds marks where the words of unspaced scripts end. No mark comes into a grapheme cluster. Other text is returned as it is.
func withWordEnds(text []rune) ([]rune, error) {
	if !slices.ContainsFunc(text, unspaced) {
		return text, nil
	}
	breaks, err := icu.LineBreaks(text)
	if err != nil {
		return nil, err
	}
	starts := graphemeStarts(text)
	out, at := make([]rune, 0, len(text)+len(breaks)), 0
	for _, i := range breaks {
		if starts[i] && unspaced(text[i-1]) && unspaced(text[i]) {
			out = append(append(out, text[at:i]...), wordEnd)
			at = i
		}
	}
	return append(out, text[at:]...), nil
}
