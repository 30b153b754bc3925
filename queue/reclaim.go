package queue

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// requeueScript gives an active task back to its queue, as asynq's own requeue does; whoever was first has moved it.
// KEYS: active, lease, pending, task. ARGV: task id.
var requeueScript = redis.NewScript(`
if redis.call('LREM', KEYS[1], 0, ARGV[1]) == 0 then
  return 0
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('RPUSH', KEYS[3], ARGV[1])
redis.call('HSET', KEYS[4], 'state', 'pending')
return 1
`)

// holder is what Redis knows of who works on an active task.
type holder struct {
	owner *redis.StringCmd
	lease *redis.FloatCmd
	alive *redis.IntCmd
}

// lookAfter requeues the active tasks of a class that nobody works on: those of a worker that is gone, those whose lease has run out, and
// those that never had one because their worker died between two of asynq's commands.
func (p *presence) lookAfter(ctx context.Context, class Class) error {
	ids, err := p.rdb.LRange(ctx, asynqKey(class, "active"), 0, -1).Result()
	if err != nil || len(ids) == 0 {
		return err
	}
	holders, err := p.holders(ctx, class, ids)
	if err != nil {
		return err
	}
	for i, id := range ids {
		if holders[i].lives() {
			continue
		}
		keys := []string{asynqKey(class, "active"), asynqKey(class, "lease"), asynqKey(class, "pending"), asynqKey(class, "t:"+id)}
		moved, err := requeueScript.Run(ctx, p.rdb, keys, id).Int64()
		if err != nil {
			return err
		}
		if moved == 1 {
			p.log.Warn("job taken from a worker that is gone", slog.String("job_id", id), slog.String("class", string(class)),
				slog.String("worker", holders[i].owner.Val()))
		}
	}
	return nil
}

// holders asks in two round trips, however many tasks there are.
func (p *presence) holders(ctx context.Context, class Class, ids []string) ([]holder, error) {
	holders := make([]holder, len(ids))
	_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, id := range ids {
			holders[i].owner = pipe.HGet(ctx, runKey(class, id), fieldOwner)
			holders[i].lease = pipe.ZScore(ctx, asynqKey(class, "lease"), id)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	_, err = p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := range holders {
			holders[i].alive = pipe.Exists(ctx, presenceKey(holders[i].owner.Val()))
		}
		return nil
	})
	return holders, err
}

// lives reports whether somebody may still work on the task. While a job waits to be admitted its owner is that of the attempt before, if
// any: then the lease tells, which a living worker renews every five seconds.
func (h holder) lives() bool {
	if h.lease.Err() != nil {
		return false
	}
	left := time.Until(time.Unix(int64(h.lease.Val()), 0))
	if left < -leaseGrace {
		return false // asynq has given the job up, whoever lives
	}
	return h.alive.Val() == 1 || left > asynqLease-deadAfter
}

// asynqLease is how long asynq's leases are; a living worker renews them every five seconds.
const asynqLease = 30 * time.Second
