package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/ninefold/ninefold/cmd/ninefold/console"
	"github.com/ninefold/ninefold/cmd/ninefold/guard"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// devCmd runs everything in one process, for looking at it: embedded Redis, a directory store, a worker and the web console.
type devCmd struct {
	Addr  string `help:"Address of the console; one that others can reach needs a token." default:"127.0.0.1:9900" placeholder:"HOST:PORT"`
	Token string `help:"Opens the console, 16 characters or more. Set it in the environment." json:"-" secret:""`
	JSON  bool   `help:"Print the console's address, and then each finished message's event, as one JSON object a line."`
	Store string `env:"NINEFOLD_STORE" help:"Directory of uploads and parts; they stay there." default:"ninefold-store" placeholder:"DIR"`

	EngineSettings `embed:"" group:"engine"`
	ModelSettings  `embed:"" group:"models"`
}

// devRetry is the pause before another try: whoever looks wants to see how it ends.
const devRetry = time.Second

func (c *devCmd) Run(a *app) error {
	store, err := openDir("--store", c.Store)
	if err != nil {
		return err
	}
	defer store.Close()
	watchers, err := watch(a, c.Model)
	if err != nil {
		return err
	}
	defer watchers.traces.Close()
	svc, err := openService(a, c.EngineSettings, c.ModelSettings, store, store, c.drawBy(store, false), watchers.pipeline)
	if err != nil {
		return err
	}
	defer svc.Close()
	url, stop, err := queue.StartEmbedded()
	if err != nil {
		return err
	}
	defer stop()
	cfg := devQueue(url)
	cfg.Log, cfg.Observer = a.log.logger(a), watchers.queue()
	return c.run(a, cfg, svc, store, watchers)
}

// devQueue is the queue of a process that somebody looks at. It is polled as seldom as a worker's: each look costs the embedded Redis a run
// of asynq's script, and looks every 20 ms cost an idle process 14 % of a core, these 3 %.
func devQueue(url string) queue.Config {
	cfg := queue.DefaultConfig()
	cfg.RedisURL, cfg.Embedded, cfg.Drain = url, true, time.Second
	cfg.Attempts, cfg.RetryFirst, cfg.RetryMost = 3, devRetry, devRetry
	return cfg
}

// run serves the console beside a worker until it is told to stop.
func (c *devCmd) run(a *app, cfg queue.Config, svc *service, store pipeline.Store, w *watchers) error {
	client, err := queue.NewClient(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	server, err := queue.NewServer(cfg, svc.pipeline)
	if err != nil {
		return err
	}
	w.metrics.Watch(client.Load, server.Admission)
	pages, err := c.pages(consoleConfig(client, store, svc, c.ModelSettings, cfg.Log), w.metrics.Handler(cfg.Log))
	if err == nil {
		var page *admin
		if page, err = serve("--addr", c.Addr, cfg.Log, pages); err == nil {
			defer page.Close()
			err = c.greet(a, page.addr)
		}
	}
	if err != nil {
		return errors.Join(err, server.Shutdown(a.ctx))
	}
	return together(a.ctx, server.Run, func(ctx context.Context) error { return queue.Subscribe(ctx, cfg, c.told(a)) })
}

// greet says where the console is.
func (c *devCmd) greet(a *app, addr string) error {
	if c.JSON {
		return printLine(a.stdout, map[string]string{"console": "http://" + addr + "/", "metrics": "http://" + addr + "/metrics", "store": c.Store})
	}
	_, err := fmt.Fprintf(a.stdout, "Ninefold console: http://%s/\n"+
		"Metrics are at /metrics. Uploads and parts stay in %s. The queue is in this process: it forgets its jobs when it ends (Ctrl-C).\n",
		addr, c.Store)
	return err
}

// together runs both until parent ends or one of them does. To be told to stop, even while starting, is no trouble.
func together(parent context.Context, one, other func(context.Context) error) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	ended := make(chan error, 2)
	for _, f := range []func(context.Context) error{one, other} {
		go func() {
			defer cancel()
			ended <- f(ctx)
		}()
	}
	err := errors.Join(<-ended, <-ended)
	if parent.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// told prints a line for every finished message: the event that a messaging product would receive.
func (c *devCmd) told(a *app) func(context.Context, queue.Event) error {
	return func(_ context.Context, e queue.Event) error {
		if c.JSON {
			return printLine(a.stdout, e)
		}
		m := e.Manifest
		_, err := fmt.Fprintf(a.stdout, "%s %s: %s, %d parts, %s\n", queue.EventType, m.JobID, m.Status, len(m.Parts),
			m.FinishedAt.Sub(m.CreatedAt).Round(time.Millisecond))
		return err
	}
}

// pages puts the guard before the console and the metrics that addr needs.
func (c *devCmd) pages(cfg console.Config, scrape http.Handler) (http.Handler, error) {
	cfg.Uploads = cfg.Store
	cfg.About.Note = "Development: the queue keeps nothing when this process ends"
	page := console.New(cfg)
	if c.Token == "" {
		if !guard.IsLoopback(c.Addr) {
			return nil, &exitError{exitUsage, fmt.Errorf("--addr %s can be reached by others; set --token, or use 127.0.0.1", c.Addr)}
		}
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", scrape)
		mux.Handle("/", page)
		return guard.Loopback(mux), nil
	}
	mounts := []mount{{pattern: "/", token: true, handler: page}, {pattern: "GET /metrics", handler: scrape}}
	handler, err := AdminSettings{AdminToken: c.Token}.handler(mounts)
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("--token: %w", err)}
	}
	return handler, nil
}

// consoleConfig is a console that shows what the store and the queue hold.
func consoleConfig(client *queue.Client, store pipeline.Store, svc *service, m ModelSettings, log *slog.Logger) console.Config {
	audience := svc.pipeline.Audience
	if _, job := audience.(pipeline.JobAudience); job {
		audience = nil // a job that a view is asked of is not the one that was sent
	}
	return console.Config{
		Audience: audience, Wanted: screenings{client, log},
		Jobs: client, Store: store, Caps: svc.caps, Policy: svc.policy, NewID: func() string { return ulid.Make().String() },
		About: console.About{Version: version, Model: m.Model}, Log: log,
	}
}
