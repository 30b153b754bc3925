package queue

import "context"

// Observer is told of attempts, for metrics and traces. It is called from several goroutines and must not block.
type Observer interface {
	// Attempt is told when an admitted attempt begins; what happens in it gets the context that comes back, and the function that comes
	// back is called once, with one of Outcomes and the error that led to it, when the attempt has ended.
	//
	// pipeline.TraceOf(ctx) is the submitter's trace; an observer that traces returns a context with its own in it (pipeline.WithTrace),
	// and the event carries that one on.
	Attempt(ctx context.Context, class Class, jobID string) (context.Context, func(outcome string, err error))
}

// Outcomes returns what may become of an attempt: the closed list that an Observer hears of.
func Outcomes() []string {
	return []string{string(done), string(permanent), string(retryable), string(busy), string(handedBack)}
}

func (c Config) observer() Observer {
	if c.Observer == nil {
		return Observers(nil)
	}
	return c.Observer
}

// Observers tells each of several observers, in order.
type Observers []Observer

var _ Observer = Observers(nil)

// Attempt tells all, each inside the one before.
func (all Observers) Attempt(ctx context.Context, class Class, jobID string) (context.Context, func(string, error)) {
	if len(all) == 0 {
		return ctx, func(string, error) {}
	}
	ctx, end := all[0].Attempt(ctx, class, jobID)
	ctx, inner := all[1:].Attempt(ctx, class, jobID)
	return ctx, func(outcome string, err error) { inner(outcome, err); end(outcome, err) }
}
