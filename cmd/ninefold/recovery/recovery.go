// Package recovery mends what Redis has lost, from what the store knows: a message whose manifest is committed and of whose event Redis knows
// nothing is announced; a job that is kept, has no manifest and that no task stands for is queued again. Both may be done as often as one likes.
package recovery

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// Queue is what Redis knows, and how it is told; *queue.Client is one.
type Queue interface {
	Known(ctx context.Context, jobIDs []string) ([]queue.Known, error)
	AnnounceCommitted(ctx context.Context, m pipeline.Manifest) (bool, error)
	Submit(ctx context.Context, job pipeline.Job) (queue.Receipt, error)
}

var _ Queue = (*queue.Client)(nil)

// Config is one recovery.
type Config struct {
	Store  pipeline.Store
	Queue  Queue
	Prefix string                          // of the job ids; "" = all
	Since  time.Time                       // what was stored before is passed over: Redis may have forgotten it in due course
	DryRun bool                            // change nothing
	Pace   func(ctx context.Context) error // called before each message that is mended; nil = as fast as it goes
	Look   func(Report)                    // told how far it is after every batch; may be nil
}

// Report says what was found and done.
type Report struct {
	Schema    string    `json:"schema"`
	DryRun    bool      `json:"dry_run"`
	Since     time.Time `json:"since"`
	Messages  int       `json:"messages"`  // looked at
	Passed    int       `json:"passed"`    // stored before since
	Told      int       `json:"told"`      // finished, and announced before
	Waiting   int       `json:"waiting"`   // not finished, and a task stands for them
	Announced int       `json:"announced"` // finished and announced now
	Queued    int       `json:"queued"`    // not finished and queued again now
	Failed    int       `json:"failed"`    // could not be mended
	Problems  []Problem `json:"problems"`  // those of Failed, problemsMost at most
}

// Schema is the schema name of a report.
const Schema = "ninefold.recovery/1"

// problemsMost is how many messages a report names.
const problemsMost = 1000

// Problem is a message that could not be mended.
type Problem struct {
	JobID string `json:"job_id"`
	Why   string `json:"why"`
}

// batch is how many messages Redis is asked about at once. It is also all that is in memory, whatever the store holds.
const batch = 200

// Run looks at every message once. An error is the store's or Redis's: what was mended until then is in the report, and a repeated Run finds it
// done.
func Run(ctx context.Context, c Config) (Report, error) {
	r := &runner{Config: c, report: Report{Schema: Schema, DryRun: c.DryRun, Since: c.Since.UTC(), Problems: []Problem{}}}
	var some []found
	for f, err := range messages(ctx, c.Store, c.Prefix) {
		if err != nil {
			return r.report, err
		}
		r.report.Messages++
		if f.at.Before(c.Since) {
			r.report.Passed++
			continue
		}
		if some = append(some, f); len(some) < batch {
			continue
		}
		if err := r.mend(ctx, some); err != nil {
			return r.report, err
		}
		some = some[:0]
	}
	return r.report, r.mend(ctx, some)
}

type runner struct {
	Config
	report Report
}

// mend asks Redis about some messages and mends those that it has lost.
func (r *runner) mend(ctx context.Context, some []found) error {
	ids := make([]string, len(some))
	for i, f := range some {
		ids[i] = f.jobID
	}
	known, err := r.Queue.Known(ctx, ids)
	if err != nil {
		return err
	}
	for i, f := range some {
		if err := r.one(ctx, f, known[i]); err != nil {
			return err
		}
	}
	if r.Look != nil {
		r.Look(r.report)
	}
	return nil
}

func (r *runner) one(ctx context.Context, f found, known queue.Known) error {
	count, mend := &r.report.Announced, r.announce
	switch {
	case f.finished && known.Told:
		r.report.Told++
		return nil
	case !f.finished && (known.Task || known.Told):
		r.report.Waiting++
		return nil
	case !f.finished:
		count, mend = &r.report.Queued, r.enqueue
	}
	if r.DryRun {
		*count++
		return nil
	}
	if r.Pace != nil {
		if err := r.Pace(ctx); err != nil {
			return err
		}
	}
	err := mend(ctx, f.jobID)
	if err == nil {
		*count++
		return nil
	}
	return r.failed(ctx, f, err)
}

func (r *runner) announce(ctx context.Context, jobID string) error {
	m, err := pipeline.Latest(ctx, r.Store, jobID)
	if err != nil {
		return err
	}
	_, err = r.Queue.AnnounceCommitted(ctx, m)
	return err
}

func (r *runner) enqueue(ctx context.Context, jobID string) error {
	job, err := pipeline.KeptJob(ctx, r.Store, jobID)
	if err != nil {
		return err
	}
	_, err = r.Queue.Submit(ctx, job)
	return err
}

// failed notes what costs its own message only; what would befall the next one too ends the run.
func (r *runner) failed(ctx context.Context, f found, err error) error {
	var coded *pipeline.Error
	own := errors.Is(err, pipeline.ErrNotExist) || (errors.As(err, &coded) && coded.Code != pipeline.CodeStorageUnavailable)
	if ctx.Err() != nil || !own {
		return fmt.Errorf("%s: %w", f.jobID, err)
	}
	r.report.Failed++
	if len(r.report.Problems) < problemsMost {
		r.report.Problems = append(r.report.Problems, Problem{f.jobID, err.Error()})
	}
	return nil
}

// found is a message that the store knows of.
type found struct {
	jobID    string
	finished bool      // it has a manifest
	at       time.Time // when its manifest was stored, or where it has none, the job
}

// messages merges the listings of manifests and of kept jobs, both in the order of their keys: one of each is in memory.
func messages(ctx context.Context, store pipeline.Store, prefix string) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		nextJob, stopJobs := iter.Pull2(listing(ctx, store, pipeline.JobPrefix(prefix), pipeline.KeptJobID))
		defer stopJobs()
		job, err, jobs := nextJob()
		for m, e := range listing(ctx, store, pipeline.ManifestPrefix(prefix), pipeline.ManifestJobID) {
			for ; jobs && err == nil && e == nil && job.name < m.name; job, err, jobs = nextJob() {
				if !yield(job.found, nil) {
					return
				}
			}
			if err = errors.Join(e, err); err != nil {
				yield(found{}, err)
				return
			}
			if jobs && job.name == m.name {
				job, err, jobs = nextJob()
			}
			m.finished = true
			if !yield(m.found, nil) {
				return
			}
		}
		for ; jobs; job, err, jobs = nextJob() {
			if !yield(job.found, err) || err != nil {
				return
			}
		}
	}
}

// listed is a message found under a key; names of the two listings compare as their keys do.
type listed struct {
	found
	name string
}

var errEnough = errors.New("the listing is not read on")

// listing turns Store.List around. An error is the last thing that comes.
func listing(ctx context.Context, store pipeline.Store, prefix string, idOf func(key string) (string, bool)) iter.Seq2[listed, error] {
	return func(yield func(listed, error) bool) {
		err := store.List(ctx, prefix, func(o pipeline.Object) error {
			id, ok := idOf(o.Key)
			if ok && !yield(listed{found{jobID: id, at: o.Modified}, nameOf(o.Key)}, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(listed{}, err)
		}
	}
}

// nameOf is a key without its folder.
func nameOf(key string) string { return path.Base(key) }
