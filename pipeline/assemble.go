package pipeline

import (
	"bytes"
	"context"
	"fmt"
)

// ManifestKey is where a job's manifest lies in the store.
func ManifestKey(jobID string) string { return "manifests/" + jobID + ".json" }

// Committed returns the manifest that a job has ended with; before that, an error that wraps ErrNotExist.
func (p *Pipeline) Committed(ctx context.Context, jobID string) (Manifest, error) {
	return p.committed(ctx, jobID)
}

// committed returns the manifest of a job that was finished before.
func (p *Pipeline) committed(ctx context.Context, jobID string) (Manifest, error) {
	if err := validateID("job_id", jobID); err != nil {
		return Manifest{}, err
	}
	var m Manifest
	if err := p.readJSON(ctx, ManifestKey(jobID), &m); err != nil {
		return Manifest{}, err
	}
	return m, m.Validate()
}

// commit puts the manifest. Of two workers on one job the first wins, and both return what the first wrote.
func (p *Pipeline) commit(ctx context.Context, m Manifest) (Manifest, error) {
	if err := m.Validate(); err != nil {
		return Manifest{}, Trouble(CodeInternal, "commit", err)
	}
	data, opts, err := encode(m)
	if err != nil {
		return Manifest{}, Trouble(CodeInternal, "commit", err)
	}
	created, err := p.Store.PutNew(ctx, ManifestKey(m.JobID), bytes.NewReader(data), int64(len(data)), opts)
	if err != nil {
		return Manifest{}, err
	}
	if !created {
		return p.committed(ctx, m.JobID)
	}
	return m, nil
}

func (r *run) head() Manifest {
	return Manifest{
		Schema: ManifestSchema, JobID: r.job.JobID, MessageID: r.job.MessageID, ConversationID: r.job.Conversation.ID,
		SenderID: r.job.Sender.ID, CreatedAt: r.started, FinishedAt: r.Now().UTC(), Caption: r.job.Caption,
		Pipeline: Version{Version: r.cfg.Version, Profile: r.cfg.Profile},
		Parts:    []Part{}, Deliveries: []Delivery{}, SenderNotices: []Notice{},
	}
}

// rejected is the manifest of a job that was refused as a whole.
func (r *run) rejected(e *Error) Manifest {
	m := r.head()
	m.Status, m.Error = StatusRejected, e.Failure()
	m.SenderNotices = []Notice{{Code: NoticeNotDelivered}}
	return m
}

// The notice codes. What is withheld, filtered and undelivered reads alike: a sender must not learn an age or a setting.
const (
	NoticeNotDelivered = "not_delivered"
	NoticeRejected     = "rejected"
)

// assemble makes the manifest from the parts and the decisions about them.
func (r *run) assemble(parts []Part) Manifest {
	m := r.head()
	m.Parts = withinCounts(parts)
	for _, rec := range r.job.Recipients {
		m.Deliveries = append(m.Deliveries, r.deliver(rec, m.Parts))
	}
	m.SenderNotices = r.senderNotices(m)
	m.Status, m.Error = conclude(m.Parts)
	return m
}

// withinCounts holds the limits on items for those that called themselves auto, now that it is known what they are: the first by
// order stay.
func withinCounts(parts []Part) []Part {
	voice, visual := 0, 0
	for i, p := range parts {
		if p.Status != StatusReady {
			continue
		}
		if p.Kind == KindVoice {
			voice++
		} else {
			visual++
		}
		if voice > MaxVoiceItems || visual > MaxVisualItems {
			e := Refuse(CodeTooManyItems, "a message holds %d photos and videos and %d voice note; send this one by itself", MaxVisualItems, MaxVoiceItems)
			parts[i] = Part{
				ItemID: p.ItemID, Index: p.Index, Kind: p.Kind, Status: StatusRejected, Error: e.Failure(),
				Source: p.Source, Caption: p.Caption, Alt: p.Alt, Edits: p.Edits,
			}
			voice, visual = min(voice, MaxVoiceItems), min(visual, MaxVisualItems)
		}
	}
	return parts
}

// deliver decides every part for one recipient. The gate is asked again: contact may have changed since the job began.
func (r *run) deliver(rec Recipient, parts []Part) Delivery {
	d := Delivery{RecipientID: rec.ID, Parts: []PartDelivery{}, Notices: []Notice{}}
	gate, ok := r.Policy.Gate(r.job.Conversation.Kind, r.job.Sender, rec)
	for _, p := range parts {
		verdict := gate
		if ok {
			verdict = r.decide(rec, p)
		}
		d.Parts = append(d.Parts, PartDelivery{ItemID: p.ItemID, Action: verdict.Action, Reasons: []string{verdict.Reason}})
	}
	return d
}

func (r *run) decide(rec Recipient, p Part) Decision {
	if p.Status != StatusReady {
		return Decision{Action: Reject, Reason: string(p.Error.Code)}
	}
	var facts Facts
	if p.Moderation != nil {
		facts = *p.Moderation
	}
	return r.Policy.Decide(facts, p.Kind, r.job.Sender, rec)
}

// senderNotices says which items were rejected, which the sender can mend, and which did not reach everybody, which reads alike
// for every reason.
func (r *run) senderNotices(m Manifest) []Notice {
	out, rejected := []Notice{}, map[string]bool{}
	for _, p := range m.Parts {
		if p.Status == StatusRejected {
			out, rejected[p.ItemID] = append(out, Notice{Code: NoticeRejected, ItemID: p.ItemID}), true
		}
	}
	for _, n := range r.Policy.SenderNotices(m.Deliveries) {
		if !rejected[n.ItemID] {
			out = append(out, n)
		}
	}
	return out
}

// conclude sums the parts up. A message none of whose parts is ready is rejected, with the first part's reason.
func conclude(parts []Part) (Status, *Failure) {
	ready := 0
	for _, p := range parts {
		if p.Status == StatusReady {
			ready++
		}
	}
	switch ready {
	case len(parts):
		return StatusReady, nil
	case 0:
		return StatusRejected, parts[0].Error
	}
	return StatusPartial, nil
}

// waitForScan has the job tried again while a recipient's part is withheld only because the classifier did not answer.
func (r *run) waitForScan(m Manifest) error {
	if r.opts.Final {
		return nil
	}
	for i, p := range m.Parts {
		if p.Status != StatusReady || p.Moderation == nil || p.Moderation.Status != Unavailable {
			continue
		}
		for _, d := range m.Deliveries {
			if d.Parts[i].Action == Withhold {
				return Trouble(CodeClassifierUnavailable, "screen", fmt.Errorf("item %s has no scores yet", p.ItemID))
			}
		}
	}
	return nil
}
