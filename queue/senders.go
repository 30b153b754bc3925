package queue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
)

// Senders is a pipeline.Allowance for all workers of a Redis.
type Senders struct {
	rdb    redis.UniversalClient
	most   int64
	within time.Duration
}

var _ pipeline.Allowance = (*Senders)(nil)

// NewSenders returns Senders that may spend cfg.SenderWork. They must be closed.
func NewSenders(cfg Config) (*Senders, error) {
	rdb, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	return &Senders{rdb: rdb, most: cfg.SenderWork, within: 2 * time.Second}, nil
}

// Close ends the connections.
func (s *Senders) Close() error { return s.rdb.Close() }

// spendScript counts an item, once, where it fits beside what was counted within the window, and returns 0; else the milliseconds until it would
// fit. What was counted stands in a sorted set by the time; each member begins with its cost.
// KEYS: the sender's. ARGV: member, cost, the most, window in milliseconds.
var spendScript = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local cost, most, window = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 0
end
local spent = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
local over = cost - most
for i = 1, #spent, 2 do
  over = over + tonumber(string.match(spent[i], '^%d+'))
end
if over <= 0 then
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  redis.call('PEXPIRE', KEYS[1], window)
  return 0
end
for i = 1, #spent, 2 do
  over = over - tonumber(string.match(spent[i], '^%d+'))
  if over <= 0 then
    return math.max(1, spent[i + 1] + window - now)
  end
end
return window
`)

// spendLeast is the share of a sender's work that an item counts at least: it bounds how many are counted.
const spendLeast = 10_000

// Spend counts an item by the name of its job, so that an attempt that is made again is not counted again.
func (s *Senders) Spend(ctx context.Context, sp pipeline.Spending) (wait time.Duration, err error) {
	if s.most <= 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	cost := max(sp.Cost, s.most/spendLeast, 1)
	member := fmt.Sprintf("%d %s %s", cost, sp.JobID, sp.ItemID)
	ms, err := spendScript.Run(ctx, s.rdb, []string{senderKey(sp.SenderID)}, member, cost, s.most, pipeline.AllowanceWindow.Milliseconds()).Int64()
	return time.Duration(ms) * time.Millisecond, err
}

// senderKey is the set of what a sender's items have cost lately. It does not name the sender.
func senderKey(senderID string) string {
	sum := sha256.Sum256([]byte(senderID))
	return keyPrefix + "sender:" + hex.EncodeToString(sum[:16])
}
