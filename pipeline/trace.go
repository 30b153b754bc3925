package pipeline

import (
	"context"
	"regexp"
)

type traceKey struct{}

// traceparent is the only version of W3C Trace Context there is; ids of zeros alone are none.
var traceparent = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

const (
	noTrace = "00000000000000000000000000000000"
	noSpan  = "0000000000000000"
)

// ValidTrace reports whether parent is a W3C traceparent.
func ValidTrace(parent string) bool {
	return traceparent.MatchString(parent) && parent[3:35] != noTrace && parent[36:52] != noSpan
}

// WithTrace carries a W3C traceparent: from the upload API's request to the job, through the worker to the event. One that is not valid
// is left out: it is somebody else's header, and no reason to refuse their message.
func WithTrace(ctx context.Context, parent string) context.Context {
	if !ValidTrace(parent) {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, parent)
}

// TraceOf returns the traceparent of WithTrace, "" where there is none.
func TraceOf(ctx context.Context) string {
	parent, _ := ctx.Value(traceKey{}).(string)
	return parent
}
