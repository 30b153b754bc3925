package sandbox

import (
	"errors"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

func TestPatience(t *testing.T) {
	const limit, step = 10 * time.Second, time.Second
	waited := func(d time.Duration) share { return share{waited: d} }
	for name, c := range map[string]struct {
		had  func(time.Duration) shares // by each thread, in all, when so much time has passed
		left time.Duration              // after twelve seconds, of which eleven were looked at
	}{
		"sleeps":              {func(time.Duration) shares { return shares{1: waited(5 * step)} }, -2 * step},
		"gets half of a core": {func(d time.Duration) shares { return shares{1: {d / 2, d / 2}} }, 3500 * time.Millisecond},
		"gets none":           {func(d time.Duration) shares { return shares{1: waited(d)} }, 9 * step},
		"its threads share a core": {func(d time.Duration) shares {
			return shares{1: {d / 2, d / 2}, 2: {d / 2, d / 2}}
		}, -2 * step},
		"its threads take turns": {func(d time.Duration) shares {
			return shares{1: {d / 4, d / 4}, 2: {d / 4, d / 4}}
		}, 3500 * time.Millisecond},
		"says more than there is":    {func(d time.Duration) shares { return shares{1: waited(3600 * d)} }, 9 * step},
		"a new thread every second":  {func(d time.Duration) shares { return shares{int(d / step): waited(step)} }, 9 * step},
		"the kernel does not count":  {func(time.Duration) shares { return shares{} }, -2 * step},
		"the counted thread is gone": {func(d time.Duration) shares { return map[bool]shares{true: {1: waited(time.Hour)}, false: {}}[d == 0] }, -2 * step},
	} {
		p := newPatience(limit)
		for second := range 12 {
			passed := time.Duration(second) * step
			p.look(p.begun.Add(passed), c.had(passed))
		}
		if left := p.left(p.begun.Add(12 * step)); left != c.left {
			t.Errorf("%s: %v left, want %v", name, left, c.left)
		}
	}
	p := newPatience(limit)
	for second := range 100 {
		passed := time.Duration(second) * step
		p.look(p.begun.Add(passed), shares{1: waited(passed)})
	}
	if left := p.left(p.begun.Add(mostPatience * limit)); left != 0 {
		t.Errorf("after all patience %v is left", left)
	}
}

// The work of an engine on a full machine takes longer than its limit, and is done: on a core of its own it takes two fifths of that, here it
// has a quarter of a core at most. A file that hangs its engine there ends all the same.
func TestAFullMachineIsNoFaultOfTheFile(t *testing.T) {
	const limit = time.Second
	r := newHall(t, func(c *Config) { c.Limits.Photo = limit })
	for range 3 * runtime.NumCPU() {
		other := exec.Command("sh", "-c", "while :; do :; done")
		other.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // not even a killed test leaves it behind
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = other.Process.Kill()
			_ = other.Wait()
		})
	}
	began := time.Now()
	_, err := r.render(t.Context(), t, 0, "work")
	took := time.Since(began)
	if took < limit {
		t.Skipf("the machine is too fast for its load: %v", took)
	}
	if err != nil && took < mostPatience*limit { // so full a machine that all patience is spent proves nothing
		t.Errorf("after %v: %v", took, err)
	}
	if _, err := r.render(t.Context(), t, 1, "hang"); pipeline.AsError(err).Code != pipeline.CodeDecodeTimeout {
		t.Errorf("a file that hangs the engine beside them: %v", err)
	}
}

// A file is blamed for a timeout on a machine that had time for it, not for one on a machine that was full.
func TestAFullMachinesTimeoutSaysSo(t *testing.T) {
	t.Parallel()
	for waited, full := range map[time.Duration]bool{0: false, 2 * time.Second: false, 3 * time.Second: true, time.Minute: true} {
		p := newPatience(10 * time.Second)
		p.waited = waited
		if err := p.timeout(OpRender, p.limit); errors.Is(err, pipeline.ErrFullMachine) != full || err.Code != pipeline.CodeDecodeTimeout {
			t.Errorf("after %s of waiting: %v, want the machine blamed: %v", waited, err, full)
		}
	}
}
