package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ninefold/ninefold/cmd/ninefold/health"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/pipeline/tracetest"
)

// observed is a worker with its admin port, and what it leaves behind.
type observed struct {
	deployment
	admin string
	stop  func() result
}

const adminToken = "a token of the test's own"

// observe starts a worker; args are more flags.
func observe(t *testing.T, args ...string) observed {
	t.Helper()
	o := observed{deployment: deploy(t), admin: pipelinetest.FreeAddr(t)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan result, 1)
	go func() {
		ended <- call(ctx, append([]string{"worker", "--admin-addr", o.admin, "--admin-token", adminToken, "--log-format", "json"}, args...)...)
	}()
	o.stop = sync.OnceValue(func() result {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { o.stop() })
	return o
}

// get asks the admin port. A worker that is not there yet is status 0.
func (o observed) get(t *testing.T, method, path, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+o.admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (o observed) ready(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(jobWithin)
	for {
		code, body := o.get(t, http.MethodGet, "/readyz", "")
		if code == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the worker is not ready: %d %s\n%s", code, body, o.stop().stderr)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// What a sender writes must be in no log, no metric, no span and not on asynq's pages.
const caption = "what-nobody-else-may-read"

const submitted = "4bf92f3577b34da6a3ce929d0e0e4736"

// TestObserved holds what the operator sees of one partly ready and one rejected message: metrics, spans, log lines, health, queues.
func TestObserved(t *testing.T) {
	spans := tracetest.Start(t)
	t.Setenv("TRACEPARENT", "00-"+submitted+"-00f067aa0ba902b7-01")
	o := observe(t)
	s := newScene(t)
	for _, name := range []string{"photo.jpg", "text.jpg"} {
		if err := uploadFile(t.Context(), o.uploads, name, filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	events := o.events(t)
	o.ready(t)
	with := func(it string) string { return strings.Replace(it, `"edits"`, `"caption": "`+caption+`", "edits"`, 1) }
	first := s.job(t, with(item("a", "photo", "photo.jpg"))+","+item("b", "photo", "text.jpg"))
	call(t.Context(), "submit", first, "--wait", "--json").want(t, exitPartial)
	second := s.job(t, item("a", "photo", "text.jpg"))
	s.write(t, "job.json", []byte(strings.ReplaceAll(string(s.read(t, filepath.Base(second))), `"j1"`, `"j2"`)))
	call(t.Context(), "submit", second, "--wait", "--json").want(t, exitRejected)
	waitFor(t, "two events", func() bool { return len(events()) == 2 })

	t.Run("metrics", func(t *testing.T) { holdsMetrics(t, o) })
	t.Run("queues", func(t *testing.T) { holdsQueues(t, o) })
	t.Run("health", func(t *testing.T) { holdsHealth(t, o) })
	for _, e := range events() {
		if !strings.HasPrefix(e.Trace, "00-"+submitted+"-") || strings.Contains(e.Trace, "00f067aa0ba902b7") {
			t.Errorf("event %s has the trace %q, want the submitter's, with the attempt's span", e.ID, e.Trace)
		}
	}
	ended := o.stop().want(t, exitOK)
	t.Run("logs", func(t *testing.T) { holdsLogs(t, ended.stderr) })
	t.Run("spans", func(t *testing.T) { holdsSpans(t, spans) })
}

func holdsMetrics(t *testing.T, o observed) {
	code, body := o.get(t, http.MethodGet, "/metrics", "")
	if code != http.StatusOK {
		t.Fatalf("scrape: %d %s", code, body)
	}
	for _, line := range []string{
		`ninefold_jobs_total{code="",status="partial"} 1`,
		`ninefold_jobs_total{code="unsupported_type",status="rejected"} 1`,
		`ninefold_items_total{code="",kind="photo",status="ready"} 1`,
		`ninefold_items_total{code="unsupported_type",kind="photo",status="rejected"} 2`,
		`ninefold_job_duration_seconds_count{status="partial"} 1`,
		`ninefold_stage_duration_seconds_count{kind="photo",stage="fetch"} 3`,
		`ninefold_stage_duration_seconds_count{kind="photo",stage="render"} 1`,
		`ninefold_moderation_score_count{category="explicit"} 1`,
		`ninefold_decisions_total{action="deliver",reason="clear"} 1`,
		`ninefold_attempts_total{class="photo",outcome="done"} 2`,
		`ninefold_engine_requests_total{op="render",outcome="ok"} 1`,
		`ninefold_engine_requests_total{op="render",outcome="crashed"} 0`,
		`ninefold_redis_up 1`,
		`ninefold_queue_tasks{queue="photo",state="pending"} 0`,
		`ninefold_outbox_events{class="photo"} 0`,
		`ninefold_quarantine_records 0`,
		`ninefold_admission_jobs{class="photo",state="running"} 0`,
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			t.Errorf("no %s; of that metric there is:\n%s", line, linesWith(body, name))
		}
	}
	for _, id := range []string{"j1", "m1", "r1", caption} {
		if strings.Contains(body, `"`+id+`"`) {
			t.Errorf("%q is a label", id)
		}
	}
	if n := strings.Count(body, "\n"); n > maxSeries {
		t.Errorf("%d lines, at most %d: a label is not of a closed list", n, maxSeries)
	}
}

// maxSeries is about twice what a scrape has after a few jobs of every kind.
const maxSeries = 3000

func linesWith(body, name string) string {
	var found strings.Builder
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, name) {
			found.WriteString(line)
		}
	}
	return found.String()
}

// holdsQueues: asynq's pages open with the token only, show no caption, and change nothing.
func holdsQueues(t *testing.T, o observed) {
	for _, tc := range []struct {
		method, path, token string
		code                int
		body                string
	}{
		{http.MethodGet, "/queues/", "", http.StatusUnauthorized, ""},
		{http.MethodGet, "/queues/", adminToken, http.StatusOK, "<html"},
		{http.MethodGet, "/queues/api/queues", adminToken, http.StatusOK, `"photo"`},
		{http.MethodGet, "/queues/api/queues/photo/completed_tasks", adminToken, http.StatusOK, "job j1, message m1, 2 items"},
		{http.MethodDelete, "/queues/api/queues/photo", adminToken, http.StatusMethodNotAllowed, ""},
		{http.MethodPost, "/queues/api/queues/photo:pause", adminToken, http.StatusMethodNotAllowed, ""},
	} {
		code, body := o.get(t, tc.method, tc.path, tc.token)
		if code != tc.code || !strings.Contains(body, tc.body) {
			t.Errorf("%s %s: %d %.400s, want %d with %q", tc.method, tc.path, code, body, tc.code, tc.body)
		}
		if strings.Contains(body, caption) {
			t.Errorf("%s shows a caption", tc.path)
		}
	}
}

// holdsHealth: with every part there the worker is ready; without Redis it lives, is not ready, and says why.
func holdsHealth(t *testing.T, o observed) {
	answer := func() (int, health.Answer) {
		code, body := o.get(t, http.MethodGet, "/readyz", adminToken)
		var a health.Answer
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		return code, a
	}
	code, a := answer()
	var names []string
	for _, c := range a.Checks {
		names = append(names, c.Name)
		if !c.OK || c.Detail == "" {
			t.Errorf("%s: %+v", c.Name, c)
		}
	}
	if code, body := o.get(t, http.MethodGet, "/readyz", ""); code != http.StatusOK || strings.Contains(body, "detail") {
		t.Errorf("a stranger is told %d %s", code, body)
	}
	if r := call(t.Context(), "ready", "--admin-addr", o.admin).want(t, exitOK); !strings.Contains(r.stdout, "OK    sandbox") {
		t.Errorf("ninefold ready: %s", r.stdout)
	}
	if code != http.StatusOK || !a.Ready || !slices.Equal(names, []string{"redis", "store", "model", "sandbox"}) {
		t.Errorf("%d %+v", code, a)
	}
	signal := func(s syscall.Signal) {
		if err := syscall.Kill(o.redis.Pid(), s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT)
	waitFor(t, "answer that Redis is away", func() bool {
		code, a := answer()
		return code == http.StatusServiceUnavailable && !a.Ready && !a.Checks[0].OK && a.Checks[0].Detail != "" && a.Checks[1].OK
	})
	if code, _ := o.get(t, http.MethodGet, "/livez", ""); code != http.StatusOK {
		t.Errorf("/livez without Redis: %d", code)
	}
}

// holdsLogs: JSON, one line for each message's end, and nothing that a sender wrote or that opens a door.
func holdsLogs(t *testing.T, log string) {
	done := map[string]map[string]any{}
	for lines := bufio.NewScanner(strings.NewReader(log)); lines.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		if line["msg"] != "job done" {
			continue
		}
		id, _ := line["job_id"].(string)
		if done[id] != nil {
			t.Errorf("%s has two lines", id)
		}
		done[id] = line
	}
	if len(done) != 2 || done["j1"]["status"] != "partial" || done["j2"]["status"] != "rejected" {
		t.Errorf("lines: %v", done)
	}
	if codes, ok := done["j1"]["codes"].([]any); !ok || !slices.Equal(codes, []any{"unsupported_type"}) {
		t.Errorf("codes: %v", done["j1"]["codes"])
	}
	for _, number := range []string{"duration_ms", "source_bytes", "rendition_bytes", "items", "recipients"} {
		if n, ok := done["j1"][number].(float64); !ok || n <= 0 {
			t.Errorf("%s: %v", number, done["j1"][number])
		}
	}
	for _, secret := range []string{caption, adminToken} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// holdsSpans: every span is below the submitter's, and each stage below its item's, that below its run's, that below its attempt's.
func holdsSpans(t *testing.T, r *tracetest.Receiver) {
	spans := r.Spans()
	name := map[string]string{}
	count := map[string]int{}
	for _, s := range spans {
		name[s.ID] = s.Name
		count[s.Name]++
	}
	above := map[string]string{"run": "attempt", "item": "run"}
	for _, stage := range pipeline.StageNames() {
		above[stage] = "item"
	}
	for _, s := range spans {
		if s.Trace != submitted {
			t.Errorf("span %s is in trace %s", s.Name, s.Trace)
		}
		switch {
		case s.Name == "attempt" && s.Parent != "00f067aa0ba902b7":
			t.Errorf("an attempt is below %s, want the submitter's span", s.Parent)
		case s.Name != "attempt" && name[s.Parent] != above[s.Name]:
			t.Errorf("span %s is below %q, want %q", s.Name, name[s.Parent], above[s.Name])
		}
	}
	if strings.Contains(r.Raw(), caption) {
		t.Error("a span holds a caption")
	}
	if count["attempt"] != 2 || count["run"] != 2 || count["item"] != 3 || count["fetch"] != 3 || count["render"] != 1 || count["store"] != 1 {
		t.Errorf("spans: %v", count)
	}
}
