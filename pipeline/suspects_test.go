package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// ledger is a Suspects in memory that bars after three crashes.
type ledger struct {
	mu      sync.Mutex
	crashes map[string]int
	err     error
}

func (l *ledger) Barred(_ context.Context, sha256 string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.crashes[sha256] >= 3, l.err
}

func (l *ledger) Crashed(_ context.Context, sha256 string, _ pipeline.Code) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crashes[sha256]++
	return l.err
}

// One bad file forwarded a thousand times is decoded three times; a good one is not suspected, and not knowing stops nothing.
func TestSuspectsAreDecodedThreeTimes(t *testing.T) {
	r := newRig(t)
	r.Suspects = &ledger{crashes: map[string]int{}}
	r.upload(t, "bad", "refuse engine_crashed")
	r.upload(t, "good", "one")
	for i := range 1000 {
		m := r.run(t, job(fmt.Sprintf("j%d", i), "bad", "good"), pipeline.RunOptions{})
		if m.Parts[0].Error == nil || m.Parts[0].Error.Code != pipeline.CodeEngineCrashed || m.Parts[1].Status != pipeline.StatusReady {
			t.Fatalf("forward %d: %+v", i, m.Parts)
		}
	}
	if n := r.procs.Rendered.Load(); n != 3+1 {
		t.Errorf("rendered %d times, want the bad file three times and the good one once", n)
	}
	r.Suspects.(*ledger).err = errors.New("redis is away")
	r.upload(t, "other", "two")
	if m := r.run(t, job("away", "other"), pipeline.RunOptions{}); m.Status != pipeline.StatusReady {
		t.Errorf("without knowledge: %+v", m)
	}
}
