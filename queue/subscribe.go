package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hibiken/asynq"
)

// Subscribe calls fn for every event until ctx ends, then lets running calls finish for Config.Drain.
//
//  1. An event is given to one of all subscribers. It is done when fn returns nil; an error has it tried again, later and later.
//  2. fn may be called again with an event it has done, when a crash came before the acknowledgement: Event.ID tells.
//  3. What is no event of ours is put aside, never given to fn.
//
// To see what becomes of one job, use Client.Wait: it takes the event from nobody.
func Subscribe(ctx context.Context, cfg Config, fn func(context.Context, Event) error) error {
	rdb, err := connect(cfg)
	if err != nil {
		return err
	}
	defer rdb.Close()
	rdb.AddHook(ackHook{})
	if err := check(ctx, cfg, rdb); err != nil {
		return err
	}
	watch := &outage{log: cfg.log(), ping: func(ctx context.Context) error { return rdb.Ping(ctx).Err() }}
	var watching sync.WaitGroup
	defer watching.Wait()
	watched, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	defer unwatch()
	watching.Go(func() { watch.run(watched) })
	srv := newAsynq(cfg, rdb, watch, EventQueue, cfg.Concurrency.Events)
	stop, abort := context.WithCancel(context.Background())
	defer abort()
	if err := srv.Start(cfg.eventHandler(stop, fn)); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	<-ctx.Done()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Drain)
	defer cancel()
	defer context.AfterFunc(drain, abort)()
	srv.Stop()
	srv.Shutdown()
	return nil
}

func (c Config) eventHandler(stop context.Context, fn func(context.Context, Event) error) asynq.HandlerFunc {
	return func(ctx context.Context, task *asynq.Task) error {
		e, err := DecodeEvent(task.Payload())
		if err != nil {
			return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(stop, func() { cancel(errHandBack) })()
		if err := fn(ctx, e); err != nil && errors.Is(context.Cause(ctx), errHandBack) {
			return c.asynqError(handedBack, err, 0)
		} else if err != nil {
			return err
		}
		return nil
	}
}
