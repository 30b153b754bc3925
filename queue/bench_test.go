package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// mostOverhead is what a job may cost through our handler with empty media work, against bare asynq giving the same service: a job taken and
// decoded, its event queued under the job's id, its result kept for who asks, the job kept as completed. What ours adds is the fence and the
// outbox. The line also says what asynq costs with a handler that does nothing, which no product has.
const mostOverhead = 1.5

// benchJobs are queued before each measurement; benchRounds are measured in turn, so that both meet the same machine: the ratio is the
// median of the rounds' own.
const (
	benchJobs   = 2000
	benchRounds = 7
	benchAtOnce = 8
)

// TestBenchQueue prints one JSON line: the wall time and the Redis commands of a job, ours and bare asynq's.
func TestBenchQueue(t *testing.T) {
	if os.Getenv("NINEFOLD_BENCH") == "" {
		t.Skip("a benchmark: run make bench-queue")
	}
	var ours, bare, least, ratios []float64
	var oursOps, bareOps float64
	for range benchRounds {
		us, ops := measure(t, startOurs)
		ours, oursOps = append(ours, us), ops
		alone, ops := measure(t, startBare)
		bare, bareOps = append(bare, alone), ops
		ratios = append(ratios, us/alone)
		us, _ = measure(t, startNothing)
		least = append(least, us)
	}
	ratio := median(ratios)
	const line = `{"bench":"queue","jobs":%d,"ours_us":%.0f,"asynq_us":%.0f,"asynq_empty_us":%.0f,"ratio":%.2f,"ratio_empty":%.2f,` +
		`"ours_redis_commands":%.1f,"asynq_redis_commands":%.1f}`
	fmt.Printf(line+"\n", benchJobs, median(ours), median(bare), median(least), ratio, median(ours)/median(least), oursOps, bareOps)
	if ratio > mostOverhead {
		t.Errorf("a job costs %.2f times what it costs in asynq alone, want at most %.1f", ratio, mostOverhead)
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// measure queues the jobs, starts what works on them, and returns microseconds and Redis commands a job, the submission not counted.
func measure(t *testing.T, work func(*testing.T, Config, redis.UniversalClient, *atomic.Int64) (stop func())) (us, commands float64) {
	t.Helper()
	cfg := testConfig(pipelinetest.StartRedis(t).URL())
	cfg.Concurrency = Concurrency{Photo: benchAtOnce, Events: 1}
	cfg.Cores = benchAtOnce
	rdb := testRedis(t, cfg)
	client, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	job := testJob()
	for i := range benchJobs {
		job.JobID = fmt.Sprintf("j%d", i)
		if _, err := client.Submit(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
	var runs atomic.Int64
	before, began := processed(t, rdb), time.Now()
	stop := work(t, cfg, rdb, &runs)
	defer stop()
	completed := asynqKey(ClassPhoto, "completed")
	for n := int64(0); n < benchJobs; pause(t.Context(), 5*time.Millisecond) {
		n = rdb.ZCard(t.Context(), completed).Val()
	}
	took := time.Since(began)
	return float64(took.Microseconds()) / benchJobs, float64(processed(t, rdb)-before) / benchJobs
}

// processed is how many commands Redis has had.
func processed(t *testing.T, rdb redis.UniversalClient) int {
	t.Helper()
	info, err := rdb.Info(t.Context(), "stats").Result()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(fieldOf(strings.ReplaceAll(info, "# Stats", "\n"), "total_commands_processed"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func startOurs(t *testing.T, cfg Config, _ redis.UniversalClient, runs *atomic.Int64) func() {
	t.Helper()
	s, err := NewServer(cfg, countingRunner{runs})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

type countingRunner struct{ runs *atomic.Int64 }

func (r countingRunner) Run(ctx context.Context, j pipeline.Job, o pipeline.RunOptions) (pipeline.Manifest, error) {
	r.runs.Add(1)
	return new(onceRunner).Run(ctx, j, o)
}

// startBare is what the same takes with asynq alone: the handler queues the event under the job's id and writes the result.
func startBare(t *testing.T, cfg Config, rdb redis.UniversalClient, runs *atomic.Int64) func() {
	t.Helper()
	tasks := asynq.NewClientFromRedisClient(rdb)
	return startAsynq(t, cfg, rdb, func(ctx context.Context, task *asynq.Task) error {
		job, err := pipeline.DecodeJob(strings.NewReader(string(task.Payload())))
		if err != nil {
			return err
		}
		m, err := countingRunner{runs}.Run(ctx, job, pipeline.RunOptions{})
		if err != nil {
			return err
		}
		event, err := json.Marshal(NewEvent(cfg.Source, m))
		if err != nil {
			return err
		}
		_, err = tasks.EnqueueContext(ctx, asynq.NewTask(EventType, event), asynq.TaskID(EventID(job.JobID)), asynq.Queue(EventQueue), asynq.Retention(cfg.Retention))
		if err != nil {
			return err
		}
		result, err := json.Marshal(m)
		if err != nil {
			return err
		}
		_, err = task.ResultWriter().Write(result)
		return err
	})
}

// startNothing is asynq with a handler that does nothing at all.
func startNothing(t *testing.T, cfg Config, rdb redis.UniversalClient, _ *atomic.Int64) func() {
	t.Helper()
	return startAsynq(t, cfg, rdb, func(context.Context, *asynq.Task) error { return nil })
}

func startAsynq(t *testing.T, cfg Config, rdb redis.UniversalClient, handle asynq.HandlerFunc) func() {
	t.Helper()
	srv := newAsynq(cfg, rdb, nil, string(ClassPhoto), benchAtOnce)
	if err := srv.Start(handle); err != nil {
		t.Fatal(err)
	}
	return srv.Shutdown
}
