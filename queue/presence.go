package queue

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A worker says that it lives so often, and is taken for dead when nothing was heard of it for so long.
const (
	beatEvery  = 2 * time.Second
	deadAfter  = 12 * time.Second
	leaseGrace = 5 * time.Second // clocks of two machines differ by less
)

// presence says that this worker lives, and hands the jobs of dead ones to the living: in about a quarter of a minute instead of asynq's one
// to two. It may be wrong about a worker that was only held up: the fence refuses what that one publishes later.
type presence struct {
	rdb    redis.UniversalClient
	worker string
	log    *slog.Logger
	beats  int    // in a row, without a failure
	server string // the run of Redis that was spoken to last, "" = not known, as in a cluster
	memory string // knownKey's value when it was read last
	forget bool   // Redis may forget everything without a word about it: an embedded one keeps nothing
	steady bool   // Redis itself has run for longer than deadAfter, and never failed to answer here since
}

// workerName is unique to a process and tells operators which machine it runs on.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	return host + "-" + rand.Text()[:10]
}

// run beats until ctx ends. back is called when Redis answers again, when another run of it does, or when it has been emptied: it may have
// lost its last writes, or all.
func (p *presence) run(ctx context.Context, back func()) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		server, memory := p.server, p.memory
		if p.beat(ctx); p.beats == 1 || p.server != server || p.memory != memory {
			back()
		}
		// A worker that could not speak to Redis for a while must not take the others for dead: they could not either.
		if p.steady || time.Duration(p.beats)*beatEvery > deadAfter {
			p.lookAfterAll(ctx)
		}
		select {
		case <-ctx.Done():
			p.leave(context.WithoutCancel(ctx))
			return
		case <-tick.C:
		}
	}
}

// leave says that this worker is gone, so that nobody has to wait for it to be taken for dead.
func (p *presence) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = p.rdb.Del(ctx, presenceKey(p.worker)).Err()
}

func (p *presence) beat(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	if err := p.remind(within); err != nil {
		p.beats, p.steady = 0, false
		return
	}
	p.beats++
	if one, ok := p.rdb.(*redis.Client); ok {
		info, _ := one.Info(within, "server").Result() // an embedded Redis says nothing
		p.server = fieldOf(info, "run_id")
		up, _ := strconv.Atoi(fieldOf(info, "uptime_in_seconds"))
		p.steady = (p.beats == 1 || p.steady) && time.Duration(up)*time.Second > deadAfter
	}
}

// remind tells Redis that this worker lives, and finds out whether it remembers anything at all.
func (p *presence) remind(ctx context.Context) error {
	var empty *redis.BoolCmd
	var known *redis.StringCmd
	_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, presenceKey(p.worker), time.Now().Unix(), deadAfter)
		empty = pipe.SetNX(ctx, knownKey, rand.Text(), 0)
		known = pipe.Get(ctx, knownKey)
		return nil
	})
	if err != nil {
		return err
	}
	if p.memory = known.Val(); empty.Val() && !p.forget {
		p.log.Warn("redis knows nothing of this deployment: it is new, or it has lost what it held; if it has, ninefold recover finds what is missing")
	}
	return nil
}

// fieldOf returns a field of what INFO answers.
func fieldOf(info, name string) string {
	_, after, _ := strings.Cut(info, "\n"+name+":")
	value, _, _ := strings.Cut(after, "\r\n")
	return value
}

func (p *presence) lookAfterAll(ctx context.Context) {
	for _, class := range Classes() {
		held, err := p.rdb.SetNX(ctx, reclaimKey(class), p.worker, beatEvery-beatEvery/10).Result()
		if err != nil || !held {
			continue
		}
		if err := p.lookAfter(ctx, class); err != nil {
			p.log.Debug("reclaim", slog.Any("error", err))
		}
	}
}
