package queue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// relay carries the events of one class from the outbox to the parts queue. Every worker runs one for each class, whatever classes it
// serves: what a worker committed before it died is announced by another.
type relay struct {
	rdb     redis.UniversalClient
	class   Class
	worker  string
	publish func(ctx context.Context, id string, event []byte) error
	log     *slog.Logger
}

const (
	relayGroup  = "announcers"
	relayBatch  = 64
	relayBlock  = time.Second      // one read's wait; a shutdown waits for it at most
	relayWithin = 15 * time.Second // what a worker read and did not announce within it, another takes over
	relayPause  = 500 * time.Millisecond
	relayGather = 5 * time.Millisecond // after a batch, so that the next is one and not a single event; the first of a quiet time never waits
)

// run announces until ctx ends, then what is left.
func (r *relay) run(ctx context.Context) {
	claim := time.NewTicker(relayWithin / 3)
	defer claim.Stop()
	for ctx.Err() == nil {
		err := r.next(ctx, relayBlock)
		select {
		case <-claim.C:
			err = errors.Join(err, r.reclaim(ctx))
		default:
		}
		if err != nil && ctx.Err() == nil {
			r.log.Debug("relay", slog.Any("error", err))
			pause(ctx, relayPause)
		}
	}
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitGrace/2)
	defer cancel()
	// First what Redis gave to a read that ctx has ended, or that failed to be announced: without another worker nobody would take it over.
	if err := errors.Join(r.read(rest, readOwn, -1), r.read(rest, readNew, -1)); err != nil {
		r.log.Debug("relay", slog.Any("error", err))
	}
}

// What read asks for.
const (
	readNew = ">" // what nobody has read
	readOwn = "0" // what this worker has read and not acknowledged
)

// next announces what nobody has read.
func (r *relay) next(ctx context.Context, block time.Duration) error {
	return r.read(ctx, readNew, block)
}

// read announces what there is, batch by batch. What was announced is taken out of the outbox on the way to the next batch, in one round trip.
// A Redis that has lost the group gets it again, from the first event on.
func (r *relay) read(ctx context.Context, what string, block time.Duration) error {
	var told []string // and still in the outbox
	for turn := time.Now().Add(relayWithin / 3); time.Now().Before(turn); {
		messages, err := r.take(ctx, told, what, block)
		switch {
		case err != nil && strings.HasPrefix(err.Error(), "NOGROUP"):
			if err := r.rdb.XGroupCreateMkStream(ctx, outboxKey(r.class), relayGroup, "0").Err(); err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
				return err
			}
			continue
		case err != nil:
			return err
		case len(messages) == 0:
			return nil
		}
		if told, err = r.announce(ctx, messages); err != nil {
			return errors.Join(err, r.remove(ctx, told))
		}
		if len(messages) < relayBatch {
			pause(ctx, relayGather)
		}
	}
	return r.remove(ctx, told)
}

// take removes what was announced and returns the next messages, none when there are none. It waits for them as long as block where nothing is
// to be removed; a pipeline's read timeout is no matter of one command's.
func (r *relay) take(ctx context.Context, told []string, what string, block time.Duration) ([]redis.XMessage, error) {
	args := &redis.XReadGroupArgs{
		Group: relayGroup, Consumer: r.worker, Streams: []string{outboxKey(r.class), what}, Count: relayBatch, Block: block,
	}
	var read *redis.XStreamSliceCmd
	var err error
	if len(told) == 0 {
		read = r.rdb.XReadGroup(ctx, args)
	} else {
		_, err = r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			r.forgetIn(ctx, p, told)
			args.Block = -1
			read = p.XReadGroup(ctx, args)
			return nil
		})
	}
	got, failed := read.Result()
	if err = cmp.Or(failed, err); errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil || len(got) == 0 {
		return nil, err
	}
	return got[0].Messages, nil
}

// announce publishes messages and returns the ids of those that were; the others stay pending and are claimed later.
func (r *relay) announce(ctx context.Context, messages []redis.XMessage) (told []string, err error) {
	for _, m := range messages {
		id, _ := m.Values["id"].(string)
		event, _ := m.Values["event"].(string)
		if failed := r.publish(ctx, id, []byte(event)); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		told = append(told, m.ID)
	}
	return told, err
}

// remove takes what was announced out of the outbox.
func (r *relay) remove(ctx context.Context, told []string) error {
	if len(told) == 0 {
		return nil
	}
	_, err := r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		r.forgetIn(ctx, p, told)
		return nil
	})
	return err
}

func (r *relay) forgetIn(ctx context.Context, p redis.Pipeliner, told []string) {
	p.XAck(ctx, outboxKey(r.class), relayGroup, told...)
	p.XDel(ctx, outboxKey(r.class), told...)
}

// reclaim announces what a worker read and did not announce, itself included, and forgets workers that have nothing.
func (r *relay) reclaim(ctx context.Context) error {
	from := "0-0"
	for {
		messages, next, err := r.rdb.XAutoClaim(ctx, &redis.XAutoClaimArgs{
			Stream: outboxKey(r.class), Group: relayGroup, Consumer: r.worker, MinIdle: relayWithin, Start: from, Count: relayBatch,
		}).Result()
		if err != nil {
			return err
		}
		if len(messages) > 0 {
			r.log.Info("announcing what was committed and not announced", slog.Int("events", len(messages)))
		}
		told, failed := r.announce(ctx, messages)
		if err := errors.Join(failed, r.remove(ctx, told)); err != nil {
			return err
		}
		if from = next; from == "0-0" {
			return r.forget(ctx)
		}
	}
}

// forgetAfter is how long a worker that reads every second has not read when it is gone.
const forgetAfter = 10 * time.Minute

func (r *relay) forget(ctx context.Context) error {
	consumers, err := r.rdb.XInfoConsumers(ctx, outboxKey(r.class), relayGroup).Result()
	if err != nil {
		return err
	}
	for _, c := range consumers {
		if c.Pending == 0 && c.Idle > forgetAfter {
			if err := r.rdb.XGroupDelConsumer(ctx, outboxKey(r.class), relayGroup, c.Name).Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
