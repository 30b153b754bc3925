package queue

import (
	"math"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// TestPaces: all workers know what one of them has measured: the pace that most of the work kept to, and a quarter beyond. Small works say
// little, nonsense nothing, and what is old goes.
func TestPaces(t *testing.T) {
	t.Parallel()
	cfg := testConfig(pipelinetest.StartRedis(t).URL())
	paceFor := func(s pipeline.Step) time.Duration {
		p, err := NewPaces(cfg, map[pipeline.Step]time.Duration{pipeline.StepReadPhoto: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		return p.Pace(t.Context(), s)
	}
	pace := func() time.Duration { return paceFor(pipeline.StepReadVideo) }
	near := func(got, want time.Duration) bool { return math.Abs(float64(got-want)) < 0.01*float64(want) }
	if got := pace(); got != 0 {
		t.Errorf("nothing was measured, and it is %v", got)
	}
	one, err := NewPaces(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = one.Close() })
	for i := range paceFew {
		one.Took(t.Context(), pipeline.StepReadPhoto, 1, 8*time.Millisecond)
		want := time.Second
		if i == paceFew-1 {
			want = 10 * time.Millisecond
		}
		if got := paceFor(pipeline.StepReadPhoto); !near(got, want) {
			t.Errorf("measured %d times: %v, want %v", i+1, got, want)
		}
	}
	for range 50 {
		one.Took(t.Context(), pipeline.StepReadVideo, 100, 400*time.Millisecond) // 4 ms each
		one.Took(t.Context(), pipeline.StepReadVideo, 0.1, time.Second)          // 10 s each, of hardly any work
		one.Took(t.Context(), pipeline.StepJudgeVideo, 1, time.Hour)             // another step
	}
	one.Took(t.Context(), pipeline.StepReadVideo, math.Inf(1), time.Second)
	one.Took(t.Context(), pipeline.StepReadVideo, -1, time.Second)
	if got := pace(); !near(got, 5*time.Millisecond) {
		t.Errorf("%v for a unit, want 4 ms and a quarter", got)
	}
	for range 20 {
		one.Took(t.Context(), pipeline.StepReadVideo, 100, 800*time.Millisecond) // the machine is busier
	}
	if got := pace(); !near(got, 10*time.Millisecond) {
		t.Errorf("busier: %v, want 8 ms and a quarter", got)
	}
	for range paceKept {
		one.Took(t.Context(), pipeline.StepReadVideo, 100, 200*time.Millisecond)
	}
	if got := pace(); !near(got, 2500*time.Microsecond) {
		t.Errorf("later: %v, want 2 ms and a quarter", got)
	}
	testRedis(t, cfg).LPush(t.Context(), paceKey(pipeline.StepReadVideo), "nonsense", "NaN 5", "1e400 7", "5")
	if got := pace(); !near(got, 2500*time.Microsecond) {
		t.Errorf("beside nonsense: %v", got)
	}
}
