package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// ManifestKey is where a job's manifest lies in the store.
func ManifestKey(jobID string) string { return "manifests/" + keyName(jobID) + ".json" }

// keyName writes an id so that it may stand in a store key: a colon, which no key has, is a tilde, which no id has.
func keyName(id string) string { return strings.ReplaceAll(id, ":", "~") }

// Committed returns the manifest that a job has ended with; before that, an error that wraps ErrNotExist.
func (p *Pipeline) Committed(ctx context.Context, jobID string) (Manifest, error) {
	return p.committed(ctx, jobID)
}

// CommittedRevision returns a job's manifest of the given number, 1 being the first; where there is none, an error that wraps ErrNotExist.
func (p *Pipeline) CommittedRevision(ctx context.Context, jobID string, number int) (Manifest, error) {
	if err := validateID("job_id", jobID); err != nil {
		return Manifest{}, err
	}
	return readManifest(ctx, p.Store, RevisionKey(jobID, number))
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
	if created {
		return m, nil
	}
	first, err := p.committed(ctx, m.JobID)
	if err == nil && (first.MessageID != m.MessageID || first.ConversationID != m.ConversationID || first.SenderID != m.SenderID) {
		return Manifest{}, usedID()
	}
	return first, err
}

// answered returns a committed manifest for a job of its id, if the job is the message that it was made of. Of a job that could not be read
// as a whole no more than the ids are compared.
func (p *Pipeline) answered(ctx context.Context, m Manifest, job Job, opts RunOptions) (Manifest, error) {
	if !m.of(job) {
		return Manifest{}, usedID()
	}
	if opts.Refusal != nil {
		return m, nil //nolint:nilerr // a refusal of the job, not of this read
	}
	kept, err := KeptJob(ctx, p.Store, job.JobID)
	switch {
	case errors.Is(err, ErrNotExist), errors.Is(err, errDocument): // of an older version, no valid job, or damaged
		if m.Caption != job.Caption || !m.sameItems(job) {
			return Manifest{}, usedID()
		}
	case err != nil:
		return Manifest{}, err
	case !kept.SameMessage(job):
		return Manifest{}, usedID()
	}
	return m, nil
}

// of reports whether the ids of m are the job's.
func (m Manifest) of(job Job) bool {
	return m.JobID == job.JobID && m.MessageID == job.MessageID && m.ConversationID == job.Conversation.ID && m.SenderID == job.Sender.ID
}

// sameItems compares what a manifest repeats of a job's items. One of a message that was rejected as a whole repeats nothing.
func (m Manifest) sameItems(job Job) bool {
	if len(m.Parts) == 0 {
		return m.Status == StatusRejected
	}
	said := Job{}
	for _, p := range m.Parts {
		said.Items = append(said.Items, Item{ID: p.ItemID, Caption: p.Caption, Alt: p.Alt, Edits: p.Edits})
	}
	asked := Job{}
	for _, it := range job.Items {
		asked.Items = append(asked.Items, Item{ID: it.ID, Caption: it.Caption, Alt: it.Alt, Edits: it.Edits})
	}
	return said.SameMessage(asked)
}

func (r *run) head() Manifest {
	return Manifest{
		Schema: ManifestSchema, JobID: r.job.JobID, MessageID: r.job.MessageID, ConversationID: r.job.Conversation.ID,
		SenderID: r.job.Sender.ID, CreatedAt: r.started, FinishedAt: r.Now().UTC(), Caption: r.job.Caption,
		Pipeline: Version{Version: r.cfg.Version, Profile: r.cfg.Profile, Policy: r.Policy.Ref().Digest},
		Parts:    []Part{}, Deliveries: []Delivery{}, SenderNotices: []Notice{},
	}
}

// rejected is the manifest of a job that was refused as a whole. What is refused for its recipients reads to the sender like what was
// withheld from them: one notice an item.
func (r *run) rejected(e *Error) Manifest {
	m := r.head()
	m.Status, m.Error = StatusRejected, e.Failure()
	if e.Op != gateOp {
		m.SenderNotices = []Notice{{Code: NoticeNotDelivered}}
		return m
	}
	for _, it := range r.job.Items {
		m.SenderNotices = append(m.SenderNotices, Notice{Code: NoticeNotDelivered, ItemID: it.ID})
	}
	return m
}

// The notice codes. What is withheld, filtered and undelivered reads alike: a sender must not learn an age or a setting.
const (
	NoticeNotDelivered = "not_delivered"
	NoticeRejected     = "rejected"
)

// assemble makes the manifest from the parts and the decisions about them.
func (r *run) assemble(parts []Part) Manifest {
	return r.manifestOf(r.forget(withinCounts(parts)), r.deliver)
}

// manifestOf makes the manifest from parts that are within the limits and from what deliver decides for each recipient by number.
func (r *run) manifestOf(parts []Part, deliver func(recipient int, parts []Part) Delivery) Manifest {
	m := r.head()
	m.Parts = parts
	r.rulings = nil
	for i := range r.job.Recipients {
		m.Deliveries = append(m.Deliveries, deliver(i, m.Parts))
	}
	m.Parts = dropRefused(m.Parts, m.Deliveries)
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
			parts[i] = p.refused(e)
			voice, visual = min(voice, MaxVoiceItems), min(visual, MaxVisualItems)
		}
	}
	return parts
}

// deliver decides every part for the job's recipient i.
func (r *run) deliver(i int, parts []Part) Delivery {
	d := Delivery{RecipientID: r.job.Recipients[i].ID, Parts: []PartDelivery{}, Notices: []Notice{}}
	for j, p := range parts {
		v := r.decide(i, p)
		if v.byPolicy() {
			r.rulings = append(r.rulings, ruling{i, j, v})
		}
		d.Parts = append(d.Parts, PartDelivery{ItemID: p.ItemID, Action: v.Action, Reasons: v.reasons()})
	}
	return d
}

// verdict is a decision and the answer about the audience that led to it.
type verdict struct {
	Decision
	answer answer
}

// byPolicy tells a decision about people from a file's own fault.
func (v verdict) byPolicy() bool { return v.Row > 0 || v.Action != Reject }

func (v verdict) reasons() []string {
	if v.answer.from == AudienceAssumed {
		return []string{v.Reason, ReasonAudienceUnknown}
	}
	return []string{v.Reason}
}

// decide takes the severest decision of all answers about the audience. The gate is asked again by each of them.
func (r *run) decide(i int, p Part) verdict {
	worst := r.decideBy(r.answers[0], i, p)
	for _, a := range r.answers[1:] {
		if v := r.decideBy(a, i, p); v.Action.Severity() > worst.Action.Severity() {
			worst = v
		}
	}
	return worst
}

func (r *run) decideBy(a answer, i int, p Part) verdict {
	if d, ok := r.Policy.Gate(r.job.Conversation.Kind, a.Sender, a.Recipients[i]); !ok {
		return verdict{d, a}
	}
	d := p.unrendered(r.Policy.Decide(p.judged(), p.Kind, a.Sender, a.Recipients[i]))
	if p.Status != StatusReady && (p.Error.Code != CodeBlockedNudity || d.Action != Reject) {
		d = Decision{Action: Reject, Reason: string(p.Error.Code)}
	}
	return verdict{d, a}
}

// dropRefused rejects the ready parts that nobody gets any more, now that the audience is another one than the job's: a manifest names
// no rendition that is for nobody.
func dropRefused(parts []Part, deliveries []Delivery) []Part {
	for i, p := range parts {
		if p.Status != StatusReady {
			continue
		}
		code, refused := Code(""), true
		for _, d := range deliveries {
			refused = refused && d.Parts[i].Action == Reject
			if code != CodeBlockedNudity {
				code = Code(d.Parts[i].Reasons[0])
			}
		}
		if refused {
			parts[i] = p.refused(refusedForAll(code))
		}
	}
	return parts
}

// refused is p without anything that shows it.
func (p Part) refused(e *Error) Part {
	return Part{
		ItemID: p.ItemID, Index: p.Index, Kind: p.Kind, Status: StatusRejected, Error: e.Failure(),
		Source: p.Source, Caption: p.Caption, Alt: p.Alt, Edits: p.Edits, Moderation: p.Moderation,
	}
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

// waitForScan has the job tried again while a part is kept back from anyone because the classifier did not answer. Those of 16 and 17 and
// adults with a filter wait alike: were only the young waited for, the time of the sender's notice would tell an age.
func (r *run) waitForScan(m Manifest) error {
	if r.opts.Final {
		return nil
	}
	for i, p := range m.Parts {
		if p.Status != StatusReady || p.Moderation == nil || p.Moderation.Status != Unavailable {
			continue
		}
		for _, d := range m.Deliveries {
			if action := d.Parts[i].Action; action != Deliver && action != Reject {
				return Trouble(CodeClassifierUnavailable, "screen", fmt.Errorf("item %s has no scores yet", p.ItemID))
			}
		}
	}
	return nil
}
