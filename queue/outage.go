package queue

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

// outage tells of a Redis that is away in one line when it goes, one every half minute while it is, and one when it is back: asynq's loops
// would each say it every few seconds.
type outage struct {
	log  *slog.Logger
	ping func(context.Context) error

	mu    sync.Mutex
	since time.Time // zero = Redis answers
	said  time.Time
	kept  int // lines that were held back
}

const (
	lookAtRedis = time.Second
	sayAgain    = 30 * time.Second
)

// run looks until ctx ends.
func (o *outage) run(ctx context.Context) {
	tick := time.NewTicker(lookAtRedis)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		within, cancel := context.WithTimeout(ctx, 2*lookAtRedis)
		err := o.ping(within)
		cancel()
		if ctx.Err() == nil {
			o.note(err, time.Now())
		}
	}
}

func (o *outage) note(err error, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil && !o.since.IsZero():
		o.log.Warn("redis is back", slog.Duration("away", now.Sub(o.since).Round(time.Second)), slog.Int("lines_held_back", o.kept))
		o.since, o.kept = time.Time{}, 0
	case err != nil && o.since.IsZero():
		o.since, o.said = now, now
		o.log.Error("redis is away; work waits for it", slog.Any("error", err))
	case err != nil && now.Sub(o.said) >= sayAgain:
		o.said = now
		o.log.Error("redis is still away", slog.Duration("away", now.Sub(o.since).Round(time.Second)), slog.Any("error", err))
	}
}

// holds reports whether a line says no more than that Redis is away.
func (o *outage) holds(line string) bool {
	if !aboutConnection(line) {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept++
	return true
}

// aboutConnection knows the words of go-redis, the net package and a Redis that is starting or failing over.
func aboutConnection(line string) bool {
	for _, words := range []string{
		"dial tcp", "dial unix", "connection refused", "connection reset", "broken pipe", "i/o timeout", "EOF", "LOADING", "READONLY", "MASTERDOWN",
		"CLUSTERDOWN", "context deadline exceeded", "use of closed network connection", "no route to host", "all sentinels", "connection pool",
	} {
		if strings.Contains(line, words) {
			return true
		}
	}
	return false
}

// asynqLog hands asynq's lines to slog, but for those that an outage explains.
type asynqLog struct {
	log    *slog.Logger
	outage *outage // nil = none is watched
}

var _ asynq.Logger = asynqLog{}

func (l asynqLog) say(level slog.Level, args []any) {
	line := fmt.Sprint(args...)
	if level >= slog.LevelWarn && l.outage != nil && l.outage.holds(line) {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, line)
}

func (l asynqLog) Debug(args ...any) { l.say(slog.LevelDebug, args) }
func (l asynqLog) Info(args ...any)  { l.say(slog.LevelInfo, args) }
func (l asynqLog) Warn(args ...any)  { l.say(slog.LevelWarn, args) }
func (l asynqLog) Error(args ...any) { l.say(slog.LevelError, args) }
func (l asynqLog) Fatal(args ...any) { l.say(slog.LevelError, args) }
