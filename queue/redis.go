package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ackWithin bounds an acknowledgement whose own context has ended already.
const ackWithin = 5 * time.Second

// ackHook mends asynq's syncer: when an acknowledgement fails it is tried again with the context of the first try, which has
// been cancelled by then. Without the hook no repeated acknowledgement is ever sent and a finished job runs again.
// It belongs on the clients that are given to asynq's servers, and on no other.
type ackHook struct{}

var _ redis.Hook = ackHook{}

func (ackHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (ackHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		ctx, cancel := revived(ctx)
		defer cancel()
		return next(ctx, cmd)
	}
}

func (ackHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		ctx, cancel := revived(ctx)
		defer cancel()
		return next(ctx, cmds)
	}
}

// revived returns ctx, or one that lives for ackWithin when ctx has ended.
func revived(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() == nil {
		return ctx, func() {}
	}
	return context.WithTimeout(context.WithoutCancel(ctx), ackWithin)
}

// Check proves that cfg's Redis answers, keeps what it is given and takes writes. It names the setting to change.
func Check(ctx context.Context, cfg Config) error {
	rdb, err := connect(cfg)
	if err != nil {
		return err
	}
	defer rdb.Close()
	return check(ctx, cfg, rdb)
}

// unreachable says where Redis was looked for, and what to do.
func (c Config) unreachable(err error) error {
	var refused redis.Error
	if errors.As(err, &refused) {
		return fmt.Errorf("redis at %s refuses us: %w; change redis_url, its user and password included", c.place(), err)
	}
	return fmt.Errorf("redis at %s does not answer: %w; start the server or change redis_url", c.place(), err)
}

// place is RedisURL without what may be secret: no user, no password, no parameters.
func (c Config) place() string {
	scheme, rest, _ := strings.Cut(c.RedisURL, "://")
	rest, _, _ = strings.Cut(rest, "?")
	hosts, path, found := strings.Cut(rest, "/")
	if scheme == "unix" {
		return scheme + "://" + rest
	}
	hosts = hosts[strings.LastIndexByte(hosts, '@')+1:]
	if found {
		path = "/" + path
	}
	return scheme + "://" + hosts + path
}

func check(ctx context.Context, cfg Config, rdb redis.UniversalClient) error {
	if err := rdb.Ping(ctx).Err(); err != nil {
		return cfg.unreachable(err)
	}
	if err := checkPolicy(ctx, cfg, rdb); err != nil {
		return err
	}
	if err := rdb.Set(ctx, keyPrefix+"check", "1", time.Minute).Err(); err != nil {
		return fmt.Errorf("redis takes no writes; change redis_url, the user's ACL or the server: %w", err)
	}
	return nil
}

// checkPolicy refuses a Redis that would throw jobs away when its memory is full. Where the server does not say, as a managed
// one or an ACL may have it, a warning is all that can be done.
func checkPolicy(ctx context.Context, cfg Config, rdb redis.UniversalClient) error {
	const setting = "maxmemory-policy"
	if cfg.Embedded {
		return nil
	}
	look := func(ctx context.Context, rdb *redis.Client) error {
		values, err := rdb.ConfigGet(ctx, setting).Result()
		var refused redis.Error
		if errors.As(err, &refused) {
			cfg.log().Warn("redis does not tell its maxmemory-policy; make sure that it is noeviction", "error", err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("redis: read %s: %w", setting, err)
		}
		if policy := values[setting]; policy != "" && policy != "noeviction" {
			return fmt.Errorf("redis: %s is %q and would evict queued jobs; set it to noeviction", setting, policy)
		}
		return nil
	}
	switch rdb := rdb.(type) {
	case *redis.ClusterClient:
		return rdb.ForEachMaster(ctx, look)
	case *redis.Client:
		return look(ctx, rdb)
	}
	return fmt.Errorf("redis: a client of type %T is not ours", rdb)
}
