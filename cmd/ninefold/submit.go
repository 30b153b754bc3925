package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// submitCmd queues a job.
type submitCmd struct {
	Job  string `arg:"" help:"Job file, or - for standard input." name:"job"`
	Wait bool   `help:"Follow the job to its end; then exit as process does."`
	JSON bool   `help:"Print the receipt, or with --wait the manifest, as JSON."`

	Traceparent string `env:"TRACEPARENT" help:"W3C trace that the job belongs to; the worker's spans and the event continue it." placeholder:"00-…"`

	QueueSettings `embed:"" group:"queue"`
}

func (c *submitCmd) Run(a *app) error {
	job, err := readJob(c.Job)
	if err != nil {
		return refusal(err)
	}
	client, err := c.client(a.ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	receipt, err := client.Submit(pipeline.WithTrace(a.ctx, c.Traceparent), job)
	if err != nil {
		return refusal(err)
	}
	if c.Wait {
		return follow(a, client, receipt, c.JSON)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(receipt)
	}
	_, err = fmt.Fprintf(a.stdout, "job %s: %s\n", receipt.JobID, receipt.State)
	return err
}

func readJob(path string) (pipeline.Job, error) {
	if path == "-" {
		return pipeline.DecodeJob(os.Stdin)
	}
	f, err := os.Open(path)
	if err != nil {
		return pipeline.Job{}, &exitError{exitUsage, err}
	}
	defer f.Close()
	return pipeline.DecodeJob(f)
}

// refusal gives a job that is refused the exit code of a rejected message.
func refusal(err error) error {
	var coded *pipeline.Error
	if errors.As(err, &coded) && !coded.Code.Trouble() {
		return &exitError{exitRejected, err}
	}
	return err
}

// unheard is how long a job may lie in its queue before it is asked whether anybody listens.
const unheard = 2 * time.Second

// follow waits for a job's end, shows how far it is, and prints what came out.
func follow(a *app, client *queue.Client, receipt queue.Receipt, asJSON bool) error {
	view := viewOn(a.stderr, asJSON)
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()
	taken := make(chan struct{})
	started := sync.OnceFunc(func() { close(taken) })
	var asking sync.WaitGroup
	asking.Go(func() { warnUnheard(ctx, client, receipt.Class, taken, view) })
	s, err := client.Wait(ctx, receipt.JobID, func(s queue.Status) {
		if s.State != queue.Queued {
			started()
		}
		showJob(view)(s)
	})
	cancel()
	asking.Wait()
	view.close()
	switch {
	case err != nil:
		return err
	case s.State == queue.Failed:
		return fmt.Errorf("job %s failed: %s", receipt.JobID, s.LastError)
	case s.Manifest == nil:
		return fmt.Errorf("job %s is done; its event is no longer known: the manifest is in the store, as %s", receipt.JobID, pipeline.ManifestKey(receipt.JobID))
	}
	return show(a, *s.Manifest, asJSON, "")
}

// warnUnheard says so when a job lies in a queue that no worker listens to.
func warnUnheard(ctx context.Context, client *queue.Client, class queue.Class, taken <-chan struct{}, view progressView) {
	timer := time.NewTimer(unheard)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-taken:
		return
	case <-timer.C:
	}
	if listening, err := client.Listening(ctx, class); err == nil && !listening {
		view.say(fmt.Sprintf("no worker listens to queue %q; the job waits. Start one with: ninefold worker", class))
	}
}

// statusCmd says how a job stands.
type statusCmd struct {
	ID   string `arg:"" help:"Job id." name:"job-id"`
	JSON bool   `help:"Print all that is known, as JSON."`

	QueueSettings `embed:"" group:"queue"`
}

func (c *statusCmd) Run(a *app) error {
	client, err := c.client(a.ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	s, err := client.Status(a.ctx, c.ID)
	if errors.Is(err, queue.ErrUnknownJob) {
		return &exitError{exitUsage, fmt.Errorf("%s: %w to this Redis; it forgets a job some days after its end, and everything when it is emptied: "+
			"ninefold parts asks the store", c.ID, err)}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(a.stdout, s)
	}
	printStatus(a.stdout, s)
	return nil
}

func printStatus(w io.Writer, s queue.Status) {
	fmt.Fprintf(w, "job %s: %s, class %s, attempt %d\n", s.JobID, s.State, s.Class, s.Attempt)
	if s.LastError != "" {
		fmt.Fprintf(w, "last error: %s\n", s.LastError)
	}
	if s.Manifest != nil {
		printManifest(w, *s.Manifest, "")
		return
	}
	for _, p := range s.Items {
		fmt.Fprintf(w, "  %s: %s %.0f %%%s\n", p.ItemID, p.Stage, p.Percent, left(p.EtaMS))
	}
}

// left says how long a stage will go on, nothing where that is not known.
func left(etaMS int64) string {
	if etaMS <= 0 {
		return ""
	}
	return fmt.Sprintf(", about %s left", (time.Duration(etaMS) * time.Millisecond).Round(time.Second))
}
