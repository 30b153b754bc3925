package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/queue"
)

// series is one scrape: values by name and labels, a histogram by its _count and _sum.
type series map[string]float64

// of adds up the series of a metric that have all of these labels, given as `name="value"`.
func (s series) of(metric string, labels ...string) (sum float64) {
	for key, v := range s {
		if name, rest, _ := strings.Cut(key, "{"); name == metric && !slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(rest, l) }) {
			sum += v
		}
	}
	return sum
}

// monitor is what all scrapes of a worker told.
type monitor struct {
	scrapes  int
	text     string            // of the busiest
	families map[string]string // type, by name
	counters map[string]bool   // series that only grow
	last     series
	most     map[string]float64 // of each series
	moved    map[string]int     // how often a series was another than the scrape before
}

// take reads one scrape and holds it to the one before.
func (w *monitor) take(t *testing.T, text string) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("a scrape that Prometheus cannot read: %v\n%s", err, text)
	}
	now := series{}
	for name, f := range families {
		w.families[name] = f.GetType().String()
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			key := "{" + strings.Join(labels, ",") + "}"
			switch {
			case m.Counter != nil:
				now[name+key], w.counters[name+key] = m.GetCounter().GetValue(), true
			case m.Histogram != nil:
				now[name+"_count"+key], w.counters[name+"_count"+key] = float64(m.GetHistogram().GetSampleCount()), true
				now[name+"_sum"+key] = m.GetHistogram().GetSampleSum()
			default:
				now[name+key] = m.GetGauge().GetValue()
			}
		}
	}
	w.compare(t, now)
	if busy := now.of("ninefold_admission_jobs"); busy > w.most["busiest"] || w.text == "" {
		w.text, w.most["busiest"] = text, busy
	}
	w.scrapes, w.last = w.scrapes+1, now
}

func (w *monitor) compare(t *testing.T, now series) {
	t.Helper()
	for key, v := range now {
		was, known := w.last[key]
		if known && v < was && w.counters[key] {
			t.Errorf("%s went from %g to %g", key, was, v)
		}
		if known && v != was {
			w.moved[key]++
		}
		w.most[key] = max(w.most[key], v)
	}
	for key := range w.last {
		if _, ok := now[key]; !ok {
			t.Errorf("%s was there, and is not any more", key)
		}
	}
}

// usedMetrics are the metrics that the dashboard, the alerts and the autoscaler name, without a histogram's suffixes.
func usedMetrics(t *testing.T) []string {
	t.Helper()
	found := map[string]bool{}
	name := regexp.MustCompile(`\bninefold_[a-z_]+`)
	for _, file := range []string{"grafana-dashboard.json", "alerts.yaml", "kubernetes.yaml"} {
		data, err := os.ReadFile("../../docker/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllString(string(data), -1) {
			found[regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(m, "")] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// TestScrapeUnderLoad scrapes a worker again and again while it has more to do than it can: everything that the dashboard and the alerts go
// by is there and moves, counters never fall, and the backlog is seen to come and go.
func TestScrapeUnderLoad(t *testing.T) {
	o := observe(t, "--concurrency-photo", "1", "--concurrency-voice", "1")
	s := noteScene{scene{t.TempDir()}}
	s.ffmpeg(t, "-f", "lavfi", "-i", "sine=r=16000:d=2", "-c:a", "libopus", "note.ogg")
	names := []string{"note.ogg", "0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"}
	for i, name := range names[1:] {
		s.write(t, name, encodeJPEG(t, quadrants(1280+16*i, 960)))
	}
	events := o.events(t)
	o.ready(t)
	w := &monitor{families: map[string]string{}, counters: map[string]bool{}, most: map[string]float64{}, moved: map[string]int{}}
	sent := o.send(t, s.dir, append(names, "0.jpg")) // the last one was done before
	deadline := time.Now().Add(jobWithin)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		done := len(events()) == sent
		code, text := o.get(t, http.MethodGet, "/metrics", "")
		if code != http.StatusOK || time.Now().After(deadline) {
			t.Fatalf("%d events of %d; scrape: %d %s", len(events()), sent, code, text)
		}
		w.take(t, text)
		if idle := w.last.of("ninefold_queue_tasks", `state="active"`) == 0; done && idle {
			break
		}
	}
	for _, name := range usedMetrics(t) {
		if w.families[name] == "" {
			t.Errorf("the dashboard or an alert goes by %s, which is in no scrape", name)
		}
	}
	w.holdsMoved(t, sent)
	w.keep(t)
}

// send uploads files and queues a message for each.
func (o observed) send(t *testing.T, dir string, files []string) int {
	t.Helper()
	cfg := queue.DefaultConfig()
	cfg.RedisURL = o.redis.URL()
	client, err := queue.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i, name := range files {
		if err := uploadFile(t.Context(), o.uploads, name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		job, _ := filesJob([]string{name})
		job.JobID, job.MessageID = fmt.Sprintf("load%d", i), fmt.Sprintf("m%d", i)
		job.Items[0].Source.Key, job.Items[0].Kind = name, pipeline.KindPhoto
		if filepath.Ext(name) == ".ogg" {
			job.Items[0].Kind = pipeline.KindVoice
		}
		if _, err := client.Submit(context.WithoutCancel(t.Context()), job); err != nil {
			t.Fatal(err)
		}
	}
	return len(files)
}

// holdsMoved: what the load must have moved, and the backlog that it must have shown.
func (w *monitor) holdsMoved(t *testing.T, sent int) {
	t.Helper()
	ready := fmt.Sprintf("status=%q", pipeline.StatusReady)
	for _, tc := range []struct {
		metric string
		labels []string
		want   float64 // in the end
	}{
		{"ninefold_jobs_total", []string{ready}, float64(sent)},
		{"ninefold_job_duration_seconds_count", []string{ready}, float64(sent)},
		{"ninefold_items_total", []string{ready, `kind="photo"`}, float64(sent - 1)},
		{"ninefold_items_recalled_total", nil, 1},
		{"ninefold_stage_duration_seconds_count", []string{`stage="fetch"`}, float64(sent)},
		{"ninefold_stage_duration_seconds_count", []string{`stage="render"`}, float64(sent - 1)},
		{"ninefold_attempts_total", []string{`outcome="done"`}, float64(sent)},
		{"ninefold_scans_total", []string{`status="scored"`}, float64(sent - 2)},
		{"ninefold_moderation_score_count", []string{`category="explicit"`}, float64(sent - 2)},
		{"ninefold_decisions_total", []string{`action="deliver"`}, float64(sent)},
		{"ninefold_engine_requests_total", []string{`op="render"`, `outcome="ok"`}, float64(sent - 1)},
		{"ninefold_engine_request_duration_seconds_count", []string{`op="render"`}, float64(sent - 1)},
		{"ninefold_queue_tasks", []string{`state="pending"`}, 0},
		{"ninefold_queue_tasks", []string{`state="active"`}, 0},
		{"ninefold_admission_jobs", nil, 0},
		{"ninefold_outbox_events", nil, 0},
		{"ninefold_redis_up", nil, 1},
	} {
		if got := w.last.of(tc.metric, tc.labels...); got != tc.want {
			t.Errorf("%s%v is %g in the end, want %g", tc.metric, tc.labels, got, tc.want)
		}
	}
	for _, key := range []string{
		`ninefold_queue_tasks{queue="photo",state="pending"}`, `ninefold_queue_tasks{queue="photo",state="active"}`,
		`ninefold_queue_oldest_seconds{queue="photo"}`, `ninefold_admission_jobs{class="photo",state="running"}`,
		`ninefold_source_bytes_total{kind="voice"}`, `ninefold_rendition_bytes_total{kind="photo"}`,
		`ninefold_engine_starts_total{program="ninefold-engine",result="ok"}`,
	} {
		if w.moved[key] == 0 || w.most[key] <= 0 {
			t.Errorf("%s moved %d times, to %g at most", key, w.moved[key], w.most[key])
		}
	}
	if n := w.moved[fmt.Sprintf(`ninefold_jobs_total{code="",status=%q}`, pipeline.StatusReady)]; n < 3 {
		t.Errorf("%d scrapes saw another number of jobs than the one before: they were not made under load", n)
	}
}

// keep writes the busiest scrape to bin/metrics of the repository.
func (w *monitor) keep(t *testing.T) {
	t.Helper()
	ours := 0
	for name := range w.families {
		if strings.HasPrefix(name, "ninefold_") {
			ours++
		}
	}
	t.Logf("%d scrapes under load: %d metrics of ours, %d in all, %d series; pending at most %g, oldest %.2f s", w.scrapes, ours, len(w.families),
		len(w.last), w.most[`ninefold_queue_tasks{queue="photo",state="pending"}`], w.most[`ninefold_queue_oldest_seconds{queue="photo"}`])
	pipelinetest.Keep(t, "metrics/under-load.txt", []byte(w.text))
}
