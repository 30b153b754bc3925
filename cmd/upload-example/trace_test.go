package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline/tracetest"
)

// The trace that the client's request belongs to, and the span in it that sent the request.
const (
	requestTrace = "0af7651916cd43dd8448eb211c80319c"
	requestSpan  = "b7ad6b7169203331"
)

// holdsTrace: from the request through the queue, the worker and every stage of both items to the event it is one trace. rung is what the
// example logged of the event.
func holdsTrace(t *testing.T, spans *tracetest.Receiver, rung string) {
	attempt := spans.Until(t, requestTrace, "attempt")
	spans.Keep(t, "upload-to-event", requestTrace)
	if attempt.Parent != requestSpan {
		t.Errorf("the attempt is below %s, want the request's span %s", attempt.Parent, requestSpan)
	}
	if want := "traceparent=00-" + requestTrace + "-" + attempt.ID + "-01"; !strings.Contains(rung, want) {
		t.Errorf("the event says %s, want %s: the attempt's span", rung, want)
	}
	var stages []string
	for _, s := range spans.Spans() {
		if s.Trace != requestTrace {
			t.Errorf("span %s is in trace %s", s.Name, s.Trace)
		}
		if s.Begin.Before(attempt.Begin) || s.End.After(attempt.End) || s.Failed {
			t.Errorf("span %s: %s to %s, failed %t; the attempt lasts from %s to %s", s.Name, s.Begin, s.End, s.Failed, attempt.Begin, attempt.End)
		}
		stages = append(stages, s.Name)
	}
	for name, n := range map[string]int{
		"attempt": 1, "run": 1, "item": 2, "fetch": 2, "identify": 2, "render": 2, "verify": 2, "store": 2,
	} {
		if got := count(stages, name); got != n {
			t.Errorf("%d spans %q, want %d", got, name, n)
		}
	}
}

func count(names []string, name string) int {
	return len(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n != name }))
}
