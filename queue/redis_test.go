package queue

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// dropFirst fails the first command that touches a key with this ending, as a connection that breaks does.
type dropFirst struct {
	suffix  string
	dropped atomic.Int32
}

func (*dropFirst) DialHook(next redis.DialHook) redis.DialHook { return next }

func (*dropFirst) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (d *dropFirst) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		for _, arg := range cmd.Args() {
			if key, ok := arg.(string); ok && strings.HasPrefix(cmd.Name(), "eval") && strings.HasSuffix(key, d.suffix) && d.dropped.Add(1) == 1 {
				err := errors.New("connection reset by the test")
				cmd.SetErr(err)
				return err
			}
		}
		return next(ctx, cmd)
	}
}

type onceRunner struct{ runs atomic.Int32 }

func (r *onceRunner) Run(_ context.Context, j pipeline.Job, _ pipeline.RunOptions) (pipeline.Manifest, error) {
	r.runs.Add(1)
	return pipeline.Manifest{
		Schema: pipeline.ManifestSchema, JobID: j.JobID, MessageID: j.MessageID, Status: pipeline.StatusRejected,
		Error: &pipeline.Failure{Code: pipeline.CodeCorrupt}, FinishedAt: time.Unix(1_700_000_001, 0).UTC(),
	}, nil
}

func testJob() pipeline.Job {
	return pipeline.Job{
		Schema: pipeline.JobSchema, JobID: "j1", MessageID: "m1", Conversation: pipeline.Conversation{ID: "c", Kind: pipeline.Direct},
		Sender: pipeline.Sender{ID: "u", AgeBand: pipeline.Adult},
		Recipients: []pipeline.Recipient{
			{ID: "r", AgeBand: pipeline.Adult, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterOff},
		},
		Items: []pipeline.Item{{ID: "i", Kind: pipeline.KindPhoto, Source: pipeline.Source{Key: "k"}}},
	}
}

// An acknowledgement that fails once is repeated and arrives: the job is not run again. Without the ackHook the repetition
// carries a cancelled context and never leaves.
func TestAcknowledgementIsRepeated(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.RedisURL, cfg.Poll, cfg.Log = pipelinetest.StartRedis(t).URL(), 10*time.Millisecond, slog.New(slog.DiscardHandler)
	var r onceRunner
	s, err := NewServer(cfg, &r)
	if err != nil {
		t.Fatal(err)
	}
	drop := &dropFirst{suffix: ":completed"}
	s.rdb.AddHook(drop)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Submit(t.Context(), testJob()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second) // asynq repeats after 5 s
	defer cancel()
	status, err := c.Wait(ctx, "j1", nil)
	if err != nil || status.State != Done || r.runs.Load() != 1 || drop.dropped.Load() < 2 {
		t.Errorf("%v: state %s after %d runs and %d acknowledgements", err, status.State, r.runs.Load(), drop.dropped.Load())
	}
}

func TestRevived(t *testing.T) {
	live, cancel := context.WithCancel(t.Context())
	if ctx, done := revived(live); ctx != live {
		t.Error("a living context was replaced")
	} else {
		done()
	}
	cancel()
	ctx, done := revived(live)
	defer done()
	deadline, ok := ctx.Deadline()
	if ctx.Err() != nil || !ok || time.Until(deadline) > ackWithin {
		t.Errorf("revived: %v, deadline %v", ctx.Err(), deadline)
	}
}
