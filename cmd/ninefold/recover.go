package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ninefold/ninefold/cmd/ninefold/recovery"
	"github.com/ninefold/ninefold/cmd/ninefold/reprocess"
	"github.com/ninefold/ninefold/queue"
)

// recoverCmd mends what Redis has lost.
type recoverCmd struct {
	Prefix string  `help:"Job ids that begin with this." group:"select" placeholder:"TEXT"`
	Since  moment  `help:"Messages stored at this moment or later: 2026-01-31, or 2026-01-31T08:00:00Z; empty = as long ago as --retention." group:"select" placeholder:"TIME"`
	DryRun bool    `help:"Say what is missing and change nothing."`
	Rate   float64 `help:"Messages mended in a second, at most; 0 = as fast as it goes." default:"0"`
	JSON   bool    `help:"Print the report as JSON."`

	EventSource   string `help:"CloudEvents source of the published events, as the workers have it." default:"/ninefold" group:"queue"`
	QueueSettings `embed:"" group:"queue"`
	StoreSettings `embed:"" group:"store"`
}

// Help is the long form of the command's help.
func (c *recoverCmd) Help() string {
	return `Mends what Redis has lost, after it was emptied, replaced, or restored from an old copy. The store is the truth: a message that is finished
and of whose event Redis knows nothing is announced, with the event's own id, which a consumer that had it before knows; a job that is kept,
has no manifest and is on no queue is queued again. What is well is left alone, and running it twice does nothing twice.

A worker keeps a job before its first attempt, and an API that calls pipeline.KeepJob before it queues one loses none at all. Only a job that
nobody had kept must be submitted again by whoever has it. Workers log a warning when they meet a Redis that knows nothing.

  ninefold recover --dry-run                     what is missing?
  ninefold recover --rate 50                     mend it, gently
  ninefold recover --since 2026-01-31T08:00:00Z  only what was stored since then

Exit: 0 all is well now, 3 some messages could not be mended (see the report), 1 our own trouble, 2 wrong usage.`
}

func (c *recoverCmd) Run(a *app) error {
	store, err := c.existing(a.ctx)
	if err != nil {
		return err
	}
	cfg := c.queueConfig()
	cfg.Source = c.EventSource
	client, err := queue.NewClient(cfg)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	defer client.Close()
	if err := client.Check(a.ctx); err != nil {
		return err
	}
	since := time.Now().Add(-c.Retention)
	if c.Since.at != nil {
		since = *c.Since.at
	}
	report, failed := recovery.Run(a.ctx, recovery.Config{
		Store: store, Queue: client, Prefix: c.Prefix, Since: since, DryRun: c.DryRun, Pace: reprocess.Pace(c.Rate), Look: c.progress(a.stderr),
	})
	if c.JSON {
		err = printJSON(a.stdout, report)
	} else {
		c.print(a.stdout, report)
	}
	switch {
	case failed != nil && a.ctx.Err() != nil:
		return errors.New("interrupted: the same command goes on, and finds done what was done")
	case failed != nil || err != nil:
		return errors.Join(failed, err)
	case report.Failed > 0:
		return &exitError{code: exitPartial}
	}
	return nil
}

// progress says now and then how far it is.
func (c *recoverCmd) progress(w io.Writer) func(recovery.Report) {
	last := time.Now()
	return func(r recovery.Report) {
		if now := time.Now(); now.Sub(last) >= bulkLineEvery {
			last = now
			fmt.Fprintf(w, "%d messages looked at, %d announced, %d queued again\n", r.Messages, r.Announced, r.Queued)
		}
	}
}

func (c *recoverCmd) print(w io.Writer, r recovery.Report) {
	if r.Messages == 0 {
		fmt.Fprintf(w, "nothing was found: %s\n", c.nothing(c.Prefix))
		return
	}
	verb := ""
	if r.DryRun {
		verb = "to be "
	}
	t := newTable(w, "messages", "how many")
	for _, row := range []struct {
		what string
		n    int
	}{
		{"looked at", r.Messages},
		{"stored before " + r.Since.Format(time.RFC3339) + ", passed over", r.Passed},
		{"finished and announced before", r.Told},
		{"on a queue", r.Waiting},
		{"finished, " + verb + "announced now", r.Announced},
		{"not finished, " + verb + "queued again", r.Queued},
		{"not mended", r.Failed},
	} {
		t.row(row.what, row.n)
	}
	t.print()
	for _, p := range r.Problems[:min(len(r.Problems), reportShows)] {
		fmt.Fprintf(w, "%s: %s\n", p.JobID, p.Why)
	}
}
