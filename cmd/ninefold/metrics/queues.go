package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ninefold/ninefold/queue"
)

// scrapeWithin is how long a scrape waits for Redis.
const scrapeWithin = 5 * time.Second

// queues asks, at each scrape, what Redis holds of all workers together and what this worker has admitted. Every worker tells the same of
// Redis: take max by (queue), not sum. Without an answer of Redis it says so and leaves those metrics out: a backlog that nobody can see is
// no empty queue.
type queues struct {
	load      func(context.Context) (queue.Load, error)
	admission func() []queue.Admission
}

var _ prometheus.Collector = (*queues)(nil)

var (
	redisUp      = prometheus.NewDesc("ninefold_redis_up", "1 where Redis answered this scrape, else 0.", nil, nil)
	queueTasks   = prometheus.NewDesc("ninefold_queue_tasks", "Tasks in a queue, by state; of all workers.", []string{"queue", "state"}, nil)
	queueOldest  = prometheus.NewDesc("ninefold_queue_oldest_seconds", "How long the oldest pending task of a queue has waited.", []string{"queue"}, nil)
	outboxEvents = prometheus.NewDesc("ninefold_outbox_events", "Events that are committed and not yet announced.", []string{"class"}, nil)
	outboxOldest = prometheus.NewDesc("ninefold_outbox_oldest_seconds", "How long the oldest of them has waited.", []string{"class"}, nil)
	quarantined  = prometheus.NewDesc("ninefold_quarantine_records", "Records in quarantine that wait for an operator.", nil, nil)
	admitted     = prometheus.NewDesc("ninefold_admission_jobs", "Jobs on this worker, running or waiting for its cores.", []string{"class", "state"}, nil)
	admissionMax = prometheus.NewDesc("ninefold_admission_limit", "Jobs of a class that this worker runs at the same time at most.", []string{"class"}, nil)
)

// Describe lists what Collect sends.
func (*queues) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{redisUp, queueTasks, queueOldest, outboxEvents, outboxOldest, quarantined, admitted, admissionMax} {
		ch <- d
	}
}

// Collect asks.
func (q *queues) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, a := range q.admission() {
		gauge(admitted, float64(a.Running), string(a.Class), "running")
		gauge(admitted, float64(a.Waiting), string(a.Class), "waiting")
		gauge(admissionMax, float64(a.Limit), string(a.Class))
	}
	l, err := q.load(ctx)
	if err != nil {
		gauge(redisUp, 0)
		return
	}
	gauge(redisUp, 1)
	gauge(quarantined, float64(l.Quarantined))
	for _, d := range l.Queues {
		states := map[string]int{"pending": d.Pending, "active": d.Active, "retrying": d.Retrying, "archived": d.Archived}
		for state, n := range states {
			gauge(queueTasks, float64(n), d.Queue, state)
		}
		gauge(queueOldest, d.Oldest.Seconds(), d.Queue)
	}
	for _, o := range l.Outbox {
		gauge(outboxEvents, float64(o.Events), string(o.Class))
		gauge(outboxOldest, o.Oldest.Seconds(), string(o.Class))
	}
}
