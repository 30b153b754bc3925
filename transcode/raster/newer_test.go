package raster

import (
	"errors"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ot "github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/font/opentype/tables"

	"github.com/ninefold/ninefold/pipeline"
)

// newerEmoji are emoji of Unicode 16 and 17, in the order of their numbers; Debian 12's font has none of them.
const newerEmoji = "\U0001f6d8\U0001fa89\U0001fa8a\U0001fa8e\U0001fa8f\U0001fabe\U0001fac6\U0001fac8\U0001facd\U0001fadc\U0001fadf\U0001fae9\U0001faea\U0001faef"

// newerCards fails where the set-up has not put the font.
func newerCards(t *testing.T) *Cards {
	t.Helper()
	c := newCards(t)
	if c.setter.fonts.newerEmoji() == nil {
		t.Fatal("the font of the newer emoji is not there: run docker/setup.sh fonts")
	}
	return c
}

func emojiCard(t *testing.T, c *Cards, text string) *image.NRGBA {
	t.Helper()
	card, _, _, err := c.Card(caption(text, pipeline.CaptionOutline), 640, 480)
	if err != nil {
		t.Fatal(err)
	}
	return card
}

// inkOf counts the pixels that show, and those that are neither of the text's white nor of the outline's black: a colour, or a mid grey.
func inkOf(card *image.NRGBA) (shown, painted int) {
	for i := 0; i < len(card.Pix); i += 4 {
		r, g, b, a := int(card.Pix[i]), int(card.Pix[i+1]), int(card.Pix[i+2]), card.Pix[i+3]
		if a < 128 {
			continue
		}
		shown++
		if bright := max(r, g, b); bright-min(r, g, b) > 16 || bright > 48 && bright < 208 {
			painted++
		}
	}
	return shown, painted
}

// The font has a name of its own: no program that asks for Noto Color Emoji is given these few glyphs.
func TestNewerEmojiHaveTheirOwnName(t *testing.T) {
	t.Parallel()
	ld, done, err := newerCards(t).setter.fonts.newerEmoji().loader()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ld.RawTable(ot.MustNewTag("name"))
	if err = errors.Join(err, done()); err != nil {
		t.Fatal(err)
	}
	names, _, err := tables.ParseName(raw)
	for _, id := range []tables.NameID{1, 4, 6} { // family, full name, PostScript's
		if name := names.Name(id); err != nil || !strings.HasPrefix(name, "Ninefold") {
			t.Errorf("name %d is %q, %v", id, name, err)
		}
	}
	if licence := names.Name(13); licence == "" {
		t.Error("the font names no licence")
	}
}

// Each is a picture of its own, as large as an older emoji and in colours: no box, no blank, and not all the same.
func TestNewerEmojiAreDrawn(t *testing.T) {
	t.Parallel()
	c := newerCards(t)
	old := emojiCard(t, c, "😀")
	if shown, painted := inkOf(emojiCard(t, c, "□")); painted*3 > shown {
		t.Fatalf("a box has %d of %d pixels in colours: this test tells nothing", painted, shown)
	}
	seen := map[string]rune{}
	for _, r := range newerEmoji {
		card := emojiCard(t, c, string(r))
		shown, painted := inkOf(card)
		if got := c.Undrawn(string(r)); got != 0 || card.Rect != old.Rect || shown < 200 || painted*3 < shown {
			t.Errorf("%U: %d missing, a card of %v with %d pixels, %d of a colour, beside 😀's of %v", r, got, card.Rect, shown, painted, old.Rect)
		}
		if other, again := seen[string(card.Pix)]; again {
			t.Errorf("%U is drawn as %U", r, other)
		}
		seen[string(card.Pix)] = r
	}
}

// Beside text, older emoji and a sequence of them, a newer one changes nothing of theirs.
func TestNewerEmojiBesideOthers(t *testing.T) {
	t.Parallel()
	c := newerCards(t)
	for text, want := range map[string]int{
		"a\U0001fae9b": 3, "\U0001fae9 x": 3, "👩🏾‍🚀\U0001faef🇩🇪": 3, "\U0001fae9\ufe0f": 1, "\U0001fabe\U0001fac6 日": 4, "שלום \U0001faea": 6,
	} {
		if shown, boxes := glyphs(t, c, text); shown < want-1 || shown > want || boxes != 0 || c.Undrawn(text) != 0 {
			t.Errorf("%+q: %d glyphs, %d boxes, %d missing, want %d and none", text, shown, boxes, c.Undrawn(text), want)
		}
	}
}

// Without the font they are left out and counted, as any character that no font has.
func TestWithoutTheFontNewerEmojiAreLeftOut(t *testing.T) {
	t.Parallel()
	c, err := NewCards(oldFonts(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range newerEmoji {
		if got := c.Undrawn("a" + string(r)); got != 1 || !sameCard(t, c, "a"+string(r), "a") {
			t.Errorf("%U: %d missing, want it left out", r, got)
		}
	}
}

// oldFonts is a directory of the fonts of Debian 12, without the newer emoji; the test is skipped where Debian's own font has them.
func oldFonts(t *testing.T) string {
	t.Helper()
	all := newCards(t).setter.fonts
	if all.emoji().covers([]rune(newerEmoji)[:1]) {
		t.Skip("the installed font has the newer emoji itself")
	}
	dir := t.TempDir()
	for _, name := range []string{latinFont, cjkFont, emojiFont} {
		if err := os.Symlink(all.paths[name], filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
