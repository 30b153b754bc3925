package moderation

import (
	"cmp"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// Transition is a kind of change that another policy would make.
type Transition struct {
	Recipient pipeline.AgeBand `json:"recipient_age"` // as recorded
	From      pipeline.Action  `json:"from"`
	FromRow   int              `json:"from_row"`
	To        pipeline.Action  `json:"to"`
	ToRow     int              `json:"to_row"`
}

// TransitionCount says how many decisions a Transition is about.
type TransitionCount struct {
	Transition
	Count int `json:"count"`
}

// Replay decides recorded decisions again by another policy and counts what changes. What it holds is bounded by the table, not by the
// number of records.
type Replay struct {
	Decisions int // all that were replayed
	Changed   int // those whose action differs
	Milder    int // those of Changed that show more than before
	Stricter  int // those of Changed that show less than before
	Assumed   int // those whose level the facts do not hold for the new thresholds: the stricter of the possible ones was taken

	policy  *Policy
	changes map[Transition]int
}

// NewReplay returns a Replay by p that has seen nothing yet.
func NewReplay(p *Policy) *Replay { return &Replay{policy: p, changes: map[Transition]int{}} }

// Add replays one decision. f are the facts it rested on, nil where none were asked for.
func (r *Replay) Add(d pipeline.AuditedDecision, f *pipeline.Facts) {
	now, assumed := r.policy.again(d, f)
	r.Decisions++
	if assumed {
		r.Assumed++
	}
	if now.Action == d.Action {
		return
	}
	r.Changed++
	if now.Action.Severity() < d.Action.Severity() {
		r.Milder++
	} else {
		r.Stricter++
	}
	r.changes[Transition{d.RecipientAge, d.Action, d.Row, now.Action, now.Row}]++
}

// Changes returns what changed, the most frequent first.
func (r *Replay) Changes() []TransitionCount {
	out := []TransitionCount{}
	for t, n := range r.changes {
		out = append(out, TransitionCount{t, n})
	}
	slices.SortFunc(out, func(a, b TransitionCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.FromRow, b.FromRow), cmp.Compare(a.ToRow, b.ToRow), cmp.Compare(a.Recipient, b.Recipient))
	})
	return out
}

// again decides what was recorded as d once more. What was never rendered cannot be shown by any policy.
func (p *Policy) again(d pipeline.AuditedDecision, f *pipeline.Facts) (now pipeline.Decision, assumed bool) {
	level := pipeline.LevelUnknown
	if f != nil {
		level, assumed = Relevel(*f, p.config.Thresholds)
	}
	now, _ = p.decide(readCase(level,
		pipeline.Sender{AgeBand: d.SenderAge}, pipeline.Recipient{AgeBand: d.RecipientAge, Contact: d.Contact, NudityFilter: d.Filter}), d.Kind)
	if slices.Contains(d.Reasons, pipeline.ReasonNotRendered) && now.Action.Severity() < d.Action.Severity() {
		return pipeline.Decision{Action: d.Action, Reason: pipeline.ReasonNotRendered}, assumed
	}
	return now, assumed
}

// Relevel reads the level that facts support when their scores are held against other bounds. Facts keep the highest score of any frame,
// not each frame's: whether two frames of a video lie between changed bounds within PairWindowMS is then assumed, which is the stricter.
func Relevel(f pipeline.Facts, set PolicyThresholds) (level pipeline.Level, assumed bool) {
	level = LevelOf(f)
	complete := f.Complete()
	if set == (PolicyThresholds{}) || !f.Looked() || f.Status == pipeline.Reviewed { // a person's level depends on no bound
		return level, false
	}
	if f.Model == nil {
		return level, true
	}
	old, err := ParseThresholds(f.Model.Thresholds)
	if err != nil {
		return level, true
	}
	found, assumed := rescore(f, old, set.Over(old))
	if !complete && found != pipeline.LevelExplicit {
		return pipeline.LevelUnknown, assumed
	}
	return found, assumed
}

// rescore returns the worst category that is reached by the bounds now.
func rescore(f pipeline.Facts, old, now Thresholds) (level pipeline.Level, assumed bool) {
	before := old.categories()
	for i, c := range now.categories() {
		s := c.score(*f.Scores)
		switch {
		case !c.valid() || s < c.Low:
			continue
		case s >= c.High:
			return c.level, false
		case f.Frames == nil: // one frame: between the bounds is below them
			continue
		case c.Threshold != before[i].Threshold, levelRank(f.Level) > levelRank(c.level):
			return c.level, true
		case f.Level == c.level:
			return c.level, false
		}
	}
	return pipeline.LevelClear, false
}
