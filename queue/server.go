package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// killGrace is how long handlers may take to end what they started once their context has ended.
const killGrace = 30 * time.Second

// Server is the queue's side of a worker: one asynq server for each class that the configuration gives a concurrency.
type Server struct {
	cfg     Config
	rdb     *redis.Client // asynq's, with the ackHook
	own     *redis.Client // ours: ends with its contexts
	servers map[Class]*asynq.Server
	runner  Runner
	stop    context.Context
	abort   context.CancelFunc // ends stop
	running sync.WaitGroup
}

// NewServer returns a Server that has not started. Run or Shutdown releases it.
func NewServer(cfg Config, runner Runner) (*Server, error) {
	own, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	rdb, err := connect(cfg)
	if err != nil {
		return nil, errors.Join(err, own.Close())
	}
	rdb.AddHook(ackHook{})
	s := &Server{cfg: cfg, rdb: rdb, own: own, runner: runner, servers: map[Class]*asynq.Server{}}
	s.stop, s.abort = context.WithCancel(context.Background())
	for _, class := range Classes() {
		if n := cfg.Concurrency.of(class); n > 0 {
			s.servers[class] = newAsynq(cfg, rdb, string(class), n)
		}
	}
	return s, nil
}

// newAsynq is an asynq server for one queue, set up alike for jobs and for events.
func newAsynq(cfg Config, rdb redis.UniversalClient, queue string, concurrency int) *asynq.Server {
	return asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency:              concurrency,
		Queues:                   map[string]int{queue: 1},
		RetryDelayFunc:           cfg.retryDelay,
		IsFailure:                isFailure,
		TaskCheckInterval:        cfg.Poll,
		DelayedTaskCheckInterval: max(cfg.Poll, time.Second/2),
		ShutdownTimeout:          cfg.Drain + killGrace,
		Logger:                   asynqLog{cfg.log().With("component", "asynq", "queue", queue)},
		LogLevel:                 asynq.WarnLevel,
	})
}

// Run takes jobs until ctx ends, then drains.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Start(ctx); err != nil {
		return errors.Join(err, s.Shutdown(ctx))
	}
	<-ctx.Done()
	return s.Shutdown(context.WithoutCancel(ctx))
}

// Start checks Redis and begins to take jobs.
func (s *Server) Start(ctx context.Context) error {
	if len(s.servers) == 0 {
		return errors.New("concurrency: every class is 0; this worker would serve nothing")
	}
	if err := check(ctx, s.cfg, s.own); err != nil {
		return err
	}
	for class, srv := range s.servers {
		if err := srv.Start(s.handler(class)); err != nil {
			return fmt.Errorf("start %s: %w", class, err)
		}
	}
	return nil
}

func (s *Server) handler(class Class) *handler {
	return &handler{
		cfg: s.cfg, rdb: s.own, runner: s.runner, slots: make(chan struct{}, s.cfg.Concurrency.of(class)), stop: s.stop, running: &s.running,
		events: &publisher{tasks: asynq.NewClientFromRedisClient(s.own), source: s.cfg.Source, retention: s.cfg.Retention},
	}
}

// Shutdown takes no more jobs and lets the running ones finish for Config.Drain, or until ctx ends. Those that have not
// finished by then are told to end, waited for, and handed back to other workers without counting as attempts.
func (s *Server) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Drain)
	defer cancel()
	unhook := context.AfterFunc(ctx, s.abort)
	defer unhook()
	var all sync.WaitGroup
	for _, srv := range s.servers {
		all.Go(func() {
			srv.Stop()
			srv.Shutdown() // returns when the handlers have
		})
	}
	all.Wait()
	s.running.Wait() // asynq does not wait for a handler whose lease was lost
	return s.close()
}

func (s *Server) close() error {
	s.abort()
	return errors.Join(s.rdb.Close(), s.own.Close())
}

// asynqLog hands asynq's lines to slog.
type asynqLog struct{ log *slog.Logger }

var _ asynq.Logger = asynqLog{}

func (l asynqLog) Debug(args ...any) { l.log.Debug(fmt.Sprint(args...)) }
func (l asynqLog) Info(args ...any)  { l.log.Info(fmt.Sprint(args...)) }
func (l asynqLog) Warn(args ...any)  { l.log.Warn(fmt.Sprint(args...)) }
func (l asynqLog) Error(args ...any) { l.log.Error(fmt.Sprint(args...)) }
func (l asynqLog) Fatal(args ...any) { l.log.Error(fmt.Sprint(args...)) }
