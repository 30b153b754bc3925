package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// demoCmd sends one message through everything: an embedded Redis, a worker, engines, the classifier and a directory store.
type demoCmd struct {
	Media string `help:"Directory with job.json and the uploads it names, as docker/demo-media.sh makes it." default:"${demo}" placeholder:"DIR"`
	Out   string `help:"Directory of the store; what it holds of an earlier demo is used again." default:"${demo}/store" placeholder:"DIR"`
	JSON  bool   `help:"Print the manifest alone, as JSON."`

	EngineSettings `embed:"" group:"engine"`
	ModelSettings  `embed:"" group:"models"`
}

// demoWithin bounds the whole demo: a machine that needs longer has something wrong with it.
const demoWithin = 10 * time.Minute

func (c *demoCmd) Run(a *app) error {
	ctx, cancel := context.WithTimeout(a.ctx, demoWithin)
	defer cancel()
	a.ctx = ctx
	job, err := c.job()
	if err != nil {
		return err
	}
	store, err := openDir("--out", c.Out)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := c.upload(ctx, job, store); err != nil {
		return err
	}
	svc, err := openService(a, c.EngineSettings, c.ModelSettings, store, store)
	if err != nil {
		return err
	}
	defer svc.Close()
	event, err := c.send(a, job, svc)
	if err != nil {
		return err
	}
	return c.show(a, event)
}

// job reads the demo's job and gives it an id of its own, so that every demo is a new message.
func (c *demoCmd) job() (pipeline.Job, error) {
	data, err := os.ReadFile(filepath.Join(c.Media, "job.json"))
	if err != nil {
		return pipeline.Job{}, fmt.Errorf("demo: %w; make the media with docker/demo-media.sh %s", err, c.Media)
	}
	job, err := pipeline.DecodeJob(bytes.NewReader(data))
	if err != nil {
		return pipeline.Job{}, err
	}
	job.JobID = ulid.Make().String()
	job.MessageID = "m_" + job.JobID
	return job, nil
}

// upload does what an upload API does: it puts the originals under the job's source keys.
func (c *demoCmd) upload(ctx context.Context, job pipeline.Job, store pipeline.Store) error {
	for _, it := range job.Items {
		if err := uploadFile(ctx, store, it.Source.Key, filepath.Join(c.Media, it.Source.Key)); err != nil {
			return err
		}
	}
	return nil
}

func uploadFile(ctx context.Context, store pipeline.Store, key, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return store.Put(ctx, key, f, size, pipeline.PutOptions{ContentType: "application/octet-stream", SHA256: hex.EncodeToString(sum.Sum(nil))})
}

// send queues the job, has a worker take it, and returns the event that a messaging product would receive.
func (c *demoCmd) send(a *app, job pipeline.Job, svc *service) (queue.Event, error) {
	url, stop, err := queue.StartEmbedded()
	if err != nil {
		return queue.Event{}, err
	}
	defer stop()
	cfg := queue.DefaultConfig()
	cfg.RedisURL, cfg.Embedded, cfg.Log = url, true, a.log.logger(a)
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()

	ended := make(chan error, 2)
	events := make(chan queue.Event, 1)
	server, err := queue.NewServer(cfg, svc.pipeline)
	if err != nil {
		return queue.Event{}, err
	}
	go func() { ended <- server.Run(ctx) }()
	go func() { ended <- queue.Subscribe(ctx, cfg, receive(events)) }()

	if err := c.submit(ctx, a, cfg, job); err != nil {
		return queue.Event{}, err
	}
	select {
	case event := <-events:
		cancel()
		return event, errors.Join(<-ended, <-ended)
	case err := <-ended:
		return queue.Event{}, errors.Join(errors.New("demo: the worker ended before the message was ready"), err)
	case <-ctx.Done():
		return queue.Event{}, ctx.Err()
	}
}

func receive(events chan<- queue.Event) func(context.Context, queue.Event) error {
	return func(ctx context.Context, e queue.Event) error {
		select {
		case events <- e:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *demoCmd) submit(ctx context.Context, a *app, cfg queue.Config, job pipeline.Job) error {
	client, err := queue.NewClient(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	receipt, err := client.Submit(ctx, job)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.talk(a), "job %s is on queue %q: %d items for %d recipients\n", receipt.JobID, receipt.Class, len(job.Items), len(job.Recipients))
	view := viewOn(a.stderr, true)
	defer view.close()
	_, err = client.Wait(ctx, receipt.JobID, showJob(view))
	return err
}

// talk is where everything but the result goes.
func (c *demoCmd) talk(a *app) io.Writer {
	if c.JSON {
		return a.stderr
	}
	return a.stdout
}

func (c *demoCmd) show(a *app, e queue.Event) error {
	path := filepath.Join(c.Out, "event.json")
	if err := writeJSON(path, e); err != nil {
		return err
	}
	took := e.Manifest.FinishedAt.Sub(e.Manifest.CreatedAt).Round(time.Millisecond)
	fmt.Fprintf(c.talk(a), "event %s of type %s arrived; the worker took %s\n", e.ID, queue.EventType, took)
	err := show(a, e.Manifest, c.JSON, c.Out)
	fmt.Fprintf(c.talk(a), "manifest  %s\nevent     %s\n", filepath.Join(c.Out, pipeline.ManifestKey(e.Manifest.JobID)), path)
	return err
}
