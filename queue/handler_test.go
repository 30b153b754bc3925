package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/ninefold/ninefold/pipeline"
)

func TestVerdict(t *testing.T) {
	stopped, stop := context.WithCancelCause(t.Context())
	stop(errHandBack)
	trouble := pipeline.Trouble(pipeline.CodeStorageUnavailable, "get", errors.New("refused"))
	refusal := pipeline.Refuse(pipeline.CodeInvalidJob, "no good")
	for _, c := range []struct {
		name             string
		ctx              context.Context
		err              error
		done, skip, fail bool
	}{
		{name: "success", ctx: t.Context(), done: true},
		{name: "success at shutdown", ctx: stopped, done: true},
		{name: "trouble", ctx: t.Context(), err: trouble, fail: true},
		{name: "unknown error", ctx: t.Context(), err: errors.New("what"), fail: true},
		{name: "deadline", ctx: t.Context(), err: context.DeadlineExceeded, fail: true},
		{name: "lease lost", ctx: t.Context(), err: context.Canceled, fail: true},
		{name: "result", ctx: t.Context(), err: refusal, skip: true, fail: true},
		{name: "result at shutdown", ctx: stopped, err: refusal, skip: true, fail: true},
		{name: "cancelled by shutdown", ctx: stopped, err: context.Canceled},
		{name: "trouble at shutdown", ctx: stopped, err: fmt.Errorf("run: %w", trouble)},
	} {
		got := verdict(c.ctx, c.err)
		if (got == nil) != c.done || errors.Is(got, asynq.SkipRetry) != c.skip || (got != nil && isFailure(got) != c.fail) {
			t.Errorf("%s: %v", c.name, got)
		}
		if c.err != nil && !errors.Is(got, c.err) {
			t.Errorf("%s: %v has lost its cause", c.name, got)
		}
	}
}

func TestRetryDelay(t *testing.T) {
	cfg := DefaultConfig()
	cfg.RetryFirst, cfg.RetryMost = time.Second, time.Minute
	longest := map[int]time.Duration{0: time.Second, 1: 2 * time.Second, 5: 32 * time.Second, 6: time.Minute, 500: time.Minute}
	for retried, most := range longest {
		for range 100 {
			if d := cfg.retryDelay(retried, errors.New("x"), nil); d < most/2 || d > most {
				t.Fatalf("after %d: %v, want %v to %v", retried, d, most/2, most)
			}
		}
	}
	if d := cfg.retryDelay(0, errHandBack, nil); d != 0 {
		t.Errorf("what was handed back waits %v", d)
	}
	cfg.RetryFirst, cfg.RetryMost = 0, 0
	if d := cfg.retryDelay(3, errors.New("x"), nil); d != 0 {
		t.Errorf("no delay configured, got %v", d)
	}
}

// asynq calls the handler again while one that lost its task is still running: the new one waits for the old one's slot, and
// gives up when it loses its own task meanwhile.
func TestConcurrencyHoldsBehindLostTasks(t *testing.T) {
	h := &handler{cfg: DefaultConfig(), slots: make(chan struct{}, 1), stop: context.Background(), running: new(sync.WaitGroup)}
	h.cfg.Log = slog.New(slog.DiscardHandler)
	h.slots <- struct{}{} // held by a handler that asynq has forgotten
	ctx, lose := context.WithCancel(t.Context())
	answered := make(chan error)
	process := func(ctx context.Context) { answered <- h.ProcessTask(ctx, asynq.NewTask(jobTask, nil)) }
	go process(ctx)
	lose()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("without a slot: %v, want it to have waited", err)
	}
	<-h.slots
	go process(t.Context())
	if err := <-answered; pipeline.AsError(err).Code != pipeline.CodeInvalidJob {
		t.Errorf("with a slot: %v, want it to have read the payload", err)
	}
	if len(h.slots) != 0 {
		t.Error("the slot was not given back")
	}
}
