package metrics_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"gopkg.in/yaml.v3"

	"github.com/ninefold/ninefold/cmd/ninefold/metrics"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// watching is a worker's metrics with one of everything that is asked of Redis.
func watching() *metrics.Metrics {
	m := metrics.New("1", "none")
	m.Watch(func(context.Context) (queue.Load, error) {
		return queue.Load{Queues: []queue.Depth{{Queue: "photo"}}, Outbox: []queue.Lag{{Class: queue.ClassPhoto}}}, nil
	}, func() []queue.Admission { return []queue.Admission{{Class: queue.ClassPhoto}} })
	return m
}

// labelsOf is what a worker's scrape holds: the labels of every metric, by name, with Prometheus' own suffixes.
func labelsOf(t *testing.T) map[string][]string {
	t.Helper()
	m := watching()
	found := map[string][]string{}
	series := regexp.MustCompile(`(?m)^(ninefold_\w+)(?:\{(.*)\})? \S+$`)
	label := regexp.MustCompile(`(\w+)="`)
	for _, match := range series.FindAllStringSubmatch(scrape(t, m), -1) {
		found[match[1]] = []string{}
		for _, l := range label.FindAllStringSubmatch(match[2], -1) {
			found[match[1]] = append(found[match[1]], l[1])
		}
	}
	if len(found) < 20 {
		t.Fatalf("the scrape holds %d metrics: %v", len(found), found)
	}
	return found
}

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %v", w.Code, err)
	}
	return string(body)
}

// expressions are all PromQL of the dashboard, the alert rules and the autoscaler.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(t, "grafana-dashboard.json"), &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			found["panel "+p.Title+": "+target.Expr] = strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
		}
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	dec := yaml.NewDecoder(strings.NewReader(string(read(t, "alerts.yaml"))))
	dec.KnownFields(true)
	if err := dec.Decode(&rules); err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.Groups[0].Rules {
		found["alert "+r.Alert] = r.Expr
		if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["action"] == "" {
			t.Errorf("alert %+v lacks a severity, or does not say what to do", r)
		}
		if _, err := time.ParseDuration(r.For); r.For != "" && err != nil {
			t.Errorf("alert %s: %v", r.Alert, err)
		}
	}
	scaler := regexp.MustCompile(`(?m)^ +query: (.*)$`).FindStringSubmatch(string(read(t, "kubernetes.yaml")))
	if len(scaler) != 2 {
		t.Fatal("kubernetes.yaml scales by no query")
	}
	found["autoscaler"] = scaler[1]
	return found
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("../../../docker/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Every metric that the dashboard, the alerts and the autoscaler name exists, with every label they go by.
func TestRulesNameWhatExists(t *testing.T) {
	known := labelsOf(t)
	all := expressions(t)
	if len(all) < 30 {
		t.Fatalf("found %d expressions", len(all))
	}
	for where, expr := range all {
		for _, wrong := range wrongIn(expr, known) {
			t.Errorf("%s: %s", where, wrong)
		}
	}
}

// TestWrongInBites holds the reader of PromQL itself.
func TestWrongInBites(t *testing.T) {
	known := map[string][]string{"ninefold_jobs_total": {"status"}, "ninefold_seconds_bucket": {"le"}}
	for expr, want := range map[string]int{
		`rate(ninefold_jobs_total{status="x"}[5m])`: 0,
		`rate(ninefold_job_total{status="x"}[5m])`:  1,
		`rate(up[5m])`: 1,
		`sum by (status) (rate(ninefold_jobs_total[5m])) > 0.5`:                          0,
		`sum by (kind) (rate(ninefold_jobs_total[5m]))`:                                  1,
		`ninefold_jobs_total{kind=~"a|b"}`:                                               1,
		`histogram_quantile(0.5, sum by (le) (rate(ninefold_seconds_bucket[5m]))`:        1, // a parenthesis is open
		`histogram_quantile(0.5, sum by (le) (rate(ninefold_seconds_bucket[5m])))`:       0,
		`max(ninefold_jobs_total{status="no label named this=\"kind\""})`:                0,
		`absent(ninefold_jobs_total) or sum(rates(ninefold_jobs_total{status="x"}[1m]))`: 1, // no such function
	} {
		if got := wrongIn(expr, known); len(got) != want {
			t.Errorf("%s: %q, want %d", expr, got, want)
		}
	}
}

var (
	quoted    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	grouping  = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
	selector  = regexp.MustCompile(`([a-zA-Z_:]\w*)\s*\{([^}]*)\}`)
	called    = regexp.MustCompile(`([a-zA-Z_]\w*)\s*\(`)
	duration  = regexp.MustCompile(`\[[0-9]+[smhdw]\]`)
	word      = regexp.MustCompile(`[a-zA-Z_:]\w*`)
	functions = []string{"sum", "max", "min", "count", "abs", "rate", "increase", "histogram_quantile", "absent"}
	operators = []string{"or", "and", "unless"}
)

// wrongIn is a tokenizer for the part of PromQL that is used here: what is no function, operator, grouping label or duration is a metric.
func wrongIn(expr string, known map[string][]string) (wrong []string) {
	if strings.Count(expr, "(") != strings.Count(expr, ")") {
		wrong = append(wrong, "parentheses do not match")
	}
	expr = duration.ReplaceAllString(quoted.ReplaceAllString(expr, `""`), "")
	var labels []string
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		labels = append(labels, word.FindAllString(g[1], -1)...)
	}
	expr = grouping.ReplaceAllString(expr, "")
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		for _, l := range word.FindAllString(s[2], -1) {
			if known[s[1]] != nil && !slices.Contains(known[s[1]], l) {
				wrong = append(wrong, s[1]+" has no label "+l)
			}
		}
	}
	expr = selector.ReplaceAllString(expr, "$1")
	for _, f := range called.FindAllStringSubmatch(expr, -1) {
		if !slices.Contains(functions, f[1]) {
			wrong = append(wrong, "no function "+f[1])
		}
	}
	expr = called.ReplaceAllString(expr, "(")
	for _, name := range word.FindAllString(expr, -1) {
		if slices.Contains(operators, name) {
			continue
		}
		if known[name] == nil {
			wrong = append(wrong, "no metric "+name)
			continue
		}
		for _, l := range labels {
			if !slices.Contains(known[name], l) {
				wrong = append(wrong, name+" has no label "+l)
			}
		}
	}
	return wrong
}

// What a scrape holds is named and explained as Prometheus' own linter asks.
func TestMetricsLint(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(scrape(t, watching()))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Without Redis the scrape says so and tells no queue's depth: it is not known to be empty.
func TestScrapeWithoutRedis(t *testing.T) {
	m := metrics.New("1", "none")
	m.Watch(func(context.Context) (queue.Load, error) { return queue.Load{}, errors.New("away") }, func() []queue.Admission { return nil })
	body := scrape(t, m)
	if !strings.Contains(body, "\nninefold_redis_up 0\n") || strings.Contains(body, "ninefold_queue_tasks{") {
		t.Errorf("without Redis:\n%.2000s", body)
	}
}

// A rendition that does not verify is counted, whatever else goes wrong in that stage is not.
func TestUnverifiedRenditionsAreCounted(t *testing.T) {
	m := watching()
	for _, err := range []error{nil, errors.New("the engine died"), fmt.Errorf("verify: %w", pipeline.ErrUnverified)} {
		_, end := m.Stage(t.Context(), pipeline.KindVideo, "verify")
		end(err)
	}
	if body := scrape(t, m); !strings.Contains(body, "\nninefold_renditions_unverified_total{kind=\"video\"} 1\n") {
		t.Error("not counted once")
	}
}
