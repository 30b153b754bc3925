package queue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/queue"
)

// The latest finished jobs come last first, behind those that are not finished, however many there are.
func TestRecent(t *testing.T) {
	t.Parallel()
	cfg := config(pipelinetest.StartRedis(t).URL())
	c := client(t, cfg)
	if got, err := c.Recent(t.Context(), 5); err != nil || len(got) != 0 {
		t.Fatalf("of an empty Redis: %v, %v", got, err)
	}
	stop := start(t, cfg, runnerFunc(func(_ context.Context, j pipeline.Job, _ pipeline.RunOptions) (pipeline.Manifest, error) {
		return rejected(j), nil
	}))
	const jobs = 7
	for i := range jobs {
		id := fmt.Sprintf("j%d", i)
		submit(t, c, job(id, pipeline.KindPhoto, pipeline.KindVoice))
		wait(t, c, id)
	}
	stop()
	submit(t, c, job("waits", pipeline.KindVoice))
	got, err := c.Recent(t.Context(), 4)
	if err != nil || len(got) != 4 {
		t.Fatalf("%d jobs, %v, want 4", len(got), err)
	}
	if s := got[0]; s.JobID != "waits" || s.State != queue.Queued || s.At != nil || s.Status != "" || s.Class != queue.ClassVoice {
		t.Errorf("first: %+v, want the waiting one", s)
	}
	seen := map[string]bool{}
	for i, s := range got[1:] {
		if s.State != queue.Done || s.Status != pipeline.StatusRejected || s.At == nil || s.Recipients != 1 || len(s.Kinds) != 2 || s.MessageID != "m_"+s.JobID {
			t.Errorf("%d: %+v", i, s)
		}
		seen[s.JobID] = true
	}
	if !seen["j6"] { // asynq keeps whole seconds: the order within one is open
		t.Errorf("the latest is missing: %+v", got)
	}
}

func TestJob(t *testing.T) {
	t.Parallel()
	c := client(t, config(pipelinetest.StartRedis(t).URL()))
	want := job("j1", pipeline.KindVoice, pipeline.KindVideo)
	submit(t, c, want)
	got, err := c.Job(t.Context(), "j1")
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if _, err := c.Job(t.Context(), "absent"); !errors.Is(err, queue.ErrUnknownJob) {
		t.Errorf("an absent job: %v", err)
	}
}
