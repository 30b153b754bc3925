package raster

import (
	"strings"
	"testing"

	"github.com/go-text/typesetting/font"

	"github.com/ninefold/ninefold/pipeline"
)

// glyphs counts what is drawn of a caption, and what of it is a box.
func glyphs(t *testing.T, c *Cards, text string) (shown, boxes int) {
	t.Helper()
	kept, _ := c.setter.fonts.drawable(cleanText(text))
	l, err := c.setter.fit(kept, room{w: 640, h: 480, style: pipeline.CaptionBar})
	if err != nil {
		t.Fatal(err)
	}
	for _, ln := range l.lines {
		for _, run := range ln.runs {
			for _, g := range run.Glyphs {
				if g.GlyphID == 0 {
					boxes++
				}
				if g.GlyphID != font.EmptyGlyph && g.Width != 0 {
					shown++
				}
			}
		}
	}
	return shown, boxes
}

// Characters that no font has: one of no font at all (private use), one that Unicode has not given out, and one that Noto has not drawn.
func TestWhatNoFontHasIsLeftOutAndCounted(t *testing.T) {
	t.Parallel()
	c := newCards(t)
	for text, want := range map[string]struct {
		missing, shown int
		as             string // the same picture as this text's
	}{
		"a\ue123b":          {1, 2, "ab"},
		"a \ue123 b":        {1, 2, "a b"},
		"\ue123 a":          {1, 1, "a"},
		"\U0003fff0\u0301x": {1, 1, "x"}, // a mark without its base says nothing
		"x\U000e0fff":       {0, 1, "x"}, // shows nothing, so nothing is missing
		"👍🏽\ue123":          {1, 1, "👍🏽"},
		"\ue123\n\ue124":    {2, 0, ""},
		"a\n\ue123\nb":      {1, 2, "a\nb"},
		"a\ue123\ufe0fb":    {1, 2, "ab"}, // with what belongs to it
	} {
		shown, boxes := 0, 0
		if want.as != "" {
			shown, boxes = glyphs(t, c, text)
		}
		if got := c.Undrawn(text); got != want.missing || shown != want.shown || boxes != 0 {
			t.Errorf("%+q: %d missing, %d shown, %d boxes, want %d, %d and none", text, got, shown, boxes, want.missing, want.shown)
		}
		if !sameCard(t, c, text, want.as) {
			t.Errorf("%+q is not drawn as %+q", text, want.as)
		}
	}
}

func sameCard(t *testing.T, c *Cards, a, b string) bool {
	t.Helper()
	first, _, _, err := c.Card(caption(a, pipeline.CaptionOutline), 640, 480)
	if err != nil {
		t.Fatal(err)
	}
	second, _, _, err := c.Card(caption(b, pipeline.CaptionOutline), 640, 480)
	if err != nil {
		t.Fatal(err)
	}
	return first.Rect == second.Rect && string(first.Pix) == string(second.Pix)
}

// Faces that people paste mix marks of Latin with letters of other scripts; no single font has both.
func TestMarksComeFromAnotherFontInsideARun(t *testing.T) {
	t.Parallel()
	c := newCards(t)
	for _, text := range []string{
		"(ツ) ͡° ͜ʖ", "( ͡° ͜ʖ ͡°)", "¯\\_(ツ)_/¯ ͡°", "ツ͡ a", "日\u0361本", "ก\u0361ข", "ه\u0361", "字\u20dd 안\u0308", "ʕ •́؈•̀ ₎", "(づ｡◕‿‿◕｡)づ", "ಠ_ಠ ͡ಠ", "ᕙ(⇀‸↼‶)ᕗ",
	} {
		shown, boxes := glyphs(t, c, text)
		if boxes > 0 || shown == 0 || c.Undrawn(text) > 0 {
			t.Errorf("%q: %d glyphs, %d boxes, %d missing, want none of the last two", text, shown, boxes, c.Undrawn(text))
		}
	}
}

// A caption of the longest burned length, each character one that no font has: the search costs no more than text does.
func TestALongCaptionOfMissingCharacters(t *testing.T) {
	t.Parallel()
	c := newCards(t)
	var b strings.Builder
	for i := range pipeline.MaxBurnedRunes {
		b.WriteRune(rune(0xf0000 + i))
	}
	if got := c.Undrawn(b.String()); got != pipeline.MaxBurnedRunes {
		t.Errorf("%d missing, want %d", got, pipeline.MaxBurnedRunes)
	}
}
