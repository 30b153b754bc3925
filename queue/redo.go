package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/hibiken/asynq"

	"github.com/ninefold/ninefold/pipeline"
)

// redoTask is the type of the tasks that ask for a stored message to be done again. They go to the bulk queue.
const redoTask = "ninefold.redo"

// Redoer does a stored message again; *pipeline.Pipeline is one. A Runner that is none serves no redoTask.
type Redoer interface {
	Redo(ctx context.Context, o pipeline.RedoOrder, opts pipeline.RunOptions) (pipeline.Redone, error)
}

// RedoFailed is the outcome of a message that our own trouble has kept from being done again: every try is spent.
const RedoFailed pipeline.Outcome = "failed"

// redoID is the id of an order's task. No job id has a tilde.
func redoID(o pipeline.RedoOrder) string { return o.JobID + "~" + o.Run }

// SubmitRedo asks for a stored message to be done again by a worker, on the bulk queue; the same order twice is one.
func (c *Client) SubmitRedo(ctx context.Context, o pipeline.RedoOrder) error {
	if err := o.Validate(); err != nil {
		return err
	}
	payload, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	_, err = c.tasks.EnqueueContext(ctx, asynq.NewTask(redoTask, payload), asynq.TaskID(redoID(o)), asynq.Queue(string(ClassBulk)),
		asynq.MaxRetry(c.cfg.Attempts+spareRetries), asynq.Timeout(admitWithin+c.cfg.Timeouts.of(ClassBulk)+commitGrace), asynq.Retention(c.cfg.Retention))
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("submit: %w", err)
	}
	return nil
}

// WaitRedo waits until an order that was submitted is carried out and returns what came of it. A Redis that does not answer is waited for
// as long as ctx allows. An order that no task is known of is ErrUnknownJob.
func (c *Client) WaitRedo(ctx context.Context, o pipeline.RedoOrder) (pipeline.Redone, error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		info, err := c.look.GetTaskInfo(string(ClassBulk), redoID(o))
		switch {
		case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
			return pipeline.Redone{}, ErrUnknownJob
		case err == nil && info.State == asynq.TaskStateArchived:
			return pipeline.Redone{Outcome: RedoFailed, Code: pipeline.CodeInternal, Why: info.LastErr}, nil
		case err == nil && info.State == asynq.TaskStateCompleted:
			var done pipeline.Redone
			if err := json.Unmarshal(info.Result, &done); err != nil {
				return done, fmt.Errorf("result of %s: %w", redoID(o), err)
			}
			return done, nil
		}
		select {
		case <-ctx.Done():
			return pipeline.Redone{}, errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// Announce puts the event of a manifest on the parts queue, once however often it is called: for a message that was done again outside
// a worker.
func (c *Client) Announce(ctx context.Context, m pipeline.Manifest) error {
	payload, err := json.Marshal(NewEvent(c.cfg.Source, m))
	if err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	events := &publisher{tasks: c.tasks, retention: c.cfg.Retention, webhook: c.cfg.Webhook.URL != ""}
	return events.publish(ctx, eventID(m), payload)
}

// redo makes one attempt at an order. The task's id stands for the job's in the books.
func (a *attempt) redo(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = pipeline.Trouble(pipeline.CodeInternal, "redo", fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	ctx, cancel := context.WithTimeout(pipeline.WithNice(ctx, a.class.nice()), a.cfg.Timeouts.of(a.class))
	defer cancel()
	order, err := decodeRedo(ctx, a.task)
	if err != nil {
		return err
	}
	a.job.JobID = redoID(order)
	if a.start, err = a.books.begin(ctx, a.class, a.job.JobID); err != nil {
		return err
	}
	done, err := a.carryOut(ctx, order)
	if err != nil && a.final(ctx) && judge(ctx, err) != handedBack {
		done, err = pipeline.Redone{Outcome: RedoFailed, Code: pipeline.AsError(err).Code, Why: err.Error()}, nil
	}
	if err != nil {
		return err
	}
	return a.answer(ctx, done)
}

func (a *attempt) carryOut(ctx context.Context, order pipeline.RedoOrder) (pipeline.Redone, error) {
	redoer, ok := a.runner.(Redoer)
	if !ok {
		return pipeline.Redone{}, pipeline.Refuse(pipeline.CodeInvalidJob, "this worker cannot do messages again")
	}
	if a.open >= int64(a.cfg.Crashes) {
		return pipeline.Redone{Outcome: RedoFailed, Code: pipeline.CodeEngineCrashed, Why: "it ended its worker again and again"}, nil
	}
	done, err := redoer.Redo(ctx, order, pipeline.RunOptions{})
	if errors.Is(err, pipeline.ErrNotExist) {
		return pipeline.Redone{Outcome: pipeline.OutcomeSkipped, Why: "the store has no manifest of this job"}, nil
	}
	return done, err
}

// answer announces a new manifest, then says what came of the order. Nothing may hold it up any more.
func (a *attempt) answer(ctx context.Context, done pipeline.Redone) error {
	if done.Manifest != nil && !a.told {
		if err := a.announce(ctx, *done.Manifest); err != nil {
			return err
		}
	}
	result, err := json.Marshal(done)
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "redo", err)
	}
	if _, err := a.task.ResultWriter().Write(result); err != nil {
		return errors.Join(errRedis, fmt.Errorf("result: %w", err))
	}
	if done.Manifest != nil {
		return nil // announcing has closed the books
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitGrace/3)
	defer cancel()
	if err := a.books.end(ctx, a.class, a.job.JobID, a.fence); err != nil {
		return errors.Join(errRedis, err)
	}
	return nil
}

// decodeRedo believes no payload, as decode does.
func decodeRedo(ctx context.Context, task *asynq.Task) (pipeline.RedoOrder, error) {
	var o pipeline.RedoOrder
	dec := json.NewDecoder(bytes.NewReader(task.Payload()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		return o, pipeline.Refuse(pipeline.CodeInvalidJob, "no order to do a message again: %v", err)
	}
	if id, ok := asynq.GetTaskID(ctx); !ok || id != redoID(o) {
		return o, pipeline.Refuse(pipeline.CodeInvalidJob, "job_id, run: differ from the task's id")
	}
	return o, o.Validate()
}
