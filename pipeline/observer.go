package pipeline

import "context"

// Observer is told what Run does, for metrics and traces. Each method is called as something begins; what happens inside it gets the context
// that comes back, and the function that comes back is called once, when it has ended. The calls come from several goroutines and must
// not block.
type Observer interface {
	// Job is an attempt at a job that was not done before. An error is our own trouble; then there is no manifest.
	Job(ctx context.Context, job Job) (context.Context, func(Manifest, error))
	// Item is one item of it, through all its stages.
	Item(ctx context.Context, item Item) (context.Context, func(ItemEnd))
	// Stage is one stage of an item of that kind, as far as it is known by then. The names are StageNames.
	Stage(ctx context.Context, kind Kind, name string) (context.Context, func(error))
}

// ItemEnd is how an attempt at one item ended.
type ItemEnd struct {
	Part     Part  // zero where Retry is set
	Recalled bool  // an earlier attempt or message had done the work
	Err      error // why the item is not ready; nil where it is
	Retry    bool  // the attempt had trouble; another follows
}

// Observers tells each of several observers, in order.
type Observers []Observer

var _ Observer = Observers(nil)

// Job tells all, each inside the one before.
func (all Observers) Job(ctx context.Context, job Job) (context.Context, func(Manifest, error)) {
	if len(all) == 0 {
		return ctx, func(Manifest, error) {}
	}
	ctx, end := all[0].Job(ctx, job)
	ctx, inner := all[1:].Job(ctx, job)
	return ctx, func(m Manifest, err error) { inner(m, err); end(m, err) }
}

// Item tells all, each inside the one before.
func (all Observers) Item(ctx context.Context, item Item) (context.Context, func(ItemEnd)) {
	if len(all) == 0 {
		return ctx, func(ItemEnd) {}
	}
	ctx, end := all[0].Item(ctx, item)
	ctx, inner := all[1:].Item(ctx, item)
	return ctx, func(e ItemEnd) { inner(e); end(e) }
}

// Stage tells all, each inside the one before.
func (all Observers) Stage(ctx context.Context, kind Kind, name string) (context.Context, func(error)) {
	if len(all) == 0 {
		return ctx, func(error) {}
	}
	ctx, end := all[0].Stage(ctx, kind, name)
	ctx, inner := all[1:].Stage(ctx, kind, name)
	return ctx, func(err error) { inner(err); end(err) }
}
