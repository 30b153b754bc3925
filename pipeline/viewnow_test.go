package pipeline_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// askedFor notes what was wanted.
type askedFor struct{ orders []pipeline.RedoOrder }

func (a *askedFor) WantScreening(_ context.Context, o pipeline.RedoOrder) {
	a.orders = append(a.orders, o)
}

// nowIs is an audience of one recipient as they are now, and the sender.
type nowIs struct {
	sender    pipeline.AgeBand
	recipient pipeline.Recipient
}

func (n nowIs) Audience(_ context.Context, j pipeline.Job) (pipeline.Audience, error) {
	r := n.recipient
	r.ID = j.Recipients[0].ID
	return pipeline.Audience{Sender: pipeline.Sender{ID: j.Sender.ID, AgeBand: n.sender}, Recipients: []pipeline.Recipient{r}}, nil
}

func everyRecipientNow() (all []nowIs) {
	for _, sender := range []pipeline.AgeBand{pipeline.Under16, pipeline.Teen, pipeline.Adult} {
		for _, age := range []pipeline.AgeBand{pipeline.Under16, pipeline.Teen, pipeline.AgeUnknown, pipeline.Adult} {
			for _, contact := range []pipeline.Contact{pipeline.ContactAccepted, pipeline.ContactNew, pipeline.ContactBlocked} {
				for _, filter := range []pipeline.NudityFilter{pipeline.FilterOff, pipeline.FilterBlur, pipeline.FilterHide} {
					all = append(all, nowIs{sender, pipeline.Recipient{AgeBand: age, Contact: contact, NudityFilter: filter}})
				}
			}
		}
	}
	return all
}

// action is what a view lets through, reject where it is none at all.
func action(v *pipeline.RecipientView) pipeline.Action {
	if v == nil {
		return pipeline.Reject
	}
	return v.Parts[0].Action
}

// TestViewNowIsTheDecisionOfThisMoment: whatever was decided when the message was published, the view is what the policy says of the people as
// they are now; but what was not sent to somebody then is not shown later.
func TestViewNowIsTheDecisionOfThisMoment(t *testing.T) {
	for _, l := range []pipeline.Level{pipeline.LevelClear, pipeline.LevelSuggestive, pipeline.LevelDrawn, pipeline.LevelExplicit} {
		for _, then := range []pipeline.NudityFilter{pipeline.FilterBlur, pipeline.FilterHide} {
			r := newRig(t)
			r.mod.Facts = level(l)
			r.upload(t, "a", "lake")
			m := r.run(t, people(job("j", "a"), pipeline.Adult, pipeline.Adult, then), pipeline.RunOptions{})
			for _, now := range everyRecipientNow() {
				var wanted askedFor
				v, err := pipeline.ViewNow(t.Context(), m, "r1", now, r.Policy, &wanted)
				want := r.Policy.Decide(*m.Parts[0].Moderation, pipeline.KindPhoto, pipeline.Sender{AgeBand: now.sender}, now.recipient).Action
				if err != nil || action(v) != want || len(wanted.orders) > 0 {
					t.Errorf("%s, published for %s, read by %+v: %s %v, want %s", l, then, now, action(v), err, want)
				}
				m := m
				m.Deliveries = slices.Clone(m.Deliveries)
				m.Deliveries[0].Parts = []pipeline.PartDelivery{{ItemID: "i1", Action: pipeline.Reject, Reasons: []string{"not_deliverable"}}}
				if v, err := pipeline.ViewNow(t.Context(), m, "r1", now, r.Policy, &wanted); err != nil || v != nil || len(wanted.orders) > 0 {
					t.Errorf("%+v is shown what was not sent to them: %+v, %v", now, v, err)
				}
			}
			if _, err := pipeline.ViewNow(t.Context(), m, "stranger", nobodyKnows{}, r.Policy, nil); !errors.Is(err, pipeline.ErrNoRecipient) {
				t.Errorf("a stranger: %v", err)
			}
		}
	}
}

// TestViewNowWithoutAnAnswer: a directory that is away shows nobody more than they were sent, nor more than a stranger of 16 might see.
func TestViewNowWithoutAnAnswer(t *testing.T) {
	for _, l := range []pipeline.Level{pipeline.LevelClear, pipeline.LevelSuggestive, pipeline.LevelDrawn, pipeline.LevelExplicit} {
		for _, then := range []pipeline.NudityFilter{pipeline.FilterOff, pipeline.FilterBlur, pipeline.FilterHide} {
			r := newRig(t)
			r.mod.Facts = level(l)
			r.upload(t, "a", "lake")
			m := r.run(t, people(job("j", "a"), pipeline.Adult, pipeline.Adult, then), pipeline.RunOptions{})
			unknown := nowIs{pipeline.AgeUnknown, pipeline.Recipient{AgeBand: pipeline.AgeUnknown, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterHide}}
			strictest, err := pipeline.ViewNow(t.Context(), m, "r1", unknown, r.Policy, nil)
			if err != nil {
				t.Fatal(err)
			}
			v, err := pipeline.ViewNow(t.Context(), m, "r1", nobodyKnows{}, r.Policy, nil)
			want := max(action(strictest).Severity(), actions(m)[0].Severity())
			if err != nil || action(v).Severity() != want {
				t.Errorf("%s, published for %s: %s, %v", l, then, action(v), err)
			}
		}
	}
	r := stored(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := pipeline.ViewNow(gone, r.current(t), "r1", nobodyKnows{}, r.Policy, nil); err == nil {
		t.Errorf("whoever asked has gone: %+v", v)
	}
}

// TestViewNowWantsAScreening: where nothing was looked at, whoever is protected by now gets the stricter view and a screening is asked for;
// once it is done, they get what it found. Adults without a filter ask for nothing.
func TestViewNowWantsAScreening(t *testing.T) {
	for _, l := range []pipeline.Level{pipeline.LevelClear, pipeline.LevelExplicit} {
		for _, now := range everyRecipientNow() {
			if now.sender != pipeline.Adult || now.recipient.Contact != pipeline.ContactAccepted || now.recipient.AgeBand == pipeline.Under16 {
				continue
			}
			r := newRig(t)
			r.mod.Facts = level(l)
			r.upload(t, "a", "lake")
			m := r.run(t, job("j", "a"), pipeline.RunOptions{})
			var wanted askedFor
			v, err := pipeline.ViewNow(t.Context(), m, "r1", now, r.Policy, &wanted)
			free := now.recipient.AgeBand == pipeline.Adult && now.recipient.NudityFilter == pipeline.FilterOff
			if err != nil || free != (action(v) == pipeline.Deliver) || free != (len(wanted.orders) == 0) {
				t.Fatalf("%+v: %s, %v; wanted %+v", now, action(v), err, wanted.orders)
			}
			if free {
				continue
			}
			done, err := r.Redo(t.Context(), wanted.orders[0], pipeline.RunOptions{})
			if err != nil || done.Outcome != pipeline.OutcomeUpdated {
				t.Fatalf("%+v, %v", done, err)
			}
			v, err = pipeline.ViewNow(t.Context(), r.current(t), "r1", now, r.Policy, &wanted)
			want := r.Policy.Decide(level(l), pipeline.KindPhoto, pipeline.Sender{AgeBand: now.sender}, now.recipient).Action
			if err != nil || action(v) != want || len(wanted.orders) != 1 {
				t.Errorf("%s, screened, read by %+v: %s, %v; wanted %+v", l, now, action(v), err, wanted.orders)
			}
		}
	}
}

// TestKeptAudience: without a directory the people are who the kept job says, and nobody else is known.
func TestKeptAudience(t *testing.T) {
	r := stored(t)
	kept := pipeline.KeptAudience{Store: r.store}
	v, err := pipeline.ViewNow(t.Context(), r.current(t), "r1", kept, r.Policy, nil)
	if err != nil || action(v) != pipeline.Deliver {
		t.Errorf("%+v, %v", v, err)
	}
	other := job("j", "a")
	other.Recipients[0].ID = "r9"
	if a, err := kept.Audience(t.Context(), other); err == nil {
		t.Errorf("somebody else: %+v", a)
	}
	other.JobID = "absent"
	if a, err := kept.Audience(t.Context(), other); !errors.Is(err, pipeline.ErrNotExist) {
		t.Errorf("no job: %+v, %v", a, err)
	}
}
