package pipeline

import (
	"unicode"
)

// A caption may be a picture: 4,000 Braille cells are one of 200 by 160 dots, and nobody has looked at it. Where its part is withheld or
// blurred, so is such a caption; what reads as words is shown as ever.

const (
	// fewSigns is what no picture can be made of: 64 Braille cells are 512 dots.
	fewSigns = 64
	// fewShapes is how many different characters a picture made of letters has at most; 200 characters of any language have more.
	fewShapes, manyLetters = 8, 200
)

// drawn reports whether a text is mostly drawing: Braille dots, blocks, lines, squares, punctuation or emoji, or very many of a few letters.
func drawn(text string) bool {
	letters, signs, shapes := 0, 0, map[rune]bool{}
	for _, r := range text {
		switch {
		case unicode.IsSpace(r), unicode.IsMark(r), unicode.Is(unicode.Cf, r): // blanks, accents and joiners belong to what is beside them
			continue
		case unicode.IsLetter(r), unicode.IsNumber(r):
			letters++
		default:
			signs++
		}
		if len(shapes) <= fewShapes {
			shapes[r] = true
		}
	}
	return signs >= fewSigns && signs > letters || letters+signs >= manyLetters && len(shapes) <= fewShapes
}

// shownWith is a caption as it is shown beside a part that is let through by an action.
func shownWith(caption string, a Action) string {
	if a != Deliver && a != BlurReveal && drawn(caption) {
		return ""
	}
	return caption
}
