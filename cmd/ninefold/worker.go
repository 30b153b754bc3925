package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/ninefold/ninefold/cmd/ninefold/console"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/s3store"
	"github.com/ninefold/ninefold/queue"
)

// workerCmd takes jobs until it is told to stop.
type workerCmd struct {
	AdminSettings  `embed:"" group:"admin"`
	WorkSettings   `embed:"" group:"queue"`
	QueueSettings  `embed:"" group:"queue"`
	StoreSettings  `embed:"" group:"store"`
	EngineSettings `embed:"" group:"engine"`
	ModelSettings  `embed:"" group:"models"`

	AudienceSettings `embed:"" group:"audience"`
	AuditSettings    `embed:"" group:"audience"`
}

// Run returns when SIGTERM or an interrupt has been answered: jobs in work were finished or handed back.
func (c *workerCmd) Run(a *app) error {
	a.logLevel = slog.LevelInfo
	if err := c.serves(); err != nil {
		return err
	}
	c.credentials = c.remote()
	store, sources, err := c.openStores()
	if err != nil {
		return err
	}
	watchers, err := watch(a, c.Model)
	if err != nil {
		return err
	}
	defer watchers.traces.Close()
	svc, err := openService(a, c.EngineSettings, c.ModelSettings, sources, store, c.directory, c.key, c.drawBy(store, false), watchers.pipeline)
	if err != nil {
		return err
	}
	defer svc.Close()
	if err := c.ready(a, svc, store, sources); err != nil {
		return err
	}
	if err := a.forgetSecrets(); err != nil { // the stores have answered: their credentials are read
		return err
	}
	return c.work(a, svc, watchers, store, sources)
}

// work takes jobs, beside the worker's own pages, until it is told to stop.
func (c *workerCmd) work(a *app, svc *service, watchers *watchers, store, sources pipeline.Store) error {
	cfg := c.into(c.queueConfig())
	cfg.Log, cfg.Observer = a.log.logger(a), watchers.queue()
	suspects, err := queue.NewSuspects(cfg)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	defer suspects.Close()
	svc.pipeline.Suspects = suspects
	senders, err := queue.NewSenders(cfg)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	defer senders.Close()
	svc.pipeline.Allowance = senders
	first, err := svc.paces(a.ctx)
	if err != nil {
		return err
	}
	paces, err := queue.NewPaces(cfg, first)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	defer paces.Close()
	svc.pipeline.Paces = paces
	server, err := queue.NewServer(cfg, svc.pipeline)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	pages, err := c.pages(a, cfg, server, svc, watchers, store, sources)
	if err != nil {
		return errors.Join(err, server.Shutdown(a.ctx))
	}
	defer pages.Close()
	cfg.Log.Info("worker starts", slog.String("version", version), slog.String("store", c.Store), slog.String("model", c.Model),
		slog.String("admin", pages.addr))
	return c.attend(a.ctx, server, cfg.Log)
}

// attend takes jobs until ctx ends, and says that it stops and that it has stopped. To be told so while it starts is no trouble.
func (c *workerCmd) attend(ctx context.Context, server *queue.Server, log *slog.Logger) error {
	told := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		log.Info("worker stops: it takes nothing more and finishes what it has", slog.Duration("drain", c.Drain))
		close(told)
	})
	defer forget()
	err := server.Run(ctx)
	if ctx.Err() == nil {
		return err
	}
	<-told
	if err == nil || errors.Is(err, context.Canceled) {
		log.Info("worker stopped")
		return nil
	}
	return err
}

// pages starts everything the admin port serves: a new page is a line in the list of mounts.
func (c *workerCmd) pages(a *app, cfg queue.Config, server *queue.Server, svc *service, w *watchers, store, sources pipeline.Store) (*admin, error) {
	client, err := queue.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	queues, err := openQueues(cfg)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	w.metrics.Watch(client.Load, server.Admission)
	pages := console.New(consoleConfig(client, store, svc, c.ModelSettings, cfg.Log))
	mounts := append(probes(c.health(a, client, svc, store, sources), w.metrics.Handler(cfg.Log), c.trusted),
		mount{pattern: "GET /{$}", token: true, handler: http.RedirectHandler("/console/", http.StatusSeeOther)},
		mount{pattern: "/console/", token: true, handler: http.StripPrefix("/console", pages)}, // read-only: no store for uploads
		mount{pattern: queuesPath + "/", token: true, handler: readOnly(queues)},
	)
	port, err := startAdmin(c.AdminSettings, cfg.Log, mounts)
	if err != nil {
		return nil, errors.Join(err, queues.Close(), client.Close())
	}
	port.closers = []func() error{queues.Close, client.Close}
	return port, nil
}

// ready refuses to take jobs that this deployment could only fail. The queue checks Redis itself.
func (c *workerCmd) ready(a *app, svc *service, store, sources pipeline.Store) error {
	if err := store.Check(a.ctx); err != nil {
		return misset(fmt.Errorf("store: %w; set --store or the --s3 settings", err))
	}
	if err := checkSources(a.ctx, store, sources); err != nil {
		return misset(fmt.Errorf("sources: %w; set --sources or the --s3 settings", err))
	}
	return errors.Join(sound(a.ctx, svc.engines), proven(a.ctx, svc.engines))
}

// misset gives what only another setting mends the exit code of a wrong one; what may pass by itself keeps that of trouble.
func misset(err error) error {
	if errors.Is(err, s3store.ErrSetting) {
		return &exitError{exitUsage, err}
	}
	return err
}

// checkSources proves that originals can be read, where they lie apart from the parts.
func checkSources(ctx context.Context, store, sources pipeline.Store) error {
	if sources == store {
		return nil
	}
	return checkReadable(ctx, sources)
}

func checkReadable(ctx context.Context, store pipeline.Store) error {
	if s, ok := store.(interface{ CheckSource(context.Context) error }); ok {
		return s.CheckSource(ctx)
	}
	return store.List(ctx, "ninefold-check/", func(pipeline.Object) error { return nil })
}
