package queue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
)

const (
	paceKept   = 200              // measurements of a step
	paceFew    = 20               // of them say little yet
	paceShare  = 0.95             // of the work measured was done at the pace or faster
	paceMargin = 1.25             // beyond that
	paceFresh  = 10 * time.Second // how long a pace counts until the measurements are read again
	paceWithin = 2 * time.Second  // for an answer
)

// Paces is a pipeline.Paces that all workers of a Redis share: the latest measurements of each step.
type Paces struct {
	rdb   redis.UniversalClient
	least map[pipeline.Step]time.Duration
	mu    sync.Mutex
	by    map[pipeline.Step]pace
}

type pace struct {
	of time.Duration
	at time.Time
}

var _ pipeline.Paces = (*Paces)(nil)

// NewPaces returns Paces, which must be closed. Until a step has been measured paceFew times it takes what first says, or longer.
func NewPaces(cfg Config, first map[pipeline.Step]time.Duration) (*Paces, error) {
	rdb, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	return &Paces{rdb: rdb, least: first, by: map[pipeline.Step]pace{}}, nil
}

// Close ends the connections.
func (p *Paces) Close() error { return p.rdb.Close() }

// Took keeps a measurement. One that Redis does not take is forgotten: others follow.
func (p *Paces) Took(ctx context.Context, s pipeline.Step, work float64, took time.Duration) {
	if !measurable(work) || took < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), paceWithin)
	defer cancel()
	_, _ = p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.LPush(ctx, paceKey(s), fmt.Sprintf("%.6g %d", work, took.Microseconds()))
		pipe.LTrim(ctx, paceKey(s), 0, paceKept-1)
		return nil
	})
}

// measurable refuses what is no amount of work.
func measurable(work float64) bool { return work > 0 && work < 1e12 }

// Pace is what was measured, or 0. Where Redis does not answer, what it said last counts on.
func (p *Paces) Pace(ctx context.Context, s pipeline.Step) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.by[s]
	if time.Since(known.at) < paceFresh {
		return known.of
	}
	ctx, cancel := context.WithTimeout(ctx, paceWithin)
	defer cancel()
	known.at = time.Now()
	if lines, err := p.rdb.LRange(ctx, paceKey(s), 0, paceKept-1).Result(); err == nil {
		known.of = paceOf(lines)
		if len(lines) < paceFew {
			known.of = max(known.of, p.least[s])
		}
	}
	p.by[s] = known
	return known.of
}

// paceOf is the time for a unit of work that paceShare of all the work kept to, and a margin. Large works count by their size: what a small one
// costs is mostly not its work.
func paceOf(lines []string) time.Duration {
	type measured struct{ work, each float64 }
	var all []measured
	sum := 0.0
	for _, line := range lines {
		var work float64
		var micros int64
		if n, err := fmt.Sscanf(line, "%g %d", &work, &micros); n != 2 || err != nil || !measurable(work) || micros < 0 {
			continue
		}
		all = append(all, measured{work, float64(micros) / work})
		sum += work
	}
	slices.SortFunc(all, func(a, b measured) int { return cmp.Compare(a.each, b.each) })
	below := 0.0
	for _, m := range all {
		if below += m.work; below >= paceShare*sum {
			return time.Duration(m.each * paceMargin * float64(time.Microsecond))
		}
	}
	return 0
}
