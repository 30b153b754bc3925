package raster

import (
	"slices"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// sentences are divided into words by |.
var sentences = map[string]string{
	"thai, to school":     "ฉัน|ไป|โรงเรียน|กับ|เพื่อน|ทุก|วัน",
	"thai, to the sea":    "เมื่อ|วาน|นี้|เรา|ไป|เที่ยว|ทะเล|ด้วย|กัน",
	"thai, with a blank":  "สวัสดี|ชาว|โลก| วัน|นี้|อากาศ|ดี|มาก",
	"lao, the weather":    "ມື້ນີ້|ອາກາດ|ດີ|ຫຼາຍ",
	"lao, to school":      "ຂ້ອຍ|ໄປ|ໂຮງຮຽນ|ກັບ|ໝູ່|ທຸກມື້",
	"lao, the language":   "ພາສາ|ລາວ|ເປັນ|ພາສາ|ທາງການ|ຂອງ|ປະເທດ|ລາວ",
	"khmer, to school":    "ខ្ញុំ|ទៅ|សាលារៀន|ជាមួយ|មិត្តភក្តិ|រាល់ថ្ងៃ",
	"khmer, the weather":  "ថ្ងៃនេះ|អាកាសធាតុ|ល្អ|ណាស់",
	"khmer, the language": "ភាសាខ្មែរ|ជា|ភាសា|កំណើត|របស់|ជនជាតិ|ខ្មែរ",
	"burmese, to school":  "ကျွန်တော်|သည်|ကျောင်း|သို့|သွား|သည်",
	"burmese, weather":    "ဒီ|နေ့|ရာသီဥတု|အရမ်း|ကောင်း|တယ်",
	"burmese, to the sea": "ကျွန်မ|တို့|ပင်လယ်|ကို|သူငယ်ချင်း|တွေ|နဲ့|သွား|ကြ|တယ်",
}

// linesOf sets text in lines of so many ems and returns what each line says, in the text's order.
func linesOf(t *testing.T, c *Cards, text string, ems float64) []string {
	t.Helper()
	p, err := c.setter.shape([]rune(text), cjkChinese)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, ln := range c.setter.set([]*paragraph{p}, shapeSize, ems*shapeSize).lines {
		out = append(out, lineText(p.text, ln))
	}
	return out
}

// lineText is what the glyphs of a left-to-right line stand for.
func lineText(text []rune, ln line) string {
	from, to := len(text), 0
	for _, run := range ln.runs {
		for _, g := range run.Glyphs {
			from, to = min(from, g.TextIndex()), max(to, g.TextIndex()+g.RunesCount())
		}
	}
	return strings.ReplaceAll(string(text[min(from, to):to]), string(wordEnd), "")
}

// Whatever the width, from that of a sentence's longest word on, lines end at words.
func TestUnspacedScriptsBreakAtWords(t *testing.T) {
	c := newCards(t)
	for name, sentence := range sentences {
		words := strings.Split(sentence, "|")
		text := strings.Join(words, "")
		widest := 0.0
		for _, w := range words {
			widest = max(widest, ems(t, c, strings.TrimSpace(w)))
		}
		used, most := map[int]bool{}, 0
		for width := widest + 0.01; width < ems(t, c, text); width += 0.25 {
			at := 0
			lines := linesOf(t, c, text, width)
			most = max(most, len(lines))
			for _, ln := range lines {
				at += strings.Index(text[at:], ln)
				at += len(ln)
				used[at] = true
			}
		}
		end := 0
		for _, w := range words {
			end += len(strings.TrimSuffix(w, " "))
			delete(used, end)
			end += len(w) - len(strings.TrimSuffix(w, " "))
		}
		if most < 2 {
			t.Errorf("%s: never broken", name)
		}
		if len(used) > 0 {
			t.Errorf("%s: lines end inside words, at bytes %v", name, used)
		}
	}
}

// ems is how far a text advances in one line.
func ems(t *testing.T, c *Cards, text string) float64 {
	t.Helper()
	p, err := c.setter.shape([]rune(text), cjkChinese)
	if err != nil {
		t.Fatal(err)
	}
	return toFloat(c.setter.set([]*paragraph{p}, shapeSize, 1e6).lines[0].width) / shapeSize
}

// A marked text is the text: the marks take no room and draw nothing.
func TestWordEndsAreInvisible(t *testing.T) {
	c := newCards(t)
	for name, sentence := range sentences {
		words := strings.Split(sentence, "|")
		marked, err := withWordEnds([]rune(strings.Join(words, "")))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(strings.ReplaceAll(sentence, "| ", " "), "|", string(wordEnd))
		if string(marked) != want {
			t.Errorf("%s: %q, want %q", name, string(marked), want)
		}
		l := lay640(t, c, strings.Join(words, ""))
		for _, ln := range l.lines {
			for _, run := range ln.runs {
				for _, g := range run.Glyphs {
					if marked[g.TextIndex()] == wordEnd && (g.Advance != 0 || g.Width != 0) {
						t.Errorf("%s: a word end is %v wide", name, toFloat(g.Advance))
					}
				}
			}
		}
	}
	for _, text := range []string{"lake day", "שלום עולם", "日本語", ""} {
		if got, err := withWordEnds([]rune(text)); err != nil || string(got) != text {
			t.Errorf("%q became %q (%v)", text, string(got), err)
		}
	}
}

// A word longer than a line is split, between grapheme clusters only, and nothing of it is lost.
func TestLongWordsSplitBetweenClusters(t *testing.T) {
	c := newCards(t)
	for name, text := range map[string]string{
		"thai":       strings.Repeat("กี่", 40),
		"lao":        strings.Repeat("ມື້", 40),
		"khmer":      strings.Repeat("ស្ត្រី", 30),
		"burmese":    strings.Repeat("ကျွန်ုပ်", 20),
		"devanagari": strings.Repeat("क्षि", 40),
		"latin":      strings.Repeat("e\u0301", 60),
		"families":   strings.Repeat("👨‍👩‍👧‍👦", 20),
		"flags":      strings.Repeat("🇩🇪", 20),
		"skin tones": strings.Repeat("👩🏾‍🚀", 20),
		"hangul":     strings.Repeat("\u1112\u1161\u11ab", 30),
	} {
		starts := graphemeStarts([]rune(text))
		for _, width := range []float64{2.5, 3.1, 4.7, 7.3} {
			lines := linesOf(t, c, text, width)
			if len(lines) < 3 {
				t.Errorf("%s: %d lines of %.1f ems", name, len(lines), width)
			}
			if got := strings.Join(lines, ""); got != text {
				t.Errorf("%s: the lines say %q", name, got)
			}
			at := 0
			for _, ln := range lines {
				if at += len([]rune(ln)); !starts[at] {
					t.Errorf("%s: a line of %.1f ems ends inside a cluster: %q", name, width, ln)
				}
			}
		}
	}
}

// Lines are evened out without splitting words that fit.
func TestBalancedLinesKeepWordsWhole(t *testing.T) {
	c := newCards(t)
	for _, text := range []string{"Kopenhagenerstraßenfest am See", "international weekend a", sentences["thai, to school"], sentences["khmer, to school"]} {
		words := strings.FieldsFunc(text, func(r rune) bool { return r == '|' || r == ' ' })
		for _, w := range []int{220, 300, 360, 480} {
			l, err := c.setter.fit(cleanText(strings.ReplaceAll(text, "|", "")), room{w: w, h: 900, style: pipeline.CaptionBar})
			if err != nil {
				t.Fatal(err)
			}
			marked, err := withWordEnds([]rune(strings.ReplaceAll(text, "|", "")))
			if err != nil {
				t.Fatal(err)
			}
			for _, ln := range l.lines {
				said := lineText(marked, ln)
				starts := slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(said, w) })
				ends := slices.ContainsFunc(words, func(w string) bool { return strings.HasSuffix(said, w) })
				if !starts || !ends {
					t.Errorf("on %d pixels a line says %q", w, said)
				}
			}
		}
	}
}
