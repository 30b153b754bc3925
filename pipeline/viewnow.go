package pipeline

import (
	"context"
	"fmt"
	"slices"
)

// Screenings is asked for a look at a message whose facts are missing: it was delivered without one, and now somebody is protected, or the
// classifier was away, or an older judge has looked.
type Screenings interface {
	// WantScreening is called while somebody waits for a view. It asks for the order, such as by queue.Client.SubmitRedo, and returns soon;
	// the same order may come again.
	WantScreening(ctx context.Context, order RedoOrder)
}

// ViewNow returns what the recipient's client may receive of a message at this moment: decided from the facts of its manifest and from what
// the audience says now. Give it the manifest in force, see Current. Like ViewFor it is nil when nothing at all is for this recipient.
//
//  1. Nobody gets a message later that was not sent to them when it was published: blocked then is blocked for good.
//  2. Where facts are missing the view is the stricter one, and wanted, which may be nil, is asked for a screening.
//  3. Where the audience does not answer, the stricter counts of what was decided at publish time and of what somebody of unknown age with
//     the strictest filter may see.
//  4. An error is ErrNoRecipient, or ctx's.
func ViewNow(ctx context.Context, m Manifest, recipientID string, audience AudienceSource, policy Policy, wanted Screenings) (*RecipientView, error) {
	i := slices.IndexFunc(m.Deliveries, func(d Delivery) bool { return d.RecipientID == recipientID })
	if i < 0 || m.Status == StatusRejected {
		return ViewFor(m, recipientID)
	}
	job := m.jobFor(recipientID)
	told, err := askAudience(ctx, audience, job)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		told = answer{UnknownAudience(job), AudienceAssumed}
	}
	n := reading{policy: policy, answer: told, conversation: job.Conversation.Kind, published: m.Deliveries[i]}
	now := m
	now.Deliveries = []Delivery{n.deliver(m.Parts)}
	if wanted != nil && slices.ContainsFunc(m.Parts, n.lacksFacts) {
		wanted.WantScreening(ctx, ScreeningOrder(m))
	}
	return ViewFor(now, recipientID)
}

// ScreeningOrder asks for a message to be screened for somebody who reads it, once for each of its manifests.
func ScreeningOrder(m Manifest) RedoOrder {
	return RedoOrder{JobID: m.JobID, Run: fmt.Sprintf("read-%d", m.Number()), Scope: RedoModeration, Screen: true}
}

// jobFor is what of the message's job an audience is asked by. Nothing is known of the people but who they are; the contact was accepted, or
// there would be nothing to see.
func (m Manifest) jobFor(recipientID string) Job {
	kind := Direct
	if len(m.Deliveries) > 1 {
		kind = Group
	}
	return Job{
		Schema: JobSchema, JobID: m.JobID, MessageID: m.MessageID, Conversation: Conversation{ID: m.ConversationID, Kind: kind},
		Sender:     Sender{ID: m.SenderID, AgeBand: AgeUnknown},
		Recipients: []Recipient{{ID: recipientID, AgeBand: AgeUnknown, Contact: ContactAccepted, NudityFilter: FilterHide}},
	}
}

// reading is one recipient's reading of a message.
type reading struct {
	policy       Policy
	answer       answer
	conversation ConversationKind
	published    Delivery // what was decided when the message was published
}

// deliver decides every part again.
func (n reading) deliver(parts []Part) Delivery {
	d := Delivery{RecipientID: n.published.RecipientID, Parts: []PartDelivery{}, Notices: []Notice{}}
	for _, p := range parts {
		v := n.decide(p)
		d.Parts = append(d.Parts, PartDelivery{ItemID: p.ItemID, Action: v.Action, Reasons: v.reasons()})
	}
	return d
}

func (n reading) decide(p Part) verdict {
	was := n.at(p)
	sender, rec := n.answer.Sender, n.answer.Recipients[0]
	now, ok := n.policy.Gate(n.conversation, sender, rec)
	if ok {
		now = p.unrendered(n.policy.Decide(p.judged(), p.Kind, sender, rec))
	}
	assumed := n.answer.from == AudienceAssumed
	if was.Action.Severity() >= Reject.Severity() || assumed && was.Action.Severity() > now.Action.Severity() {
		return verdict{was, n.answer}
	}
	return verdict{now, n.answer}
}

// at is what was decided of p when the message was published. What nothing was decided of was not sent.
func (n reading) at(p Part) Decision {
	i := slices.IndexFunc(n.published.Parts, func(d PartDelivery) bool { return d.ItemID == p.ItemID })
	if i < 0 {
		return Decision{Action: Reject, Reason: string(CodeNotDeliverable)}
	}
	d := Decision{Action: n.published.Parts[i].Action, Reason: string(CodeNotDeliverable)}
	if reasons := n.published.Parts[i].Reasons; len(reasons) > 0 {
		d.Reason = reasons[0]
	}
	return d
}

// lacksFacts reports whether a screening could change what the recipient gets of p.
func (n reading) lacksFacts(p Part) bool {
	if p.Status != StatusReady || p.Method == MethodNone || n.at(p).Action.Severity() >= Reject.Severity() {
		return false
	}
	known := p.Moderation != nil && p.Moderation.Looked() && !p.Moderation.Outdated() && p.Covered()
	return !known && dependsOnLevel(p.Kind, n.answer.Sender, n.answer.Recipients[0], n.policy)
}
