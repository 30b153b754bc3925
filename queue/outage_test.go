package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// An outage of five minutes is told in a line when it begins, one a minute, and one when it ends.
func TestOutageIsToldOnceAMinute(t *testing.T) {
	var said pipelinetest.Log
	o := &outage{log: slog.New(slog.NewTextHandler(&said, nil))}
	now, away := time.Now(), errors.New("dial tcp: connection refused")
	const minutes = 5
	for second := range minutes * 60 {
		o.note(away, now.Add(time.Duration(second)*time.Second))
		if !o.holds(fmt.Sprintf("recoverer: could not list lease expired tasks: dial tcp 127.0.0.1:%d", 4000+second), now) {
			t.Fatal("a line about the connection was not held back")
		}
	}
	o.note(nil, now.Add(minutes*time.Minute))
	o.note(nil, now.Add(minutes*time.Minute+time.Second))
	if began, still, back := said.Count("redis is away"), said.Count("still away"), said.Count("redis is back"); began != 1 || still != minutes-1 || back != 1 {
		t.Errorf("%d lines at its beginning, %d while it lasted, %d at its end; want 1, %d, 1", began, still, back, minutes-1)
	}
}

// What is no matter of the connection is said, but not again within a minute, whatever numbers and ids are in it.
func TestOtherTroubleIsToldOnceAMinute(t *testing.T) {
	o, now := &outage{}, time.Now()
	refused := func(id int, at time.Time) bool {
		return o.holds(fmt.Sprintf("Failed to write task id=j%04d: MISCONF Redis is configured to save RDB snapshots", id), at)
	}
	for i, want := range []bool{false, true, true} {
		if held := refused(i, now.Add(time.Duration(i)*time.Second)); held != want {
			t.Errorf("line %d: held back %v, want %v", i, held, want)
		}
	}
	if refused(9, now.Add(sayAgain+time.Second)) {
		t.Error("a minute later it was still held back")
	}
	if o.holds("OOM command not allowed when used memory > 'maxmemory'", now) {
		t.Error("something else was held back")
	}
	var s seldom
	for i := range 10 * seldomMost {
		s.say(fmt.Sprint(i), now)
	}
	if len(s.said) > seldomMost {
		t.Errorf("%d things are kept in mind", len(s.said))
	}
}

// A worker with jobs whose real Redis goes away for some seconds, and whose store is away for longer, writes a handful of lines about it.
func TestFewLinesInAnOutage(t *testing.T) {
	t.Parallel()
	redis := pipelinetest.StartRedis(t, "--appendonly", "yes")
	cfg := testConfig(redis.URL())
	cfg.RetryFirst, cfg.RetryMost = 50*time.Millisecond, 100*time.Millisecond
	var said pipelinetest.Log
	cfg.Log = slog.New(slog.NewTextHandler(&said, nil))
	client, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const attempts = 60
	tries := make(chan struct{}, attempts)
	s, err := NewServer(cfg, runnerOf(func(context.Context, pipeline.Job, pipeline.RunOptions) (pipeline.Manifest, error) {
		select {
		case tries <- struct{}{}:
		default: // enough were counted
		}
		return pipeline.Manifest{}, pipeline.Trouble(pipeline.CodeStorageUnavailable, "test", errors.New("no answer"))
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(context.Background())
	for i := range 20 {
		job := testJob()
		job.JobID = fmt.Sprintf("j%d", i)
		if _, err := client.Submit(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
	for range attempts {
		select {
		case <-tries:
		case <-time.After(within):
			t.Fatal("no further attempt")
		}
	}
	redis.Kill()
	eventually(t, "fifteen lines are held back", func() bool {
		s.outage.mu.Lock()
		defer s.outage.mu.Unlock()
		return s.outage.kept >= 15
	})
	if err := redis.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is back", func() bool { return said.Count("redis is back") == 1 })
	if n := said.Count("attempt failed"); n < 1 || n > 3 { // storage_unavailable, and what Redis' end broke
		t.Errorf("%d lines about %d failed attempts", n, attempts)
	}
	if n := strings.Count(said.String(), "\n"); n > 12 {
		t.Errorf("%d lines in all:\n%s", n, said.String())
	}
}

type runnerOf func(context.Context, pipeline.Job, pipeline.RunOptions) (pipeline.Manifest, error)

func (f runnerOf) Run(ctx context.Context, j pipeline.Job, o pipeline.RunOptions) (pipeline.Manifest, error) {
	return f(ctx, j, o)
}
