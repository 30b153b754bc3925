package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/oklog/ulid/v2"

	"github.com/ninefold/ninefold/pipeline"
)

// processCmd runs one message in this process.
type processCmd struct {
	Files []string `arg:"" optional:"" help:"Photos, videos or a voice note, in order; sent to one adult with the filter off." name:"file"`
	Job   string   `help:"Job file; its source keys are paths beside it." placeholder:"FILE"`
	Out   string   `required:"" help:"Directory for manifest.json and the renditions." placeholder:"DIR"`
	JSON  bool     `help:"Print the manifest instead of a table."`

	EngineSettings `embed:"" group:"engine"`
	ModelSettings  `embed:"" group:"models"`
}

func (c *processCmd) Run(a *app) error {
	if (c.Job == "") == (len(c.Files) == 0) {
		return &exitError{exitUsage, errors.New("process: name files, or a job with --job, and not both")}
	}
	job, sources, err := c.job()
	if err != nil {
		return c.refuse(a, err)
	}
	store, err := openDir("--out", c.Out)
	if err != nil {
		return err
	}
	defer store.Close()
	c.EngineWarm = 0 // one message: no engine is started ahead of another one
	svc, err := openService(a, c.EngineSettings, c.ModelSettings, sources, store)
	if err != nil {
		return err
	}
	defer svc.Close()
	m, err := c.run(a, svc, job)
	if err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(c.Out, "manifest.json"), m); err != nil {
		return err
	}
	return show(a, m, c.JSON, c.Out)
}

// run makes one attempt. Nobody tries again by itself, so our own trouble is the caller's to see and commits nothing; only missing
// scores are decided upon as they are, as a worker's last attempt does.
func (c *processCmd) run(a *app, svc *service, job pipeline.Job) (pipeline.Manifest, error) {
	view := viewOn(a.stderr, true)
	defer view.close()
	opts := pipeline.RunOptions{Progress: view.show}
	m, err := svc.pipeline.Run(a.ctx, job, opts)
	if err != nil && pipeline.AsError(err).Code == pipeline.CodeClassifierUnavailable {
		opts.Final = true
		return svc.pipeline.Run(a.ctx, job, opts)
	}
	return m, err
}

// refuse reports a job that could not be read: the whole message is rejected, and there is nothing to write a manifest for.
func (c *processCmd) refuse(a *app, err error) error {
	var coded *pipeline.Error
	if !errors.As(err, &coded) {
		return err
	}
	if coded.Code.Trouble() { // the file cannot be read
		return &exitError{exitUsage, fmt.Errorf("--job: %w", coded.Err)}
	}
	if c.JSON {
		if err := json.NewEncoder(a.stdout).Encode(map[string]any{"status": pipeline.StatusRejected, "error": coded.Failure()}); err != nil {
			return err
		}
	}
	return &exitError{exitRejected, err}
}

func (c *processCmd) job() (pipeline.Job, pipeline.SourceStore, error) {
	if c.Job == "" {
		job, sources := filesJob(c.Files)
		return job, sources, job.Validate()
	}
	f, err := os.Open(c.Job)
	if err != nil {
		return pipeline.Job{}, nil, &exitError{exitUsage, err}
	}
	defer f.Close()
	job, err := pipeline.DecodeJob(f)
	dir := filepath.Dir(c.Job)
	return job, pathSource{func(key string) (string, bool) { return filepath.Join(dir, filepath.FromSlash(key)), true }}, err
}

// filesJob is one message from one adult to another, who has a filter: whoever tries a file wants to know what is found in it.
func filesJob(files []string) (pipeline.Job, pipeline.SourceStore) {
	id := ulid.Make().String()
	job := pipeline.Job{
		Schema: pipeline.JobSchema, JobID: id, MessageID: "m_" + id, Conversation: pipeline.Conversation{ID: "local", Kind: pipeline.Direct},
		Sender: pipeline.Sender{ID: "sender", AgeBand: pipeline.Adult},
		Recipients: []pipeline.Recipient{{
			ID: "recipient", AgeBand: pipeline.Adult, Contact: pipeline.ContactAccepted,
			NudityFilter: pipeline.FilterBlur,
		}},
	}
	paths := map[string]string{}
	for i, path := range files {
		key := fmt.Sprintf("files/%d", i+1)
		paths[key] = path
		job.Items = append(job.Items, pipeline.Item{ID: fmt.Sprintf("i%d", i+1), Kind: pipeline.KindAuto, Source: pipeline.Source{Key: key}})
	}
	return job, pathSource{func(key string) (string, bool) { p, ok := paths[key]; return p, ok }}
}

// printJSON writes a document for people and programs alike.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// show prints a manifest and turns its status into the exit code.
func show(a *app, m pipeline.Manifest, asJSON bool, root string) error {
	if asJSON {
		if err := printJSON(a.stdout, m); err != nil {
			return err
		}
	} else {
		printManifest(a.stdout, m, root)
	}
	switch m.Status {
	case pipeline.StatusPartial:
		return &exitError{code: exitPartial}
	case pipeline.StatusRejected:
		return &exitError{code: exitRejected}
	}
	return nil
}
