package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
)

// policyReplayCmd decides again what was decided.
type policyReplayCmd struct {
	Policy string `required:"" help:"YAML file of the policy to try." placeholder:"FILE"`
	Since  string `help:"First day to replay, UTC; empty = from the beginning." placeholder:"YYYY-MM-DD"`
	Until  string `help:"Last day to replay, UTC; empty = to the end." placeholder:"YYYY-MM-DD"`
	JSON   bool   `help:"Print JSON instead of a table."`

	StoreSettings `embed:"" group:"store"`
}

func (c *policyReplayCmd) Run(a *app) error {
	for _, day := range []string{c.Since, c.Until} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			return &exitError{exitUsage, fmt.Errorf("--since, --until: want a day such as 2026-01-31, got %q", day)}
		}
	}
	policy, err := readPolicy(c.Policy)
	if err != nil {
		return err
	}
	store, err := c.at("--store", c.Store)
	if err != nil {
		return err
	}
	run := &replayRun{ctx: a.ctx, store: store, since: c.Since, until: c.Until, Replay: moderation.NewReplay(policy)}
	if err := run.all(); err != nil {
		return err
	}
	report := run.report(policy)
	if c.JSON {
		return printJSON(a.stdout, report)
	}
	printReplay(a.stdout, report)
	return nil
}

// replayRun goes through the audit of a store, one object after the other; it holds no more than one.
type replayRun struct {
	*moderation.Replay
	ctx          context.Context
	store        pipeline.Store
	since, until string // days; empty = unbounded

	jobs, strays int
	pending      []string // the objects of one job, which lie together
}

// all replays every object between the days. Keys come in order of days, so the first one behind the last day ends it.
func (r *replayRun) all() error {
	err := r.store.List(r.ctx, r.prefix(), func(o pipeline.Object) error {
		day := dayOf(o.Key)
		switch {
		case day == "" || day < r.since:
			return nil
		case r.until != "" && day > r.until:
			return errPastDay
		case len(r.pending) > 0 && jobPart(r.pending[0]) != jobPart(o.Key):
			if err := r.flush(); err != nil {
				return err
			}
		}
		r.pending = append(r.pending, o.Key)
		return nil
	})
	if err != nil && !errors.Is(err, errPastDay) {
		return err
	}
	return r.flush()
}

var errPastDay = errors.New("behind the last day")

// prefix is what the keys of all days asked for have in common, to whole months: less to list.
func (r *replayRun) prefix() string {
	if r.since == "" || r.until == "" {
		return pipeline.AuditPrefix
	}
	from, to := strings.Split(r.since, "-"), strings.Split(r.until, "-")
	prefix := pipeline.AuditPrefix
	for i := 0; i < 2 && from[i] == to[i]; i++ {
		prefix += from[i] + "/"
	}
	return prefix
}

// dayOf is the day in an audit key, "2026-01-31", or empty.
func dayOf(key string) string {
	parts := strings.SplitN(strings.TrimPrefix(key, pipeline.AuditPrefix), "/", 4)
	if len(parts) != 4 {
		return ""
	}
	return strings.Join(parts[:3], "-")
}

// jobPart is an audit key without the digest of its content.
func jobPart(key string) string {
	key = strings.TrimSuffix(key, ".ndjson")
	return key[:max(0, strings.LastIndexByte(key, '.'))]
}

// flush replays one job's object. Where attempts or workers left several, the one counts that the committed manifest names.
func (r *replayRun) flush() error {
	keys := r.pending
	r.pending = nil
	for _, key := range keys {
		if len(keys) > 1 {
			named, err := r.named(key)
			if err != nil {
				return err
			}
			if !named {
				r.strays++
				continue
			}
		}
		if err := r.object(key); err != nil {
			return err
		}
		r.jobs++
	}
	return nil
}

// named reports whether the manifest of the key's job was committed with these records.
func (r *replayRun) named(key string) (bool, error) {
	part := jobPart(key)
	body, _, err := r.store.Get(r.ctx, pipeline.ManifestKey(part[strings.LastIndexByte(part, '/')+1:]))
	if errors.Is(err, pipeline.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer body.Close()
	m, err := readManifest(body)
	return m.Pipeline.Audit == key, err
}

func (r *replayRun) object(key string) error {
	body, _, err := r.store.Get(r.ctx, key)
	if err != nil {
		return err
	}
	defer body.Close()
	err = pipeline.ReadAudit(body, func(d pipeline.AuditedDecision, f *pipeline.Facts) error {
		r.Add(d, f)
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// replayReport is what policy replay prints.
type replayReport struct {
	Policy    pipeline.PolicyRef           `json:"policy"`
	Messages  int                          `json:"messages"`
	Strays    int                          `json:"strays"` // records of attempts that were not committed: left out
	Decisions int                          `json:"decisions"`
	Changed   int                          `json:"changed"`
	Milder    int                          `json:"milder"`
	Stricter  int                          `json:"stricter"`
	Assumed   int                          `json:"assumed"` // level not held by the facts for the new thresholds: the stricter one
	Changes   []moderation.TransitionCount `json:"changes"`
}

func (r *replayRun) report(p *moderation.Policy) replayReport {
	return replayReport{
		Policy: p.Ref(), Messages: r.jobs, Strays: r.strays, Decisions: r.Decisions, Changed: r.Changed, Milder: r.Milder, Stricter: r.Stricter,
		Assumed: r.Assumed, Changes: r.Changes(),
	}
}

func printReplay(w io.Writer, r replayReport) {
	fmt.Fprintf(w, "policy %s: messages %d, decisions %d, of which %d would change: %d show more, %d show less\n",
		r.Policy.Version, r.Messages, r.Decisions, r.Changed, r.Milder, r.Stricter)
	if r.Assumed > 0 {
		fmt.Fprintf(w, "of %d decisions the level was assumed, the stricter one: facts hold the highest score of a video, not each frame's\n", r.Assumed)
	}
	if len(r.Changes) == 0 {
		return
	}
	t := newTable(w, "decisions", "recipient", "from", "row", "to", "row")
	for _, c := range r.Changes {
		t.row(c.Count, c.Recipient, c.From, c.FromRow, c.To, c.ToRow)
	}
	t.print()
}
