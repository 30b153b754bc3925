package queue

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"runtime"
	"time"
)

// Config is shared by the client, the worker and the subscribers. They should agree on all but Concurrency.
type Config struct {
	RedisURL    string        // redis://, redis-sentinel://, redis-cluster://, each rediss… for TLS, unix://: see connect.go
	Embedded    bool          // the Redis is StartEmbedded's: it has no eviction policy that could be checked
	Concurrency Concurrency   // of one worker
	Cores       int           // of this machine that photo and video may fill together; voice has as much again
	Timeouts    Timeouts      // of one attempt, waiting not counted
	Attempts    int           // the last of which turns our own trouble into a rejected part, 1 to 20
	RetryFirst  time.Duration // before the second attempt, doubled for each further one, with jitter
	RetryMost   time.Duration // at most
	Patience    time.Duration // how long a job without expires_at waits for a store or a disk that is away, from its first attempt
	Crashes     int           // attempts that ended their worker, or engines that a content ended, before it is quarantined
	Webhook     Webhook       // also told of every event, where it has a URL
	SenderWork  int64         // what the videos of one sender may cost within pipeline.AllowanceWindow, in decoded pixels; 0 = they are not counted
	Retention   time.Duration // how long a finished job and its event can be asked for, and are known to have been
	Drain       time.Duration // how long running jobs may go on after a shutdown began; then they are handed back
	Poll        time.Duration // between two looks at an empty queue
	Source      string        // of the events, a URI reference
	Log         *slog.Logger  // nil = slog.Default()
	Observer    Observer      // of a worker; nil = nobody is told
}

// Concurrency is how many tasks run at the same time. A class with 0 is not served by this worker.
type Concurrency struct {
	Voice, Photo, Video, Bulk int
	Events                    int // calls of a subscriber at the same time
}

// Timeouts bound one attempt at a job of each class.
type Timeouts struct {
	Voice, Photo, Video, Bulk time.Duration
}

// DefaultConfig returns what fits one machine; the address is that of a Redis on it.
func DefaultConfig() Config {
	cores := runtime.NumCPU()
	return Config{
		RedisURL:    "redis://127.0.0.1:6379/0",
		Concurrency: Concurrency{Voice: cores, Photo: cores, Video: max(1, cores/2), Bulk: 1, Events: 8},
		Cores:       cores,
		Timeouts:    Timeouts{Voice: 2 * time.Minute, Photo: 5 * time.Minute, Video: 15 * time.Minute, Bulk: 15 * time.Minute},
		Attempts:    10, // with the pauses between them about a quarter of an hour: an outage of minutes costs no message
		RetryFirst:  2 * time.Second,
		RetryMost:   5 * time.Minute,
		Patience:    24 * time.Hour,
		Crashes:     3,
		SenderWork:  12_800e9, // forty times what one message may: 256 clips of 60 s in 4K 60 HDR
		Retention:   7 * 24 * time.Hour,
		Drain:       30 * time.Second,
		Poll:        200 * time.Millisecond,
		Source:      "/ninefold",
	}
}

// of returns the concurrency of a class.
func (c Concurrency) of(class Class) int {
	return map[Class]int{ClassVoice: c.Voice, ClassPhoto: c.Photo, ClassVideo: c.Video, ClassBulk: c.Bulk}[class]
}

// of returns the timeout of a class.
func (t Timeouts) of(class Class) time.Duration {
	return map[Class]time.Duration{ClassVoice: t.Voice, ClassPhoto: t.Photo, ClassVideo: t.Video, ClassBulk: t.Bulk}[class]
}

// Validate names every setting that cannot work.
func (c Config) Validate() error {
	var wrong []error
	complain := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	_, err := c.redisTarget()
	complain(err != nil, "redis_url: %v", err)
	complain(c.Attempts < 1 || c.Attempts > 20, "attempts: want 1 to 20, got %d", c.Attempts)
	complain(c.RetryFirst < 0 || c.RetryMost < c.RetryFirst, "retry_first, retry_most: want 0 <= retry_first <= retry_most")
	complain(c.Patience < time.Second, "patience: want at least 1s, got %v", c.Patience)
	complain(c.Crashes < 1 || c.Crashes > 100, "crashes: want 1 to 100, got %d", c.Crashes)
	complain(c.SenderWork < 0, "sender_work: want 0 or more, got %d", c.SenderWork)
	complain(c.Cores < 1 || c.Cores > 1024, "cores: want 1 to 1024, got %d", c.Cores)
	complain(c.Retention < time.Minute, "retention: want at least 1m, got %v", c.Retention)
	complain(c.Drain <= 0, "drain: want more than 0, got %v", c.Drain)
	complain(c.Poll < 10*time.Millisecond || c.Poll > 10*time.Second, "poll: want 10ms to 10s, got %v", c.Poll)
	err = c.Webhook.Validate()
	complain(err != nil, "%v", err)
	source, err := url.Parse(c.Source)
	complain(err != nil || source.String() == "", "source: want a URI reference, got %q", c.Source)
	return errors.Join(append(wrong, c.validateClasses())...)
}

func (c Config) validateClasses() error {
	var wrong []error
	for _, class := range Classes() {
		if n := c.Concurrency.of(class); n < 0 || n > 1000 {
			wrong = append(wrong, fmt.Errorf("concurrency.%s: want 0 to 1000, got %d", class, n))
		}
		if d := c.Timeouts.of(class); d < time.Second || d > 24*time.Hour {
			wrong = append(wrong, fmt.Errorf("timeouts.%s: want 1s to 24h, got %v", class, d))
		}
	}
	if c.Concurrency.Events < 1 || c.Concurrency.Events > 1000 {
		wrong = append(wrong, fmt.Errorf("concurrency.events: want 1 to 1000, got %d", c.Concurrency.Events))
	}
	return errors.Join(wrong...)
}

func (c Config) log() *slog.Logger {
	if c.Log == nil {
		return slog.Default()
	}
	return c.Log
}
