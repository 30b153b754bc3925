package raster

import (
	"slices"
	"unicode"

	"github.com/go-text/typesetting/harfbuzz"
	"github.com/go-text/typesetting/language"
)

// drawable leaves out of a text what no font can draw, and counts it as a reader would: a cluster is one character. A cluster whose base
// is missing goes whole, since a mark, a skin tone or the rest of an emoji sequence says nothing alone; a missing mark goes alone.
func (s *fontSet) drawable(paragraphs [][]rune) (kept [][]rune, missing int) {
	for _, p := range paragraphs {
		text, lost := s.drawableText(p)
		missing += lost
		if lost == 0 || len(text) > 0 {
			kept = append(kept, text)
		}
	}
	if !slices.ContainsFunc(kept, func(p []rune) bool { return len(p) > 0 }) {
		return nil, missing
	}
	return kept, missing
}

func (s *fontSet) drawableText(text []rune) (kept []rune, missing int) {
	starts := graphemeStarts(text)
	for i := 0; i < len(text); {
		end := i + 1
		for !starts[end] {
			end++
		}
		cluster := s.drawableCluster(text[i:end])
		if len(cluster) < end-i {
			missing++
		}
		if len(cluster) == 0 && blankAt(kept, len(kept)-1) && blankAt(text, end) {
			end++ // of the two blanks around it one is enough
		}
		kept, i = append(kept, cluster...), end
	}
	return trimBlanks(kept), missing
}

func (s *fontSet) drawableCluster(cluster []rune) []rune {
	if s.find(cluster, language.Common, cjkChinese) != nil {
		return cluster
	}
	var kept []rune
	for i, r := range cluster {
		has := harfbuzz.IsDefaultIgnorable(r) || s.find(cluster[i:i+1], language.Common, cjkChinese) != nil
		if !has && i == 0 {
			return nil
		}
		if has {
			kept = append(kept, r)
		}
	}
	return kept
}

func blankAt(text []rune, i int) bool { return i >= 0 && i < len(text) && unicode.IsSpace(text[i]) }

func trimBlanks(text []rune) []rune {
	for blankAt(text, 0) {
		text = text[1:]
	}
	for blankAt(text, len(text)-1) {
		text = text[:len(text)-1]
	}
	return text
}
