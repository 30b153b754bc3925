package raster

import "unicode"

const (
	textSelector  = '\ufe0e' // VARIATION SELECTOR-15: show as text
	emojiSelector = '\ufe0f' // VARIATION SELECTOR-16: show as emoji
	keycap        = '\u20e3'
	emojiPlanes   = 0x1f000 // pictographs above are shown in colour even where Unicode's default is text, as phones do
)

// emojiPresentation lists the characters below emojiPlanes that are emoji without a selector: Emoji_Presentation in Unicode
// 15.1's emoji-data.txt.
var emojiPresentation = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x231a, Hi: 0x231b, Stride: 1},
	{Lo: 0x23e9, Hi: 0x23ec, Stride: 1},
	{Lo: 0x23f0, Hi: 0x23f3, Stride: 3},
	{Lo: 0x25fd, Hi: 0x25fe, Stride: 1},
	{Lo: 0x2614, Hi: 0x2615, Stride: 1},
	{Lo: 0x2648, Hi: 0x2653, Stride: 1},
	{Lo: 0x267f, Hi: 0x2693, Stride: 20},
	{Lo: 0x26a1, Hi: 0x26aa, Stride: 9},
	{Lo: 0x26ab, Hi: 0x26bd, Stride: 18},
	{Lo: 0x26be, Hi: 0x26c4, Stride: 6},
	{Lo: 0x26c5, Hi: 0x26ce, Stride: 9},
	{Lo: 0x26d4, Hi: 0x26ea, Stride: 22},
	{Lo: 0x26f2, Hi: 0x26f3, Stride: 1},
	{Lo: 0x26f5, Hi: 0x26fa, Stride: 5},
	{Lo: 0x26fd, Hi: 0x2705, Stride: 8},
	{Lo: 0x270a, Hi: 0x270b, Stride: 1},
	{Lo: 0x2728, Hi: 0x274c, Stride: 36},
	{Lo: 0x274e, Hi: 0x2753, Stride: 5},
	{Lo: 0x2754, Hi: 0x2755, Stride: 1},
	{Lo: 0x2757, Hi: 0x2795, Stride: 62},
	{Lo: 0x2796, Hi: 0x2797, Stride: 1},
	{Lo: 0x27b0, Hi: 0x27bf, Stride: 15},
	{Lo: 0x2b1b, Hi: 0x2b1c, Stride: 1},
	{Lo: 0x2b50, Hi: 0x2b55, Stride: 5},
}}

// isEmoji reports whether a grapheme cluster asks for colour: a ZWJ sequence, a flag, a skin tone and a keycap are one cluster.
func isEmoji(cluster []rune) bool {
	first := cluster[0]
	colour := first >= emojiPlanes && first < 0x20000 || unicode.Is(emojiPresentation, first)
	for _, r := range cluster[1:] {
		switch {
		case r == textSelector:
			return false
		case r == emojiSelector, r == keycap, r >= 0x1f3fb && r <= 0x1f3ff:
			colour = true
		}
	}
	return colour
}
