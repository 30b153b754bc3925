package queue

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

// outage tells of a Redis that is away in one line when it goes, one a minute while it is, and one when it is back: asynq's loops would each
// say it every second. What else they repeat, because Redis refuses writes for one, is said once a minute.
type outage struct {
	log    *slog.Logger
	ping   func(context.Context) error
	others seldom

	mu    sync.Mutex
	since time.Time // zero = Redis answers
	said  time.Time
	kept  int // lines that were held back
}

const (
	lookAtRedis = time.Second
	sayAgain    = time.Minute
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

// holds reports whether a line says no more than that Redis is away, or what was said within the last minute.
func (o *outage) holds(line string, now time.Time) bool {
	if !aboutConnection(line) {
		fresh, _ := o.others.say(shapeOf(line), now)
		return !fresh
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept++
	return true
}

// shapeOf is what lines that differ in a number or an id have in common: their words of letters only.
func shapeOf(line string) string {
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ':' || r == '=' })
	return strings.Join(slices.DeleteFunc(words, func(word string) bool { return strings.ContainsAny(word, "0123456789") }), " ")
}

// seldom lets the same thing be said once a minute.
type seldom struct {
	mu   sync.Mutex
	said map[string]said
}

type said struct {
	at   time.Time
	kept int // since
}

// seldomMost is how many different things are kept in mind; beyond it the whole is forgotten, and all may be said again.
const seldomMost = 256

// say reports whether what may be said now, and how often it was not since it last was.
func (s *seldom) say(what string, now time.Time) (fresh bool, kept int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.said[what]
	if known && now.Sub(last.at) < sayAgain {
		last.kept++
		s.said[what] = last
		return false, 0
	}
	if s.said == nil || len(s.said) >= seldomMost {
		s.said = map[string]said{}
	}
	s.said[what] = said{at: now}
	return true, last.kept
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
	if level >= slog.LevelWarn && l.outage != nil && l.outage.holds(line, time.Now()) {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, line)
}

func (l asynqLog) Debug(args ...any) { l.say(slog.LevelDebug, args) }
func (l asynqLog) Info(args ...any)  { l.say(slog.LevelInfo, args) }
func (l asynqLog) Warn(args ...any)  { l.say(slog.LevelWarn, args) }
func (l asynqLog) Error(args ...any) { l.say(slog.LevelError, args) }
func (l asynqLog) Fatal(args ...any) { l.say(slog.LevelError, args) }
