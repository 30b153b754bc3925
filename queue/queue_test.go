package queue_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/queue"
)

// TestMain lets more tests run at once than there are cores: what they do most is wait for their own servers.
func TestMain(m *testing.M) {
	if url := os.Getenv(holderEnv); url != "" {
		beHolder(url, os.Getenv(holderEnv+"_STORE"))
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// settle bounds every wait of these tests; a healthy run needs a fraction of it.
const settle = 30 * time.Second

func config(url string) queue.Config {
	cfg := queue.DefaultConfig()
	cfg.RedisURL, cfg.Poll, cfg.RetryFirst, cfg.RetryMost = url, 10*time.Millisecond, time.Millisecond, 10*time.Millisecond
	cfg.Attempts, cfg.Drain = 3, 5*time.Second
	cfg.Concurrency = queue.Concurrency{Voice: 2, Photo: 2, Video: 1, Events: 2}
	cfg.Log = slog.New(slog.DiscardHandler)
	return cfg
}

func job(id string, kinds ...pipeline.Kind) pipeline.Job {
	j := pipeline.Job{
		Schema: pipeline.JobSchema, JobID: id, MessageID: "m_" + id, Conversation: pipeline.Conversation{ID: "c_1", Kind: pipeline.Direct},
		Sender: pipeline.Sender{ID: "u_1", AgeBand: pipeline.Adult},
		Recipients: []pipeline.Recipient{
			{ID: "u_2", AgeBand: pipeline.Adult, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterOff},
		},
	}
	for i, kind := range kinds {
		item := pipeline.Item{ID: fmt.Sprintf("i%d", i), Kind: kind, Source: pipeline.Source{Key: fmt.Sprintf("uploads/%s/%d", id, i)}}
		j.Items = append(j.Items, item)
	}
	return j
}

// rejected is the smallest valid manifest.
func rejected(j pipeline.Job) pipeline.Manifest {
	return pipeline.Manifest{
		Schema: pipeline.ManifestSchema, JobID: j.JobID, MessageID: j.MessageID, Status: pipeline.StatusRejected,
		Error:     &pipeline.Failure{Code: pipeline.CodeCorrupt, Message: "the file is empty; upload it again"},
		CreatedAt: time.Unix(1_700_000_000, 0).UTC(), FinishedAt: time.Unix(1_700_000_001, 0).UTC(),
	}
}

type runnerFunc func(context.Context, pipeline.Job, pipeline.RunOptions) (pipeline.Manifest, error)

func (f runnerFunc) Run(ctx context.Context, j pipeline.Job, o pipeline.RunOptions) (pipeline.Manifest, error) {
	return f(ctx, j, o)
}

// counted is a Runner that succeeds and counts.
func counted(runs *atomic.Int32) runnerFunc {
	return func(_ context.Context, j pipeline.Job, _ pipeline.RunOptions) (pipeline.Manifest, error) {
		runs.Add(1)
		return rejected(j), nil
	}
}

func client(t *testing.T, cfg queue.Config) *queue.Client {
	t.Helper()
	c, err := queue.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// start runs a worker until the test ends, or until the returned stop is called.
func start(t *testing.T, cfg queue.Config, r queue.Runner) (stop func()) {
	t.Helper()
	s, err := queue.NewServer(cfg, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// gate holds Runners until the test opens it, once or more often: a failed test must, too, or its worker never ends.
type gate struct {
	opened chan struct{}
	open   func()
}

func newGate() gate {
	c := make(chan struct{})
	return gate{opened: c, open: sync.OnceFunc(func() { close(c) })}
}

func (g gate) wait() { <-g.opened }

func submit(t *testing.T, c *queue.Client, j pipeline.Job) queue.Receipt {
	t.Helper()
	r, err := c.Submit(t.Context(), j)
	if err != nil {
		t.Fatalf("Submit: %v", err)
	}
	return r
}

func wait(t *testing.T, c *queue.Client, id string) queue.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), settle)
	defer cancel()
	s, err := c.Wait(ctx, id, nil)
	if err != nil {
		t.Fatalf("Wait: %v; last seen %+v", err, s)
	}
	return s
}

func received[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(settle):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// events reads what lies on the parts queue, without taking it.
func events(t *testing.T, url string) []queue.Event {
	t.Helper()
	opt, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opt)
	defer rdb.Close()
	tasks, err := asynq.NewInspectorFromRedisClient(rdb).ListPendingTasks(queue.EventQueue, asynq.PageSize(1000))
	if err != nil && !errors.Is(err, asynq.ErrQueueNotFound) {
		t.Fatal(err)
	}
	var out []queue.Event
	for _, task := range tasks {
		e, err := queue.DecodeEvent(task.Payload)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func wantOneEvent(t *testing.T, url, jobID string) {
	t.Helper()
	got := events(t, url)
	if len(got) != 1 || got[0].Manifest.JobID != jobID || got[0].ID != queue.EventID(jobID) {
		t.Errorf("%d events: %+v; want the one of job %s", len(got), got, jobID)
	}
}

func TestClassOf(t *testing.T) {
	voice, photo, video, auto := pipeline.KindVoice, pipeline.KindPhoto, pipeline.KindVideo, pipeline.KindAuto
	for _, c := range []struct {
		kinds []pipeline.Kind
		want  queue.Class
	}{
		{[]pipeline.Kind{voice}, queue.ClassVoice},
		{[]pipeline.Kind{photo, photo}, queue.ClassPhoto},
		{[]pipeline.Kind{voice, photo}, queue.ClassPhoto},
		{[]pipeline.Kind{photo, video, voice}, queue.ClassVideo},
		{[]pipeline.Kind{photo, auto}, queue.ClassVideo},
	} {
		if got := queue.ClassOf(job("j", c.kinds...)); got != c.want {
			t.Errorf("%v: %s, want %s", c.kinds, got, c.want)
		}
	}
}

// However often and at whatever moment a job is submitted, it runs once and is announced once.
func TestSubmittingTwiceIsOneJob(t *testing.T) {
	t.Parallel()
	cfg := config(pipelinetest.StartRedis(t).URL())
	c := client(t, cfg)
	if r := submit(t, c, job("j1", pipeline.KindPhoto)); r.Existed || r.State != queue.Queued || r.Class != queue.ClassPhoto {
		t.Errorf("first receipt %+v", r)
	}
	if r := submit(t, c, job("j1", pipeline.KindPhoto)); !r.Existed || r.State != queue.Queued {
		t.Errorf("second receipt %+v", r)
	}
	var runs atomic.Int32
	start(t, cfg, counted(&runs))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := c.Submit(t.Context(), job("j1", pipeline.KindPhoto)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if s := wait(t, c, "j1"); s.State != queue.Done || s.Manifest.MessageID != "m_j1" || s.Attempt != 1 {
		t.Errorf("status %+v", s)
	}
	if r := submit(t, c, job("j1", pipeline.KindPhoto)); !r.Existed || r.State != queue.Done {
		t.Errorf("receipt after the end %+v", r)
	}
	if runs.Load() != 1 {
		t.Errorf("ran %d times", runs.Load())
	}
	wantOneEvent(t, cfg.RedisURL, "j1")
}

// One id cannot stand for two jobs, not even for jobs of different classes.
func TestAnIDIsForOneJob(t *testing.T) {
	t.Parallel()
	c := client(t, config(pipelinetest.StartRedis(t).URL()))
	submit(t, c, job("j1", pipeline.KindPhoto))
	older := job("j1", pipeline.KindPhoto) // by now: the audience is no part of what a message says
	older.Recipients[0].AgeBand, older.Recipients[0].NudityFilter = pipeline.Teen, pipeline.FilterHide
	if receipt, err := c.Submit(t.Context(), older); err != nil || !receipt.Existed {
		t.Errorf("the same message to a changed audience: %+v, %v", receipt, err)
	}
	captioned := job("j1", pipeline.KindPhoto)
	captioned.Caption = "another"
	for name, j := range map[string]pipeline.Job{"same class": captioned, "another class": job("j1", pipeline.KindVideo)} {
		if _, err := c.Submit(t.Context(), j); pipeline.AsError(err).Code != pipeline.CodeInvalidJob || pipeline.Retryable(err) {
			t.Errorf("%s: %v, want %s", name, err, pipeline.CodeInvalidJob)
		}
	}
	if _, err := c.Submit(t.Context(), job("j2")); pipeline.AsError(err).Code != pipeline.CodeInvalidJob {
		t.Errorf("a job without items: %v", err)
	}
	if _, err := c.Status(t.Context(), "j2"); !errors.Is(err, queue.ErrUnknownJob) {
		t.Errorf("status of a refused job: %v", err)
	}
}

var errTrouble = pipeline.Trouble(pipeline.CodeInternal, "test", errors.New("disk on fire"))

// failing is a Runner that fails in some way until the attempt-th.
func failing(attempt int32, runs *atomic.Int32, fail func() error) runnerFunc {
	return func(_ context.Context, j pipeline.Job, _ pipeline.RunOptions) (pipeline.Manifest, error) {
		if runs.Add(1) < attempt {
			return pipeline.Manifest{}, fail()
		}
		return rejected(j), nil
	}
}

func TestTroubleIsRetried(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error": func() error { return errTrouble },
		"panic": func() error { panic("a bug") },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(pipelinetest.StartRedis(t).URL())
			c := client(t, cfg)
			var runs atomic.Int32
			start(t, cfg, failing(3, &runs, fail))
			submit(t, c, job("j1", pipeline.KindVoice))
			s := wait(t, c, "j1")
			if s.State != queue.Done || runs.Load() != 3 || s.Attempt != 3 || s.LastError != "" {
				t.Errorf("%d runs, %+v", runs.Load(), s)
			}
			wantOneEvent(t, cfg.RedisURL, "j1")
		})
	}
}

// The last attempt is told so, and what it makes of its trouble is the job's one result.
func TestFinalAttemptIsTerminal(t *testing.T) {
	t.Parallel()
	cfg := config(pipelinetest.StartRedis(t).URL())
	c := client(t, cfg)
	var mu sync.Mutex
	var finals []bool
	start(t, cfg, runnerFunc(func(_ context.Context, j pipeline.Job, o pipeline.RunOptions) (pipeline.Manifest, error) {
		mu.Lock()
		defer mu.Unlock()
		if finals = append(finals, o.Final); !o.Final {
			return pipeline.Manifest{}, errTrouble
		}
		return rejected(j), nil
	}))
	submit(t, c, job("j1", pipeline.KindVideo))
	if s := wait(t, c, "j1"); s.State != queue.Done || s.Manifest.Status != pipeline.StatusRejected {
		t.Errorf("status %+v", s)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(finals, []bool{false, false, true}) {
		t.Errorf("Final was %v", finals)
	}
	wantOneEvent(t, cfg.RedisURL, "j1")
}

// An error that another attempt would not mend ends the job at once.
func TestResultErrorIsNotRetried(t *testing.T) {
	t.Parallel()
	cfg := config(pipelinetest.StartRedis(t).URL())
	c := client(t, cfg)
	var runs atomic.Int32
	start(t, cfg, failing(100, &runs, func() error { return pipeline.Refuse(pipeline.CodeInvalidJob, "job_id: no good") }))
	submit(t, c, job("j1", pipeline.KindPhoto))
	if s := wait(t, c, "j1"); s.State != queue.Failed || runs.Load() != 1 || !strings.Contains(s.LastError, "job_id: no good") {
		t.Errorf("%d runs, %+v", runs.Load(), s)
	}
	if got := events(t, cfg.RedisURL); len(got) != 0 {
		t.Errorf("%d events", len(got))
	}
}

// enqueue puts a task on the queue as somebody else's code would.
func enqueue(t *testing.T, url, queueName, taskType, id string, payload []byte) {
	t.Helper()
	opt, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opt)
	defer rdb.Close()
	_, err = asynq.NewClientFromRedisClient(rdb).Enqueue(asynq.NewTask(taskType, payload), asynq.Queue(queueName), asynq.TaskID(id))
	if err != nil {
		t.Fatal(err)
	}
}

// What is no job is put aside with its code; nothing runs, nothing is announced.
func TestBadPayloadIsPutAside(t *testing.T) {
	t.Parallel()
	cfg := config(pipelinetest.StartRedis(t).URL())
	c := client(t, cfg)
	var runs atomic.Int32
	start(t, cfg, counted(&runs))
	other := `{"schema":"ninefold.job/1","job_id":"other","message_id":"m","conversation":{"id":"c","kind":"direct"},
		"sender":{"id":"u","age_band":"adult"},"recipients":[{"id":"r","age_band":"adult","contact":"accepted","nudity_filter":"off"}],
		"items":[{"id":"i","kind":"photo","source":{"key":"k"}}]}`
	for id, payload := range map[string]string{
		"not-json": "hello", "unknown-field": strings.Replace(other, `"schema"`, `"x":1,"schema"`, 1), "empty": "",
		"two-documents": strings.Replace(other, "other", "two-documents", 1) + "{}", "another-id": other,
	} {
		enqueue(t, cfg.RedisURL, string(queue.ClassPhoto), "ninefold.job", id, []byte(payload))
		if s := wait(t, c, id); s.State != queue.Failed || !strings.Contains(s.LastError, string(pipeline.CodeInvalidJob)) {
			t.Errorf("%s: %+v", id, s)
		}
	}
	if n := len(events(t, cfg.RedisURL)); runs.Load() != 0 || n != 0 {
		t.Errorf("%d runs, %d events", runs.Load(), n)
	}
}

// A job of a newer client, with a field this worker does not know, ends for its consumer too.
func TestAJobFromTheFutureIsRejectedWithAnEvent(t *testing.T) {
	t.Parallel()
	cfg := config(pipelinetest.StartRedis(t).URL())
	c := client(t, cfg)
	var refusal atomic.Pointer[pipeline.Error]
	start(t, cfg, runnerFunc(func(_ context.Context, j pipeline.Job, opts pipeline.RunOptions) (pipeline.Manifest, error) {
		refusal.Store(opts.Refusal)
		return rejected(j), nil
	}))
	payload := `{"schema":"ninefold.job/1","job_id":"later","message_id":"m","sparkle":true,"conversation":{"id":"c","kind":"direct"},
		"sender":{"id":"u","age_band":"adult"},"recipients":[],"items":[]}`
	enqueue(t, cfg.RedisURL, string(queue.ClassPhoto), "ninefold.job", "later", []byte(payload))
	// This task was queued by no Client of ours: it is kept no longer than it takes.
	if s, err := c.Wait(t.Context(), "later", nil); err != nil && !errors.Is(err, queue.ErrUnknownJob) {
		t.Errorf("%v, status %+v", err, s)
	}
	if e := refusal.Load(); e == nil || e.Code != pipeline.CodeInvalidJob || !strings.Contains(e.Message, "sparkle") {
		t.Errorf("refusal %v", e)
	}
	if n := len(events(t, cfg.RedisURL)); n != 1 {
		t.Errorf("%d events", n)
	}
}

// A shutdown lets the running job finish and takes no other.
func TestDrainWaitsForTheRunningJob(t *testing.T) {
	t.Parallel()
	cfg := config(pipelinetest.StartRedis(t).URL())
	cfg.Drain = settle
	c := client(t, cfg)
	begun, release := make(chan string, 10), newGate()
	stop := start(t, cfg, runnerFunc(func(ctx context.Context, j pipeline.Job, _ pipeline.RunOptions) (pipeline.Manifest, error) {
		begun <- j.JobID
		release.wait()
		return rejected(j), ctx.Err()
	}))
	t.Cleanup(release.open)                     // before start's own end, which waits for the Runner
	submit(t, c, job("j1", pipeline.KindVideo)) // the class runs one at a time
	received(t, begun)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	submit(t, c, job("j2", pipeline.KindVideo))
	select {
	case <-stopped:
		t.Fatal("Shutdown did not wait")
	case <-time.After(100 * time.Millisecond): // long enough for a Shutdown that does not wait
	}
	release.open()
	received(t, stopped)
	if s := wait(t, c, "j1"); s.State != queue.Done {
		t.Errorf("j1: %+v", s)
	}
	if s, err := c.Status(t.Context(), "j2"); err != nil || s.State != queue.Queued {
		t.Errorf("j2: %+v, %v", s, err)
	}
	wantOneEvent(t, cfg.RedisURL, "j1")
}

// What a drain cannot wait for is ended, then handed back uncounted, then done by another worker: even a last attempt.
func TestShutdownHandsBack(t *testing.T) {
	t.Parallel()
	cfg := config(pipelinetest.StartRedis(t).URL())
	cfg.Drain, cfg.Attempts = 50*time.Millisecond, 1
	c := client(t, cfg)
	begun := make(chan struct{}, 1)
	var ended atomic.Bool
	stop := start(t, cfg, runnerFunc(func(ctx context.Context, _ pipeline.Job, o pipeline.RunOptions) (pipeline.Manifest, error) {
		if !o.Final {
			t.Error("the only attempt is not the final one")
		}
		begun <- struct{}{}
		<-ctx.Done()
		ended.Store(true)
		return pipeline.Manifest{}, ctx.Err()
	}))
	submit(t, c, job("j1", pipeline.KindPhoto))
	received(t, begun)
	stop()
	if !ended.Load() {
		t.Error("Shutdown returned before the Runner had")
	}
	s, err := c.Status(t.Context(), "j1")
	if err != nil || s.State != queue.Retrying || s.Attempt != 1 {
		t.Errorf("after the shutdown: %+v, %v", s, err)
	}
	var runs atomic.Int32
	start(t, cfg, counted(&runs))
	if s := wait(t, c, "j1"); s.State != queue.Done || s.Attempt != 1 || runs.Load() != 1 {
		t.Errorf("after the restart: %d runs, %+v", runs.Load(), s)
	}
	wantOneEvent(t, cfg.RedisURL, "j1")
}

// A result that was committed while the worker was being told to stop is announced all the same.
func TestCommittedDuringShutdown(t *testing.T) {
	t.Parallel()
	cfg := config(pipelinetest.StartRedis(t).URL())
	cfg.Drain = 50 * time.Millisecond
	c := client(t, cfg)
	begun := make(chan struct{}, 1)
	stop := start(t, cfg, runnerFunc(func(ctx context.Context, j pipeline.Job, _ pipeline.RunOptions) (pipeline.Manifest, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return rejected(j), nil
	}))
	submit(t, c, job("j1", pipeline.KindPhoto))
	received(t, begun)
	stop()
	if s, err := c.Status(t.Context(), "j1"); err != nil || s.State != queue.Done {
		t.Errorf("%+v, %v", s, err)
	}
	wantOneEvent(t, cfg.RedisURL, "j1")
}

// Redis dies during a job and comes back: the job is done, announced once, and nobody had to do anything.
func TestRedisOutage(t *testing.T) {
	t.Parallel()
	server := pipelinetest.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	cfg := config(server.URL())
	c := client(t, cfg)
	begun, release := make(chan struct{}, 8), newGate()
	start(t, cfg, runnerFunc(func(_ context.Context, j pipeline.Job, _ pipeline.RunOptions) (pipeline.Manifest, error) {
		begun <- struct{}{}
		release.wait()
		return rejected(j), nil
	}))
	t.Cleanup(release.open)
	submit(t, c, job("j1", pipeline.KindPhoto))
	submit(t, c, job("j2", pipeline.KindVideo))
	received(t, begun)
	received(t, begun)
	server.Kill()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	release.open()
	for _, id := range []string{"j1", "j2"} {
		if s := wait(t, c, id); s.State != queue.Done {
			t.Errorf("%s: %+v", id, s)
		}
	}
	if got := events(t, cfg.RedisURL); len(got) != 2 {
		t.Errorf("%d events, want 2", len(got))
	}
}

func TestProgressIsSeen(t *testing.T) {
	t.Parallel()
	cfg := config(pipelinetest.StartRedis(t).URL())
	c := client(t, cfg)
	seen := newGate()
	start(t, cfg, runnerFunc(func(_ context.Context, j pipeline.Job, o pipeline.RunOptions) (pipeline.Manifest, error) {
		for percent := range 100 {
			o.Progress(pipeline.Progress{ItemID: "i1", Index: 1, Stage: "render", Percent: float64(percent)})
		}
		o.Progress(pipeline.Progress{ItemID: "i0", Index: 0, Stage: "fetch", Percent: 50})
		seen.wait()
		o.Progress(pipeline.Progress{ItemID: "i1", Index: 1, Stage: "store", Percent: 100})
		return rejected(j), nil
	}))
	t.Cleanup(seen.open)
	submit(t, c, job("j1", pipeline.KindPhoto, pipeline.KindPhoto))
	ctx, cancel := context.WithTimeout(t.Context(), settle)
	defer cancel()
	want := []pipeline.Progress{{ItemID: "i0", Index: 0, Stage: "fetch", Percent: 50}, {ItemID: "i1", Index: 1, Stage: "render", Percent: 99}}
	last, err := c.Wait(ctx, "j1", func(s queue.Status) {
		if s.State == queue.Running && slices.Equal(s.Items, want) {
			seen.open()
		}
	})
	if err != nil {
		t.Fatalf("%v; last seen %+v", err, last)
	}
	if len(last.Items) != 2 || last.Items[1].Stage != "store" {
		t.Errorf("at the end: %+v", last.Items)
	}
}

func TestUnknownJob(t *testing.T) {
	t.Parallel()
	c := client(t, config(pipelinetest.StartRedis(t).URL()))
	if _, err := c.Status(t.Context(), "nobody"); !errors.Is(err, queue.ErrUnknownJob) {
		t.Errorf("Status: %v", err)
	}
	if _, err := c.Wait(t.Context(), "nobody", nil); !errors.Is(err, queue.ErrUnknownJob) {
		t.Errorf("Wait: %v", err)
	}
}

// subscribe runs a subscriber until the test ends.
func subscribe(t *testing.T, cfg queue.Config, fn func(context.Context, queue.Event) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- queue.Subscribe(ctx, cfg, fn) }()
	t.Cleanup(func() {
		cancel()
		if err := received(t, ended); err != nil {
			t.Errorf("Subscribe: %v", err)
		}
	})
}

// A subscriber gets each event until it has taken it, and never what is no event.
func TestSubscribe(t *testing.T) {
	t.Parallel()
	cfg := config(pipelinetest.StartRedis(t).URL())
	c := client(t, cfg)
	var runs, calls atomic.Int32
	enqueue(t, cfg.RedisURL, queue.EventQueue, queue.EventType, "garbage", []byte(`{"specversion":"1.0"}`))
	start(t, cfg, counted(&runs))
	got := make(chan queue.Event, 10)
	subscribe(t, cfg, func(_ context.Context, e queue.Event) error {
		if calls.Add(1) == 1 {
			return errors.New("not now")
		}
		got <- e
		return nil
	})
	submit(t, c, job("j1", pipeline.KindVoice))
	if e := received(t, got); e.ID != queue.EventID("j1") || e.Subject != "m_j1" || e.Manifest.JobID != "j1" || e.Source != "/ninefold" {
		t.Errorf("%+v", e)
	}
	if calls.Load() != 2 {
		t.Errorf("%d calls, want the failed one and the other", calls.Load())
	}
}

// The whole way on the embedded Redis, which is what `ninefold dev` and the demo run on.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	url, stop, err := queue.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	cfg := config(url)
	if err := queue.Check(t.Context(), cfg); err != nil {
		t.Fatalf("Check: %v", err)
	}
	c := client(t, cfg)
	var runs atomic.Int32
	start(t, cfg, failing(2, &runs, func() error { return errTrouble }))
	got := make(chan queue.Event, 10)
	subscribe(t, cfg, func(_ context.Context, e queue.Event) error { got <- e; return nil })
	submit(t, c, job("j1", pipeline.KindPhoto))
	submit(t, c, job("j1", pipeline.KindPhoto))
	if s := wait(t, c, "j1"); s.State != queue.Done || runs.Load() != 2 {
		t.Errorf("%d runs, %+v", runs.Load(), s)
	}
	if e := received(t, got); e.Manifest.JobID != "j1" {
		t.Errorf("%+v", e)
	}
}

// A Redis that would throw jobs away is refused; one that does not say is not, and ACL users work.
func TestCheck(t *testing.T) {
	t.Parallel()
	evicting := config(pipelinetest.StartRedis(t, "--maxmemory-policy", "allkeys-lru").URL())
	s, err := queue.NewServer(evicting, counted(new(atomic.Int32)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "noeviction") {
		t.Errorf("evicting Redis: %v", err)
	}
	limited := pipelinetest.StartRedis(t, "--user", "worker", "on", ">secret", "~*", "&*", "+@all", "-config")
	cfg := config("redis://worker:secret@" + limited.Addr + "/1")
	var log strings.Builder
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	if err := queue.Check(t.Context(), cfg); err != nil {
		t.Errorf("Redis without CONFIG: %v", err)
	}
	if !strings.Contains(log.String(), "maxmemory-policy") {
		t.Errorf("no warning: %q", log.String())
	}
	for name, url := range map[string]string{
		"wrong password": "redis://worker:wrong@" + limited.Addr, "nobody there": "redis://127.0.0.1:1", "read only": readOnly(t),
	} {
		if err := queue.Check(t.Context(), config(url)); err == nil || !strings.Contains(err.Error(), "redis_url") {
			t.Errorf("%s: %v, want it to name redis_url", name, err)
		}
	}
}

func readOnly(t *testing.T) string {
	t.Helper()
	return pipelinetest.StartRedis(t, "--replicaof", "127.0.0.1 1").URL()
}

func TestConfigValidate(t *testing.T) {
	if err := queue.DefaultConfig().Validate(); err != nil {
		t.Fatalf("the default: %v", err)
	}
	for _, url := range []string{"rediss://user:secret@redis.example.com:6380/2", "unix:///run/redis.sock"} {
		cfg := queue.DefaultConfig()
		if cfg.RedisURL = url; cfg.Validate() != nil {
			t.Errorf("%s: %v", url, cfg.Validate())
		}
	}
	for setting, breakIt := range map[string]func(*queue.Config){
		"redis_url":          func(c *queue.Config) { c.RedisURL = "http://user:secret@host" },
		"attempts":           func(c *queue.Config) { c.Attempts = 0 },
		"retry_first":        func(c *queue.Config) { c.RetryMost = 0 },
		"retention":          func(c *queue.Config) { c.Retention = 0 },
		"drain":              func(c *queue.Config) { c.Drain = 0 },
		"poll":               func(c *queue.Config) { c.Poll = 0 },
		"source":             func(c *queue.Config) { c.Source = "" },
		"concurrency.voice":  func(c *queue.Config) { c.Concurrency.Voice = -1 },
		"concurrency.events": func(c *queue.Config) { c.Concurrency.Events = 0 },
		"timeouts.bulk":      func(c *queue.Config) { c.Timeouts.Bulk = 0 },
	} {
		cfg := queue.DefaultConfig()
		breakIt(&cfg)
		err := cfg.Validate()
		if err == nil || !strings.Contains(err.Error(), setting) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", setting, err)
		}
		if _, err := queue.NewClient(cfg); err == nil {
			t.Errorf("%s: NewClient took it", setting)
		}
	}
	cfg := config("redis://127.0.0.1:1")
	cfg.Concurrency = queue.Concurrency{Events: 1}
	s, err := queue.NewServer(cfg, counted(new(atomic.Int32)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "concurrency") {
		t.Errorf("a worker that serves nothing: %v", err)
	}
}

// The upload API links this package: it must not need a C compiler.
func TestBuildsWithoutCgo(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
