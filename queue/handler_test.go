package queue

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/ninefold/ninefold/pipeline"
)

func TestJudge(t *testing.T) {
	stopped, stop := context.WithCancelCause(t.Context())
	stop(errHandBack)
	away := pipeline.Trouble(pipeline.CodeStorageUnavailable, "get", errors.New("refused"))
	bug := pipeline.Trouble(pipeline.CodeInternal, "run", errors.New("a bug"))
	full := pipeline.Trouble(pipeline.CodeInternal, "scratch", fmt.Errorf("write: %w", syscall.ENOSPC))
	refusal := pipeline.Refuse(pipeline.CodeInvalidJob, "no good")
	for _, c := range []struct {
		name string
		ctx  context.Context
		err  error
		want outcome
	}{
		{"success", t.Context(), nil, done},
		{"success at shutdown", stopped, nil, done},
		{"trouble", t.Context(), bug, retryable},
		{"panic or other stranger", t.Context(), errors.New("what"), retryable},
		{"deadline of the attempt", t.Context(), context.DeadlineExceeded, retryable},
		{"the store is away", t.Context(), away, busy},
		{"redis is away", t.Context(), errors.Join(errRedis, errors.New("dial")), busy},
		{"the disk is full", t.Context(), full, busy},
		{"some items in trouble, some waiting", t.Context(), errors.Join(bug, away), retryable},
		{"not admitted", t.Context(), errors.Join(errWaited, context.DeadlineExceeded), busy},
		{"overtaken", t.Context(), errStale, busy},
		{"a result", t.Context(), refusal, permanent},
		{"a result at shutdown", stopped, refusal, permanent},
		{"cancelled by shutdown", stopped, context.Canceled, handedBack},
		{"trouble at shutdown", stopped, fmt.Errorf("run: %w", away), handedBack},
	} {
		o := judge(c.ctx, c.err)
		if o != c.want {
			t.Errorf("%s: %s, want %s", c.name, o, c.want)
		}
		got := DefaultConfig().asynqError(o, c.err, time.Minute)
		if (got == nil) != (o == done) || errors.Is(got, asynq.SkipRetry) != (o == permanent) {
			t.Errorf("%s: asynq is told %v", c.name, got)
		}
		if counts := o == retryable || o == permanent; got != nil && isFailure(got) != counts {
			t.Errorf("%s: counted as an attempt: %v", c.name, isFailure(got))
		}
		if c.err != nil && !errors.Is(got, c.err) {
			t.Errorf("%s: %v has lost its cause", c.name, got)
		}
	}
}

// What waits for an outage to end waits longer and longer, and never long.
func TestBusyPause(t *testing.T) {
	cfg := DefaultConfig()
	for waited, most := range map[time.Duration]time.Duration{0: cfg.RetryFirst, 20 * time.Second: 5 * time.Second, time.Hour: busyMost} {
		for range 100 {
			if d := cfg.busyPause(waited); d < most/2 || d > most {
				t.Fatalf("after %v: %v, want %v to %v", waited, d, most/2, most)
			}
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
	if d := cfg.retryDelay(0, cfg.asynqError(handedBack, context.Canceled, 0), nil); d != 0 {
		t.Errorf("what was handed back waits %v", d)
	}
	cfg.RetryFirst, cfg.RetryMost = 0, 0
	if d := cfg.retryDelay(3, errors.New("x"), nil); d != 0 {
		t.Errorf("no delay configured, got %v", d)
	}
}
