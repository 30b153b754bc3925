package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
)

// policyCmd is about who may see what.
type policyCmd struct {
	Show    policyShowCmd    `cmd:"" help:"Print the policy's settings, and the table they make."`
	Explain policyExplainCmd `cmd:"" help:"Say for each recipient and item of a job which row of the table decides, and why. Needs no media."`
	Replay  policyReplayCmd  `cmd:"" help:"Decide again, by another policy, what the store's audit records hold, and print the difference. Writes nothing."`
}

// policySettings is the one setting that these commands share with the others.
type policySettings struct {
	Policy string `help:"YAML file of policy settings and thresholds; empty = the defaults." placeholder:"FILE"`
}

func (s policySettings) open() (*moderation.Policy, error) {
	return ModelSettings{Policy: s.Policy}.policy()
}

type policyShowCmd struct {
	JSON bool `help:"Print settings, digest and rows as JSON."`

	policySettings `embed:"" group:"models"`
}

// rowView is one row of the table as it is printed.
type rowView struct {
	Row       int                     `json:"row"`
	Gate      bool                    `json:"gate"` // before any byte is fetched, for voice notes too
	Sender    []pipeline.AgeBand      `json:"sender"`
	Recipient []pipeline.AgeBand      `json:"recipient"`
	Contact   []pipeline.Contact      `json:"contact"`
	Filter    []pipeline.NudityFilter `json:"filter"`
	Level     []pipeline.Level        `json:"level"`
	Action    pipeline.Action         `json:"action"`
	Reason    string                  `json:"reason"`
}

func (c *policyShowCmd) Run(a *app) error {
	policy, err := c.open()
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(a.stdout, map[string]any{"settings": policy.Config(), "digest": policy.Ref().Digest, "rows": rowViews(policy)})
	}
	text, err := yamlOfJSON(policy.Config())
	if err != nil {
		return err
	}
	var rows bytes.Buffer
	printRows(&rows, rowViews(policy), cmp.Or(columns(a.stdout), commentWidth)-len("# "))
	comment := strings.ReplaceAll(strings.TrimSuffix(rows.String(), "\n"), "\n", "\n# ")
	fmt.Fprintf(a.stdout, "# %s; this is a file for --policy, the table a comment in it\n%s\n# %s\n", policy.Ref().Digest, text, comment)
	return nil
}

func rowViews(p *moderation.Policy) []rowView {
	var out []rowView
	for _, r := range p.Rows() {
		out = append(out, rowView{r.Number, r.Gate, r.Sender, r.Recipient, r.Contact, r.Filter, r.Level, r.Action, r.Reason})
	}
	return out
}

// commentWidth is how wide a comment in a file may be.
const commentWidth = 120

func printRows(w io.Writer, rows []rowView, most int) {
	t := newTable(w, "row", "sender", "recipient", "contact", "filter", "level", "action and reason")
	t.most = most
	for _, r := range rows {
		t.row(r.Row, anyOf(r.Sender), anyOf(r.Recipient), anyOf(r.Contact), anyOf(r.Filter), anyOf(r.Level), linesOf(string(r.Action), r.Reason))
	}
	t.print()
	fmt.Fprintln(w, "The first row that matches decides. 16_17 stands for unknown ages too. Rows 1 to 4 are asked before any byte is fetched, and for\n"+
		"voice notes, which no other row is asked for; under even timing what they refuse is made nevertheless, for nobody. Row 9 and row 14 wait until\n"+
		"the last attempt at a scan.")
}

func anyOf[T ~string](values []T) string {
	if len(values) == 0 {
		return "any"
	}
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

type policyExplainCmd struct {
	Job   string            `required:"" help:"Job file, or - for standard input." placeholder:"FILE"`
	Level string            `help:"Level assumed for every item: clear, suggestive, drawn, explicit or unknown; empty = each of them." enum:",clear,suggestive,drawn,explicit,unknown" default:""`
	Item  map[string]string `help:"Level assumed for one item, such as i1=explicit; may be repeated." placeholder:"ID=LEVEL"`
	JSON  bool              `help:"Print a list of JSON objects."`

	policySettings `embed:"" group:"models"`
}

// explained is one line of policy explain.
type explained struct {
	Recipient string          `json:"recipient_id"`
	Item      string          `json:"item_id"`
	Kind      pipeline.Kind   `json:"kind"`
	Level     pipeline.Level  `json:"level"`
	Row       int             `json:"row"` // 0 = no row of the table: a voice note that passed the gates
	Action    pipeline.Action `json:"action"`
	Reason    string          `json:"reason"`
	Why       string          `json:"why"`
}

func (c *policyExplainCmd) Run(a *app) error {
	job, err := readJob(c.Job)
	if err != nil {
		return refusal(err)
	}
	if err := c.checkItems(job); err != nil {
		return &exitError{exitUsage, err}
	}
	policy, err := c.open()
	if err != nil {
		return err
	}
	lines := c.explain(policy, job)
	if c.JSON {
		return printJSON(a.stdout, lines)
	}
	if err := printExplained(a.stdout, lines); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, timingOf(policy))
	return err
}

// timingOf says when a message is announced.
func timingOf(p *moderation.Policy) string {
	if p.EvenTiming() {
		return "timing: even. Every message is announced when a screened one of its files would be, whoever receives it, so that no clock tells a sender."
	}
	return "timing: plain. A message is announced as soon as it is done: the sender can tell by the clock who is protected. Only where no minors are served."
}

// levels are all that can be assumed.
func levels() []pipeline.Level {
	return []pipeline.Level{pipeline.LevelClear, pipeline.LevelSuggestive, pipeline.LevelDrawn, pipeline.LevelExplicit, pipeline.LevelUnknown}
}

func (c *policyExplainCmd) checkItems(job pipeline.Job) error {
	var wrong []error
	for id, level := range c.Item {
		if !slices.ContainsFunc(job.Items, func(it pipeline.Item) bool { return it.ID == id }) {
			wrong = append(wrong, fmt.Errorf("--item %s: the job has no such item", id))
		}
		if !slices.Contains(levels(), pipeline.Level(level)) {
			wrong = append(wrong, fmt.Errorf("--item %s=%s: want one of %q", id, level, levels()))
		}
	}
	return errors.Join(wrong...)
}

// assumed lists the levels to explain for an item: a voice note has none.
func (c *policyExplainCmd) assumed(it pipeline.Item) []pipeline.Level {
	switch level, ok := c.Item[it.ID]; {
	case it.Kind == pipeline.KindVoice:
		return []pipeline.Level{pipeline.LevelUnknown}
	case ok:
		return []pipeline.Level{pipeline.Level(level)}
	case c.Level != "":
		return []pipeline.Level{pipeline.Level(c.Level)}
	}
	return levels()
}

// explain decides as a run would. An auto item is taken for a photo or a video.
func (c *policyExplainCmd) explain(p *moderation.Policy, job pipeline.Job) []explained {
	lines := []explained{}
	for _, rec := range job.Recipients {
		for _, it := range job.Items {
			for _, level := range c.assumed(it) {
				e := p.Explain(level, it.Kind, job.Sender, rec)
				lines = append(lines, explained{rec.ID, it.ID, it.Kind, level, e.Row, e.Action, e.Reason, e.Why})
			}
		}
	}
	return lines
}

func printExplained(w io.Writer, lines []explained) error {
	var buf bytes.Buffer
	t := newTable(&buf, "recipient", "item", "level", "row", "action and reason", "why")
	t.most = columns(w)
	last := ""
	for _, l := range lines {
		if last != "" && l.Recipient != last {
			t.separate()
		}
		last = l.Recipient
		t.row(l.Recipient, l.Item+" ("+string(l.Kind)+")", l.Level, l.Row, linesOf(string(l.Action), l.Reason), l.Why)
	}
	t.print()
	_, err := buf.WriteTo(w)
	return err
}
