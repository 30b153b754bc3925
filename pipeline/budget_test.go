package pipeline_test

import (
	"slices"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// TestWorkOfAMessage: items are counted in their order, whichever is read first; what no longer fits is refused with words, what is not counted
// is delivered.
func TestWorkOfAMessage(t *testing.T) {
	r := newRig(t)
	for key, text := range map[string]string{"forty": "film 40", "sixty": "film 60", "seventy": "film 70", "photo": "fine", "bad": "refuse corrupt"} {
		r.upload(t, key, text)
	}
	for i := range 5 {
		keys := []string{"photo", "bad", "sixty", "seventy", "forty", "photo", "sixty"}
		m := r.run(t, job("j"+string(rune('1'+i)), keys...), pipeline.RunOptions{Afresh: true})
		var got []string
		for _, p := range m.Parts {
			word := "ready"
			if p.Error != nil {
				word = string(p.Error.Code)
			}
			got = append(got, word)
		}
		if want := []string{"ready", "corrupt", "ready", "too_many_pixels", "ready", "ready", "too_many_pixels"}; !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}
