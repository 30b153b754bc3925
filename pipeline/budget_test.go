package pipeline_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// purse is an Allowance of a hundred for each job, as spent by now.
type purse struct {
	spent []pipeline.Spending
	err   error
}

func (p *purse) Spend(_ context.Context, s pipeline.Spending) (time.Duration, error) {
	if p.spent = append(p.spent, s); s.Cost > 50 {
		return 90 * time.Second, p.err
	}
	return 0, p.err
}

// TestWorkOfASender: what is beyond the sender's allowance is refused before it is decoded, with words that say when to send it again, and stays
// refused for its job; nobody else's trouble refuses anything, and what is made again for an operator is not counted.
func TestWorkOfASender(t *testing.T) {
	r, p := newRig(t), &purse{}
	r.Allowance = p
	for key, text := range map[string]string{"forty": "film 40", "sixty": "film 60", "photo": "fine"} {
		r.upload(t, key, text)
	}
	m := r.run(t, job("j1", "photo", "forty", "sixty"), pipeline.RunOptions{})
	if m.Status != pipeline.StatusPartial || m.Parts[2].Error == nil || m.Parts[2].Error.Code != pipeline.CodeTooManyPixels ||
		!strings.Contains(m.Parts[2].Error.Message, "again in 2 min") || r.procs.Rendered.Load() != 2 {
		t.Errorf("%s, %+v, rendered %d", m.Status, m.Parts[2].Error, r.procs.Rendered.Load())
	}
	want := []pipeline.Spending{{SenderID: "s1", JobID: "j1", ItemID: "i2", Cost: 40}, {SenderID: "s1", JobID: "j1", ItemID: "i3", Cost: 60}}
	if !slices.Equal(p.spent, want) {
		t.Errorf("counted %+v", p.spent)
	}
	if _, err := r.Redo(t.Context(), pipeline.RedoOrder{JobID: "j1", Run: "run1", Afresh: true, Rejected: true}, pipeline.RunOptions{}); err != nil || len(p.spent) != 2 {
		t.Errorf("made again: %v, counted %+v", err, p.spent[2:])
	}
	p.err = errors.New("Redis is away")
	if m := r.run(t, job("j2", "sixty"), pipeline.RunOptions{Afresh: true}); m.Status != pipeline.StatusReady {
		t.Errorf("nobody knows: %s", m.Status)
	}
}

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
