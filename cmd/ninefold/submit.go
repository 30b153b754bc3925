package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// submitCmd queues a job.
type submitCmd struct {
	Job  string `arg:"" help:"Job file, or - for standard input." name:"job"`
	Wait bool   `help:"Follow the job to its end; then exit as process does."`
	JSON bool   `help:"Print the receipt, or with --wait the manifest, as JSON."`

	QueueSettings `embed:"" group:"queue"`
}

func (c *submitCmd) Run(a *app) error {
	job, err := readJob(c.Job)
	if err != nil {
		return refusal(err)
	}
	client, err := queue.NewClient(c.queueConfig())
	if err != nil {
		return &exitError{exitUsage, err}
	}
	defer client.Close()
	receipt, err := client.Submit(a.ctx, job)
	if err != nil {
		return refusal(err)
	}
	if c.Wait {
		return follow(a, client, receipt.JobID, c.JSON)
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

// follow waits for a job's end and shows what came out.
func follow(a *app, client *queue.Client, jobID string, asJSON bool) error {
	s, err := client.Wait(a.ctx, jobID, jobProgress(a.stderr))
	if err != nil {
		return err
	}
	if s.Manifest == nil {
		return fmt.Errorf("job %s failed: %s", jobID, s.LastError)
	}
	return show(a, *s.Manifest, asJSON, "")
}

// statusCmd says how a job stands.
type statusCmd struct {
	ID   string `arg:"" help:"Job id." name:"job-id"`
	JSON bool   `help:"Print all that is known, as JSON."`

	QueueSettings `embed:"" group:"queue"`
}

func (c *statusCmd) Run(a *app) error {
	client, err := queue.NewClient(c.queueConfig())
	if err != nil {
		return &exitError{exitUsage, err}
	}
	defer client.Close()
	s, err := client.Status(a.ctx, c.ID)
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
		fmt.Fprintf(w, "  %s: %s %.0f %%\n", p.ItemID, p.Stage, p.Percent)
	}
}
