package console

import (
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

// explain finds the row of each decision by asking the policy again with the job's people. Where it would decide otherwise, as when the
// people were known better at publish time, the row is left out rather than guessed.
func (c *console) explain(m pipeline.Manifest, job *pipeline.Job) []decision {
	out := recorded(m)
	if job == nil || c.Policy == nil {
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
		again := c.decide(parts[d.ItemID], job, people[d.RecipientID])
		if again.Action == d.Action && len(d.Reasons) > 0 && again.Reason == d.Reasons[0] {
			out[i].Row, out[i].Rule = again.Row, rules[again.Row]
		}
	}
	return out
}

func (c *console) decide(p pipeline.Part, job *pipeline.Job, r pipeline.Recipient) pipeline.Decision {
	if d, ok := c.Policy.Gate(job.Conversation.Kind, job.Sender, r); !ok {
		return d
	}
	var facts pipeline.Facts
	if p.Moderation != nil {
		facts = *p.Moderation
	}
	return c.Policy.Decide(facts, p.Kind, job.Sender, r)
}
