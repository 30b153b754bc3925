package main

import (
	"fmt"
	"log/slog"

	"github.com/ninefold/ninefold/queue"
)

// workerCmd takes jobs until it is told to stop.
type workerCmd struct {
	WorkSettings   `embed:"" group:"queue"`
	QueueSettings  `embed:"" group:"queue"`
	StoreSettings  `embed:"" group:"store"`
	EngineSettings `embed:"" group:"engine"`
	ModelSettings  `embed:"" group:"models"`
}

// Run returns when SIGTERM or an interrupt has been answered: jobs in work were finished or handed back.
func (c *workerCmd) Run(a *app) error {
	a.logLevel = slog.LevelInfo
	store, sources, err := c.openStores()
	if err != nil {
		return err
	}
	if err := store.Check(a.ctx); err != nil {
		return fmt.Errorf("store: %w; set --store or the --s3 settings", err)
	}
	svc, err := openService(a, c.EngineSettings, c.ModelSettings, sources, store)
	if err != nil {
		return err
	}
	defer svc.Close()
	cfg := c.into(c.queueConfig())
	cfg.Log = a.log.logger(a)
	server, err := queue.NewServer(cfg, svc.pipeline)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	cfg.Log.Info("worker starts", slog.String("version", version), slog.String("store", c.Store), slog.String("model", c.Model))
	return server.Run(a.ctx)
}
