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

// Server is the queue's side of a worker: one asynq server for each class that the configuration gives a concurrency, one admission over
// them all, and what every worker does for all: announce events, deliver them to the webhook, look after the jobs of dead workers.
type Server struct {
	cfg       Config
	rdb       redis.UniversalClient // asynq's, with the ackHook
	own       redis.UniversalClient // ours: ends with its contexts
	worker    string
	books     *ledger
	recent    *announcements
	dead      *quarantine
	admission *admission
	outage    *outage
	held      *releaser
	waits     seldom                   // attempts that wait for what is away
	servers   map[string]*asynq.Server // by queue
	handlers  map[string]asynq.Handler
	runner    Runner

	stop    context.Context
	abort   context.CancelFunc // ends stop
	running sync.WaitGroup     // handlers
	retire  context.CancelFunc // ends what runs for all
	helpers sync.WaitGroup
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
	s := &Server{
		cfg: cfg, rdb: rdb, own: own, worker: workerName(), runner: runner, recent: &announcements{}, dead: &quarantine{own}, admission: newAdmission(cfg),
		servers: map[string]*asynq.Server{}, handlers: map[string]asynq.Handler{}, retire: func() {},
	}
	s.books = &ledger{rdb: own, worker: s.worker, ttl: cfg.noteTTL()}
	s.held = newReleaser(own, cfg.log())
	s.outage = &outage{log: cfg.log(), ping: func(ctx context.Context) error { return own.Ping(ctx).Err() }}
	s.stop, s.abort = context.WithCancel(context.Background())
	if err := s.addQueues(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// addQueues makes an asynq server for everything this worker serves.
func (s *Server) addQueues() error {
	for _, class := range Classes() {
		if n := s.cfg.Concurrency.of(class); n > 0 {
			s.servers[string(class)] = newAsynq(s.cfg, s.rdb, s.outage, string(class), n)
			s.handlers[string(class)] = s.handler(class)
		}
	}
	if s.cfg.Webhook.URL == "" || len(s.servers) == 0 {
		return nil
	}
	hook, err := newDeliverer(s.cfg.Webhook, s.dead, s.cfg.log())
	if err != nil {
		return err
	}
	cfg := asynqConfig(s.cfg, s.outage, webhookQueue, s.cfg.Concurrency.Events)
	cfg.RetryDelayFunc = webhookDelay
	s.servers[webhookQueue], s.handlers[webhookQueue] = asynq.NewServerFromRedisClient(s.rdb, cfg), hook
	return nil
}

// newAsynq is an asynq server for one queue, set up alike for jobs and for events.
func newAsynq(cfg Config, rdb redis.UniversalClient, out *outage, queue string, concurrency int) *asynq.Server {
	return asynq.NewServerFromRedisClient(rdb, asynqConfig(cfg, out, queue, concurrency))
}

func asynqConfig(cfg Config, out *outage, queue string, concurrency int) asynq.Config {
	return asynq.Config{
		Concurrency:              concurrency,
		Queues:                   map[string]int{queue: 1},
		RetryDelayFunc:           cfg.retryDelay,
		IsFailure:                isFailure,
		TaskCheckInterval:        cfg.Poll,
		DelayedTaskCheckInterval: max(cfg.Poll, time.Second/2),
		ShutdownTimeout:          cfg.Drain + killGrace,
		Logger:                   asynqLog{cfg.log().With("component", "asynq", "queue", queue), out},
		LogLevel:                 asynq.WarnLevel,
	}
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
	s.startHelpers()
	for queue, srv := range s.servers {
		if err := srv.Start(s.handlers[queue]); err != nil {
			return fmt.Errorf("start %s: %w", queue, err)
		}
	}
	return nil
}

// startHelpers starts what runs beside the handlers and outlives them by a moment: their last events are announced, too.
func (s *Server) startHelpers() {
	ctx, retire := context.WithCancel(context.Background())
	s.retire = retire
	events := &publisher{tasks: asynq.NewClientFromRedisClient(s.own), retention: s.cfg.Retention, webhook: s.cfg.Webhook.URL != ""}
	for _, class := range Classes() {
		r := &relay{rdb: s.own, class: class, worker: s.worker, publish: events.publish, log: s.cfg.log().With("class", string(class))}
		s.helpers.Go(func() { r.run(ctx) })
	}
	s.helpers.Go(func() { s.held.run(ctx) })
	p := &presence{rdb: s.own, worker: s.worker, log: s.cfg.log(), forget: s.cfg.Embedded}
	s.helpers.Go(func() { p.run(ctx, func() { s.announceAgain(ctx) }) })
	s.helpers.Go(func() { s.outage.run(ctx) })
	s.cfg.log().Debug("worker is known as", slog.String("worker", s.worker))
}

func (s *Server) handler(class Class) *handler {
	return &handler{
		cfg: s.cfg, class: class, rdb: s.own, books: s.books, recent: s.recent, dead: s.dead, runner: s.runner, admission: s.admission, waits: &s.waits,
		held: s.held, stop: s.stop, running: &s.running,
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
	s.retire()
	s.helpers.Wait()
	return s.close()
}

func (s *Server) close() error {
	s.abort()
	return errors.Join(s.rdb.Close(), s.own.Close())
}
