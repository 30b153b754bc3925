package recovery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/pipeline/s3store"
	"github.com/ninefold/ninefold/queue"
)

// world is a real Redis, a real S3 server, and the real pipeline over pretended media.
type world struct {
	t      *testing.T
	cfg    queue.Config
	rdb    *redis.Client
	store  *s3store.Store
	runs   *pipeline.Pipeline
	client *queue.Client

	mu     sync.Mutex
	events []string // ids, as they arrived
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, cfg: queue.DefaultConfig()}
	server := pipelinetest.StartRedis(t)
	w.cfg.RedisURL, w.cfg.Poll, w.cfg.Drain, w.cfg.Log = server.URL(), 20*time.Millisecond, time.Second, slog.New(slog.DiscardHandler)
	w.rdb = redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { w.rdb.Close() })
	s3 := pipelinetest.StartS3(t)
	s3.MakeBucket(t, "parts")
	c := s3store.DefaultConfig()
	c.Endpoint, c.Region, c.AccessKey, c.SecretKey, c.Bucket = s3.Endpoint, s3.Region, s3.AccessKey, s3.SecretKey, "parts"
	store, err := s3store.New(c)
	if err != nil {
		t.Fatal(err)
	}
	w.store = store
	w.runs = w.pipeline()
	if w.client, err = queue.NewClient(w.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.client.Close() })
	return w
}

func (w *world) pipeline() *pipeline.Pipeline {
	w.t.Helper()
	policy, err := moderation.NewPolicy(moderation.DefaultConfig())
	if err != nil {
		w.t.Fatal(err)
	}
	harmless := pipeline.Facts{Status: pipeline.Scored, Level: pipeline.LevelClear, Scores: &pipeline.Scores{}, Model: &pipeline.ModelRef{ID: "test", SHA256: "00"}}
	p, err := pipeline.New(pipeline.Config{
		Scratch: w.t.TempDir(), ItemsAtOnce: 2, Version: "test", Profile: "sha256:00", Engine: "1",
		MaxBytes: pipeline.ByteCaps{Voice: 100, Photo: 100, Video: 100},
	}, pipeline.Deps{
		Sources: w.store, Store: w.store, Processors: &pipelinetest.Processors{}, Moderator: &pipelinetest.Moderator{Facts: harmless},
		Policy: policy, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// job is a message of one photo, whose original is uploaded.
func (w *world) job(id string) pipeline.Job {
	w.t.Helper()
	data := pipelinetest.JPEG(id)
	sum := sha256.Sum256(data)
	opts := pipeline.PutOptions{ContentType: "image/jpeg", SHA256: hex.EncodeToString(sum[:])}
	if err := w.store.Put(w.t.Context(), "uploads/"+id, bytes.NewReader(data), int64(len(data)), opts); err != nil {
		w.t.Fatal(err)
	}
	return pipeline.Job{
		Schema: pipeline.JobSchema, JobID: id, MessageID: "m_" + id, Conversation: pipeline.Conversation{ID: "c", Kind: pipeline.Direct},
		Sender:     pipeline.Sender{ID: "s", AgeBand: pipeline.Adult},
		Recipients: []pipeline.Recipient{{ID: "r", AgeBand: pipeline.Adult, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterOff}},
		Items:      []pipeline.Item{{ID: "i", Kind: pipeline.KindPhoto, Source: pipeline.Source{Key: "uploads/" + id}}},
	}
}

func (w *world) submit(job pipeline.Job) {
	w.t.Helper()
	if _, err := w.client.Submit(w.t.Context(), job); err != nil {
		w.t.Fatal(err)
	}
}

// work serves the queue until stop is called.
func (w *world) work(r queue.Runner) (stop func()) {
	w.t.Helper()
	server, err := queue.NewServer(w.cfg, r)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := server.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

func (w *world) listen() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- queue.Subscribe(ctx, w.cfg, func(_ context.Context, e queue.Event) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e.ID)
			return nil
		})
	}()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) heard() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(slices.Values(w.events))
}

// within bounds every wait.
const within = 30 * time.Second

func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(within); !ok(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not within %v; heard %v", what, within, w.heard())
		}
	}
}

func (w *world) recover(dry bool) Report {
	w.t.Helper()
	r, err := Run(w.t.Context(), Config{Store: w.store, Queue: w.client, Since: time.Now().Add(-time.Hour), DryRun: dry})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// dying is a worker that dies between the commit of a manifest and its announcement, and a Redis that loses everything at that moment.
type dying struct {
	*world
	committed chan struct{}
}

func (d dying) Run(ctx context.Context, job pipeline.Job, o pipeline.RunOptions) (pipeline.Manifest, error) {
	if _, err := d.runs.Run(ctx, job, o); err != nil {
		return pipeline.Manifest{}, err
	}
	if err := d.rdb.FlushAll(ctx).Err(); err != nil {
		return pipeline.Manifest{}, err
	}
	close(d.committed)
	<-ctx.Done()
	return pipeline.Manifest{}, ctx.Err()
}

// A job that was committed and one that was only kept outlive a Redis that loses everything between commit and announcement: each has its one
// event in the end, and doing it again does nothing.
func TestRedisLosesEverything(t *testing.T) {
	w := newWorld(t)
	d := dying{w, make(chan struct{})}
	stop := w.work(d)
	w.submit(w.job("committed"))
	<-d.committed
	kept := w.job("kept")
	if err := pipeline.KeepJob(t.Context(), w.store, kept); err != nil { // as an API does; Redis never had it, or lost it
		t.Fatal(err)
	}
	stop()
	w.listen()
	stop = w.work(w.runs)
	if n := w.rdb.Exists(t.Context(), "asynq:{parts}:t:"+queue.EventID("committed")).Val(); n != 0 {
		t.Fatal("the event was announced after all: nothing is shown")
	}

	want := Report{Schema: Schema, Messages: 2, Announced: 1, Queued: 1}
	foretold := w.recover(true)
	if !same(foretold, want) || !foretold.DryRun || len(w.heard()) != 0 {
		t.Errorf("foretold %+v, want %+v; heard %v", foretold, want, w.heard())
	}
	if done := w.recover(false); !same(done, want) {
		t.Errorf("done %+v, want %+v", done, want)
	}
	w.until("both events", func() bool { return len(w.heard()) >= 2 })
	if again := w.recover(false); !same(again, Report{Schema: Schema, Messages: 2, Told: 2}) {
		t.Errorf("again: %+v", again)
	}
	w.submit(kept) // and by the API that has had no answer
	stop()         // what is in the outbox is announced first
	if got, want := w.heard(), []string{"parts:committed", "parts:kept"}; !slices.Equal(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
}

// What is well is left alone: a job that waits, one that is done, one that is older than Redis can know.
func TestNothingToMend(t *testing.T) {
	w := newWorld(t)
	w.listen()
	stop := w.work(w.runs)
	w.submit(w.job("done"))
	w.until("its event", func() bool { return len(w.heard()) == 1 })
	stop()
	waiting := w.job("waiting")
	if err := pipeline.KeepJob(t.Context(), w.store, waiting); err != nil {
		t.Fatal(err)
	}
	w.submit(waiting)
	if got := w.recover(false); !same(got, Report{Schema: Schema, Messages: 2, Told: 1, Waiting: 1}) {
		t.Errorf("%+v", got)
	}
	w.rdb.FlushAll(t.Context())
	r, err := Run(t.Context(), Config{Store: w.store, Queue: w.client, Since: time.Now().Add(time.Hour)})
	if err != nil || !same(r, Report{Schema: Schema, Messages: 2, Passed: 2}) {
		t.Errorf("%+v, %v", r, err)
	}
}

func same(a, b Report) bool {
	a.Since, a.DryRun, a.Problems, b.Since, b.DryRun, b.Problems = time.Time{}, false, nil, time.Time{}, false, nil
	return fmt.Sprint(a) == fmt.Sprint(b)
}

// many is a store of kept jobs and manifests, none of which is in memory: every third job has no manifest, every hundredth manifest no job.
type many struct{ pipeline.Store }

const manyMessages = 100_000

func (many) List(ctx context.Context, prefix string, fn func(pipeline.Object) error) error {
	manifests := prefix == pipeline.ManifestPrefix("")
	for i := range manyMessages {
		if (manifests && i%3 == 0 && i%100 != 0) || (!manifests && i%100 == 0) {
			continue
		}
		o := pipeline.Object{Key: fmt.Sprintf("%sj%06d.json", prefix, i), Size: 1, Modified: time.Now()}
		if err := errors.Join(ctx.Err(), fn(o)); err != nil {
			return err
		}
	}
	return nil
}

// knowing is a queue that knows everything, and measures.
type knowing struct {
	Queue
	asked, most int
	peak        uint64
}

func (k *knowing) Known(_ context.Context, ids []string) ([]queue.Known, error) {
	if k.asked%20_000 < len(ids) {
		k.peak = max(k.peak, heap())
	}
	k.asked += len(ids)
	k.most = max(k.most, len(ids))
	known := make([]queue.Known, len(ids))
	for i := range known {
		known[i] = queue.Known{Told: true}
	}
	return known, nil
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// heapGrowth is what a hundred thousand messages may add to the heap, bytes: their ids alone would be 10 MB in a map.
const heapGrowth = 2 << 20

func TestAHundredThousandMessagesInBoundedMemory(t *testing.T) {
	k, before := &knowing{}, heap()
	r, err := Run(t.Context(), Config{Store: many{}, Queue: k})
	if err != nil {
		t.Fatal(err)
	}
	unfinished := 0
	for i := range manyMessages {
		if i%3 == 0 && i%100 != 0 {
			unfinished++
		}
	}
	if r.Messages != manyMessages || r.Waiting != unfinished || r.Told != manyMessages-unfinished || k.asked != manyMessages || k.most > batch {
		t.Errorf("%+v, asked about %d, %d at once; want %d unfinished", r, k.asked, k.most, unfinished)
	}
	if k.peak > before+heapGrowth {
		t.Errorf("the heap grew by %d bytes, at most %d", k.peak-before, heapGrowth)
	}
}

// A manifest that cannot be read costs its own message; a store that is away ends the run.
func TestProblems(t *testing.T) {
	w := newWorld(t)
	data := []byte("damaged")
	sum := sha256.Sum256(data)
	for _, id := range []string{"bad", "good"} {
		if id == "good" {
			if _, err := w.runs.Run(t.Context(), w.job(id), pipeline.RunOptions{}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		opts := pipeline.PutOptions{ContentType: "application/json", SHA256: hex.EncodeToString(sum[:])}
		if err := w.store.Put(t.Context(), pipeline.ManifestKey(id), bytes.NewReader(data), int64(len(data)), opts); err != nil {
			t.Fatal(err)
		}
	}
	r := w.recover(false)
	if r.Failed != 1 || len(r.Problems) != 1 || r.Problems[0].JobID != "bad" || r.Announced != 1 {
		t.Errorf("%+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Config{Store: w.store, Queue: w.client}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
