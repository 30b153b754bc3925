package tracetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// Tree shows one trace: a line for each span, below the one that it belongs to, with when it began and how long it took.
func (r *Receiver) Tree(trace string) string {
	var all []Span
	known := map[string]bool{}
	for _, s := range r.Spans() {
		if s.Trace == trace {
			all = append(all, s)
			known[s.ID] = true
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "trace %s, %d spans\n", trace, len(all))
	for _, s := range all {
		if !known[s.Parent] { // sent by somebody else, who did not send it here
			fmt.Fprintf(&b, "(%s) of whoever submitted\n", s.Parent)
			branch(&b, all, s, s.Begin, 1)
		}
	}
	return b.String()
}

// branch writes a span and what is below it.
func branch(b *strings.Builder, all []Span, s Span, zero time.Time, depth int) {
	var notes []string
	for _, key := range slices.Sorted(maps.Keys(s.Attributes)) {
		if v := s.Attributes[key]; v != "" {
			notes = append(notes, strings.TrimPrefix(key, "ninefold.")+"="+v)
		}
	}
	if s.Failed {
		notes = append(notes, "FAILED")
	}
	name := strings.Repeat("  ", depth) + s.Name
	fmt.Fprintf(b, "%-22s +%7.1f ms %9.1f ms  %s  %s\n", name, ms(s.Begin.Sub(zero)), ms(s.End.Sub(s.Begin)), s.ID, strings.Join(notes, " "))
	for _, below := range all {
		if below.Parent == s.ID {
			branch(b, all, below, zero, depth+1)
		}
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Keep logs a trace and writes it to bin/traces/NAME.txt of the repository.
func (r *Receiver) Keep(t testing.TB, name, trace string) {
	t.Helper()
	tree := r.Tree(trace)
	t.Log(tree)
	pipelinetest.Keep(t, "traces/"+name+".txt", []byte(tree))
}
