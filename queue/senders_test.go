package queue

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

func senders(t *testing.T, most int64) (*Senders, redis.UniversalClient) {
	t.Helper()
	cfg := testConfig(pipelinetest.StartRedis(t).URL())
	cfg.SenderWork = most
	s, err := NewSenders(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, testRedis(t, cfg)
}

func (s *Senders) spends(t *testing.T, sender, job string, cost int64) time.Duration {
	t.Helper()
	wait, err := s.Spend(t.Context(), pipeline.Spending{SenderID: sender, JobID: job, ItemID: "i", Cost: cost})
	if err != nil {
		t.Fatal(err)
	}
	return wait
}

// TestSenders: a sender's items are counted together for an hour, each once, whoever else sends; what does not fit is told when it will.
func TestSenders(t *testing.T) {
	t.Parallel()
	s, rdb := senders(t, 100)
	for _, step := range []struct {
		sender, job string
		cost        int64
		fits        bool
	}{
		{"a", "j1", 60, true},
		{"a", "j1", 60, true}, // a retry of it
		{"a", "j2", 41, false},
		{"b", "j3", 100, true}, // another sender
		{"a", "j4", 40, true},  // what was refused is not counted
		{"a", "j4", 40, true},
		{"a", "j5", 1, false},
		{"c", "j6", 101, false}, // it never fits
	} {
		wait := s.spends(t, step.sender, step.job, step.cost)
		if (wait == 0) != step.fits || wait > pipeline.AllowanceWindow {
			t.Errorf("%+v: wait %v", step, wait)
		}
	}
	// Half an hour passes for the first: its hour is over in as much again.
	rdb.ZIncrBy(t.Context(), senderKey("a"), -float64(30*time.Minute/time.Millisecond), "60 j1 i")
	if wait := s.spends(t, "a", "j5", 1); wait < 29*time.Minute || wait > 30*time.Minute {
		t.Errorf("half an hour later: wait %v", wait)
	}
	if wait := s.spends(t, "a", "j6", 61); wait < 59*time.Minute {
		t.Errorf("what needs the second's place, too, waits %v", wait)
	}
	rdb.ZIncrBy(t.Context(), senderKey("a"), -float64(30*time.Minute/time.Millisecond), "60 j1 i")
	if wait := s.spends(t, "a", "j5", 60); wait != 0 {
		t.Errorf("an hour later: wait %v", wait)
	}
	if ttl := rdb.PTTL(t.Context(), senderKey("a")).Val(); ttl <= 0 || ttl > pipeline.AllowanceWindow {
		t.Errorf("it is kept for %v", ttl)
	}
	if off := (&Senders{rdb: rdb}); off.spends(t, "a", "j9", 1<<40) != 0 {
		t.Error("without a bound something is refused")
	}
}

// TestSendersAtOnce: workers that ask at the same moment do not count past the bound, and however little an item costs, few are counted.
func TestSendersAtOnce(t *testing.T) {
	t.Parallel()
	s, _ := senders(t, 1000)
	var fit atomic.Int64
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			for k := range 5 {
				wait, err := s.Spend(context.Background(), pipeline.Spending{SenderID: "a", JobID: fmt.Sprintf("j%d-%d", i, k), ItemID: "i", Cost: 10})
				if err == nil && wait == 0 {
					fit.Add(1)
				}
			}
		})
	}
	all.Wait()
	if fit.Load() != 100 {
		t.Errorf("%d items of 10 fit into 1000", fit.Load())
	}
	big, _ := senders(t, spendLeast*1000)
	big.spends(t, "a", "small", 1)
	if wait := big.spends(t, "a", "large", spendLeast*1000-1000); wait != 0 {
		t.Errorf("the smallest counts more than a thousand: wait %v", wait)
	}
	if wait := big.spends(t, "a", "one more", 1); wait == 0 {
		t.Error("the smallest counts nothing")
	}
}
