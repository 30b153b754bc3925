package queue

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
)

// The fields of a job's note.
const (
	fieldClass  = "class"
	fieldDigest = "digest"
	fieldItem   = "item:" // + item id: its Progress as JSON
)

// How often progress is written at most, and how long a write may take.
const (
	progressEvery  = 200 * time.Millisecond
	progressWithin = 2 * time.Second
)

// reporter writes the progress of one attempt. It never holds the work up: what comes faster than it is written is left out, and
// a Redis that does not answer costs nothing but the report.
type reporter struct {
	rdb  redis.UniversalClient
	key  string
	ttl  time.Duration
	log  *slog.Logger
	wake chan struct{}
	quit chan struct{}
	done chan struct{}
	once sync.Once // starts the loop at the first report: a job that recalls everything reports little, a refused one nothing

	mu     sync.Mutex
	latest map[string]pipeline.Progress // by item id, not yet written
}

// newReporter returns a reporter; it must be closed.
func newReporter(cfg Config, rdb redis.UniversalClient, jobID string) *reporter {
	r := &reporter{
		rdb: rdb, key: jobKey(jobID), ttl: cfg.noteTTL(), log: cfg.log().With("job_id", jobID), latest: map[string]pipeline.Progress{},
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	return r
}

// report notes where an item is. It does not block.
func (r *reporter) report(p pipeline.Progress) {
	r.mu.Lock()
	r.latest[p.ItemID] = p
	r.mu.Unlock()
	r.once.Do(func() { go r.loop() })
	select {
	case r.wake <- struct{}{}:
	default: // there is a wake-up already
	}
}

// close writes what is left and ends the reporter.
func (r *reporter) close() {
	r.once.Do(func() { close(r.done) }) // it never began
	close(r.quit)
	<-r.done
}

func (r *reporter) loop() {
	defer close(r.done)
	defer r.flush()
	pause := time.NewTicker(progressEvery)
	defer pause.Stop()
	for {
		select {
		case <-r.quit:
			return
		case <-r.wake:
			r.flush()
		}
		select {
		case <-r.quit:
			return
		case <-pause.C:
		}
	}
}

func (r *reporter) flush() {
	r.mu.Lock()
	fields := make(map[string]any, len(r.latest))
	for id, p := range r.latest {
		value, _ := json.Marshal(p) // plain data marshals
		fields[fieldItem+id] = value
	}
	clear(r.latest)
	r.mu.Unlock()
	if len(fields) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), progressWithin)
	defer cancel()
	_, err := r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, r.key, fields)
		p.Expire(ctx, r.key, r.ttl)
		return nil
	})
	if err != nil {
		r.log.Debug("progress was not written", "error", err)
	}
}
