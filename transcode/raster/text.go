package raster

import (
	"strings"
	"unicode"

	"github.com/ninefold/ninefold/pipeline"
)

// cleanText returns the paragraphs of a caption: no control characters, no blank at a paragraph's ends, at most one empty
// paragraph between two others, at most pipeline.MaxBurnedRunes in all. Joiners, selectors and bidi marks stay.
func cleanText(s string) [][]rune {
	var paragraphs [][]rune
	for _, line := range strings.Split(mapControls(s), "\n") {
		line = strings.TrimSpace(line)
		after := len(paragraphs) > 0 && len(paragraphs[len(paragraphs)-1]) > 0
		if line != "" || after {
			paragraphs = append(paragraphs, []rune(line))
		}
	}
	if n := len(paragraphs); n > 0 && len(paragraphs[n-1]) == 0 {
		paragraphs = paragraphs[:n-1]
	}
	return paragraphs
}

// mapControls makes every kind of line end \n and a tab a space, and drops the other controls and what is no character.
func mapControls(s string) string {
	runes := []rune(strings.ReplaceAll(s, "\r\n", "\n"))
	runes = runes[:min(len(runes), pipeline.MaxBurnedRunes)]
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\v', r == '\f', r == '\r', r == '\u0085', r == '\u2028', r == '\u2029':
			return '\n'
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Noncharacter_Code_Point, r), r == '\ufeff', r >= '\ufff9' && r <= '\ufffb':
			return -1
		}
		return r
	}, string(runes))
}

// joined sets the paragraphs behind one another, for a picture too small for its line ends.
func joined(paragraphs [][]rune) []rune {
	var all []rune
	for _, p := range paragraphs {
		if len(all) > 0 && len(p) > 0 {
			all = append(all, ' ')
		}
		all = append(all, p...)
	}
	return all
}

// cjkLanguage chooses the shapes of Han characters, which Unicode leaves open: Japanese where there is kana, Korean where there
// is hangul, traditional beside bopomofo, else simplified Chinese.
func cjkLanguage(paragraphs [][]rune) int {
	korean, taiwan := false, false
	for _, p := range paragraphs {
		for _, r := range p {
			switch {
			case unicode.In(r, unicode.Hiragana, unicode.Katakana):
				return cjkJapanese
			case unicode.Is(unicode.Hangul, r):
				korean = true
			case unicode.Is(unicode.Bopomofo, r):
				taiwan = true
			}
		}
	}
	switch {
	case korean:
		return cjkKorean
	case taiwan:
		return cjkTaiwan
	}
	return cjkChinese
}
