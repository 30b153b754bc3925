package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// items processes every item and returns the parts in the order of the items.
func (r *run) items(ctx context.Context) ([]Part, error) {
	if !r.even() {
		return r.eachItem(ctx, r.item)
	}
	blur, err := r.blur(ctx)
	if err != nil {
		return nil, err
	}
	begun, spans := r.Now(), make([]time.Duration, len(r.job.Items))
	parts, err := r.eachItem(ctx, func(ctx context.Context, it *itemRun) (Part, error) {
		since := r.Now()
		part, err := r.item(ctx, it)
		spans[it.index] = it.span(r.Now().Sub(since), blur)
		return part, err
	})
	r.due = begun.Add(min(longestHold, makespan(spans, r.cfg.ItemsAtOnce)))
	return parts, err
}

// eachItem does something with every item, with a bound, and returns the parts in the order of the items. All items run to their end even
// when one meets trouble, so that the next attempt finds their records.
func (r *run) eachItem(ctx context.Context, do func(context.Context, *itemRun) (Part, error)) ([]Part, error) {
	ws, err := NewWorkspace(r.cfg.Scratch)
	if err != nil {
		return nil, err
	}
	defer r.close(ws)
	proc, err := r.Processors.Open(ctx, ws)
	if err != nil {
		return nil, Trouble(CodeInternal, "open engine", err)
	}
	defer r.close(proc)

	parts, errs := make([]Part, len(r.job.Items)), make([]error, len(r.job.Items))
	slots, work := make(chan struct{}, r.cfg.ItemsAtOnce), newBudget(len(r.job.Items))
	var all sync.WaitGroup
	for i, item := range r.job.Items {
		slots <- struct{}{} // in their order: an item waits for none behind it
		all.Go(func() {
			defer func() { <-slots }()
			it := &itemRun{run: r, ws: ws, proc: proc, item: item, index: i, work: work}
			defer it.tidy()
			defer work.settle(i)
			parts[i], errs[i] = do(ctx, it)
		})
	}
	all.Wait()
	return parts, errors.Join(errs...)
}

type closer interface{ Close() error }

func (r *run) close(c closer) {
	if err := c.Close(); err != nil {
		r.Log.Warn("clean up", slog.String("job_id", r.job.JobID), slog.Any("error", err))
	}
}

// item gives one item's part. Only trouble of our own that is worth another attempt is an error. On the last attempt even its
// deadline costs only the items that were not done by then.
func (r *run) item(ctx context.Context, it *itemRun) (Part, error) {
	ctx, end := r.Observer.Item(ctx, it.item)
	err := it.stages(ctx)
	part, retry := r.conclude(ctx, it, err)
	end(ItemEnd{Part: part, Recalled: it.recalled, Err: err, Retry: retry != nil})
	return part, retry
}

// conclude makes a part of how the stages ended, or an error for the next attempt.
func (r *run) conclude(ctx context.Context, it *itemRun, err error) (Part, error) {
	if err == nil {
		r.logItem(it, nil)
		return it.part, nil
	}
	failure := AsError(err)
	r.logItem(it, err)
	if errors.Is(ctx.Err(), context.Canceled) || errors.Is(context.Cause(ctx), errExpired) {
		return Part{}, ctx.Err()
	}
	if full := it.scratchFull(failure); full != nil {
		failure, err = full, full
	}
	it.suspect(ctx, failure)
	it.keepRefusal(ctx, failure)
	if Retryable(err) && !r.opts.Final {
		return Part{}, err
	}
	return it.rejected(failure), nil
}

// tidy gives an item's scratch space back as soon as the item is done: nine videos need room for those in work only.
func (it *itemRun) tidy() {
	for _, dir := range []string{"in", "out"} {
		if err := it.ws.Remove(fmt.Sprintf("%s/%d", dir, it.index)); err != nil {
			it.Log.Warn("tidy", slog.String("job_id", it.job.JobID), slog.Any("error", err))
		}
	}
}

func (r *run) logItem(it *itemRun, err error) {
	attrs := []any{
		slog.String("job_id", r.job.JobID), slog.String("item_id", it.item.ID), slog.String("kind", string(it.kind())),
		slog.String("stage", it.stage), slog.Bool("recalled", it.recalled),
	}
	if err == nil {
		r.Log.Debug("item ready", attrs...)
		return
	}
	if errors.Is(err, context.Canceled) { // somebody stopped the run, and knows it
		r.Log.Debug("item interrupted", attrs...)
		return
	}
	r.Log.Warn("item not ready", append(attrs, slog.String("code", string(AsError(err).Code)), slog.Any("error", err))...)
}

// itemRun is one attempt at one item: what the stages have found so far.
type itemRun struct {
	*run
	ws    *Workspace
	proc  Processor
	item  Item
	index int
	work  *budget // of the message; nil = it is not counted
	// original is the SHA-256 that the source must have, "" = not known yet: a message that is made again is made of what was sent.
	original string

	stage    string        // the stage it is in, or ended in
	begun    time.Time     // when that stage began
	file     File          // after fetch
	media    Media         // after identify
	plan     Plan          // after plan
	degraded []string      // after plan: optional work that there is no time for
	rendered *Rendered     // after render
	facts    Facts         // after screen
	look     time.Duration // how long a look at its files takes at most
	looked   time.Duration // how long its files were looked at
	recalled bool          // an earlier run had done it all
	done     bool          // no further stage is needed

	refusedBefore bool // by an earlier attempt
	part          Part // after store
}

// stages runs the item through every stage. A panic in any of them is this item's trouble, not the worker's.
func (it *itemRun) stages(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = Trouble(CodeInternal, it.stage, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	for _, s := range itemStages() {
		if it.done {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		it.stage, it.begun = s.name, it.Now()
		it.report(0)
		if s.name == stageScreen && it.kind() != KindVoice {
			it.hush()
		}
		if err := it.observed(ctx, s); err != nil {
			return err
		}
	}
	it.report(100)
	return nil
}

// observed is one stage, with its observer told: also when it panics.
func (it *itemRun) observed(ctx context.Context, s stage) (err error) {
	ctx, end := it.Observer.Stage(ctx, it.kind(), s.name)
	err = Trouble(CodeInternal, s.name, errPanicked)
	defer func() { end(err) }()
	if err = s.do(it, ctx); err != nil {
		err = AsErrorIn(s.name, err)
	}
	return err
}

// errPanicked is what an observer hears of a stage that never returned.
var errPanicked = errors.New("panic")

// AsErrorIn names the operation of a coded error; cancellation stays what it is.
func AsErrorIn(op string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return AsError(err).In(op)
}

// hush ends the progress of the whole message: from the first look on, how fast things go would tell whether there is one.
func (it *itemRun) hush() {
	if it.even() {
		it.quiet.Store(true)
	}
}

func (it *itemRun) report(percent float64) {
	if it.opts.Progress != nil && !it.quiet.Load() {
		it.opts.Progress(Progress{ItemID: it.item.ID, Index: it.index, Stage: it.stage, Percent: percent, EtaMS: etaMS(it.Now().Sub(it.begun), percent)})
	}
}

// etaMS is how long a stage will go on when what is left of it takes as long, per cent by per cent, as what is done took.
func etaMS(took time.Duration, percent float64) int64 {
	if percent <= 0 || percent >= 100 {
		return 0
	}
	return int64(float64(took.Milliseconds()) * (100 - percent) / percent)
}

func (it *itemRun) kind() Kind {
	if it.media.Kind != "" {
		return it.media.Kind
	}
	return it.item.Kind
}

// describe fills in what a part says of its item, whatever became of it.
func (it *itemRun) describe(p Part) Part {
	p.ItemID, p.Index, p.Caption, p.Alt, p.Edits = it.item.ID, it.index, it.item.Caption, it.item.Alt, it.item.Edits
	if p.Edits == nil {
		p.Edits = []Edit{}
	}
	if it.file.SHA256 != "" {
		p.Source = &SourceFacts{SHA256: it.file.SHA256, Size: it.file.Size, MIME: it.file.Type.MIME}
	}
	return p
}

func (it *itemRun) rejected(e *Error) Part {
	p := it.describe(Part{Kind: it.kind(), Status: StatusRejected, Error: e.Failure()})
	if it.facts.Status != "" {
		facts := it.facts
		p.Moderation = &facts
	}
	return p
}
