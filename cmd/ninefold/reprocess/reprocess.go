// Package reprocess does stored messages again, in bulk: which ones, how fast, what is done already, and what came of it. How one message
// is done again is pipeline.Redo's, and where, in this process or on a worker, is the caller's.
package reprocess

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/ninefold/ninefold/pipeline"
)

// OutcomeFailed is a message that our own trouble has kept from being done again.
const OutcomeFailed pipeline.Outcome = "failed"

// Config is one run.
type Config struct {
	Store   pipeline.Store
	IDs     *IDList  // nil = the store's listing
	Journal *Journal // says which messages and how
	// Redo does one message again. An error ends nothing but its message; one that the context's end caused counts for nothing at all.
	Redo        func(ctx context.Context, o pipeline.RedoOrder) (pipeline.Redone, error)
	Concurrency int                             // messages in work at the same time, 1 to 256
	Pace        func(ctx context.Context) error // called before each message; nil = as fast as it goes
	Look        func(Look)                      // told how far it is; may be nil, is called by one goroutine at a time
	Now         func() time.Time
}

// Look says how far a run is. Of messages that the selection passes over, only Seen tells.
type Look struct {
	Total int   // messages to look at; 0 = not known
	Seen  int   // looked at, those of an earlier, interrupted run included
	Done  int   // finished
	Entry Entry // the one finished last
}

// Validate names every setting that cannot work.
func (c Config) Validate() error {
	if c.Concurrency < 1 || c.Concurrency > 256 {
		return fmt.Errorf("concurrency: want 1 to 256, got %d", c.Concurrency)
	}
	return nil
}

// Pace returns a wait that lets perSecond messages begin in a second, evenly; 0 = no limit.
func Pace(perSecond float64) func(context.Context) error {
	if perSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), 1).Wait
}

// Run does every selected message again that the journal does not have. It returns nil when all are in the journal, and ctx's error when
// that ended first: the same call then goes on where it stopped.
func Run(ctx context.Context, c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	r := &runner{Config: c, front: newFrontier(c.Journal.floor), work: make(chan task)}
	if err := r.count(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var workers sync.WaitGroup
	for range c.Concurrency {
		workers.Go(func() {
			for t := range r.work {
				if err := r.one(ctx, t); err != nil {
					stop(err)
				}
			}
		})
	}
	err := r.dispatch(ctx)
	close(r.work)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	return c.Journal.finish(c.Now().UTC())
}

type runner struct {
	Config
	front *frontier
	work  chan task

	mu   sync.Mutex
	look Look
}

type task struct {
	message
	mark *mark
}

// count finds out how many messages there are to look at, without reading any.
func (r *runner) count(ctx context.Context) error {
	total := 0
	err := r.source().each(ctx, "", func(message) error {
		total++
		return nil
	})
	r.tell(func(l *Look) { l.Total, l.Done = total, r.Journal.Done() })
	return err
}

func (r *runner) source() source { return r.Journal.Header.Selection.of(r.Store, r.IDs) }

// dispatch hands the messages out, in order.
func (r *runner) dispatch(ctx context.Context) error {
	return r.source().each(ctx, "", func(m message) error {
		if r.Journal.has(m.position) {
			r.tell(func(l *Look) { l.Seen++ })
			return nil
		}
		mark, err := r.front.begin(ctx, m.position)
		if err != nil {
			return err
		}
		select {
		case r.work <- task{m, mark}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// one does one message again and writes what came of it down. Its error ends the run.
func (r *runner) one(ctx context.Context, t task) error {
	select {
	case <-ctx.Done():
		return nil
	default:
	}
	meant, err := r.meant(ctx, t.jobID)
	if err != nil && pipeline.AsError(err).Code == pipeline.CodeStorageUnavailable {
		return fmt.Errorf("%s: %w", t.jobID, err)
	}
	if err != nil {
		return r.note(t, pipeline.Redone{}, err) // a manifest that cannot be read costs its own message
	}
	if !meant {
		r.front.end(t.mark)
		r.tell(func(l *Look) { l.Seen++ })
		return nil
	}
	if r.Pace != nil {
		if err := r.Pace(ctx); err != nil {
			return err
		}
	}
	order := r.Journal.Header.Order
	order.JobID, order.Run = t.jobID, r.Journal.Header.Run
	redone, err := r.Redo(ctx, order)
	if interrupted(ctx, err) {
		return nil // it is done again, or found done, by the run that goes on here
	}
	return r.note(t, redone, err)
}

func interrupted(ctx context.Context, err error) bool { return err != nil && ctx.Err() != nil }

func (r *runner) meant(ctx context.Context, jobID string) (bool, error) {
	if !r.Journal.Header.Selection.looks() {
		return true, nil
	}
	m, err := pipeline.Current(ctx, r.Store, jobID)
	if errors.Is(err, pipeline.ErrNotExist) {
		return true, nil // Redo says so
	}
	return err == nil && r.Journal.Header.Selection.Matches(m), err
}

func (r *runner) note(t task, redone pipeline.Redone, err error) error {
	e := Entry{
		Position: t.position, Floor: r.front.reached(), JobID: t.jobID, At: r.Now().UTC(),
		Outcome: redone.Outcome, Code: redone.Code, Why: redone.Why, Number: redone.Number, Change: redone.Change,
		LeftRejected: redone.LeftRejected,
	}
	switch {
	case errors.Is(err, pipeline.ErrNotExist):
		e.Outcome, e.Why = pipeline.OutcomeSkipped, "the store has no manifest of this job"
	case err != nil:
		e.Outcome, e.Code, e.Why = OutcomeFailed, pipeline.AsError(err).Code, err.Error()
	}
	if err := r.Journal.add(e); err != nil {
		return fmt.Errorf("%w: %w", errJournal, err)
	}
	r.front.end(t.mark)
	r.tell(func(l *Look) {
		l.Seen++
		l.Done++
		l.Entry = e
	})
	return nil
}

func (r *runner) tell(change func(*Look)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.look)
	if r.Look != nil {
		r.Look(r.look)
	}
}
