package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/hibiken/asynq"

	"github.com/ninefold/ninefold/pipeline"
)

// outcome is what becomes of an attempt at a job.
type outcome string

const (
	done       outcome = "done"
	permanent  outcome = "permanent"   // no attempt can mend it: put aside, with a record
	retryable  outcome = "retryable"   // counts as an attempt; the next follows after a growing pause
	busy       outcome = "busy"        // what the attempt needs is away or full: tried again without counting, until the job's deadline
	handedBack outcome = "handed back" // this worker ends: another takes it at once, without counting
)

// errHandBack marks an attempt that ended because this worker does.
var errHandBack = errors.New("handed back: the worker is shutting down")

// errWaited marks an attempt that was not admitted in time: the machine has more urgent work.
var errWaited = errors.New("not admitted in time; the machine is full")

// judge is the one function that decides what becomes of an attempt.
func judge(ctx context.Context, err error) outcome {
	switch {
	case err == nil:
		return done
	case !pipeline.Retryable(err):
		return permanent
	case errors.Is(context.Cause(ctx), errHandBack):
		return handedBack
	case isBusy(err):
		return busy
	}
	return retryable
}

// isBusy: the store or Redis does not answer, or the machine has run out of something.
func isBusy(err error) bool {
	var coded *pipeline.Error
	if errors.As(err, &coded) && coded.Code == pipeline.CodeStorageUnavailable {
		return true
	}
	for _, full := range []error{errRedis, errWaited, errStale, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, full) {
			return true
		}
	}
	return false
}

// uncounted is an error that costs no attempt. pause is before the next.
type uncounted struct {
	error
	pause time.Duration
}

func (u uncounted) Unwrap() error { return u.error }

// asynqError is what asynq is told of an outcome. waited is the time since the job's first attempt.
func (c Config) asynqError(o outcome, err error, waited time.Duration) error {
	switch o {
	case done:
		return nil
	case permanent:
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	case handedBack:
		return uncounted{error: fmt.Errorf("%w: %w", errHandBack, err)}
	case busy:
		return uncounted{error: err, pause: c.busyPause(waited)}
	}
	return err
}

// busyMost keeps a backlog from waiting long after an outage has ended.
const busyMost = 15 * time.Second

// busyPause grows with the time the job has waited already, with jitter: what was turned away together does not return together.
func (c Config) busyPause(waited time.Duration) time.Duration {
	return jitter(min(c.RetryMost, busyMost, max(c.RetryFirst, waited/4)))
}

func jitter(d time.Duration) time.Duration {
	if d < 2 {
		return 0
	}
	return d/2 + rand.N(d/2)
}

// isFailure tells asynq whether an attempt counts. A lost lease does not: attempts that take their workers with them are counted by the
// ledger.
func isFailure(err error) bool {
	var u uncounted
	return !errors.As(err, &u) && !errors.Is(err, asynq.ErrLeaseExpired)
}

// retryDelay doubles from first to most, between half and all of it.
func (c Config) retryDelay(retried int, err error, _ *asynq.Task) time.Duration {
	var u uncounted
	if errors.As(err, &u) {
		return u.pause
	}
	if errors.Is(err, asynq.ErrLeaseExpired) {
		return 0
	}
	d := c.RetryMost
	if retried < 30 {
		d = min(d, c.RetryFirst<<retried)
	}
	return jitter(d)
}
