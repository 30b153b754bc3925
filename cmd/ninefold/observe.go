package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/ninefold/ninefold/cmd/ninefold/health"
	"github.com/ninefold/ninefold/cmd/ninefold/metrics"
	"github.com/ninefold/ninefold/cmd/ninefold/traces"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
	"github.com/ninefold/ninefold/transcode/sandbox"
)

// watchers are who a worker tells of what it does.
type watchers struct {
	metrics *metrics.Metrics
	traces  *traces.Traces
}

// watch begins to count and to trace, with the classifier's id for what is counted.
func watch(a *app, model string) (*watchers, error) {
	t, err := traces.Start(a.ctx, version, a.log.logger(a))
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	w := &watchers{metrics: metrics.New(version, model), traces: t}
	a.engines = w.metrics
	return w, nil
}

// pipeline is an option of openService. Traces come first: what they put into the context is there for the others.
func (w *watchers) pipeline(deps *pipeline.Deps) error {
	deps.Observer = pipeline.Observers{w.traces, w.metrics}
	return nil
}

func (w *watchers) queue() queue.Observer { return queue.Observers{w.traces, w.metrics} }

// How long an answer counts. Redis is asked at every probe; to write to the store, or to start an engine, costs something.
const (
	redisEvery   = time.Second
	storeEvery   = 15 * time.Second
	sandboxEvery = time.Minute
	modelEvery   = 24 * time.Hour // it passed its self-test at start, or the worker would not be there
)

// health is what the worker cannot work without.
func (c *workerCmd) health(a *app, client *queue.Client, svc *service, store, sources pipeline.Store) *health.Health {
	return health.New(a.ctx.Done(),
		health.Check{Name: "redis", Every: redisEvery, Do: func(ctx context.Context) (string, error) {
			return "answers, keeps what it is given and takes writes", client.Check(ctx)
		}},
		health.Check{Name: "store", Every: storeEvery, Do: func(ctx context.Context) (string, error) {
			if err := store.Check(ctx); err != nil {
				return "", err
			}
			return "wrote, read and listed; originals can be read", checkSources(ctx, store, sources)
		}},
		health.Check{Name: "model", Every: modelEvery, Do: func(context.Context) (string, error) {
			if c.Model == "none" {
				return "switched off: what is sent to protected recipients is withheld", nil
			}
			return svc.model.ID + " passed its self-test", nil
		}},
		health.Check{Name: "sandbox", Every: sandboxEvery, Do: func(ctx context.Context) (string, error) {
			return "an engine starts, confined as --sandbox " + c.Sandbox + " asks, and answers", sound(ctx, svc.engines)
		}},
	)
}

// sound starts an engine of each kind and asks what it can do.
func sound(ctx context.Context, engines *sandbox.Pool) error {
	checks, err := engines.Inspect(ctx)
	if err != nil {
		return fmt.Errorf("%w; set --engine or --scratch", err)
	}
	for _, ch := range checks {
		if !ch.OK {
			return fmt.Errorf("%s: %s", ch.Name, ch.Detail)
		}
	}
	return nil
}

// probes are the pages that need no token: they name no message, nobody and no address. What trusted lets through is told why.
func probes(h *health.Health, scrape http.Handler, trusted func(*http.Request) bool) []mount {
	return []mount{
		{pattern: "GET /livez", handler: h.Live()},
		{pattern: "GET /readyz", handler: h.Ready(trusted)},
		{pattern: "GET /metrics", handler: scrape},
	}
}
