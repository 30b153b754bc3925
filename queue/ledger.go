package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
)

// The fields of a job's run hash.
const (
	fieldFence = "fence" // attempts begun, each one's token
	fieldOpen  = "open"  // attempts in a row that began and were never heard of again
	fieldOwner = "owner" // worker of the latest attempt
	fieldSince = "since" // when the first attempt began, Unix milliseconds
	fieldEvent = "event" // the manifest's status, once the job's one event is in the outbox, or is held
	fieldUntil = "until" // of an event that was held: when it is announced, Unix milliseconds of Redis's clock
)

// ledger keeps the books of attempts. Every entry is one script, so that of two live attempts at one job the later one counts.
type ledger struct {
	rdb    redis.UniversalClient
	worker string
	ttl    time.Duration
}

// start is what an attempt learns when it begins.
type start struct {
	fence int64     // its token: a later attempt has a larger one
	open  int64     // attempts before it that were never heard of again
	since time.Time // when the first attempt began
	told  bool      // the event is out already: nothing is left to do
}

var beginScript = redis.NewScript(`
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
if fence == 1 then
  redis.call('HSET', KEYS[1], 'open', 1, 'owner', ARGV[1], 'since', ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  return {fence, 0, tonumber(ARGV[2]), 0}
end
local open = redis.call('HINCRBY', KEYS[1], 'open', 1) - 1
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
local known = redis.call('HMGET', KEYS[1], 'since', 'event')
return {fence, open, tonumber(known[1] or ARGV[2]), known[2] and 1 or 0}
`)

func (l *ledger) begin(ctx context.Context, class Class, jobID string) (start, error) {
	got, err := beginScript.Run(ctx, l.rdb, []string{runKey(class, jobID)}, l.worker, time.Now().UnixMilli(), int(l.ttl.Seconds())).Int64Slice()
	if err != nil || len(got) != 4 {
		return start{}, errors.Join(errRedis, fmt.Errorf("begin: %w", err))
	}
	return start{fence: got[0], open: got[1], since: time.UnixMilli(got[2]), told: got[3] == 1}, nil
}

// errRedis marks trouble with Redis: busy, not the job's fault.
var errRedis = errors.New("redis")

// errStale says that a later attempt has begun meanwhile: this one must not publish.
var errStale = errors.New("a later attempt at the job has begun; this one's publish is refused")

// The answers of announceScript.
const (
	announced int64 = 1
	toldTwice int64 = 0
	stale     int64 = -1
	staleTold int64 = -2 // and the later attempt has published
)

// announceScript is the commit of the event: fence, one result a job, outbox, in one step. A fence that Redis has lost is no reason to
// refuse: only a larger one is. An event that is to wait is held.
// KEYS: run, outbox, held, held events. ARGV: fence, status, event's id, event, seconds that the books are kept, milliseconds to wait.
var announceScript = redis.NewScript(`
local known = redis.call('HMGET', KEYS[1], 'fence', 'event')
if tonumber(known[1] or '0') > tonumber(ARGV[1]) then
  return known[2] and -2 or -1
end
if redis.call('HSETNX', KEYS[1], 'event', ARGV[2]) == 0 then
  return 0
end
if not known[1] then
  redis.call('EXPIRE', KEYS[1], ARGV[5])
end
local wait = tonumber(ARGV[6])
if wait > 0 then
  local time = redis.call('TIME')
  local due = time[1] * 1000 + math.floor(time[2] / 1000) + wait
  redis.call('HSET', KEYS[1], 'until', string.format('%.0f', due))
  redis.call('HSET', KEYS[4], ARGV[3], ARGV[4])
  redis.call('ZADD', KEYS[3], due, ARGV[3])
else
  redis.call('XADD', KEYS[2], '*', 'id', ARGV[3], 'event', ARGV[4])
end
return 1
`)

func (l *ledger) announce(ctx context.Context, class Class, jobID string, fence int64, m pipeline.Manifest, event []byte) (int64, error) {
	keys := []string{runKey(class, jobID), outboxKey(class), heldKey(class), heldEventsKey(class)}
	got, err := announceScript.Run(ctx, l.rdb, keys, fence, string(m.Status), eventID(m), event, int(l.ttl.Seconds()), holdFor(m).Milliseconds()).Int64()
	if err != nil {
		return 0, errors.Join(errRedis, fmt.Errorf("announce: %w", err))
	}
	return got, nil
}

// holdFor is how long from now the event of m waits.
func holdFor(m pipeline.Manifest) time.Duration {
	if now := time.Now(); m.Held(now) {
		return m.NotBefore.Sub(now) + heldBeyond
	}
	return 0
}

var endScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'fence') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'open', 0)
end
return 0
`)

// end notes that an attempt has ended by itself, if without a result: it is not one that took its worker with it.
func (l *ledger) end(ctx context.Context, class Class, jobID string, fence int64) error {
	return endScript.Run(ctx, l.rdb, []string{runKey(class, jobID)}, fence).Err()
}
