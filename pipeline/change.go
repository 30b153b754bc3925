package pipeline

// Change is what is different between two manifests of one job.
type Change struct {
	Added        []string         `json:"added,omitempty"`         // keys of renditions that only the new manifest names, each once
	Dropped      []string         `json:"dropped,omitempty"`       // keys of renditions that only the old manifest names
	BytesAdded   int64            `json:"bytes_added,omitempty"`   // of Added
	BytesDropped int64            `json:"bytes_dropped,omitempty"` // of Dropped; they stay in the store
	Verdicts     []VerdictChange  `json:"verdicts,omitempty"`
	Decisions    []DecisionChange `json:"decisions,omitempty"`
	Statuses     []StatusChange   `json:"statuses,omitempty"` // parts that became ready or rejected
}

// VerdictChange is an item of which the model in use thinks otherwise.
type VerdictChange struct {
	ItemID string `json:"item_id"`
	From   Level  `json:"from"`
	To     Level  `json:"to"`
}

// DecisionChange is an item that a recipient gets otherwise. The action of what somebody is not sent at all is reject.
type DecisionChange struct {
	RecipientID string `json:"recipient_id"`
	ItemID      string `json:"item_id"`
	From        Action `json:"from"`
	To          Action `json:"to"`
}

// Stricter reports whether less is shown than before.
func (d DecisionChange) Stricter() bool { return d.To.Severity() > d.From.Severity() }

// StatusChange is a part that became ready, or rejected with a code.
type StatusChange struct {
	ItemID string `json:"item_id"`
	To     Status `json:"to"`
	Code   Code   `json:"code,omitempty"`
}

// Compare says what is different from one manifest of a job to a later one.
func Compare(from, to Manifest) Change {
	var c Change
	c.Added, c.BytesAdded = onlyIn(to, from)
	c.Dropped, c.BytesDropped = onlyIn(from, to)
	old := map[string]Part{}
	for _, p := range from.Parts {
		old[p.ItemID] = p
	}
	for _, p := range to.Parts {
		was, known := old[p.ItemID]
		if a, b := levelOf(was), levelOf(p); known && a != b && !p.unseen() {
			c.Verdicts = append(c.Verdicts, VerdictChange{p.ItemID, a, b})
		}
		if was.Status != p.Status {
			c.Statuses = append(c.Statuses, StatusChange{p.ItemID, p.Status, codeOf(p)})
		}
	}
	c.Decisions = compareDecisions(from, to)
	return c
}

// unseen: nobody has looked at p, for nobody's decision depends on it. That is no verdict.
func (p Part) unseen() bool { return p.Moderation != nil && p.Moderation.Status == NotNeeded }

func onlyIn(m, other Manifest) (keys []string, bytes int64) {
	known := map[string]bool{}
	for _, p := range other.Parts {
		for _, r := range p.Renditions {
			known[r.Key] = true
		}
	}
	for _, p := range m.Parts {
		for _, r := range p.Renditions {
			if !known[r.Key] {
				known[r.Key] = true
				keys, bytes = append(keys, r.Key), bytes+r.Size
			}
		}
	}
	return keys, bytes
}

func levelOf(p Part) Level {
	if p.Moderation == nil {
		return ""
	}
	return p.Moderation.Level
}

func codeOf(p Part) Code {
	if p.Error == nil {
		return ""
	}
	return p.Error.Code
}

func compareDecisions(from, to Manifest) []DecisionChange {
	type place struct{ recipient, item string }
	was, is := map[place]Action{}, map[place]Action{}
	var places []place
	note := func(m Manifest, actions map[place]Action, other map[place]Action) {
		for _, d := range m.Deliveries {
			for _, p := range d.Parts {
				at := place{d.RecipientID, p.ItemID}
				if _, seen := other[at]; !seen {
					places = append(places, at)
				}
				actions[at] = p.Action
			}
		}
	}
	note(from, was, is)
	note(to, is, was)
	action := func(actions map[place]Action, at place) Action {
		if a, ok := actions[at]; ok {
			return a
		}
		return Reject // a message rejected as a whole lists nobody
	}
	var out []DecisionChange
	for _, at := range places {
		if a, b := action(was, at), action(is, at); a != b {
			out = append(out, DecisionChange{at.recipient, at.item, a, b})
		}
	}
	return out
}
