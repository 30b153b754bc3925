package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
)

// The kinds of what is quarantined.
const (
	QuarantinedJob     = "job"     // a job that ended its workers, or that asynq gave up
	QuarantinedContent = "content" // bytes that crashed engines: no message with them is decoded any more
	QuarantinedWebhook = "webhook" // an event that the webhook never took
)

// Quarantined is a record of what was put aside. It stays until it is released or dropped.
type Quarantined struct {
	ID      string          `json:"id"` // the job's, the content's SHA-256, or the event's
	Kind    string          `json:"kind"`
	Class   Class           `json:"class,omitempty"`   // of a job
	Code    pipeline.Code   `json:"code"`              // why
	Reason  string          `json:"reason"`            // for operators
	Crashes int             `json:"crashes"`           // workers or engines it took
	At      time.Time       `json:"at"`                // when it was put aside
	Payload json.RawMessage `json:"payload,omitempty"` // the job, or the event; a string where it is no JSON
}

// ErrNotQuarantined says that nothing of this id is in quarantine.
var ErrNotQuarantined = errors.New("nothing of this id is in quarantine")

// quarantine writes the records.
type quarantine struct{ rdb redis.UniversalClient }

func (q *quarantine) put(ctx context.Context, r Quarantined) error {
	r.At = time.Now().UTC()
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return q.rdb.HSet(ctx, quarantineKey, r.ID, data).Err()
}

func (q *quarantine) putJob(ctx context.Context, class Class, id string, e *pipeline.Error, crashes int, payload []byte) error {
	return q.put(ctx, Quarantined{ID: id, Kind: QuarantinedJob, Class: class, Code: e.Code, Reason: e.Error(), Crashes: crashes, Payload: document(payload)})
}

// document returns payload as JSON, whatever it is.
func document(payload []byte) json.RawMessage {
	if json.Valid(payload) {
		return payload
	}
	text, _ := json.Marshal(string(payload)) // a string marshals
	return text
}

// suspectsTTL is how long a crash is held against a content that is not sent again.
const suspectsTTL = 30 * 24 * time.Hour

// Suspects is a pipeline.Suspects for all workers of a Redis.
type Suspects struct {
	rdb    redis.UniversalClient
	dead   *quarantine
	limit  int
	within time.Duration
}

var _ pipeline.Suspects = (*Suspects)(nil)

// NewSuspects returns a Suspects that bars a content after cfg.Crashes crashes. It must be closed.
func NewSuspects(cfg Config) (*Suspects, error) {
	rdb, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	return &Suspects{rdb: rdb, dead: &quarantine{rdb}, limit: cfg.Crashes, within: 2 * time.Second}, nil
}

// Close ends the connections.
func (s *Suspects) Close() error { return s.rdb.Close() }

// Barred reports whether the content has crashed engines too often.
func (s *Suspects) Barred(ctx context.Context, sha256 string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	n, err := s.rdb.Get(ctx, crashKey(sha256)).Int()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return n >= s.limit, err
}

// Crashed counts one crash; the one that reaches the limit quarantines the content.
func (s *Suspects) Crashed(ctx context.Context, sha256 string, code pipeline.Code) error {
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	var crashes *redis.IntCmd
	_, err := s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		crashes = p.Incr(ctx, crashKey(sha256))
		p.Expire(ctx, crashKey(sha256), suspectsTTL)
		return nil
	})
	if err != nil || int(crashes.Val()) != s.limit {
		return err
	}
	return s.dead.put(ctx, Quarantined{
		ID: sha256, Kind: QuarantinedContent, Code: code, Crashes: s.limit,
		Reason: "engines ended over this content; messages with it get code engine_crashed without a decode",
	})
}

// Quarantine calls fn for everything in quarantine, in no order, in bounded memory.
func (c *Client) Quarantine(ctx context.Context, fn func(Quarantined) error) error {
	var cursor uint64
	for {
		pairs, next, err := c.rdb.HScan(ctx, quarantineKey, cursor, "", 100).Result()
		if err != nil {
			return fmt.Errorf("quarantine: %w", err)
		}
		for i := 1; i < len(pairs); i += 2 {
			var r Quarantined
			if err := json.Unmarshal([]byte(pairs[i]), &r); err != nil {
				return fmt.Errorf("quarantine: %w", err)
			}
			if err := fn(r); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// Quarantined returns one record, or ErrNotQuarantined.
func (c *Client) Quarantined(ctx context.Context, id string) (Quarantined, error) {
	var r Quarantined
	data, err := c.rdb.HGet(ctx, quarantineKey, id).Bytes()
	if errors.Is(err, redis.Nil) {
		return r, ErrNotQuarantined
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, fmt.Errorf("quarantine: %w", err)
	}
	return r, nil
}

// Release takes something out of quarantine.
//
//  1. A content may be decoded again, from its next message on.
//  2. A job is submitted again as a job of its own, "ID-r1", since its consumer has been told of the first one's end; the event is of the
//     same message. What is no valid job is refused as Submit does, and stays.
//  3. A webhook's event is delivered again.
func (c *Client) Release(ctx context.Context, id string) (Receipt, error) {
	r, err := c.Quarantined(ctx, id)
	if err != nil {
		return Receipt{}, err
	}
	receipt := Receipt{JobID: id}
	switch r.Kind {
	case QuarantinedContent:
		err = c.rdb.Del(ctx, crashKey(id)).Err()
	case QuarantinedJob:
		receipt, err = c.resubmit(ctx, r)
	case QuarantinedWebhook:
		err = c.redeliver(ctx, r)
	}
	if err != nil {
		return Receipt{}, err
	}
	return receipt, c.Drop(ctx, id)
}

func (c *Client) resubmit(ctx context.Context, r Quarantined) (Receipt, error) {
	job, err := pipeline.DecodeJob(strings.NewReader(string(r.Payload)))
	if err != nil {
		return Receipt{}, err
	}
	base := job.JobID
	for n := 1; ; n++ {
		job.JobID = fmt.Sprintf("%s-r%d", base, n)
		receipt, err := c.submit(ctx, job, r.Class)
		if err != nil || !receipt.Existed || (receipt.State != Done && receipt.State != Failed) { // in work: released a moment ago
			return receipt, err
		}
	}
}

// Drop forgets a record. A content that was barred stays so for as long as it is held against it.
func (c *Client) Drop(ctx context.Context, id string) error {
	n, err := c.rdb.HDel(ctx, quarantineKey, id).Result()
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	if n == 0 {
		return ErrNotQuarantined
	}
	return nil
}
