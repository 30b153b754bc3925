package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/ninefold/ninefold/cmd/ninefold/reprocess"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/filestore"
	"github.com/ninefold/ninefold/pipeline/overlay"
	"github.com/ninefold/ninefold/queue"
)

// reprocessCmd does stored messages again.
type reprocessCmd struct {
	Prefix          string          `help:"Job ids that begin with this." group:"select" placeholder:"TEXT"`
	Since           moment          `help:"Messages that a worker took up at this moment or later: 2026-01-31, or 2026-01-31T08:00:00Z." group:"select" placeholder:"TIME"`
	Until           moment          `help:"Messages taken up before this moment." group:"select" placeholder:"TIME"`
	Kind            []pipeline.Kind `help:"Messages with a part of this kind: voice, photo or video; several with commas." group:"select" enum:"voice,photo,video"`
	PipelineVersion []string        `help:"Messages whose manifest in force was made by this version." group:"select" placeholder:"VERSION"`
	ScoredBy        []string        `help:"Messages with scores of this model, by id or SHA-256; none = photos and videos without scores." group:"select" placeholder:"ID"`
	IDs             string          `name:"ids" help:"File of job ids, one a line; - = standard input." group:"select" placeholder:"FILE"`
	Outdated        bool            `help:"Messages with a part whose scores were found by an older judge than this version's, or are not about all that is delivered." group:"select"`
	Rejected        bool            `help:"Also what was rejected: it is delivered if it is accepted now. Without it rejected messages and parts stay rejected, and the report counts them." group:"select"`

	Only     string `help:"all = renditions, verdicts and decisions; moderation = verdicts and decisions, from the renditions as they are stored." default:"all" enum:"all,moderation"`
	Force    bool   `help:"Do again even what the same profile, engine and model have done."`
	Screen   bool   `help:"Screen even what no decision of the message's audience depends on: somebody's filter was switched on, or is to be."`
	DryRun   bool   `help:"Do everything here, into a store that is thrown away, and print what would change."`
	Local    bool   `help:"Work in this process, with the engine and classifier settings below; without it workers do, on the bulk queue."`
	Announce bool   `help:"With --local: publish ninefold.parts.updated for each message that changed, over --redis-url. Workers always do."`

	Rate        float64 `help:"Messages begun in a second, at most; 0 = as fast as it goes." default:"0"`
	Concurrency int     `help:"Messages in work, or waiting on the bulk queue, at the same time, 1 to 256." default:"${cores}"`
	Journal     string  `help:"File of finished messages; empty = ninefold-reprocess-DIGEST.jsonl here, the digest being that of the selection and of what is done; a dry run keeps one only if it is named." placeholder:"FILE"`
	Resume      bool    `help:"Go on where a run with the same journal stopped; --no-resume begins anew." default:"true" negatable:""`
	Unused      bool    `help:"At the end, read every manifest and list the renditions that none names any more. Nothing is deleted." default:"true" negatable:""`
	JSON        bool    `help:"Print the report as JSON."`

	QueueSettings    `embed:"" group:"queue"`
	StoreSettings    `embed:"" group:"store"`
	EngineSettings   `embed:"" group:"engine"`
	ModelSettings    `embed:"" group:"models"`
	AudienceSettings `embed:"" group:"audience"`
	AuditSettings    `embed:"" group:"audience"`
}

// Help is the long form of the command's help.
func (c *reprocessCmd) Help() string {
	return `Does stored messages again: with new settings, a new version or another model. All selecting flags that are set must hold; with none,
every message is meant. A message that comes out differently gets a new manifest beside the old one (revisions/JOB/000002.json) and one event
ninefold.parts.updated; one that does not stays as it is. A part that cannot be made again, because its original is gone for one, stays too,
and only stricter decisions about it count. It is made of the original that was sent: where another file lies under its key now, it stays as
it is (source_changed). A look that covers less than the one in force makes nothing milder (weaker_evidence). What nobody's decision depends
on is not looked at, unless --screen is given. What was rejected stays rejected, counted in the report as "left rejected", unless --rejected is
given. Originals and old renditions are never deleted.

Interrupted by Ctrl-C or a crash, the same command goes on where it stopped: each finished message is a line of the journal.

  ninefold reprocess --dry-run --kind video --since 2026-01-01            what would change?
  ninefold reprocess --scored-by nsfwjs-mobilenet-v2 --only moderation    new verdicts, by the model of the workers
  ninefold reprocess --outdated --only moderation                         after an upgrade whose judge is a newer one
  ninefold reprocess --local --model nsfwjs-inception-v3 --ids ids.txt    here, without a queue

Exit: 0 all done, 3 some messages or parts stay as they were (see the report), 1 interrupted or our own trouble, 2 wrong usage.`
}

// moment is a day or a time.
type moment struct{ at *time.Time }

// UnmarshalText reads 2026-01-31 as the beginning of that day, UTC, or RFC 3339.
func (m *moment) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, string(text)); err == nil {
			t = t.UTC()
			m.at = &t
			return nil
		}
	}
	return fmt.Errorf("want a day as 2026-01-31 or a time as 2026-01-31T08:00:00Z, got %q", text)
}

// MarshalText writes what UnmarshalText reads.
func (m moment) MarshalText() ([]byte, error) {
	if m.at == nil {
		return nil, nil
	}
	return []byte(m.at.Format(time.RFC3339)), nil
}

// redoFunc does one message again.
type redoFunc func(context.Context, pipeline.RedoOrder) (pipeline.Redone, error)

func (c *reprocessCmd) Run(a *app) error {
	if c.Announce && (!c.Local || c.DryRun) {
		return &exitError{exitUsage, errors.New("--announce belongs to --local, and not to --dry-run")}
	}
	store, err := c.existing(a.ctx)
	if err != nil {
		return err
	}
	sources, err := c.originals(store)
	if err != nil {
		return err
	}
	ids, header, err := c.header()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	redo, engine, end, err := c.redoer(a, store, sources)
	if err != nil {
		return err
	}
	defer end()
	header.Engine = engine
	journal, err := c.journal(header)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	defer journal.Close()
	return c.run(a, reprocess.Config{
		Store: store, IDs: ids, Journal: journal, Redo: redo, Concurrency: c.Concurrency, Pace: reprocess.Pace(c.Rate), Now: time.Now,
	})
}

// header says what the run is about.
func (c *reprocessCmd) header() (*reprocess.IDList, reprocess.Header, error) {
	h := reprocess.Header{
		Schema: reprocess.JournalSchema, Run: ulid.Make().String(), StartedAt: time.Now().UTC(), Store: c.Store, DryRun: c.DryRun,
		Selection: reprocess.Selection{
			Prefix: c.Prefix, Since: c.Since.at, Until: c.Until.at, Kinds: c.Kind, Versions: c.PipelineVersion, Models: c.ScoredBy,
			Outdated: c.Outdated,
		},
		Order: pipeline.RedoOrder{Afresh: c.Force, Rejected: c.Rejected, Screen: c.Screen},
	}
	if c.Only == string(pipeline.RedoModeration) {
		h.Order.Scope = pipeline.RedoModeration
	}
	if c.IDs == "" {
		return nil, h, nil
	}
	open, err := c.openIDs()
	if err != nil {
		return nil, h, err
	}
	list, digest, err := reprocess.NewIDList(open)
	if err != nil {
		return nil, h, fmt.Errorf("--ids %s: %w", c.IDs, err)
	}
	h.Selection.IDs = digest
	return &list, h, nil
}

// openIDs returns what opens the list of ids; standard input can be read once only and is kept.
func (c *reprocessCmd) openIDs() (func() (io.ReadCloser, error), error) {
	if c.IDs != "-" {
		return func() (io.ReadCloser, error) { return os.Open(c.IDs) }, nil
	}
	text, err := io.ReadAll(os.Stdin)
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(text))), nil }, err
}

// journal opens the journal. A dry run's that nobody has named is a temporary file.
func (c *reprocessCmd) journal(h reprocess.Header) (*reprocess.Journal, error) {
	path := c.Journal
	if c.passing() {
		f, err := os.CreateTemp("", "ninefold-reprocess-dry-*.jsonl")
		if err != nil {
			return nil, err
		}
		path = f.Name()
		if err := f.Close(); err != nil {
			return nil, err
		}
	} else if path == "" {
		path = "ninefold-reprocess-" + h.Digest()[:12] + ".jsonl"
	}
	return reprocess.OpenJournal(path, h, c.Resume)
}

// passing: the journal is not kept.
func (c *reprocessCmd) passing() bool { return c.DryRun && c.Journal == "" }

// redoer returns what does one message again, and what it is: of workers, each may be another.
func (c *reprocessCmd) redoer(a *app, store, sources pipeline.Store) (redo redoFunc, engine string, end func(), err error) {
	if !c.Local && !c.DryRun {
		client, err := c.client(a.ctx)
		if err == nil {
			err = client.Check(a.ctx)
		}
		if err != nil {
			return nil, "", nil, err
		}
		if listening, err := client.Listening(a.ctx, queue.ClassBulk); err == nil && !listening {
			fmt.Fprintln(a.stderr, "no worker listens to queue \"bulk\"; the messages wait. Start one with: ninefold worker")
		}
		return onQueue(client), "", func() { _ = client.Close() }, nil
	}
	svc, err := openService(a, c.EngineSettings, c.ModelSettings, sources, store, c.directory, c.key, c.drawBy(store, c.DryRun))
	if err != nil {
		return nil, "", nil, err
	}
	end = func() { _ = svc.Close() }
	redo = here(svc.pipeline)
	if c.DryRun {
		redo = thrownAway(svc.pipeline, store, c.Scratch)
	}
	if c.Announce {
		client, err := c.client(a.ctx)
		if err != nil {
			return nil, "", nil, errors.Join(err, svc.Close())
		}
		redo, end = announced(redo, client), func() { _ = client.Close(); _ = svc.Close() }
	}
	return patient(redo, a.log.logger(a)), svc.pipeline.Describe(), end, nil
}

// localNice leaves the processor to whatever else runs on this machine.
const localNice = 10

// here does messages again in this process.
func here(p *pipeline.Pipeline) redoFunc {
	return func(ctx context.Context, o pipeline.RedoOrder) (pipeline.Redone, error) {
		return p.Redo(pipeline.WithNice(ctx, localNice), o, pipeline.RunOptions{})
	}
}

// thrownAway does messages again into a directory of each one's own, which is removed.
func thrownAway(p *pipeline.Pipeline, store pipeline.Store, scratch string) redoFunc {
	return func(ctx context.Context, o pipeline.RedoOrder) (pipeline.Redone, error) {
		ws, err := pipeline.NewWorkspace(scratch)
		if err != nil {
			return pipeline.Redone{}, err
		}
		defer ws.Close()
		upper, err := filestore.Open(ws.Dir())
		if err != nil {
			return pipeline.Redone{}, err
		}
		defer upper.Close()
		return here(p.With(overlay.New(upper, store)))(ctx, o)
	}
}

// announced publishes the event of each message that changed, before the message counts as done.
func announced(redo redoFunc, client *queue.Client) redoFunc {
	return func(ctx context.Context, o pipeline.RedoOrder) (pipeline.Redone, error) {
		done, err := redo(ctx, o)
		if err != nil || done.Manifest == nil {
			return done, err
		}
		if err := client.Announce(ctx, *done.Manifest); err != nil {
			return done, pipeline.Trouble(pipeline.CodeInternal, "announce", err)
		}
		return done, nil
	}
}

// The tries of one message in this process. A store that is away is waited for, as long as whoever looks on likes.
const (
	localTries = 3
	localPause = 2 * time.Second
)

func patient(redo redoFunc, log *slog.Logger) redoFunc {
	return func(ctx context.Context, o pipeline.RedoOrder) (done pipeline.Redone, err error) {
		for try := 1; ; {
			done, err = redo(ctx, o)
			if err == nil || errors.Is(err, pipeline.ErrNotExist) || !pipeline.Retryable(err) || ctx.Err() != nil {
				return done, err
			}
			if away := pipeline.AsError(err).Code == pipeline.CodeStorageUnavailable; !away {
				if try++; try > localTries {
					return done, err
				}
			}
			log.Warn("tried again", slog.String("job_id", o.JobID), slog.Any("error", err))
			select {
			case <-ctx.Done():
				return done, ctx.Err()
			case <-time.After(localPause):
			}
		}
	}
}

// onQueue has workers do messages again.
func onQueue(client *queue.Client) redoFunc {
	return func(ctx context.Context, o pipeline.RedoOrder) (pipeline.Redone, error) {
		for {
			if err := client.SubmitRedo(ctx, o); err != nil {
				return pipeline.Redone{}, err
			}
			done, err := client.WaitRedo(ctx, o)
			if !errors.Is(err, queue.ErrUnknownJob) {
				return done, err
			}
		}
	}
}

// run does the work, shows it, and reports.
func (c *reprocessCmd) run(a *app, cfg reprocess.Config) error {
	view := newBulkView(a.stderr, cfg.Journal, c.passing())
	var last reprocess.Look
	cfg.Look = func(l reprocess.Look) { last = l; view.look(l) }
	failed := reprocess.Run(a.ctx, cfg)
	view.close()
	report, err := reprocess.NewReport(cfg.Journal, last.Seen)
	if err == nil && failed == nil && c.Unused && !c.DryRun {
		report.Unused, err = reprocess.FindUnused(a.ctx, cfg.Store, cfg.Journal)
	}
	if err != nil {
		return errors.Join(failed, err)
	}
	if c.passing() || (report.Complete && report.Messages == 0) {
		err, report.Journal = cfg.Journal.Remove(), ""
	}
	if c.JSON {
		err = errors.Join(err, printJSON(a.stdout, report))
	} else {
		c.print(a.stdout, report)
	}
	return c.verdict(a, cfg, report, failed, err)
}

func (c *reprocessCmd) print(w io.Writer, r reprocess.Report) {
	switch {
	case r.Complete && r.LookedAt == 0 && c.IDs == "":
		fmt.Fprintf(w, "nothing was found: %s\n", c.nothing(c.Prefix))
	case r.Complete && r.Messages == 0:
		fmt.Fprintf(w, "nothing was selected: %d messages were looked at, and no one is meant by the flags below \"Which messages\"\n", r.LookedAt)
	default:
		printReport(w, r)
	}
}

func (c *reprocessCmd) verdict(a *app, cfg reprocess.Config, report reprocess.Report, failed, err error) error {
	switch {
	case failed != nil && a.ctx.Err() != nil && c.passing():
		return errors.New("interrupted: the dry run begins anew next time; --journal FILE lets it go on")
	case failed != nil && a.ctx.Err() != nil:
		return fmt.Errorf("interrupted: the same command goes on from here (journal %s)", cfg.Journal.Path())
	case failed != nil || err != nil:
		return errors.Join(failed, err)
	case !report.Whole():
		return &exitError{code: exitPartial}
	}
	return nil
}
