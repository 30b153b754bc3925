package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// within bounds every wait of these tests.
const within = 40 * time.Second

func testConfig(url string) Config {
	cfg := DefaultConfig()
	cfg.RedisURL, cfg.Poll, cfg.RetryFirst, cfg.RetryMost = url, 10*time.Millisecond, time.Millisecond, 10*time.Millisecond
	cfg.Log, cfg.Drain = slog.New(slog.DiscardHandler), 5*time.Second
	return cfg
}

func testRedis(t *testing.T, cfg Config) redis.UniversalClient {
	t.Helper()
	rdb, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, within)
		}
		pause(t.Context(), 20*time.Millisecond)
	}
}

// Of several live attempts at one job only the latest may publish, and it publishes once, whatever order they end in.
func TestFence(t *testing.T) {
	t.Parallel()
	rdb := testRedis(t, testConfig(pipelinetest.StartRedis(t).URL()))
	books := &ledger{rdb: rdb, worker: "w", ttl: time.Hour}
	begin := func() start {
		t.Helper()
		s, err := books.begin(t.Context(), ClassPhoto, "j1")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	announce := func(s start) int64 {
		t.Helper()
		got, err := books.announce(t.Context(), ClassPhoto, "j1", s.fence, pipeline.Manifest{Status: pipeline.StatusReady}, []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first, second := begin(), begin()
	if first.told || first.open != 0 || second.open != 1 || second.fence <= first.fence || !second.since.Equal(first.since) {
		t.Errorf("first %+v, second %+v", first, second)
	}
	for _, step := range []struct {
		by   start
		want int64
	}{{first, stale}, {second, announced}, {second, toldTwice}, {first, staleTold}} {
		if got := announce(step.by); got != step.want {
			t.Errorf("fence %d: %d, want %d", step.by.fence, got, step.want)
		}
	}
	if s := begin(); !s.told {
		t.Errorf("after the event: %+v", s)
	}
	if n := rdb.XLen(t.Context(), outboxKey(ClassPhoto)).Val(); n != 1 {
		t.Errorf("%d events in the outbox", n)
	}
	// A Redis that has lost the books is no reason to keep an event back.
	rdb.Del(t.Context(), runKey(ClassPhoto, "j1"))
	if got := announce(first); got != announced {
		t.Errorf("after a loss: %d", got)
	}
}

// eventIDs reads the parts queue.
func eventIDs(t *testing.T, rdb redis.UniversalClient) []string {
	t.Helper()
	tasks, err := asynq.NewInspectorFromRedisClient(rdb).ListPendingTasks(EventQueue, asynq.PageSize(1000))
	if err != nil && !errors.Is(err, asynq.ErrQueueNotFound) {
		t.Fatal(err)
	}
	var ids []string
	for _, task := range tasks {
		ids = append(ids, task.ID)
	}
	return ids
}

// What one worker read from the outbox before it died, another announces, once; so does one whose group Redis has lost.
func TestRelayTakesOver(t *testing.T) {
	t.Parallel()
	cfg := testConfig(pipelinetest.StartRedis(t).URL())
	rdb := testRedis(t, cfg)
	put := func(id string) {
		t.Helper()
		e := testEvent(t)
		e.ID = id
		data, err := json.Marshal(e)
		if err == nil {
			err = rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: outboxKey(ClassVoice), Values: []any{"id", id, "event", data}}).Err()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	events := &publisher{tasks: asynq.NewClientFromRedisClient(rdb), retention: cfg.Retention}
	away := errors.New("redis went away in this moment")
	dead := &relay{rdb: rdb, class: ClassVoice, worker: "dead", log: cfg.log(), publish: func(context.Context, string, []byte) error { return away }}
	put("parts:j1")
	if err := dead.next(t.Context(), -1); !errors.Is(err, away) {
		t.Fatalf("next: %v", err)
	}
	living := &relay{rdb: rdb, class: ClassVoice, worker: "living", log: cfg.log(), publish: events.publish}
	put("parts:j2")
	if err := living.next(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	if got := eventIDs(t, rdb); len(got) != 1 || got[0] != "parts:j2" {
		t.Errorf("announced %v, want j2 only: the other is the dead worker's for a while", got)
	}
	// Half a minute passes for the stream: XCLAIM may say so.
	pending := rdb.XPendingExt(t.Context(), &redis.XPendingExtArgs{Stream: outboxKey(ClassVoice), Group: relayGroup, Start: "-", End: "+", Count: 10}).Val()
	if len(pending) != 1 {
		t.Fatalf("pending %+v", pending)
	}
	claim := []any{"XCLAIM", outboxKey(ClassVoice), relayGroup, "dead", 0, pending[0].ID, "IDLE", relayWithin.Milliseconds() + 1}
	if err := rdb.Do(t.Context(), claim...).Err(); err != nil {
		t.Fatal(err)
	}
	if err := living.reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := eventIDs(t, rdb); len(got) != 2 {
		t.Errorf("announced %v, want both", got)
	}
	if n := rdb.XLen(t.Context(), outboxKey(ClassVoice)).Val(); n != 0 {
		t.Errorf("%d left in the outbox", n)
	}
	rdb.Del(t.Context(), outboxKey(ClassVoice))
	put("parts:j3")
	if err := living.next(t.Context(), -1); err != nil || len(eventIDs(t, rdb)) != 3 {
		t.Errorf("after the group was lost: %v, %v", err, eventIDs(t, rdb))
	}
}

// What Redis gave to a read that a shutdown has ended is announced before the worker goes: perhaps there is no other.
func TestRelayAnnouncesItsOwnAtTheEnd(t *testing.T) {
	t.Parallel()
	rdb := testRedis(t, testConfig(pipelinetest.StartRedis(t).URL()))
	var published []string
	r := &relay{rdb: rdb, class: ClassPhoto, worker: "w", log: slog.New(slog.DiscardHandler), publish: func(_ context.Context, id string, _ []byte) error {
		published = append(published, id)
		return nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.run(ctx) // makes the group
	for _, id := range []string{"given", "new"} {
		if err := rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: outboxKey(ClassPhoto), Values: []any{"id", id, "event", "{}"}}).Err(); err != nil {
			t.Fatal(err)
		}
		if id == "new" {
			break
		}
		if err := rdb.XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: relayGroup, Consumer: "w", Streams: []string{outboxKey(ClassPhoto), ">"}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	r.run(ctx)
	if fmt.Sprint(published) != "[given new]" {
		t.Errorf("published %v, want what was given to it and what was new", published)
	}
	if n := rdb.XLen(t.Context(), outboxKey(ClassPhoto)).Val(); n != 0 {
		t.Errorf("%d events are left in the outbox", n)
	}
}

// A task of a dead worker is run again by a living one long before asynq would, whether it had begun, waited, or has no lease at all.
func TestReclaim(t *testing.T) {
	t.Parallel()
	cfg := testConfig(pipelinetest.StartRedis(t).URL())
	rdb := testRedis(t, cfg)
	client, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := t.Context()
	p := &presence{rdb: rdb, worker: "living", log: cfg.log()}
	p.beat(ctx)
	old := time.Now().Add(asynqLease - deadAfter - time.Second) // a lease that was not renewed for a while
	fresh := time.Now().Add(asynqLease)
	cases := []struct {
		id, owner string
		lease     time.Time // zero = none
		moved     bool
	}{
		{"dead-owner", "dead", old, true},
		{"waits-on-a-dead-worker", "", old, true},
		{"waits-on-a-living-worker", "dead", fresh, false},
		{"living-owner", "living", fresh, false},
		{"living-owner-behind", "living", old, false},
		{"expired", "living", time.Now().Add(-leaseGrace - 2*time.Second), true},
		{"no-lease", "living", time.Time{}, true},
	}
	for _, c := range cases {
		job := testJob()
		job.JobID = c.id
		if _, err := client.Submit(ctx, job); err != nil {
			t.Fatal(err)
		}
		// as asynq's dequeue leaves it
		if err := rdb.RPopLPush(ctx, asynqKey(ClassPhoto, "pending"), asynqKey(ClassPhoto, "active")).Err(); err != nil {
			t.Fatal(err)
		}
		rdb.HSet(ctx, asynqKey(ClassPhoto, "t:"+c.id), "state", "active")
		if !c.lease.IsZero() {
			rdb.ZAdd(ctx, asynqKey(ClassPhoto, "lease"), redis.Z{Score: float64(c.lease.Unix()), Member: c.id})
		}
		if c.owner != "" {
			rdb.HSet(ctx, runKey(ClassPhoto, c.id), fieldOwner, c.owner)
		}
	}
	if err := p.lookAfter(ctx, ClassPhoto); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		s, err := client.Status(ctx, c.id)
		if want := map[bool]State{true: Queued, false: Running}[c.moved]; err != nil || s.State != want {
			t.Errorf("%s: %s (%v), want %s", c.id, s.State, err, want)
		}
	}
}

// crashing is a Runner whose worker dies: it never returns from the first attempts, as far as Redis can tell.
type crashing struct {
	refusals chan *pipeline.Error
	runs     atomic.Int32
}

func (c *crashing) Run(ctx context.Context, j pipeline.Job, o pipeline.RunOptions) (pipeline.Manifest, error) {
	c.runs.Add(1)
	c.refusals <- o.Refusal
	return new(onceRunner).Run(ctx, j, o)
}

// A job whose attempts were never heard of again three times is not run a fourth time: it is rejected with its event and put aside.
func TestPoisonIsQuarantined(t *testing.T) {
	t.Parallel()
	cfg := testConfig(pipelinetest.StartRedis(t).URL())
	rdb := testRedis(t, cfg)
	client, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	books := &ledger{rdb: rdb, worker: "dead", ttl: time.Hour}
	for range cfg.Crashes {
		if _, err := books.begin(t.Context(), ClassPhoto, "j1"); err != nil {
			t.Fatal(err)
		}
	}
	r := &crashing{refusals: make(chan *pipeline.Error, 10)}
	s, err := NewServer(cfg, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(context.Background())
	if _, err := client.Submit(t.Context(), testJob()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if status, err := client.Wait(ctx, "j1", nil); err != nil || status.State != Done {
		t.Fatalf("%+v, %v", status, err)
	}
	if e := <-r.refusals; e == nil || e.Code != pipeline.CodeEngineCrashed {
		t.Errorf("refusal %v", e)
	}
	q, err := client.Quarantined(ctx, "j1")
	if err != nil || q.Kind != QuarantinedJob || q.Crashes != cfg.Crashes || q.Class != ClassPhoto || len(q.Payload) == 0 {
		t.Errorf("record %+v, %v", q, err)
	}
	receipt, err := client.Release(ctx, "j1")
	if err != nil || receipt.JobID != "j1-r1" {
		t.Fatalf("release: %+v, %v", receipt, err)
	}
	if e := <-r.refusals; e != nil {
		t.Errorf("the released job was refused: %v", e)
	}
	if _, err := client.Quarantined(ctx, "j1"); !errors.Is(err, ErrNotQuarantined) {
		t.Errorf("after the release: %v", err)
	}
}

// Three crashes over one content bar it for every worker, until it is released.
func TestSuspects(t *testing.T) {
	t.Parallel()
	cfg := testConfig(pipelinetest.StartRedis(t).URL())
	s, err := NewSuspects(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const bad = "00ff"
	for n := range cfg.Crashes {
		if barred, err := s.Barred(t.Context(), bad); barred || err != nil {
			t.Fatalf("after %d crashes: %v, %v", n, barred, err)
		}
		if err := s.Crashed(t.Context(), bad, pipeline.CodeEngineCrashed); err != nil {
			t.Fatal(err)
		}
	}
	if barred, err := s.Barred(t.Context(), bad); !barred || err != nil {
		t.Errorf("after the last crash: %v, %v", barred, err)
	}
	var listed []string
	if err := client.Quarantine(t.Context(), func(q Quarantined) error { listed = append(listed, q.Kind+" "+q.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(listed) != "[content 00ff]" {
		t.Errorf("listed %v", listed)
	}
	if _, err := client.Release(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	if barred, _ := s.Barred(t.Context(), bad); barred {
		t.Error("barred after its release")
	}
	if err := client.Drop(t.Context(), bad); !errors.Is(err, ErrNotQuarantined) {
		t.Errorf("drop of nothing: %v", err)
	}
}

// storing is a Runner that remembers what it committed, as the pipeline does in its store.
type storing struct{ onceRunner }

func (s *storing) CommittedRevision(ctx context.Context, jobID string, _ int) (pipeline.Manifest, error) {
	j := testJob()
	j.JobID = jobID
	return s.Run(ctx, j, pipeline.RunOptions{})
}

// A Redis that comes back without what it had acknowledged, or is emptied while it runs, is told again of what this worker announced.
func TestLostAnnouncementIsRepeated(t *testing.T) {
	for name, lose := range map[string]func(*testing.T, *pipelinetest.Server, *Server){
		"restarted": func(t *testing.T, redis *pipelinetest.Server, s *Server) {
			redis.Kill()
			eventually(t, "the outage is noticed", func() bool {
				s.outage.mu.Lock()
				defer s.outage.mu.Unlock()
				return !s.outage.since.IsZero()
			})
			if err := redis.Start(); err != nil {
				t.Fatal(err)
			}
		},
		"emptied": func(t *testing.T, _ *pipelinetest.Server, s *Server) {
			if err := s.own.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			losesAnnouncement(t, lose)
		})
	}
}

func losesAnnouncement(t *testing.T, lose func(*testing.T, *pipelinetest.Server, *Server)) {
	t.Helper()
	redis := pipelinetest.StartRedis(t) // keeps nothing over a restart
	cfg := testConfig(redis.URL())
	var said pipelinetest.Log
	cfg.Log = slog.New(slog.NewTextHandler(&said, nil))
	client, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s, err := NewServer(cfg, &storing{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(context.Background())
	if _, err := client.Submit(t.Context(), testJob()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Wait(t.Context(), "j1", nil); err != nil {
		t.Fatal(err)
	}
	const warning = "redis knows nothing of this deployment"
	eventually(t, "the worker has met a new Redis", func() bool { return said.Count(warning) == 1 })
	lose(t, redis, s)
	rdb := testRedis(t, cfg)
	eventually(t, "the event again", func() bool { return len(eventIDs(t, rdb)) == 1 })
	eventually(t, "the loss is told", func() bool { return said.Count(warning) == 2 })
}
