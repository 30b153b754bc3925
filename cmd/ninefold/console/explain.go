package console

import (
	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
)

// decision is what one recipient gets of one part, and the row of the policy that says so.
type decision struct {
	RecipientID string          `json:"recipient_id"`
	ItemID      string          `json:"item_id"`
	Action      pipeline.Action `json:"action"`
	Reasons     []string        `json:"reasons"`
	Row         int             `json:"row,omitempty"`  // 0 = no row: a voice note, a rejected file, or not known any more
	Rule        string          `json:"rule,omitempty"` // the row in words
	Why         string          `json:"why,omitempty"`  // what the row asked for, as it was
}

// recorded lists what the manifest says.
func recorded(m pipeline.Manifest) []decision {
	out := []decision{}
	for _, d := range m.Deliveries {
		for _, p := range d.Parts {
			out = append(out, decision{RecipientID: d.RecipientID, ItemID: p.ItemID, Action: p.Action, Reasons: p.Reasons})
		}
	}
	return out
}

// explain finds the row of each decision by asking the policy again with the job's people. Where another policy decided, or this one would
// decide otherwise, as when the people were known better at publish time, the row is left out rather than guessed.
func (c *console) explain(m pipeline.Manifest, job *pipeline.Job) []decision {
	out := recorded(m)
	if job == nil || c.Policy == nil || (m.Pipeline.Policy != "" && m.Pipeline.Policy != c.Policy.Ref().Digest) {
		return out
	}
	people := map[string]pipeline.Recipient{}
	for _, r := range job.Recipients {
		people[r.ID] = r
	}
	parts := map[string]pipeline.Part{}
	for _, p := range m.Parts {
		parts[p.ItemID] = p
	}
	rules := map[int]string{}
	for _, row := range c.Policy.Rows() {
		rules[row.Number] = row.String()
	}
	for i, d := range out {
		again := c.again(parts[d.ItemID], job.Sender, people[d.RecipientID])
		if again.Action == d.Action && len(d.Reasons) > 0 && again.Reason == d.Reasons[0] {
			out[i].Row, out[i].Rule, out[i].Why = again.Row, rules[again.Row], again.Why
		}
	}
	return out
}

func (c *console) again(p pipeline.Part, s pipeline.Sender, r pipeline.Recipient) moderation.Explanation {
	level := pipeline.LevelUnknown
	if p.Moderation != nil {
		level = moderation.LevelOf(*p.Moderation)
	}
	return c.Policy.Explain(level, p.Kind, s, r)
}
