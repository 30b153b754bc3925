package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
)

// Known is what Redis knows of a job.
type Known struct {
	Told bool // its event was published, or is in the outbox
	Task bool // a task stands for it, in whatever state
}

// Known asks about jobs by their ids, in one round trip however many they are; a hundred or two are a good number. Redis forgets a job
// twice Config.Retention after its first attempt.
func (c *Client) Known(ctx context.Context, jobIDs []string) ([]Known, error) {
	asked := make([]question, len(jobIDs))
	_, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range jobIDs {
			asked[i].event = p.Exists(ctx, asynqKey(EventQueue, "t:"+EventID(id)))
			for _, class := range Classes() {
				asked[i].told = append(asked[i].told, p.HExists(ctx, runKey(class, id), fieldEvent))
				asked[i].task = append(asked[i].task, p.Exists(ctx, asynqKey(class, "t:"+id)))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("known: %w", err)
	}
	known := make([]Known, len(jobIDs))
	for i, q := range asked {
		known[i] = q.known()
	}
	return known, nil
}

// question is what is asked about one job; told and task by class.
type question struct {
	event *redis.IntCmd
	told  []*redis.BoolCmd
	task  []*redis.IntCmd
}

func (q question) known() Known {
	return Known{
		Told: q.event.Val() > 0 || slices.ContainsFunc(q.told, (*redis.BoolCmd).Val),
		Task: slices.ContainsFunc(q.task, func(n *redis.IntCmd) bool { return n.Val() > 0 }),
	}
}

// AnnounceCommitted puts the event of a manifest that the store holds into the outbox, from where a worker's relay publishes it, and reports
// whether it did: one that Redis knows to be announced stays one.
func (c *Client) AnnounceCommitted(ctx context.Context, m pipeline.Manifest) (bool, error) {
	books := &ledger{rdb: c.rdb, ttl: c.cfg.noteTTL()}
	answer, err := books.announceCommitted(ctx, c.cfg.Source, classOfParts(m), m.JobID, m)
	return answer == announced, err
}

// anyFence is larger than every attempt's: the manifest is committed, and whoever runs the job again finds the same one.
const anyFence = 1 << 52

// announceCommitted announces what the store says, whatever Redis has forgotten. id is the job's in the books.
func (l *ledger) announceCommitted(ctx context.Context, source string, class Class, id string, m pipeline.Manifest) (int64, error) {
	payload, err := json.Marshal(NewEvent(source, m))
	if err != nil {
		return 0, err
	}
	return l.announce(ctx, class, id, anyFence, m, payload)
}

// classOfParts is the class that a message belongs to by what came out of it; of one that was rejected as a whole, the cheapest.
func classOfParts(m pipeline.Manifest) Class {
	job := pipeline.Job{}
	for _, p := range m.Parts {
		job.Items = append(job.Items, pipeline.Item{Kind: p.Kind})
	}
	return ClassOf(job)
}
