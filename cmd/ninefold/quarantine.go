package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ninefold/ninefold/queue"
)

// quarantineCmd looks after what was put aside: jobs that ended their workers or that were given up, content that crashed engines, and
// events that the webhook never took.
type quarantineCmd struct {
	List    quarantineListCmd    `cmd:"" help:"List what is in quarantine, the latest first."`
	Show    quarantineShowCmd    `cmd:"" help:"Print one record, with the job or the event in it."`
	Release quarantineReleaseCmd `cmd:"" help:"Let it try again: a content is decoded again, a job runs again under a new id (ID-r1), an event is delivered again."`
	Drop    quarantineDropCmd    `cmd:"" help:"Forget a record; a content stays barred until thirty days after its last crash."`
}

// Help is the long form of the command's help.
func (c *quarantineCmd) Help() string {
	return `What is put aside: a job that ended its worker or used up every try, a content that crashed three engines, an event the webhook never
took. Each record says why. Releasing one lets it try again; dropping one forgets it.

A message that was rejected while its content was barred stays rejected when the content is released: its recipients have had their event.
Do it again with

  ninefold reprocess --rejected --ids FILE     job ids, one a line`
}

type quarantineListCmd struct {
	JSON          bool `help:"One JSON object a record, on a line of its own."`
	QueueSettings `embed:"" group:"queue"`
}

func (c *quarantineListCmd) Run(a *app) error {
	client, err := c.client(a.ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	var all []queue.Quarantined
	err = client.Quarantine(a.ctx, func(q queue.Quarantined) error {
		q.Payload = nil // show prints it
		all = append(all, q)
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(x, y queue.Quarantined) int { return cmp.Or(y.At.Compare(x.At), cmp.Compare(x.ID, y.ID)) })
	if c.JSON {
		for _, q := range all {
			if err := printLine(a.stdout, q); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(a.stdout, "nothing is in quarantine")
		return err
	}
	for _, q := range all { // an id may be 64 digits, which somebody will want to copy: no table
		_, err := fmt.Fprintf(a.stdout, "%s\n  %s, crashes: %d, since %s\n  %s\n", q.ID, q.Kind, q.Crashes, q.At.Format(time.RFC3339), q.Reason)
		if err != nil {
			return err
		}
	}
	return nil
}

// printLine prints v as one line of JSON.
func printLine(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

// unknownRecord gives an id that is not there the exit code of wrong usage.
func unknownRecord(err error) error {
	if errors.Is(err, queue.ErrNotQuarantined) {
		return &exitError{exitUsage, fmt.Errorf("%w; list them with: ninefold quarantine list", err)}
	}
	return refusal(err)
}

type quarantineShowCmd struct {
	ID            string `arg:"" help:"Job id, SHA-256 of a content, or event id."`
	JSON          bool   `help:"As one line of JSON."`
	QueueSettings `embed:"" group:"queue"`
}

func (c *quarantineShowCmd) Run(a *app) error {
	client, err := c.client(a.ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	q, err := client.Quarantined(a.ctx, c.ID)
	if err != nil {
		return unknownRecord(err)
	}
	if c.JSON {
		return printLine(a.stdout, q)
	}
	return printJSON(a.stdout, q)
}

type quarantineReleaseCmd struct {
	ID            string `arg:"" help:"Job id, SHA-256 of a content, or event id."`
	JSON          bool   `help:"Print the receipt as JSON."`
	QueueSettings `embed:"" group:"queue"`
}

func (c *quarantineReleaseCmd) Run(a *app) error {
	client, err := c.client(a.ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	receipt, err := client.Release(a.ctx, c.ID)
	if err != nil {
		return unknownRecord(err)
	}
	if c.JSON {
		return printLine(a.stdout, receipt)
	}
	if receipt.State == "" {
		_, err = fmt.Fprintf(a.stdout, "released %s\n", c.ID)
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "released %s; it runs as job %s\n", c.ID, receipt.JobID)
	return err
}

type quarantineDropCmd struct {
	ID            string `arg:"" help:"Job id, SHA-256 of a content, or event id."`
	JSON          bool   `help:"Print the dropped record as JSON."`
	QueueSettings `embed:"" group:"queue"`
}

func (c *quarantineDropCmd) Run(a *app) error {
	client, err := c.client(a.ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	q, err := client.Quarantined(a.ctx, c.ID)
	if err == nil {
		err = client.Drop(a.ctx, c.ID)
	}
	if err != nil {
		return unknownRecord(err)
	}
	if c.JSON {
		return printLine(a.stdout, q)
	}
	_, err = fmt.Fprintf(a.stdout, "dropped %s\n", c.ID)
	return err
}
