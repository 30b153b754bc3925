package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
	"github.com/ninefold/ninefold/transcode/sandbox"
)

// instruments is every metric that a worker counts itself.
type instruments struct {
	build          *prometheus.GaugeVec
	jobs           *prometheus.CounterVec
	jobSeconds     *prometheus.HistogramVec
	items          *prometheus.CounterVec
	itemRetries    *prometheus.CounterVec
	recalled       *prometheus.CounterVec
	sourceBytes    *prometheus.CounterVec
	renditionBytes *prometheus.CounterVec
	stageSeconds   *prometheus.HistogramVec
	unverified     *prometheus.CounterVec
	decisions      *prometheus.CounterVec
	scans          *prometheus.CounterVec
	scores         *prometheus.HistogramVec
	attempts       *prometheus.CounterVec
	engineStarts   *prometheus.CounterVec
	engineRequests *prometheus.CounterVec
	engineSeconds  *prometheus.HistogramVec
}

// seconds spans a header read of a millisecond and a video of ten minutes.
var seconds = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 180, 600}

// tenths spans probabilities.
var tenths = []float64{.05, .1, .2, .3, .4, .5, .6, .7, .8, .9, .95, 1}

func newInstruments() instruments {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	return instruments{
		build:      gauge("ninefold_build_info", "1, with the program's version and the model's id.", "version", "model"),
		jobs:       counter("ninefold_jobs_total", "Messages whose manifest was committed, by its status and code.", "status", "code"),
		jobSeconds: histogram("ninefold_job_duration_seconds", "From an attempt's begin to the committed manifest.", seconds, "status"),
		items:      counter("ninefold_items_total", "Items that ended, by kind, status and code.", "kind", "status", "code"),
		itemRetries: counter("ninefold_item_retries_total", "Attempts at an item that met trouble of our own and are made again, by its code.",
			"code"),
		recalled:       counter("ninefold_items_recalled_total", "Items whose work had been done before.", "kind"),
		sourceBytes:    counter("ninefold_source_bytes_total", "Bytes of the originals of items that ended.", "kind"),
		renditionBytes: counter("ninefold_rendition_bytes_total", "Bytes of the renditions that were made and stored.", "kind"),
		stageSeconds:   histogram("ninefold_stage_duration_seconds", "Time of one stage of one item.", seconds, "stage", "kind"),
		unverified:     counter("ninefold_renditions_unverified_total", "Items whose renditions did not pass the probe after they were made.", "kind"),
		decisions:      counter("ninefold_decisions_total", "Parts decided for recipients, by action and reason.", "action", "reason"),
		scans:          counter("ninefold_scans_total", "Findings of the classifier, by status and level.", "status", "level"),
		scores:         histogram("ninefold_moderation_score", "Scores of items by category, of a video its highest.", tenths, "category"),
		attempts:       counter("ninefold_attempts_total", "Attempts at jobs, by what became of them.", "class", "outcome"),
		engineStarts:   counter("ninefold_engine_starts_total", "Engines started.", "program", "result"),
		engineRequests: counter("ninefold_engine_requests_total", "Requests to engines, by how they ended.", "op", "outcome"),
		engineSeconds:  histogram("ninefold_engine_request_duration_seconds", "Time of one request to an engine.", seconds, "op"),
	}
}

func (i instruments) all() []prometheus.Collector {
	return []prometheus.Collector{
		i.build, i.jobs, i.jobSeconds, i.items, i.itemRetries, i.recalled, i.sourceBytes, i.renditionBytes, i.stageSeconds, i.unverified, i.decisions, i.scans,
		i.scores, i.attempts, i.engineStarts, i.engineRequests, i.engineSeconds,
	}
}

// zero makes the series that alerts and dashboards take rates of.
func (i instruments) zero() {
	for _, status := range []pipeline.Status{pipeline.StatusReady, pipeline.StatusPartial, pipeline.StatusRejected} {
		i.jobSeconds.WithLabelValues(string(status))
	}
	i.jobs.WithLabelValues(string(pipeline.StatusReady), "")
	for _, code := range pipeline.Codes() {
		i.jobs.WithLabelValues(string(pipeline.StatusRejected), string(code))
		if code.Trouble() {
			i.itemRetries.WithLabelValues(string(code))
		}
	}
	for _, kind := range []pipeline.Kind{pipeline.KindVoice, pipeline.KindPhoto, pipeline.KindVideo} {
		i.items.WithLabelValues(string(kind), string(pipeline.StatusReady), "")
		i.recalled.WithLabelValues(string(kind))
		i.sourceBytes.WithLabelValues(string(kind))
		i.renditionBytes.WithLabelValues(string(kind))
		i.stageSeconds.WithLabelValues("render", string(kind))
		i.unverified.WithLabelValues(string(kind))
	}
	for _, category := range []string{"explicit", "drawn", "suggestive"} {
		i.scores.WithLabelValues(category)
	}
	i.scans.WithLabelValues(string(pipeline.Unavailable), string(pipeline.LevelUnknown))
	i.decisions.WithLabelValues(string(pipeline.Deliver), "clear")
	for _, class := range queue.Classes() {
		for _, outcome := range queue.Outcomes() {
			i.attempts.WithLabelValues(string(class), outcome)
		}
	}
	for _, program := range sandbox.Programs() {
		i.engineStarts.WithLabelValues(program, "ok")
		i.engineStarts.WithLabelValues(program, "failed")
	}
	for _, op := range sandbox.Ops() {
		i.engineSeconds.WithLabelValues(string(op))
		for _, end := range sandbox.Ends() {
			i.engineRequests.WithLabelValues(string(op), string(end))
		}
	}
}
