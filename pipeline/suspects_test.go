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

// Edits that crash an engine bar the file with these edits only; a crash before there is a plan bars the file.
func TestSuspectsAreCountedWithTheirEdits(t *testing.T) {
	r := newRig(t)
	r.Suspects = &ledger{crashes: map[string]int{}}
	r.upload(t, "bad", "refuse engine_crashed")
	turned := func(id string) pipeline.Job {
		j := job(id, "bad")
		j.Items[0].Edits = []pipeline.Edit{{Op: pipeline.OpRotate, Degrees: 90}}
		return j
	}
	for i := range 10 {
		r.run(t, turned(fmt.Sprintf("t%d", i)), pipeline.RunOptions{})
	}
	if n := r.procs.Rendered.Load(); n != 3 {
		t.Errorf("with its edits it was rendered %d times, want 3", n)
	}
	for i := range 10 {
		r.run(t, job(fmt.Sprintf("p%d", i), "bad"), pipeline.RunOptions{})
	}
	if n := r.procs.Rendered.Load(); n != 3+3 {
		t.Errorf("and without them %d times more, want 3", n-3)
	}
}

// A job that is tried again, for another item's sake, does not decode again what it has refused, and answers the same.
func TestARefusalIsKeptAcrossAttempts(t *testing.T) {
	r := newRig(t)
	r.upload(t, "bad", "refuse corrupt")
	r.upload(t, "trouble", "refuse internal")
	for range 2 {
		if _, err := r.Run(t.Context(), job("j", "bad", "trouble"), pipeline.RunOptions{}); !pipeline.Retryable(err) {
			t.Fatalf("%v, want trouble that is worth another attempt", err)
		}
	}
	m := r.run(t, job("j", "bad", "trouble"), pipeline.RunOptions{Final: true})
	if p := m.Parts[0]; p.Error == nil || p.Error.Code != pipeline.CodeCorrupt || p.Error.Message != "the test refuses it" || p.Kind != pipeline.KindPhoto {
		t.Errorf("the last attempt answers %+v", p)
	}
	if n := r.procs.Rendered.Load(); n != 1+3 {
		t.Errorf("rendered %d times, want the refused item once and the other one at each attempt", n)
	}
	r.run(t, job("other", "bad"), pipeline.RunOptions{})
	if n := r.procs.Rendered.Load(); n != 1+3+1 {
		t.Errorf("another message with the file: %d in all, want it decided afresh", n)
	}
}
