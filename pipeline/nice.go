package pipeline

import "context"

type niceKey struct{}

// WithNice has the processes started for a message run at this niceness, 0 to 19: work of a class that may wait leaves the processor to
// work of one that may not.
func WithNice(ctx context.Context, nice int) context.Context {
	return context.WithValue(ctx, niceKey{}, min(19, max(0, nice)))
}

// NiceOf returns the niceness asked for with WithNice, 0 where none was.
func NiceOf(ctx context.Context) int {
	nice, _ := ctx.Value(niceKey{}).(int)
	return nice
}
