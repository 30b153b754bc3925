package sandbox

import (
	"os"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// Memory that others have used up is no fault of a file: it is decoded in a new engine, and a file that is too large even for that is not
// called damaged.
func TestShortOfMemory(t *testing.T) {
	r := newHall(t, nil)
	for i, word := range []string{"fine", "used up", "fine"} {
		if _, err := r.render(t.Context(), t, i, word); err != nil {
			t.Errorf("%s: %v", word, err)
		}
	}
	for i, word := range []string{"too big", "glib"} {
		_, err := r.render(t.Context(), t, 10+i, word)
		if got := pipeline.AsError(err); got.Code != pipeline.CodeOutOfMemory || pipeline.Retryable(err) {
			t.Errorf("%s: %v, want out_of_memory, which is final", word, err)
		}
	}
	if _, err := r.render(t.Context(), t, 99, "fine"); err != nil {
		t.Errorf("after all that an honest file gives %v", err)
	}
}

// Photos within the limits are delivered in any company: each of these was called damaged when the engine had served others before.
func TestLargePhotosInCompany(t *testing.T) {
	const faults = "../../../shared/faults/13-out-of-memory-is-called-corrupt/"
	m := openMessage(t, openReal(t))
	for i, name := range []string{"avif-36mp.avif", "webp-50mp.webp", "avif-36mp.avif"} {
		data, err := os.ReadFile(faults + name)
		if err != nil {
			t.Skipf("the fault %s is absent: %v", name, err)
		}
		m.deliver(t, i, data)
	}
	if len(m.all) != 2 { // one for what was sent, one for what is delivered
		t.Errorf("%d engines for three photos one after the other, want 2", len(m.all))
	}
}
