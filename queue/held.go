package queue

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// An event that is not to be announced yet, see pipeline.Manifest.NotBefore, waits in Redis beside the outbox: no worker waits with it, and
// whichever worker lives when it is due puts it into the outbox.

const (
	releaseEvery = 500 * time.Millisecond // what another worker holds is looked for so often
	releaseBatch = 64
	// heldBeyond is how much later than its time an event is announced: whoever reads the store when it comes, by a clock that is a little
	// behind, finds the message there.
	heldBeyond = 100 * time.Millisecond
)

// releaseScript moves what is due into the outbox, and returns when it is to be called again: in so many milliseconds, -1 = nothing is held.
// The clock is Redis's own, so that the clocks of two workers need not agree.
// KEYS: held, its events, outbox. ARGV: how many at most.
var releaseScript = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(due) do
  local event = redis.call('HGET', KEYS[2], id)
  if event then
    redis.call('XADD', KEYS[3], '*', 'id', id, 'event', event)
  end
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[1], id)
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if not first[2] then
  return -1
end
return math.max(0, first[2] - now)
`)

// releaser puts held events into the outbox when they are due. Every worker runs one.
type releaser struct {
	rdb  redis.UniversalClient
	wake chan struct{} // something is held that was not before
	log  *slog.Logger
}

func newReleaser(rdb redis.UniversalClient, log *slog.Logger) *releaser {
	return &releaser{rdb: rdb, wake: make(chan struct{}, 1), log: log}
}

// soon has run look at once.
func (r *releaser) soon() {
	select {
	case r.wake <- struct{}{}:
	default: // it will
	}
}

// run releases until ctx ends. What is held then is for another worker, or for the next one.
func (r *releaser) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.wake:
		}
		timer.Reset(r.release(ctx))
	}
}

// release returns when to look again.
func (r *releaser) release(ctx context.Context) time.Duration {
	next := releaseEvery
	for _, class := range Classes() {
		in, err := releaseScript.Run(ctx, r.rdb, []string{heldKey(class), heldEventsKey(class), outboxKey(class)}, releaseBatch).Int64()
		if err != nil {
			if ctx.Err() == nil {
				r.log.Debug("held events are not released", slog.Any("error", err))
			}
			return releaseEvery
		}
		if in >= 0 {
			next = min(next, time.Duration(in)*time.Millisecond)
		}
	}
	return next
}
