package queue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// Depth is how full one queue is.
type Depth struct {
	Queue                                         string // of Queues
	Pending, Active, Retrying, Archived, Finished int
	Oldest                                        time.Duration // how long the oldest pending task has waited
}

// Lag is how far the announcement of one class's events is behind.
type Lag struct {
	Class  Class
	Events int64         // committed and not yet on the parts queue
	Oldest time.Duration // how long the first of them has waited
}

// Load is what Redis holds of all workers together.
type Load struct {
	Queues      []Depth
	Outbox      []Lag
	Quarantined int64 // records that wait for an operator
}

// Queues returns the queues that Load tells of: one of each class, the events', and the webhook's.
func Queues() []string {
	names := []string{EventQueue, webhookQueue}
	for _, class := range Classes() {
		names = append(names, string(class))
	}
	return names
}

// Load asks Redis how much there is to do.
func (c *Client) Load(ctx context.Context) (Load, error) {
	used, err := c.look.Queues()
	if err != nil {
		return Load{}, fmt.Errorf("load: %w", err)
	}
	var l Load
	for _, name := range Queues() {
		d := Depth{Queue: name}
		if slices.Contains(used, name) { // else nothing was ever put on it
			d, err = c.depth(name)
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return Load{}, fmt.Errorf("load: %w", err)
		}
		l.Queues = append(l.Queues, d)
	}
	for _, class := range Classes() {
		lag, err := c.lag(ctx, class)
		if err != nil {
			return Load{}, fmt.Errorf("load: %w", err)
		}
		l.Outbox = append(l.Outbox, lag)
	}
	if l.Quarantined, err = c.rdb.HLen(ctx, quarantineKey).Result(); err != nil {
		return Load{}, fmt.Errorf("load: %w", err)
	}
	return l, nil
}

func (c *Client) depth(queue string) (Depth, error) {
	info, err := c.look.GetQueueInfo(queue)
	if err != nil {
		return Depth{}, err
	}
	return Depth{
		Queue: queue, Pending: info.Pending, Active: info.Active, Retrying: info.Retry + info.Scheduled, Archived: info.Archived, Finished: info.Completed,
		Oldest: info.Latency,
	}, nil
}

// lag reads the first entry of the outbox: its id begins with the milliseconds at which it was added.
func (c *Client) lag(ctx context.Context, class Class) (Lag, error) {
	events, err := c.rdb.XLen(ctx, outboxKey(class)).Result()
	if err != nil {
		return Lag{}, err
	}
	first, err := c.rdb.XRangeN(ctx, outboxKey(class), "-", "+", 1).Result()
	if err != nil || len(first) == 0 {
		return Lag{Class: class}, err
	}
	at, _, _ := strings.Cut(first[0].ID, "-")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return Lag{}, err
	}
	return Lag{Class: class, Events: events, Oldest: max(0, time.Since(time.UnixMilli(ms)))}, nil
}

// Admission is how full this worker is with one class.
type Admission struct {
	Class                   Class
	Running, Waiting, Limit int // jobs
}

// Admission tells what runs here and what waits to, for each class.
func (s *Server) Admission() []Admission {
	a := s.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []Admission
	for _, class := range Classes() {
		one := Admission{Class: class, Running: a.running[class], Limit: a.limits[class]}
		for _, waits := range a.waiting {
			if waits.class == class {
				one.Waiting++
			}
		}
		all = append(all, one)
	}
	return all
}

// Connector leads asynq's own tools, such as its web pages, to the Redis of cfg.
func Connector(cfg Config) (asynq.RedisConnOpt, error) {
	if _, err := cfg.redisTarget(); err != nil {
		return nil, err
	}
	return connector{cfg}, nil
}

type connector struct{ cfg Config }

// MakeRedisClient returns a redis.UniversalClient.
func (c connector) MakeRedisClient() any {
	rdb, err := connect(c.cfg)
	if err != nil { // Connector has checked
		return redis.UniversalClient(nil)
	}
	return rdb
}
