package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// RedoScope says how much of a message is done again.
type RedoScope string

// The scopes.
const (
	RedoAll        RedoScope = ""           // renditions, facts and decisions
	RedoModeration RedoScope = "moderation" // facts, from the renditions as they are stored, and decisions
)

// RedoOrder asks for a stored message to be done again.
type RedoOrder struct {
	JobID    string    `json:"job_id"`
	Run      string    `json:"run"`                // id of the reprocessing: within one a message is done again once
	Scope    RedoScope `json:"scope,omitempty"`    // how much
	Afresh   bool      `json:"afresh,omitempty"`   // even what a record says was done by the same profile, engine and model
	Rejected bool      `json:"rejected,omitempty"` // also what was rejected: it may come to be shown
	Screen   bool      `json:"screen,omitempty"`   // screen even where no decision of the audience depends on it: somebody needs to know
}

// Validate checks an order that came from outside.
func (o RedoOrder) Validate() error {
	return errors.Join(validateID("job_id", o.JobID), validateID("run", o.Run), oneOf("scope", o.Scope, RedoAll, RedoModeration))
}

// Outcome is what became of a message that was to be done again.
type Outcome string

// The outcomes.
const (
	OutcomeUpdated   Outcome = "updated"   // a new manifest is in force
	OutcomeUnchanged Outcome = "unchanged" // done again, and nothing is different
	OutcomeKept      Outcome = "kept"      // it could not be done again: the old manifest is in force
	OutcomeSkipped   Outcome = "skipped"   // nothing to do: rejected as a whole, or no job is kept with it
)

// Redone is what Redo found.
type Redone struct {
	Outcome  Outcome   `json:"outcome"`
	Code     Code      `json:"code,omitempty"` // why parts or the whole were kept as they were; of an updated message, of some part
	Why      string    `json:"why,omitempty"`  // of a skipped message
	Change   Change    `json:"change"`         // from the old manifest to the new one
	Manifest *Manifest `json:"-"`              // of an updated message, as committed
	Number   int       `json:"number"`         // of the manifest in force
	// LeftRejected counts the parts that stay rejected because the order did not ask for what was rejected; a message that was rejected as a
	// whole counts as one.
	LeftRejected int `json:"left_rejected,omitempty"`
}

// With returns a pipeline like p over another store.
func (p *Pipeline) With(store Store) *Pipeline {
	other := *p
	other.Store = store
	return &other
}

// Redo does a stored message again and commits what is different as a new manifest beside the old one.
//
//  1. Within one run it is done once: a repeated call returns what the first one committed.
//  2. A message that nothing of is different gets no new manifest.
//  3. It never becomes worse. A part that could not be made again stays as it is, and only stricter decisions about it count; its stored
//     renditions are scanned for them.
//  4. What was rejected stays so, unless the order says otherwise.
//  5. A part is made again only of the original whose digest its manifest names: another one is CodeSourceChanged.
//  6. Facts that rest on less than those in force raise a level and never lower one: CodeWeakerEvidence.
//  7. An error is our own trouble, as Run's; the old manifest is in force then. Originals and old renditions are never touched.
func (p *Pipeline) Redo(ctx context.Context, o RedoOrder, opts RunOptions) (Redone, error) {
	if err := o.Validate(); err != nil {
		return Redone{}, err
	}
	now, err := Current(ctx, p.Store, o.JobID)
	if err != nil {
		return Redone{}, err
	}
	if m, before, err := p.redoneBy(ctx, o.Run, now); err != nil || m != nil {
		return updated(before, m, ""), err
	}
	if now.Status == StatusRejected && !o.Rejected {
		return Redone{Outcome: OutcomeSkipped, Why: "it was rejected", Number: now.Number(), LeftRejected: 1}, nil
	}
	job, err := KeptJob(ctx, p.Store, o.JobID)
	if errors.Is(err, ErrNotExist) {
		return Redone{Outcome: OutcomeSkipped, Why: "no job is kept with it: it was made by a version before reprocess", Number: now.Number()}, nil
	}
	if err != nil {
		return Redone{}, err
	}
	return p.redo(ctx, o, job, now, opts)
}

func (p *Pipeline) redo(ctx context.Context, o RedoOrder, job Job, now Manifest, opts RunOptions) (Redone, error) {
	opts.Final, opts.Refusal, opts.Afresh, opts.Refused = false, nil, o.Afresh, true // no attempt is the last: in trouble the old manifest stays
	job.ExpiresAt = nil                                                              // it was published in time
	r := &redo{
		run: &run{
			Pipeline: p, job: job, opts: opts, started: p.Now().UTC(), answers: []answer{{audienceOf(job), AudienceFromJob}}, screenAll: o.Screen, again: true,
		},
		order: o, now: now, held: make([]*held, len(job.Items)),
	}
	next, err := r.manifest(ctx)
	if err != nil {
		return Redone{}, err
	}
	same, err := sameMessage(now, next)
	if err == nil && !same {
		next.Parts = r.forget(next.Parts)
		same, err = sameMessage(now, next)
	}
	switch {
	case err != nil:
		return Redone{}, Trouble(CodeInternal, "redo", err)
	case same && r.code() == "":
		return Redone{Outcome: OutcomeUnchanged, Number: now.Number(), LeftRejected: r.leftRejected()}, nil
	case same:
		return Redone{Outcome: OutcomeKept, Code: r.code(), Number: now.Number(), LeftRejected: r.leftRejected()}, nil
	}
	next.Revision = &Revision{Number: now.Number() + 1, Run: o.Run}
	ctx = context.WithoutCancel(ctx)
	if err := r.record(ctx, &next); err != nil {
		return Redone{}, err
	}
	if err := p.revise(ctx, next); err != nil {
		return Redone{}, err
	}
	done := updated(now, &next, r.code())
	done.LeftRejected = r.leftRejected()
	return done, nil
}

func updated(before Manifest, m *Manifest, code Code) Redone {
	if m == nil {
		return Redone{}
	}
	return Redone{Outcome: OutcomeUpdated, Code: code, Change: Compare(before, *m), Manifest: m, Number: m.Number()}
}

// redoneBy looks for the manifest that an earlier attempt of the same run has committed, and for the one before it.
func (p *Pipeline) redoneBy(ctx context.Context, runID string, now Manifest) (m *Manifest, before Manifest, err error) {
	for n := now.Number(); n > 1; n-- {
		if now.Revision != nil && now.Revision.Run == runID {
			before, err = readManifest(ctx, p.Store, RevisionKey(now.JobID, n-1))
			return &now, before, err
		}
		if now, err = readManifest(ctx, p.Store, RevisionKey(now.JobID, n-1)); err != nil {
			return nil, before, err
		}
	}
	return nil, before, nil
}

// sameMessage compares what two manifests say, not when and by whom they were made.
func sameMessage(a, b Manifest) (bool, error) {
	b.CreatedAt, b.FinishedAt, b.Pipeline, b.Revision = a.CreatedAt, a.FinishedAt, a.Pipeline, a.Revision
	x, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(b)
	return bytes.Equal(x, y), err
}

// redo is one attempt at doing one message again.
type redo struct {
	*run
	order RedoOrder
	now   Manifest
	held  []*held // by item; nil = made again
}

// held is a part that stays as it is.
type held struct {
	code  Code   // why it could not be made again; "" = it was not asked for
	facts *Facts // what its stored renditions show to the model in use; nil = not known
}

// code is the first part's that could not be made again.
func (r *redo) code() Code {
	for _, h := range r.held {
		if h != nil && h.code != "" {
			return h.code
		}
	}
	return ""
}

// leftRejected counts the parts that were rejected and were not asked for.
func (r *redo) leftRejected() (n int) {
	for i, h := range r.held {
		if old, there := r.old(i); h != nil && there && old.Status == StatusRejected {
			n++
		}
	}
	return n
}

// manifest makes the message again. Whom nobody is left to serve among is as strict as it gets.
func (r *redo) manifest(ctx context.Context) (Manifest, error) {
	if refusal := r.gate(); refusal != nil {
		return r.dated(r.rejected(refusal)), nil
	}
	parts, err := r.eachItem(ctx, r.part)
	if err == nil {
		err = r.askAudience(ctx)
	}
	if err != nil {
		return Manifest{}, err
	}
	if refusal := r.gate(); refusal != nil {
		return r.dated(r.rejected(refusal)), nil
	}
	if parts, err = r.screenLate(ctx, parts); err != nil {
		return Manifest{}, err
	}
	return r.dated(r.reassemble(parts)), nil
}

// dated keeps the moment at which the message was first taken up.
func (r *redo) dated(m Manifest) Manifest {
	m.CreatedAt = r.now.CreatedAt
	return m
}

// old is the part in force of an item; a message rejected as a whole has none.
func (r *redo) old(i int) (Part, bool) {
	if i >= len(r.now.Parts) || r.now.Parts[i].ItemID != r.job.Items[i].ID {
		return Part{}, false
	}
	return r.now.Parts[i], true
}

// part makes one part again, or holds it.
func (r *redo) part(ctx context.Context, it *itemRun) (Part, error) {
	old, there := r.old(it.index)
	if !there {
		return r.item(ctx, it)
	}
	if old.Source != nil {
		it.original = old.Source.SHA256
	}
	if old.Status == StatusRejected {
		return r.acceptNow(ctx, it, old)
	}
	if r.order.Scope == RedoModeration {
		return r.screenAgain(ctx, it, old)
	}
	return r.makeAgain(ctx, it, old)
}

// acceptNow makes what was rejected, where that was asked for and the original is still the one that was.
func (r *redo) acceptNow(ctx context.Context, it *itemRun, old Part) (Part, error) {
	if r.order.Scope != RedoAll || !r.order.Rejected {
		r.held[it.index] = &held{}
		return old, nil
	}
	fresh, err := r.item(ctx, it)
	if err == nil && fresh.Status == StatusRejected && fresh.Error.Code == CodeSourceChanged {
		r.held[it.index] = &held{code: CodeSourceChanged}
		return old, nil
	}
	return fresh, err
}

// makeAgain runs the item through every stage. What was refused for what it shows is a stricter verdict; what failed is held.
func (r *redo) makeAgain(ctx context.Context, it *itemRun, old Part) (Part, error) {
	fresh, err := r.item(ctx, it)
	if err != nil {
		return Part{}, err
	}
	if fresh.Status == StatusReady {
		if err := scanned(fresh); err != nil {
			return Part{}, err
		}
		return r.unlessWeaker(it, fresh, old), nil
	}
	if code := fresh.Error.Code; code == CodeBlockedNudity || code == CodeNotDeliverable {
		return fresh, nil
	}
	h := &held{code: fresh.Error.Code, facts: fresh.Moderation}
	if h.facts == nil || scanned(fresh) != nil {
		if h.facts, err = r.rescan(ctx, it, old); err != nil && Retryable(err) {
			return Part{}, err
		}
	}
	r.held[it.index] = h
	return old, nil
}

// screenAgain keeps a part and finds its facts again.
func (r *redo) screenAgain(ctx context.Context, it *itemRun, old Part) (Part, error) {
	facts, err := r.rescan(ctx, it, old)
	switch {
	case err != nil && Retryable(err):
		return Part{}, err
	case err != nil:
		r.held[it.index] = &held{code: AsError(err).Code}
	case old.Moderation != nil && facts.WeakerThan(*old.Moderation):
		r.held[it.index] = &held{code: CodeWeakerEvidence, facts: facts}
	default:
		old.Moderation = facts
	}
	return old, nil
}

// unlessWeaker is the part that was made again, or the old one where its renditions were looked at harder than the new ones.
func (r *redo) unlessWeaker(it *itemRun, fresh, old Part) Part {
	if old.Moderation == nil || fresh.Moderation == nil || fresh.Moderation.Status == NotNeeded || !fresh.Moderation.shallowerThan(*old.Moderation) {
		return fresh
	}
	r.held[it.index] = &held{code: CodeWeakerEvidence, facts: fresh.Moderation}
	return old
}

// scanned is trouble where a part that needs scores has none: a message that has some must not lose them.
func scanned(p Part) error {
	if p.Kind == KindVoice || p.Moderation == nil || p.Moderation.Status != Unavailable {
		return nil
	}
	return Trouble(CodeClassifierUnavailable, "redo", fmt.Errorf("item %s has no scores", p.ItemID))
}

// rescan finds what a part shows to the model in use: in its stored rendition, or where that is gone in its source. The facts of a part
// that has nothing to look at are its own.
func (r *redo) rescan(ctx context.Context, it *itemRun, old Part) (*Facts, error) {
	if old.Moderation == nil || old.Kind == KindVoice || old.Method == MethodNone || !r.needed(old.Kind) {
		return old.Moderation, nil
	}
	f := old.Moderation
	known := f.Status == Reviewed || f.Status == Scored && f.Model != nil && *f.Model == r.Moderator.Model() && !f.Outdated() && old.Covered()
	if known && !r.order.Afresh {
		return f, nil
	}
	it.tidy() // what an attempt to make it again has left
	facts, err := it.rescreen(ctx, old)
	if errors.Is(err, ErrNotExist) {
		facts, err = it.screenSource(ctx)
	}
	if err != nil && (facts == nil || facts.Level != LevelExplicit) {
		return nil, err
	}
	return facts, nil
}

// reassemble makes the manifest of parts that were made again and parts that were held.
func (r *redo) reassemble(parts []Part) Manifest {
	parts = withinCounts(parts)
	r.takeStricter(parts)
	return r.manifestOf(parts, r.redeliver)
}

// takeStricter gives a held part the facts that the model in use found, where they keep it from somebody more than its own do: from a
// recipient, or from anybody who may be one when the message is read.
func (r *redo) takeStricter(parts []Part) {
	for k, h := range r.held {
		if h == nil || h.facts == nil || parts[k].Status != StatusReady {
			continue
		}
		other := parts[k]
		other.Moderation = h.facts.beside(other.Moderation)
		if r.stricterForRecipients(other, parts[k]) || r.stricterForAnybody(*other.Moderation, parts[k]) {
			parts[k] = other
		}
	}
}

func (r *redo) stricterForRecipients(a, b Part) bool {
	for i := range r.job.Recipients {
		if r.decide(i, a).Action.Severity() > r.decide(i, b).Action.Severity() {
			return true
		}
	}
	return false
}

// stricterForAnybody reports whether f keeps p from some kind of person more than p's own facts do, and from nobody less.
func (r *redo) stricterForAnybody(f Facts, p Part) bool {
	var own Facts
	if p.Moderation != nil {
		own = *p.Moderation
	}
	stricter := false
	for sender, rec := range everyPair() {
		a := r.Policy.Decide(f, p.Kind, sender, rec).Action.Severity()
		b := r.Policy.Decide(own, p.Kind, sender, rec).Action.Severity()
		if a < b {
			return false
		}
		stricter = stricter || a > b
	}
	return stricter
}

// everyPair is every kind of sender with every kind of recipient that a gate lets through.
func everyPair() iter.Seq2[Sender, Recipient] {
	return func(yield func(Sender, Recipient) bool) {
		for _, s := range []AgeBand{Adult, Teen} {
			for _, r := range []Recipient{{AgeBand: Teen}, {AgeBand: Adult}, {AgeBand: Adult, NudityFilter: FilterBlur}, {AgeBand: Adult, NudityFilter: FilterHide}} {
				r.Contact = ContactAccepted
				if r.NudityFilter == "" {
					r.NudityFilter = FilterOff
				}
				if !yield(Sender{AgeBand: s}, r) {
					return
				}
			}
		}
	}
}

// redeliver decides every part for recipient i. Of one that could not be made again an earlier, severer decision stays; its record is in
// the earlier manifest's audit.
func (r *redo) redeliver(i int, parts []Part) Delivery {
	d := r.deliver(i, parts)
	for k, h := range r.held {
		was, known := r.decided(i, k)
		if h == nil || !known || parts[k].Status != StatusReady || was.Action.Severity() < d.Parts[k].Action.Severity() {
			continue
		}
		if was.Action != d.Parts[k].Action {
			r.rulings = slices.DeleteFunc(r.rulings, func(x ruling) bool { return x.recipient == i && x.part == k })
		}
		d.Parts[k] = was
	}
	return d
}

// decided is what the manifest in force says of item k to recipient i.
func (r *redo) decided(i, k int) (PartDelivery, bool) {
	if i >= len(r.now.Deliveries) || r.now.Deliveries[i].RecipientID != r.job.Recipients[i].ID || k >= len(r.now.Deliveries[i].Parts) {
		return PartDelivery{}, false
	}
	return r.now.Deliveries[i].Parts[k], true
}
