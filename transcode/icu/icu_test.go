package icu

import (
	"slices"
	"strings"
	"testing"
)

// Words are divided by |. A line may end at each mark and nowhere else.
func TestLineBreaks(t *testing.T) {
	for _, want := range []string{
		"lake |day",
		"one|",
		"สวัสดี|ชาว|โลก|วัน|นี้|อากาศ|ดี|มาก",
		"ฉัน|ไป|โรงเรียน|กับ|เพื่อน|ทุก|วัน",
		"ມື້ນີ້|ອາກາດ|ດີ|ຫຼາຍ",
		"ភាសាខ្មែរ|ជា|ភាសា|កំណើត|របស់|ជនជាតិ|ខ្មែរ",
		"ကျွန်တော်|သည်|ကျောင်း|သို့|သွား|သည်",
		"🛶🛶 |👨‍👩‍👧‍👦 |ไป|ทะเล", // two code units a picture
	} {
		text := []rune(strings.ReplaceAll(want, "|", ""))
		breaks, err := LineBreaks(text)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(want, "🛶") {
			breaks = slices.DeleteFunc(breaks, func(i int) bool { return i == 1 }) // between two pictures a line may end, too
		}
		var parts []string
		at := 0
		for _, i := range append(breaks, len(text)) {
			parts = append(parts, string(text[at:i]))
			at = i
		}
		if got := strings.Join(parts, "|"); got != strings.TrimSuffix(want, "|") {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestOddText(t *testing.T) {
	for _, text := range [][]rune{nil, {}, {'a'}, {'ก'}, {0xd800, 'a', ' ', 0xdfff, ' ', 'b'}, {-1, ' ', 0x7fffffff, ' ', 'x'}, slices.Repeat([]rune{'ก', 0x0e31}, 250)} {
		breaks, err := LineBreaks(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		for i, at := range breaks {
			if at < 1 || at >= len(text) || i > 0 && at <= breaks[i-1] {
				t.Errorf("%q breaks at %v", text, breaks)
			}
		}
	}
}
