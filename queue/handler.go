package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
)

// Runner does the work of one job; *pipeline.Pipeline is one. It returns only when everything it started has ended.
type Runner interface {
	Run(ctx context.Context, job pipeline.Job, opts pipeline.RunOptions) (pipeline.Manifest, error)
}

// handler carries out the tasks of one class.
type handler struct {
	cfg     Config
	rdb     redis.UniversalClient
	events  *publisher
	runner  Runner
	slots   chan struct{}   // asynq frees its own token when a task's context ends, running or not: this is the bound that holds
	stop    context.Context // ends when running jobs must be handed back
	running *sync.WaitGroup
}

var _ asynq.Handler = (*handler)(nil)

// errHandBack marks an attempt that ended because this worker does: it is repeated elsewhere and does not count.
var errHandBack = errors.New("handed back: the worker is shutting down")

// ProcessTask makes one attempt at a job. It returns after the Runner has, with what asynq is to do about it.
func (h *handler) ProcessTask(ctx context.Context, task *asynq.Task) error {
	h.running.Add(1)
	defer h.running.Done()
	ctx, cancel := h.attemptContext(ctx)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return verdict(ctx, ctx.Err())
	}
	if err := ctx.Err(); err != nil {
		return verdict(ctx, err)
	}
	err := h.attempt(ctx, task)
	h.logFailure(ctx, err)
	return verdict(ctx, err)
}

// attemptContext ends at the shutdown, and a grace before asynq's own deadline: asynq takes the task away the moment its context
// ends, whether the handler is still committing or not.
func (h *handler) attemptContext(ctx context.Context) (context.Context, context.CancelFunc) {
	stopped, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(h.stop, func() { cancel(errHandBack) })
	end := func() { unhook(); cancel(nil) }
	deadline, ok := ctx.Deadline()
	if !ok {
		return stopped, end
	}
	timed, cancelTimed := context.WithDeadline(stopped, deadline.Add(-commitGrace))
	return timed, func() { cancelTimed(); end() }
}

// attempt runs the job, then announces and records the result. A panic is our own trouble.
func (h *handler) attempt(ctx context.Context, task *asynq.Task) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = pipeline.Trouble(pipeline.CodeInternal, "run", fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	job, err := decode(ctx, task)
	var refusal *pipeline.Error
	if err != nil {
		if job, refusal = salvage(ctx, task, err); refusal == nil {
			return err
		}
	}
	m, err := h.run(ctx, job, refusal)
	if err != nil {
		return err
	}
	return h.finish(ctx, task, m)
}

// decode believes no payload: it must be one valid job, and the one that the task's id says.
func decode(ctx context.Context, task *asynq.Task) (pipeline.Job, error) {
	job, err := pipeline.DecodeJob(bytes.NewReader(task.Payload()))
	if err != nil {
		return pipeline.Job{}, err
	}
	if id, ok := asynq.GetTaskID(ctx); !ok || id != job.JobID {
		return pipeline.Job{}, pipeline.Refuse(pipeline.CodeInvalidJob, "job_id: differs from the task's id; submit jobs through queue.Client")
	}
	return job, nil
}

// salvage reads just enough of a payload that is no valid job, from a newer client for one, that its consumer hears of it: the
// message is rejected with err instead of vanishing. Without the ids of the task's own job there is nobody to tell.
func salvage(ctx context.Context, task *asynq.Task, err error) (pipeline.Job, *pipeline.Error) {
	var coded *pipeline.Error
	if !errors.As(err, &coded) || coded.Code.Trouble() {
		return pipeline.Job{}, nil
	}
	job, ok := readIDs(task.Payload())
	if id, known := asynq.GetTaskID(ctx); !ok || !known || id != job.JobID {
		return pipeline.Job{}, nil
	}
	return job, coded
}

// readIDs takes the ids, and nothing else, out of a payload.
func readIDs(payload []byte) (job pipeline.Job, ok bool) {
	var ids struct {
		JobID        string `json:"job_id"`
		MessageID    string `json:"message_id"`
		Conversation struct {
			ID string `json:"id"`
		} `json:"conversation"`
		Sender struct {
			ID string `json:"id"`
		} `json:"sender"`
	}
	if len(payload) > pipeline.MaxJobBytes || json.Unmarshal(payload, &ids) != nil {
		return job, false
	}
	for _, id := range []string{ids.JobID, ids.MessageID, ids.Conversation.ID, ids.Sender.ID} {
		if !pipeline.ValidID(id) {
			return job, false
		}
	}
	job.JobID, job.MessageID, job.Conversation.ID, job.Sender.ID = ids.JobID, ids.MessageID, ids.Conversation.ID, ids.Sender.ID
	return job, true
}

func (h *handler) run(ctx context.Context, job pipeline.Job, refusal *pipeline.Error) (pipeline.Manifest, error) {
	progress := newReporter(h.cfg, h.rdb, job.JobID)
	defer progress.close()
	retried, _ := asynq.GetRetryCount(ctx)
	return h.runner.Run(ctx, job, pipeline.RunOptions{Final: retried+1 >= h.cfg.Attempts, Refusal: refusal, Progress: progress.report})
}

// finish announces a committed manifest, which nothing may hold up any more: not a shutdown, not the deadline.
func (h *handler) finish(ctx context.Context, task *asynq.Task, m pipeline.Manifest) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitGrace/2)
	defer cancel()
	if err := h.events.publish(ctx, m); err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "publish", err)
	}
	result, err := json.Marshal(m)
	if err == nil {
		_, err = task.ResultWriter().Write(result)
	}
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "record result", err)
	}
	return nil
}

// verdict is the one place that decides what asynq does with an attempt: nil is done, SkipRetry gives up, errHandBack repeats
// without counting, anything else counts and is tried again.
func verdict(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case !pipeline.Retryable(err):
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	case errors.Is(context.Cause(ctx), errHandBack):
		return fmt.Errorf("%w: %w", errHandBack, err)
	}
	return err
}

// isFailure tells asynq whether an attempt counts.
func isFailure(err error) bool { return !errors.Is(err, errHandBack) }

// retryDelay doubles from first to most, between half and all of it: what failed together does not return together.
func (c Config) retryDelay(retried int, err error, _ *asynq.Task) time.Duration {
	if errors.Is(err, errHandBack) {
		return 0
	}
	d := c.RetryMost
	if retried < 30 {
		d = min(d, c.RetryFirst<<retried)
	}
	if d < 2 {
		return 0
	}
	return d/2 + rand.N(d/2)
}

func (h *handler) logFailure(ctx context.Context, err error) {
	if err == nil {
		return
	}
	id, _ := asynq.GetTaskID(ctx)
	retried, _ := asynq.GetRetryCount(ctx)
	h.cfg.log().Warn("attempt failed", slog.String("job_id", id), slog.Int("attempt", retried+1),
		slog.String("code", string(pipeline.AsError(err).Code)), slog.Bool("again", pipeline.Retryable(err)), slog.Any("error", err))
}
