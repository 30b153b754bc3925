package reprocess

import (
	"fmt"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// ReportSchema is the schema name of a report.
const ReportSchema = "ninefold.reprocess-report/1"

// reportMost is how many messages and renditions a report lists; the journal has all.
const reportMost = 1000

// Report sums a run up, from its journal.
type Report struct {
	Schema     string                   `json:"schema"`
	Run        string                   `json:"run"`
	DryRun     bool                     `json:"dry_run"`
	Complete   bool                     `json:"complete"` // false = interrupted
	StartedAt  time.Time                `json:"started_at"`
	Selection  Selection                `json:"selection"`
	Order      pipeline.RedoOrder       `json:"order"`
	Journal    string                   `json:"journal"`   // "" = none was kept
	LookedAt   int                      `json:"looked_at"` // messages, those that the selection passed over included
	Messages   int                      `json:"messages"`  // selected
	Outcomes   map[pipeline.Outcome]int `json:"outcomes"`
	Codes      map[pipeline.Code]int    `json:"codes"`         // why messages or parts of them stay as they were
	Rejected   int                      `json:"left_rejected"` // parts that stay rejected because the order did not ask for them
	Renditions struct {
		Added        int   `json:"added"`
		BytesAdded   int64 `json:"bytes_added"`
		Dropped      int   `json:"dropped"` // named by a replaced manifest and not by its successor
		BytesDropped int64 `json:"bytes_dropped"`
	} `json:"renditions"`
	Verdicts  map[string]int `json:"verdicts"`  // "clear -> explicit": items
	Decisions map[string]int `json:"decisions"` // "deliver -> blur": items × recipients
	Stricter  int            `json:"stricter"`  // decisions
	Milder    int            `json:"milder"`    // decisions
	Problems  []Problem      `json:"problems"`  // messages that stay as they were, or parts of which do; reportMost at most
	Unused    *Unused        `json:"unused,omitempty"`
}

// Problem is a message that could not be done again as a whole.
type Problem struct {
	JobID   string           `json:"job_id"`
	Outcome pipeline.Outcome `json:"outcome"`
	Code    pipeline.Code    `json:"code,omitempty"`
	Why     string           `json:"why,omitempty"`
}

// NewReport reads the journal. lookedAt is how many messages the run has looked at.
func NewReport(j *Journal, lookedAt int) (Report, error) {
	h := j.Header
	r := Report{
		Schema: ReportSchema, Run: h.Run, DryRun: h.DryRun, Complete: j.finished, StartedAt: h.StartedAt, Selection: h.Selection, Order: h.Order,
		Journal: j.Path(), LookedAt: lookedAt, Outcomes: map[pipeline.Outcome]int{}, Codes: map[pipeline.Code]int{}, Verdicts: map[string]int{},
		Decisions: map[string]int{}, Problems: []Problem{},
	}
	err := j.each(func(e Entry) error {
		r.add(e)
		return nil
	})
	return r, err
}

func (r *Report) add(e Entry) {
	r.Messages++
	r.Outcomes[e.Outcome]++
	r.Rejected += e.LeftRejected
	if e.Code != "" {
		r.Codes[e.Code]++
	}
	if problem := e.Code != "" || e.Outcome == pipeline.OutcomeSkipped; problem && len(r.Problems) < reportMost {
		r.Problems = append(r.Problems, Problem{e.JobID, e.Outcome, e.Code, e.Why})
	}
	r.Renditions.Added += len(e.Change.Added)
	r.Renditions.BytesAdded += e.Change.BytesAdded
	r.Renditions.Dropped += len(e.Change.Dropped)
	r.Renditions.BytesDropped += e.Change.BytesDropped
	for _, v := range e.Change.Verdicts {
		r.Verdicts[fmt.Sprintf("%s -> %s", v.From, v.To)]++
	}
	for _, d := range e.Change.Decisions {
		r.Decisions[fmt.Sprintf("%s -> %s", d.From, d.To)]++
		if d.Stricter() {
			r.Stricter++
		} else {
			r.Milder++
		}
	}
}

// Whole reports whether every message was done again, or had nothing to be done.
func (r Report) Whole() bool { return len(r.Codes) == 0 && r.Outcomes[OutcomeFailed] == 0 }
