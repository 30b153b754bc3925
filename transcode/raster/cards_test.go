package raster

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-text/typesetting/font"
	"github.com/google/go-cmp/cmp"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// samples are set in one font each at least; family and skin tone are single pictures.
var samples = map[string]string{
	"latin":      "Crème brûlée à Łódź – naïve façade, Ærøskøbing Ññ Đđ ệ",
	"arabic":     "مرحبا بالعالم، هذا نص تجريبي باللغة العربية رقم 123 جميل",
	"hebrew":     "שלום עולם, זהו טקסט לדוגמה 42 בעברית",
	"devanagari": "नमस्ते दुनिया, क्षत्रिय ज्ञान श्री हिन्दी में",
	"thai":       "สวัสดีชาวโลก วันนี้อากาศดีมาก น้ำผึ้ง ปั่นจักรยานไปทะเลกับเพื่อนๆ",
	"lao":        "ມື້ນີ້ອາກາດດີຫຼາຍ ຂ້ອຍໄປໂຮງຮຽນກັບໝູ່ທຸກມື້",
	"khmer":      "ខ្ញុំទៅសាលារៀនជាមួយមិត្តភក្តិរាល់ថ្ងៃ ថ្ងៃនេះអាកាសធាតុល្អណាស់",
	"burmese":    "ကျွန်တော်သည်ကျောင်းသို့သွားသည် ဒီနေ့ရာသီဥတုအရမ်းကောင်းတယ်",
	"chinese":    "你好，世界！今天天气很好。",
	"japanese":   "こんにちは世界。今日は湖でカヤックを漕ぎました。",
	"korean":     "안녕하세요 세계, 오늘 날씨가 좋네요",
	"emoji":      "👍🏽 👩🏾‍🚀 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 1️⃣ ❤️ 🛶",
	"symbols":    "❤ ☀ ★ → ≤ № € ½ ♫",
	"mixed":      "We went to תל אביב 123 yesterday (שלום!) 👩🏾‍🚀 in 東京, नमस्ते",
	"tamil":      "வணக்கம் உலகம்",
	"tibetan":    "བཀྲ་ཤིས་བདེ་ལེགས",
	"cherokee":   "ᎣᏏᏲ", // in no table: found by the scan
}

func newCards(t testing.TB) *Cards {
	t.Helper()
	c, err := NewCards()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func caption(text, style string) transcode.Step {
	return transcode.Step{Op: pipeline.OpCaption, Text: text, Style: style, Position: pipeline.CaptionBottom}
}

func lay640(t *testing.T, c *Cards, text string) layout {
	t.Helper()
	l, err := c.setter.fit(cleanText(text), room{w: 640, h: 480, style: pipeline.CaptionBar})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEverySampleHasItsGlyphs(t *testing.T) {
	c := newCards(t)
	for name, text := range samples {
		shown := 0
		for _, ln := range lay640(t, c, text).lines {
			for _, run := range ln.runs {
				for _, g := range run.Glyphs {
					if g.GlyphID == 0 {
						t.Errorf("%s: no glyph for character %d of %q", name, g.TextIndex(), text)
					}
					if g.GlyphID != font.EmptyGlyph && g.Width != 0 {
						shown++
					}
				}
			}
		}
		if shown == 0 {
			t.Errorf("%s: nothing shows", name)
		}
	}
}

func TestEmojiSequenceIsOneGlyph(t *testing.T) {
	c := newCards(t)
	for _, text := range []string{"👍🏽", "👩🏾‍🚀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "1️⃣", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"} {
		for _, around := range []string{"%s", "ab %s cd", "שלום %s עולם", "日本%s語"} {
			var drawn []string
			for _, ln := range lay640(t, c, fmt.Sprintf(around, text)).lines {
				for _, run := range ln.runs {
					if run.Face != c.setter.fonts.emoji().face {
						continue
					}
					for _, g := range run.Glyphs {
						if g.GlyphID != font.EmptyGlyph && g.Width != 0 {
							drawn = append(drawn, fmt.Sprint(g.GlyphID, " of ", g.RunesCount(), " characters"))
						}
					}
				}
			}
			if len(drawn) != 1 || !strings.HasSuffix(drawn[0], fmt.Sprintf("of %d characters", utf8.RuneCountInString(text))) {
				t.Errorf("%q in %q is drawn as %v, want one glyph", text, around, drawn)
			}
		}
	}
}

func TestEmojiIsInColourAndTextIsNot(t *testing.T) {
	for text, want := range map[string]bool{"❤️": true, "👍🏽": true, "⌚": true, "❤": false, "⌚\ufe0e": false, "1": false, "©": false, "日": false} {
		card, _, _, err := newCards(t).Card(caption(text, pipeline.CaptionBar), 200, 200)
		if err != nil {
			t.Fatal(err)
		}
		coloured := false
		for i := 0; i < len(card.Pix); i += 4 {
			lo, hi := min(card.Pix[i], card.Pix[i+1], card.Pix[i+2]), max(card.Pix[i], card.Pix[i+1], card.Pix[i+2])
			coloured = coloured || hi-lo > 60
		}
		if coloured != want {
			t.Errorf("%+q in colour: %v, want %v", text, coloured, want)
		}
	}
}

// visual spells a line as it is read from left to right.
func visual(text []rune, ln line) string {
	var out []rune
	for _, run := range ln.runs {
		for _, g := range run.Glyphs {
			out = append(out, text[g.TextIndex()])
		}
	}
	return string(out)
}

// The expected orders follow from the Unicode bidi algorithm, UAX #9; letters are of unjoined scripts, one glyph each.
func TestLinesAreInVisualOrder(t *testing.T) {
	c := newCards(t)
	for text, want := range map[string]string{
		"abc":                   "abc",
		"אבג":                   "גבא",
		"אבג דה":                "הד גבא",
		"אבג 123 דה":            "הד 123 גבא",
		"אבג abc":               "abc גבא",
		"abc אבג":               "abc גבא",
		"abc אבג 123":           "abc 123 גבא",
		"abc אבג 123 דה xyz":    "abc הד 123 גבא xyz",
		"abc אבג 123 xyz":       "abc 123 גבא xyz",
		"abc (אבג!) דה":         "abc (גבא!) הד",
		"12 אבג":                "גבא 12",
		"!אבג":                  "גבא!",
		"\u200fabc אבג":         "גבא abc\u200f",
		"אבג\u2066 a1 \u2069דה": "הד\u2069 a1 \u2066גבא",
	} {
		p := []rune(text)
		l := lay640(t, c, text)
		if len(l.lines) != 1 {
			t.Fatalf("%q: %d lines", text, len(l.lines))
		}
		got := strings.Map(dropMarks, visual(p, l.lines[0]))
		if mirrored := strings.Map(dropMarks, want); got != mirrored {
			t.Errorf("%+q reads %+q from the left, want %+q", text, got, mirrored)
		}
	}
}

func dropMarks(r rune) rune {
	if r >= '\u200e' && r <= '\u200f' || r >= '\u2066' && r <= '\u2069' {
		return -1
	}
	return r
}

func TestWrappedLinesKeepAllText(t *testing.T) {
	c := newCards(t)
	for name, text := range samples {
		l, err := c.setter.fit(cleanText(text+" "+text), room{w: 300, h: 400, style: pipeline.CaptionBar})
		if err != nil {
			t.Fatal(err)
		}
		all, err := withWordEnds([]rune(text + " " + text))
		if err != nil {
			t.Fatal(err)
		}
		seen := make([]bool, len(all))
		for _, ln := range l.lines {
			for _, run := range ln.runs {
				for _, g := range run.Glyphs {
					for i := range g.RunesCount() {
						seen[g.TextIndex()+i] = true
					}
				}
			}
		}
		for i, ok := range seen {
			if !ok && all[i] != ' ' && all[i] != wordEnd {
				t.Errorf("%s: character %d (%q) is lost", name, i, all[i])
			}
		}
		if len(l.lines) < 2 && l.width() > 280 {
			t.Errorf("%s: not wrapped", name)
		}
	}
}

func TestPlainWordsBreakAtSpaces(t *testing.T) {
	c := newCards(t)
	text := []rune(strings.Repeat("kayak ", 40))
	l := lay640(t, c, string(text))
	for i, ln := range l.lines {
		if got := visual(text, ln); !strings.HasPrefix(got, "kayak") || !strings.HasSuffix(got, "kayak") {
			t.Errorf("line %d is %q", i, got)
		}
	}
	if len(l.lines) < 3 {
		t.Errorf("%d lines", len(l.lines))
	}
}

// ink is the smallest rectangle around what is not card: transparent in an outline card, the bar in a bar.
func ink(card *image.NRGBA, bare color.NRGBA) image.Rectangle {
	var box image.Rectangle
	for y := range card.Rect.Dy() {
		for x := range card.Rect.Dx() {
			if card.NRGBAAt(x, y) != bare {
				box = box.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return box
}

// A card begins at a whole pixel, ink at a fraction of one, and an emoji is rounded to whole ones.
const centreTolerance = 2.0 // pixels

func TestInkIsCentredInsideTheCard(t *testing.T) {
	c := newCards(t)
	for style, bare := range map[string]color.NRGBA{pipeline.CaptionBar: {A: barAlpha}, pipeline.CaptionOutline: {}} {
		for name, text := range samples {
			card, x, y, err := c.Card(caption(text, style), 640, 480)
			if err != nil {
				t.Fatal(err)
			}
			if !card.Rect.Add(image.Pt(x, y)).In(image.Rect(0, 0, 640, 480)) {
				t.Errorf("%s %s: the card leaves the picture: %v at %d,%d", style, name, card.Rect, x, y)
			}
			box := ink(card, bare)
			if box.Empty() || box.Min.X < 1 || box.Min.Y < 1 || box.Max.X >= card.Rect.Max.X || box.Max.Y >= card.Rect.Max.Y {
				t.Errorf("%s %s: ink %v touches the edge of %v", style, name, box, card.Rect)
			}
			off := float64(x) + float64(box.Min.X+box.Max.X)/2 - 320
			if math.Abs(off) > centreTolerance {
				t.Errorf("%s %s: ink lies %.1f pixels off the centre", style, name, off)
			}
		}
	}
}

func TestFiveHundredCharactersFit(t *testing.T) {
	c := newCards(t)
	for name, text := range samples {
		runes := []rune(strings.Repeat(text+" ", 1+pipeline.MaxBurnedRunes/utf8.RuneCountInString(text)))[:pipeline.MaxBurnedRunes]
		for _, size := range []image.Point{{1920, 1080}, {1080, 1920}, {320, 240}, {200, 200}} {
			for _, style := range []string{pipeline.CaptionBar, pipeline.CaptionOutline} {
				l, err := c.setter.fit(cleanText(string(runes)), room{w: size.X, h: size.Y, style: style})
				if err != nil {
					t.Fatal(err)
				}
				if l.cut || l.size < smallestSize || l.width() > float64(size.X) || l.height() > heightShare*float64(size.Y) {
					t.Errorf("%s %s on %v: size %.1f, %.0f×%.0f pixels, cut %v", name, style, size, l.size, l.width(), l.height(), l.cut)
				}
			}
		}
		card, _, _, err := c.Card(caption(string(runes), pipeline.CaptionOutline), 320, 240)
		if err != nil {
			t.Fatal(err)
		}
		if box := ink(card, color.NRGBA{}); float64(card.Rect.Dy()) > heightShare*240+1 || box.Max.Y >= card.Rect.Dy() || box.Max.X >= card.Rect.Dx() {
			t.Errorf("%s: ink %v on card %v", name, box, card.Rect)
		}
	}
}

func TestShortTextIsLegible(t *testing.T) {
	c := newCards(t)
	for _, size := range []image.Point{{1920, 1080}, {1080, 1920}, {320, 240}, {4000, 3000}} {
		l, err := c.setter.fit(cleanText("lake day"), room{w: size.X, h: size.Y, style: pipeline.CaptionBar})
		if err != nil {
			t.Fatal(err)
		}
		if want := max(readableSize, float64(min(size.X, size.Y))/sizeShare); l.size != want {
			t.Errorf("on %v: %.1f pixels, want %.1f", size, l.size, want)
		}
	}
}

// luminance and contrast are WCAG 2's.
func luminance(v uint8) float64 {
	c := float64(v) / 255
	if c <= 0.04045 {
		return c / 12.92
	}
	return math.Pow((c+0.055)/1.055, 2.4)
}

func contrast(a, b uint8) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func onGrey(px color.NRGBA, under uint8) uint8 {
	a := int(px.A)
	return uint8((int(px.G)*a + int(under)*(255-a)) / 255)
}

func TestBarKeepsContrastOnAnyPicture(t *testing.T) {
	card, _, _, err := newCards(t).Card(caption("MMMM", pipeline.CaptionBar), 640, 480)
	if err != nil {
		t.Fatal(err)
	}
	bar, text := card.NRGBAAt(0, 0), color.NRGBA{}
	for i := 0; i < len(card.Pix); i += 4 {
		if card.Pix[i] >= text.R && card.Pix[i+3] >= text.A {
			text = color.NRGBA{card.Pix[i], card.Pix[i+1], card.Pix[i+2], card.Pix[i+3]}
		}
	}
	for under := range 256 {
		if got := contrast(onGrey(text, uint8(under)), onGrey(bar, uint8(under))); got < 4.5 {
			t.Fatalf("over grey %d the contrast is %.2f", under, got)
		}
	}
}

// Small text is the hard case: its outline must not be lost on what is behind it.
func TestOutlineParts(t *testing.T) {
	for _, text := range []string{"MW lake day", "مرحبا بالعالم", "你好，世界", "ABC日本XYZ", "สวัสดีชาวโลก", "ខ្ញុំទៅសាលារៀន"} {
		card, _, _, err := newCards(t).Card(caption(text, pipeline.CaptionOutline), 640, 480)
		if err != nil {
			t.Fatal(err)
		}
		filled, bare := 0, 0
		for y := range card.Rect.Dy() {
			for x := range card.Rect.Dx() {
				if px := card.NRGBAAt(x, y); px.R < 250 || px.A < 250 {
					continue
				}
				filled++
				for _, d := range []image.Point{{1, 0}, {-1, 0}, {0, 1}, {0, -1}, {1, 1}, {1, -1}, {-1, 1}, {-1, -1}} {
					if card.NRGBAAt(x+d.X, y+d.Y).A < 200 {
						bare++
					}
				}
			}
		}
		if filled < 50 || bare > 0 {
			t.Errorf("%q: %d white pixels, of which %d have no outline beside them", text, filled, bare)
		}
	}
}

// An emoji has an outline, too: a black ring around a yellow face.
func TestEmojiHasAnOutline(t *testing.T) {
	card, _, _, err := newCards(t).Card(caption("😀", pipeline.CaptionOutline), 640, 480)
	if err != nil {
		t.Fatal(err)
	}
	y := card.Rect.Dy() / 2
	ring := 0
	for x := 0; x < card.Rect.Dx()/2; x++ {
		if px := card.NRGBAAt(x, y); px.A > 200 && max(px.R, px.G, px.B) < 60 {
			ring++
		} else if px.A > 200 && px.R > 200 {
			break
		}
	}
	if ring < 2 {
		t.Errorf("%d dark pixels before the face", ring)
	}
}

func TestPositions(t *testing.T) {
	c := newCards(t)
	for _, style := range []string{pipeline.CaptionBar, pipeline.CaptionOutline} {
		var middles []int
		for _, position := range []string{pipeline.CaptionTop, pipeline.CaptionMiddle, pipeline.CaptionBottom} {
			step := caption("lake day", style)
			step.Position = position
			card, _, y, err := c.Card(step, 640, 480)
			if err != nil {
				t.Fatal(err)
			}
			middles = append(middles, 2*y+card.Rect.Dy())
			if style == pipeline.CaptionBar && card.Rect.Dx() != 640 {
				t.Errorf("the bar is %d pixels wide", card.Rect.Dx())
			}
		}
		if middles[0] > 100 || math.Abs(float64(middles[1]-480)) > 1 || middles[2] < 860 || middles[0]+middles[2] != 960 && style == pipeline.CaptionBar {
			t.Errorf("%s: twice the middles of top, middle, bottom are %v", style, middles)
		}
	}
}

func TestOddPicturesAndTexts(t *testing.T) {
	c := newCards(t)
	texts := []string{
		"a", samples["mixed"], strings.Repeat("x", 500), strings.Repeat("\n", 500), strings.Repeat("a\n", 250), " ", "\u200d\ufe0f",
		"\u0000\u0007", "\U0010ffff\ue000", "\ud7a4", "\u202e abc", strings.Repeat("\u2067", 200) + "a", "\xff\xfe", "ـ\u0301",
	}
	for _, size := range []image.Point{{1, 1}, {1, 1000}, {1000, 1}, {2, 2}, {7, 5}, {16_000, 20}, {20, 16_000}, {100, 100}} {
		for _, style := range []string{pipeline.CaptionBar, pipeline.CaptionOutline} {
			for _, text := range texts {
				card, x, y, err := c.Card(caption(text, style), size.X, size.Y)
				if err != nil {
					t.Fatal(err)
				}
				if card.Rect.Empty() || !card.Rect.Add(image.Pt(x, y)).In(image.Rect(0, 0, size.X, size.Y)) {
					t.Errorf("%.20q on %v: card %v at %d,%d", text, size, card.Rect, x, y)
				}
			}
		}
	}
}

func TestCutTextEndsInEllipsis(t *testing.T) {
	c := newCards(t)
	for _, text := range []string{strings.Repeat("lake ", 100), strings.Repeat("אגם ", 125)} {
		l, err := c.setter.fit(cleanText(text), room{w: 64, h: 48, style: pipeline.CaptionBar})
		if err != nil {
			t.Fatal(err)
		}
		if !l.cut || len(l.lines) < 2 || l.height() > 48*heightShare {
			t.Fatalf("cut %v, %d lines, %.1f pixels high", l.cut, len(l.lines), l.height())
		}
		last := l.lines[len(l.lines)-1]
		end := last.runs[len(last.runs)-1]
		if strings.HasPrefix(text, "א") {
			end = last.runs[0]
		}
		dots, _ := end.Face.NominalGlyph('…')
		if len(end.Glyphs) != 1 || end.Glyphs[0].GlyphID != dots {
			t.Errorf("%.10q…: the last line ends without an ellipsis", text)
		}
	}
}

// slowest is far above what any text takes here (under a second); it catches work that grows with the square of the text.
const slowest = 10 * time.Second

func TestHostileTextTakesBoundedTime(t *testing.T) {
	c := newCards(t)
	scripts := make([]rune, 0, 500)
	for r := rune(0x370); len(scripts) < 500; r += 250 {
		scripts = append(scripts, r)
	}
	for name, text := range map[string]string{
		"combining marks": "a" + strings.Repeat("\u0301", 499),
		"arabic marks":    "ب" + strings.Repeat("\u064b", 499),
		"virama chain":    strings.Repeat("क्", 250),
		"long ligatures":  strings.Repeat("\ufdfd", 500),
		"all planes":      string(scripts),
		"joined emoji":    strings.Repeat("👨\u200d", 250),
		"emoji":           strings.Repeat("👍🏽👩🏾", 125),
		"bidi nesting":    strings.Repeat("\u202b\u202aa", 166),
		"open brackets":   strings.Repeat("(א[", 166),
		"han":             strings.Repeat("鬱", 500),
	} {
		for _, style := range []string{pipeline.CaptionBar, pipeline.CaptionOutline} {
			start := time.Now()
			if _, _, _, err := c.Card(caption(text, style), 1920, 1080); err != nil {
				t.Fatal(err)
			}
			took := time.Since(start)
			t.Logf("%s, %s: %v", name, style, took)
			if took > slowest {
				t.Errorf("%s, %s took %v", name, style, took)
			}
		}
	}
}

func TestFontsAreReadWhenNeeded(t *testing.T) {
	c := newCards(t)
	parsed := func() (names []string) {
		for key, f := range c.setter.fonts.files {
			if f.face != nil {
				names = append(names, key)
			}
		}
		return names
	}
	if got := parsed(); got != nil {
		t.Errorf("NewCards parsed %v", got)
	}
	if _, _, _, err := c.Card(caption("lake day", pipeline.CaptionBar), 640, 480); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{latinFont + "#0"}, parsed()); diff != "" {
		t.Errorf("fonts parsed for Latin text: %s", diff)
	}
}

func TestScriptFontsAreInstalled(t *testing.T) {
	fonts := newCards(t).setter.fonts
	for script, name := range scriptFonts {
		if fonts.file(name, 0) == nil {
			t.Errorf("%s: %s is not installed", script, name)
		}
	}
}

func TestHanFollowsTheText(t *testing.T) {
	for text, want := range map[string]int{"你好": cjkChinese, "今日は": cjkJapanese, "漢字 한국어": cjkKorean, "ㄅㄆ 漢": cjkTaiwan, "abc": cjkChinese} {
		if got := cjkLanguage(cleanText(text)); got != want {
			t.Errorf("%q: font %d of the collection, want %d", text, got, want)
		}
	}
}

func TestNewCardsNamesThePackages(t *testing.T) {
	_, err := NewCards(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "fonts-noto-core") || !strings.Contains(err.Error(), "fonts-noto-color-emoji") {
		t.Errorf("without fonts: %v", err)
	}
}

func TestCardErrors(t *testing.T) {
	c := newCards(t)
	good := caption("a", pipeline.CaptionBar)
	style, position := good, good
	style.Style, position.Position = "neon", "left"
	for name, tt := range map[string]struct {
		step transcode.Step
		w    int
		want pipeline.Code
	}{
		"style": {style, 10, pipeline.CodeInvalidEdit}, "position": {position, 10, pipeline.CodeInvalidEdit}, "no picture": {good, 0, pipeline.CodeInternal},
	} {
		_, _, _, err := c.Card(tt.step, tt.w, 10)
		if err == nil || pipeline.AsError(err).Code != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

func TestCleanText(t *testing.T) {
	for text, want := range map[string][]string{
		"a\r\nb\rc\u2028d":    {"a", "b", "c", "d"},
		"\n\n a \n\n\n b\n":   {"a", "", "b"},
		"a\tb\u0007c\u009f":   {"a bc"},
		"\ufeffa\ufffe\ufffa": {"a"},
		"👨\u200d👩 ❤\ufe0f":    {"👨\u200d👩 ❤\ufe0f"},
		" \n ":                nil,
	} {
		var got []string
		for _, p := range cleanText(text) {
			got = append(got, string(p))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+q: %s", text, diff)
		}
	}
}

func TestCardPNG(t *testing.T) {
	c := newCards(t)
	path := filepath.Join(t.TempDir(), "card.png")
	step := caption("lake day 🛶", pipeline.CaptionOutline)
	x, y, err := c.CardPNG(step, 640, 480, path)
	if err != nil {
		t.Fatal(err)
	}
	card, wantX, wantY, err := c.Card(step, 640, 480)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	back, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := back.(*image.NRGBA)
	if !ok || x != wantX || y != wantY || !cmp.Equal(got.Pix, card.Pix) {
		t.Errorf("the file is not the card: %T at %d,%d", back, x, y)
	}
	if _, _, err := c.CardPNG(step, 640, 480, path); pipeline.AsError(err).Code != pipeline.CodeInternal {
		t.Errorf("over an existing file: %v", err)
	}
}

func TestCardsAreSafeTogether(t *testing.T) {
	c := newCards(t)
	var wg sync.WaitGroup
	for name := range samples {
		wg.Go(func() {
			if _, _, _, err := c.Card(caption(samples[name], pipeline.CaptionOutline), 320, 240); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func BenchmarkCard(b *testing.B) {
	for _, name := range []string{"latin", "arabic", "japanese", "emoji"} {
		b.Run(name, func(b *testing.B) {
			c := newCards(b)
			for b.Loop() {
				if _, _, _, err := c.Card(caption(samples[name], pipeline.CaptionBar), 2048, 1536); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/first", func(b *testing.B) {
			for b.Loop() {
				if _, _, _, err := newCards(b).Card(caption(samples[name], pipeline.CaptionBar), 2048, 1536); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
