package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// patience is the wall limit of one request. It stands still while the engine waits for a core: that others fill the machine, or that voice
// notes go before, is no fault of the file. A program that sleeps or hangs waits for none, and one that spins meets its CPU limit.
type patience struct {
	limit  time.Duration
	begun  time.Time
	looked time.Time
	waited time.Duration
	seen   shares
}

// mostPatience is how many times its limit a request may take, however little of the machine it gets.
const mostPatience = 4

func newPatience(limit time.Duration) *patience {
	now := time.Now()
	return &patience{limit: limit, begun: now, looked: now}
}

// look takes note of what the threads have waited since the last look; the first only notes where they stand. What the engine had of a core
// meanwhile it did not wait for, however many of its threads stood in line for it.
func (p *patience) look(now time.Time, s shares) {
	if p.seen != nil {
		ran, waited := s.since(p.seen)
		p.waited += max(0, min(waited, now.Sub(p.looked)-ran))
	}
	p.looked, p.seen = now, s
}

// left is the time until the request has taken too long.
func (p *patience) left(now time.Time) time.Duration {
	return p.limit + min(p.waited, (mostPatience-1)*p.limit) - now.Sub(p.begun)
}

// timeout is the result for a request that has taken too long. One that has waited for a core for a quarter of its limit says that the
// machine was full: the same file may be in time on another.
func (p *patience) timeout(op Op, limit time.Duration) *pipeline.Error {
	e := timeout("no answer to %s in %s and %s of waiting for a core", op, limit, p.waited)
	if p.waited >= p.limit/4 {
		e.Err = fmt.Errorf("%w: %w", pipeline.ErrFullMachine, e.Err)
	}
	return e
}

// shares is what each thread has had of the machine since it began.
type shares map[int]share

type share struct {
	ran, waited time.Duration // on a core; ready to run without one
}

// since adds up what all threads had since before. A thread that has ended meanwhile is left out.
func (s shares) since(before shares) (ran, waited time.Duration) {
	for thread, now := range s {
		ran += now.ran - before[thread].ran
		waited += now.waited - before[thread].waited
	}
	return ran, waited
}

// readShares asks the kernel. Where it does not count, nothing has been waited for.
func readShares(pids []int) shares {
	s := shares{}
	for _, pid := range pids {
		dir := fmt.Sprintf("/proc/%d/task", pid)
		threads, _ := os.ReadDir(dir)
		for _, t := range threads {
			tid, _ := strconv.Atoi(t.Name())
			data, _ := os.ReadFile(filepath.Join(dir, t.Name(), "schedstat"))
			if f := bytes.Fields(data); len(f) == 3 { // nanoseconds on a core, nanoseconds waiting for one, times it got one
				ran, _ := strconv.ParseInt(string(f[0]), 10, 64)
				waited, _ := strconv.ParseInt(string(f[1]), 10, 64)
				s[tid] = share{time.Duration(ran), time.Duration(waited)}
			}
		}
	}
	return s
}
