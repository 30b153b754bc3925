package queue

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
)

// Summary is one line of a list of jobs.
type Summary struct {
	JobID      string          `json:"job_id"`
	MessageID  string          `json:"message_id"`
	Class      Class           `json:"class"`
	State      State           `json:"state"`
	Kinds      []pipeline.Kind `json:"kinds"` // of the items, as the job calls them
	Recipients int             `json:"recipients"`
	Status     pipeline.Status `json:"status,omitempty"` // of a Done job's manifest
	At         *time.Time      `json:"at,omitempty"`     // when it was done or given up
}

// MaxRecent is how many jobs Recent lists at most.
const MaxRecent = 200

// Recent lists up to n jobs: those not finished first, then the latest finished, the last one first. Of many waiting jobs it shows
// those that are next. n is 1 to MaxRecent.
func (c *Client) Recent(ctx context.Context, n int) ([]Summary, error) {
	n = min(max(n, 1), MaxRecent)
	all := []Summary{}
	used, err := c.look.Queues()
	if err != nil {
		return nil, fmt.Errorf("recent: %w", err)
	}
	for _, class := range Classes() {
		if !slices.Contains(used, string(class)) {
			continue // no job of it was ever submitted
		}
		found, err := c.recentOf(class, n)
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return nil, fmt.Errorf("recent: %w", err)
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b Summary) int { return cmp.Compare(b.order(), a.order()) })
	all = all[:min(n, len(all))]
	return all, c.addStatuses(ctx, all)
}

// order sorts what is not finished before everything that is.
func (s Summary) order() int64 {
	if s.At == nil {
		return 1<<63 - 1
	}
	return s.At.UnixNano()
}

// recentOf asks each of asynq's lists of a queue. Finished tasks are sorted by the time at which they are forgotten: the latest are on
// the last page.
func (c *Client) recentOf(class Class, n int) ([]Summary, error) {
	q := string(class)
	info, err := c.look.GetQueueInfo(q)
	if err != nil {
		return nil, err
	}
	var out []Summary
	for _, list := range []struct {
		tasks func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error)
		count int // pages are counted from it; 0 = the first page
	}{
		{c.look.ListActiveTasks, 0},
		{c.look.ListPendingTasks, 0},
		{c.look.ListRetryTasks, 0},
		{c.look.ListArchivedTasks, info.Archived},
		{c.look.ListCompletedTasks, info.Completed},
	} {
		var found []Summary
		last := max(1, (list.count+n-1)/n)
		for page := max(1, last-1); page <= last; page++ {
			tasks, err := list.tasks(q, asynq.PageSize(n), asynq.Page(page))
			if err != nil {
				return nil, err
			}
			for _, t := range tasks {
				if t.Type == jobTask { // and not a message that is done again
					found = append(found, summarize(class, t))
				}
			}
		}
		if list.count > 0 {
			slices.Reverse(found) // the latest first: times are whole seconds, and ids tell within one
		}
		out = append(out, found...)
	}
	return out, nil
}

func summarize(class Class, t *asynq.TaskInfo) Summary {
	s := Summary{JobID: t.ID, Class: class, State: stateNames[t.State], Kinds: []pipeline.Kind{}}
	var job pipeline.Job
	if json.Unmarshal(t.Payload, &job) == nil { // a payload that is no job has an id and no more
		s.MessageID, s.Recipients = job.MessageID, len(job.Recipients)
		for _, item := range job.Items {
			s.Kinds = append(s.Kinds, item.Kind)
		}
	}
	switch s.State {
	case Done:
		s.At = &t.CompletedAt
	case Failed:
		s.At = &t.LastFailedAt
	}
	return s
}

// addStatuses asks what came of the Done jobs, in one round trip. One whose books are gone keeps no status; one whose event is held is not
// done yet.
func (c *Client) addStatuses(ctx context.Context, jobs []Summary) error {
	found := make([]*redis.SliceCmd, len(jobs))
	_, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, job := range jobs {
			found[i] = p.HMGet(ctx, runKey(job.Class, job.JobID), fieldEvent, fieldUntil)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("recent: %w", err)
	}
	for i := range jobs {
		known := found[i].Val()
		if until, _ := known[1].(string); jobs[i].State == Done && time.Now().Before(parseUntil(until)) {
			jobs[i].State, jobs[i].At = Running, nil
		}
		if jobs[i].State != Done {
			continue
		}
		status, _ := known[0].(string)
		jobs[i].Status = pipeline.Status(status)
	}
	return nil
}

// Job returns the job as it was submitted. An unknown one is ErrUnknownJob; a payload that is no job is an *pipeline.Error.
func (c *Client) Job(ctx context.Context, jobID string) (pipeline.Job, error) {
	note, err := c.rdb.HGetAll(ctx, jobKey(jobID)).Result()
	if err != nil {
		return pipeline.Job{}, fmt.Errorf("job: %w", err)
	}
	info, err := c.find(jobID, Class(note[fieldClass]))
	if err != nil {
		return pipeline.Job{}, err
	}
	return pipeline.DecodeJob(bytes.NewReader(info.Payload))
}
