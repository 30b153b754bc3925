package pipeline_test

import (
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// A picture of dots goes with the part that it is beside; words are shown whatever becomes of the part.
func TestADrawnCaptionGoesWithItsPart(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		caption string
		drawn   bool
	}{
		"Braille":               {strings.Repeat("⣿⠿⡇", 1333), true},
		"blocks and lines":      {strings.Repeat("█▓▒░ ─\n", 100), true},
		"blanks between":        {strings.Repeat("█   ", 80), true},
		"squares":               {strings.Repeat("⬛⬜🟥", 40), true},
		"letters as dots":       {strings.Repeat("MMWi..\n", 100), true},
		"punctuation":           {strings.Repeat("@%#*+=-:.", 40), true},
		"dots behind a word":    {"look at this " + strings.Repeat("⣿", 200), true},
		"words":                 {"The two of us at the lake, 1998. It rained all day!", false},
		"words and hearts":      {"Happy birthday!! 🎂🎉❤️❤️❤️❤️❤️", false},
		"thirty hearts":         {strings.Repeat("❤️", 30), false},
		"a line under a title":  {"Menu\n────────────\nSoup, bread, apples", false},
		"Thai":                  {strings.Repeat("ขอบคุณที่ส่งรูปมาให้ ", 20), false},
		"Chinese":               {strings.Repeat("昨天晚上我们在湖边看了很久的星星", 20), false},
		"a long letter":         {strings.Repeat("We went to see the mountains and came home late. ", 80), false},
		"an address, much of /": {"https://example.org/a/b/c/d/e/f?g=h&i=j", false},
		"":                      {"", false},
	} {
		for _, action := range []pipeline.Action{pipeline.Deliver, pipeline.BlurReveal, pipeline.Blur, pipeline.Withhold} {
			m := pipeline.Manifest{
				Status: pipeline.StatusReady, Caption: tc.caption,
				Parts: []pipeline.Part{{ItemID: "a", Kind: pipeline.KindPhoto, Status: pipeline.StatusReady, Caption: tc.caption}},
				Deliveries: []pipeline.Delivery{{
					RecipientID: "r", Parts: []pipeline.PartDelivery{{ItemID: "a", Action: action}},
				}},
			}
			v, err := pipeline.ViewFor(m, "r")
			if err != nil || v == nil {
				t.Fatal(v, err)
			}
			hidden := tc.drawn && (action == pipeline.Blur || action == pipeline.Withhold)
			if got := v.Parts[0].Caption == "" && tc.caption != ""; got != hidden {
				t.Errorf("%s, %s: the part's caption hidden %v, want %v", name, action, got, hidden)
			}
			if got := v.Caption == "" && tc.caption != ""; got != hidden {
				t.Errorf("%s, %s: the message's caption hidden %v, want %v", name, action, got, hidden)
			}
		}
	}
}
