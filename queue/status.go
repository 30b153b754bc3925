package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
)

// State is where a job is.
type State string

// The states. Done and Failed are terminal; a Failed job has no manifest and its event was never published.
const (
	Queued   State = "queued"
	Running  State = "running"
	Retrying State = "retrying" // waits for its next attempt
	Done     State = "done"     // its manifest is committed and announced, whatever is in it
	Failed   State = "failed"   // given up: a payload that is no job, or every try spent
)

var stateNames = map[asynq.TaskState]State{
	asynq.TaskStatePending: Queued, asynq.TaskStateScheduled: Queued, asynq.TaskStateAggregating: Queued, asynq.TaskStateActive: Running,
	asynq.TaskStateRetry: Retrying, asynq.TaskStateCompleted: Done, asynq.TaskStateArchived: Failed,
}

// ErrUnknownJob says that no job of this id was submitted, or that it was finished longer ago than Config.Retention.
var ErrUnknownJob = errors.New("no job of this id is known")

// Status is what is known of a job.
type Status struct {
	JobID     string              `json:"job_id"`
	Class     Class               `json:"class"`
	State     State               `json:"state"`
	Attempt   int                 `json:"attempt"`              // 1 is the first; of a waiting job, the one to come
	LastError string              `json:"last_error,omitempty"` // of the last failed attempt, for operators; of a Done job nothing
	NextTry   *time.Time          `json:"next_try,omitempty"`   // of a Retrying job
	Items     []pipeline.Progress `json:"items"`                // in the order of the items, those that have begun
	Manifest  *pipeline.Manifest  `json:"manifest,omitempty"`   // of a Done job whose event is still known
}

// Terminal reports whether nothing more will happen.
func (s Status) Terminal() bool { return s.State == Done || s.State == Failed }

// Status looks a job up. An unknown one is ErrUnknownJob.
func (c *Client) Status(ctx context.Context, jobID string) (Status, error) {
	note, err := c.rdb.HGetAll(ctx, jobKey(jobID)).Result()
	if err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	info, err := c.find(jobID, Class(note[fieldClass]))
	if err != nil {
		return Status{}, err
	}
	s := Status{
		JobID: jobID, Class: Class(info.Queue), State: stateNames[info.State], Attempt: info.Retried + 1, LastError: info.LastErr,
		Items: itemsOf(note),
	}
	if s.State == Retrying {
		s.NextTry = &info.NextProcessAt
	}
	if s.State == Done {
		s.LastError = "" // of an attempt that was made good
		err = c.result(ctx, &s, info.CompletedAt)
	}
	return s, err
}

// announceWithin is how long after a job's end its event is expected on the parts queue, whatever died meanwhile.
const announceWithin = 4 * relayWithin

// result fills in the manifest, which is kept once: in the event. A job whose event is still held, or in the outbox, is not done yet.
func (c *Client) result(ctx context.Context, s *Status, completed time.Time) error {
	info, err := c.look.GetTaskInfo(EventQueue, EventID(s.JobID))
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
		until, err := c.heldUntil(ctx, s.Class, s.JobID)
		if err == nil && time.Since(later(completed, until)) < announceWithin {
			s.State = Running
		}
		return err
	case err != nil:
		return fmt.Errorf("status: %w", err)
	}
	e, err := DecodeEvent(info.Payload)
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}
	s.Manifest = &e.Manifest
	return nil
}

// heldUntil is when the event of a job is announced, or was; zero where it was not held.
func (c *Client) heldUntil(ctx context.Context, class Class, jobID string) (time.Time, error) {
	until, err := c.rdb.HGet(ctx, runKey(class, jobID), fieldUntil).Result()
	if errors.Is(err, redis.Nil) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("status: %w", err)
	}
	return parseUntil(until), nil
}

// parseUntil reads fieldUntil; where there is none it is zero.
func parseUntil(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// find looks where the job was noted to be, or everywhere where there is no note.
func (c *Client) find(jobID string, class Class) (*asynq.TaskInfo, error) {
	places := Classes()
	if class != "" {
		places = []Class{class}
	}
	for _, place := range places {
		info, err := c.look.GetTaskInfo(string(place), jobID)
		if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("status: %w", err)
		}
		return info, nil
	}
	return nil, ErrUnknownJob
}

func itemsOf(note map[string]string) []pipeline.Progress {
	items := []pipeline.Progress{}
	for field, value := range note {
		var p pipeline.Progress
		if strings.HasPrefix(field, fieldItem) && json.Unmarshal([]byte(value), &p) == nil {
			items = append(items, p)
		}
	}
	slices.SortFunc(items, func(a, b pipeline.Progress) int { return a.Index - b.Index })
	return items
}

// lookEvery is how often Watch looks.
const lookEvery = 200 * time.Millisecond

// Watch follows a job: the first status, then every changed one, to the terminal one. A Redis that does not answer is waited for as long
// as ctx allows; an error is the last thing that comes.
func (c *Client) Watch(ctx context.Context, jobID string) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		var last Status
		for {
			s, err := c.Status(ctx, jobID)
			if errors.Is(err, ErrUnknownJob) {
				yield(last, err)
				return
			}
			if err == nil && !reflect.DeepEqual(s, last) {
				if last = s; !yield(s, nil) || s.Terminal() {
					return
				}
			}
			select {
			case <-ctx.Done():
				yield(last, errors.Join(ctx.Err(), err))
				return
			case <-tick.C:
			}
		}
	}
}

// Wait follows a job to its end and returns its last status. fn is called with everything that Watch sees, and may be nil.
func (c *Client) Wait(ctx context.Context, jobID string, fn func(Status)) (Status, error) {
	var last Status
	for s, err := range c.Watch(ctx, jobID) {
		if last = s; err != nil {
			return last, err
		}
		if fn != nil {
			fn(s)
		}
	}
	return last, nil
}

// Listening reports whether a worker takes jobs of the class.
func (c *Client) Listening(ctx context.Context, class Class) (bool, error) {
	servers, err := c.look.Servers()
	if err = cmp.Or(err, ctx.Err()); err != nil {
		return false, fmt.Errorf("workers: %w", err)
	}
	return slices.ContainsFunc(servers, func(s *asynq.ServerInfo) bool { return s.Queues[string(class)] > 0 && s.Status == "active" }), nil
}
