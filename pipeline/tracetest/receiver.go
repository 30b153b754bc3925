// Package tracetest gives tests something that takes OpenTelemetry's spans, as a collector would, and shows one trace as a person reads it.
// Only tests import it.
//
//	spans := tracetest.Start(t) // a program started from here on sends its spans there
//	spans.Until(t, traceID, "attempt")
//	t.Log(spans.Tree(traceID))
package tracetest

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one span as it arrived.
type Span struct {
	Trace, ID, Parent string // lower-case hexadecimal; Parent is empty for the first of a trace
	Name              string
	Begin, End        time.Time
	Failed            bool
	Attributes        map[string]string
}

// Receiver is an OTLP receiver over HTTP. It is safe for concurrent use.
type Receiver struct {
	mu    sync.Mutex
	spans []Span
	raw   strings.Builder
	grown chan struct{}
}

// Start makes a Receiver that ends with the test, and points OpenTelemetry's own environment variables at it; spans are sent soon.
func Start(t testing.TB) *Receiver {
	t.Helper()
	r := &Receiver{grown: make(chan struct{}, 1)}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100") // milliseconds
	return r
}

// ServeHTTP takes what an exporter sends.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var sent collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &sent)
	}
	if err != nil || req.URL.Path != "/v1/traces" {
		http.Error(w, "not a trace", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range sent.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				r.spans = append(r.spans, spanOf(s))
				r.raw.WriteString(s.String())
			}
		}
	}
	select {
	case r.grown <- struct{}{}:
	default:
	}
}

func spanOf(s *tracepb.Span) Span {
	out := Span{
		Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId), Name: s.Name,
		Begin: time.Unix(0, int64(s.StartTimeUnixNano)), End: time.Unix(0, int64(s.EndTimeUnixNano)),
		Failed: s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR, Attributes: map[string]string{},
	}
	for _, a := range s.Attributes {
		out.Attributes[a.Key] = a.Value.GetStringValue()
	}
	return out
}

// Spans returns what has arrived, in the order in which it began.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedStableFunc(slices.Values(r.spans), func(a, b Span) int { return a.Begin.Compare(b.Begin) })
}

// Raw returns everything that was sent, as text: what must not be told is looked for here.
func (r *Receiver) Raw() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.raw.String()
}

// within bounds the wait for a span that has ended.
const within = 20 * time.Second

// Until waits for a span of this name in a trace and returns it. A span arrives after those below it have ended.
func (r *Receiver) Until(t testing.TB, trace, name string) Span {
	t.Helper()
	late := time.After(within)
	for {
		for _, s := range r.Spans() {
			if s.Trace == trace && s.Name == name {
				return s
			}
		}
		select {
		case <-r.grown:
		case <-late:
			t.Fatalf("no span %q in trace %s within %s; there are:\n%s", name, trace, within, r.Tree(trace))
		}
	}
}
