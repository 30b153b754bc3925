// Package metrics is what Prometheus may know of a worker. It is the only importer of client_golang. A new metric is a field of
// instruments and a line in newInstruments; a label takes values of a closed list only, never an id or a text that somebody wrote.
package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
	"github.com/ninefold/ninefold/transcode/sandbox"
)

// Metrics counts what it is told of. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	instruments
}

var (
	_ pipeline.Observer = (*Metrics)(nil)
	_ queue.Observer    = (*Metrics)(nil)
	_ sandbox.Observer  = (*Metrics)(nil)
)

// New returns Metrics with every series of a closed list at zero: a rate over a counter that was never there is nothing, not zero.
func New(version, model string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), instruments: newInstruments()}
	m.registry.MustRegister(m.all()...)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.build.WithLabelValues(version, model).Set(1)
	m.zero()
	return m
}

// Handler serves a scrape.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4,
		Timeout: scrapeWithin + time.Second,
	})
}

// Watch has each scrape ask how much there is to do: load of Redis, admission of this worker.
func (m *Metrics) Watch(load func(context.Context) (queue.Load, error), admission func() []queue.Admission) {
	m.registry.MustRegister(&queues{load: load, admission: admission})
}

// Job counts attempts that ended with a manifest. Those that did not are the queue's attempts.
func (m *Metrics) Job(ctx context.Context, _ pipeline.Job) (context.Context, func(pipeline.Manifest, error)) {
	began := time.Now()
	return ctx, func(done pipeline.Manifest, err error) {
		if err != nil {
			return
		}
		m.jobs.WithLabelValues(string(done.Status), codeOf(done.Error)).Inc()
		m.jobSeconds.WithLabelValues(string(done.Status)).Observe(time.Since(began).Seconds())
		for _, d := range done.Deliveries {
			for _, p := range d.Parts {
				m.decisions.WithLabelValues(string(p.Action), reasonOf(p.Reasons)).Inc()
			}
		}
	}
}

// Item counts items that ended, and what was newly found out about them.
func (m *Metrics) Item(ctx context.Context, _ pipeline.Item) (context.Context, func(pipeline.ItemEnd)) {
	return ctx, func(e pipeline.ItemEnd) {
		if e.Retry {
			m.itemRetries.WithLabelValues(string(pipeline.AsError(e.Err).Code)).Inc()
			return
		}
		kind := string(e.Part.Kind)
		m.items.WithLabelValues(kind, string(e.Part.Status), codeOf(e.Part.Error)).Inc()
		if e.Part.Source != nil {
			m.sourceBytes.WithLabelValues(kind).Add(float64(e.Part.Source.Size))
		}
		if e.Recalled {
			m.recalled.WithLabelValues(kind).Inc()
			return
		}
		for _, r := range e.Part.Renditions {
			m.renditionBytes.WithLabelValues(kind).Add(float64(r.Size))
		}
		m.facts(e.Part.Moderation)
	}
}

// facts counts one finding of the classifier. How its scores are spread tells when a model or what is sent to it drifts.
func (m *Metrics) facts(f *pipeline.Facts) {
	if f == nil {
		return
	}
	m.scans.WithLabelValues(string(f.Status), string(f.Level)).Inc()
	if f.Scores == nil {
		return
	}
	m.scores.WithLabelValues("explicit").Observe(f.Scores.Explicit)
	m.scores.WithLabelValues("drawn").Observe(f.Scores.Drawn)
	m.scores.WithLabelValues("suggestive").Observe(f.Scores.Suggestive)
}

// Stage measures one stage, whatever came of it, and counts renditions of ours that do not verify.
func (m *Metrics) Stage(ctx context.Context, kind pipeline.Kind, name string) (context.Context, func(error)) {
	began := time.Now()
	return ctx, func(err error) {
		m.stageSeconds.WithLabelValues(name, string(kind)).Observe(time.Since(began).Seconds())
		if errors.Is(err, pipeline.ErrUnverified) {
			m.unverified.WithLabelValues(string(kind)).Inc()
		}
	}
}

// Attempt counts what becomes of attempts.
func (m *Metrics) Attempt(ctx context.Context, class queue.Class, _ string) (context.Context, func(string, error)) {
	return ctx, func(outcome string, _ error) { m.attempts.WithLabelValues(string(class), outcome).Inc() }
}

// EngineStarted counts starts.
func (m *Metrics) EngineStarted(program string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.engineStarts.WithLabelValues(program, result).Inc()
}

// EngineAnswered measures requests.
func (m *Metrics) EngineAnswered(op sandbox.Op, took time.Duration, end sandbox.End) {
	m.engineRequests.WithLabelValues(string(op), string(end)).Inc()
	m.engineSeconds.WithLabelValues(string(op)).Observe(took.Seconds())
}

// codeOf is a label of the closed list of codes, "" where nothing failed.
func codeOf(f *pipeline.Failure) string {
	switch {
	case f == nil:
		return ""
	case slices.Contains(pipeline.Codes(), f.Code):
		return string(f.Code)
	}
	return string(pipeline.CodeInternal)
}

// reasonOf is a label of the closed list of reasons.
func reasonOf(reasons []string) string {
	if len(reasons) > 0 && (slices.Contains(pipeline.Codes(), pipeline.Code(reasons[0])) || slices.Contains(policyReasons, reasons[0])) {
		return reasons[0]
	}
	return "other"
}

// policyReasons are the reasons of decisions that are no error codes.
var policyReasons = []string{
	moderation.ReasonTeenFilter, moderation.ReasonTeenSuggestive, moderation.ReasonScanUnavailable, moderation.ReasonFilterOff,
	moderation.ReasonRecipientFilter, moderation.ReasonBelowLevel, moderation.ReasonClear, moderation.ReasonNotClassified,
	moderation.ReasonNoRow, pipeline.ReasonNotRendered,
}
