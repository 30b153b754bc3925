package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// AudienceSchema is the schema name of an audience directory's answer.
const AudienceSchema = "ninefold.audience/1"

// Audience is who sends a message and who receives it, as known at one moment.
type Audience struct {
	Sender     Sender      `json:"sender"`
	Recipients []Recipient `json:"recipients"` // the job's, in the job's order
}

// AudienceSource tells age bands, contacts and filters at the moment a message is published, minutes or hours after it was submitted.
type AudienceSource interface {
	// Audience returns the sender and the recipients of a valid job as they are now: exactly those of the job, in its order. An error
	// means that nothing is known; the run then tries again and at last takes the stricter of the job's word and UnknownAudience.
	Audience(ctx context.Context, job Job) (Audience, error)
}

// JobAudience takes the job's word: the AudienceSource of a product whose jobs are never older than its directory.
type JobAudience struct{}

var _ AudienceSource = JobAudience{}

// Audience returns what stands in the job.
func (JobAudience) Audience(_ context.Context, job Job) (Audience, error) {
	return audienceOf(job), nil
}

func audienceOf(job Job) Audience { return Audience{Sender: job.Sender, Recipients: job.Recipients} }

// UnknownAudience is the job's people with nothing known of them but the job's contacts: unknown ages, which count as 16 or 17, and the
// strictest filter. A contact cannot be assumed: the strictest one would refuse every message, and the job's was true when it was sent.
func UnknownAudience(job Job) Audience {
	a := Audience{Sender: Sender{ID: job.Sender.ID, AgeBand: AgeUnknown}, Recipients: make([]Recipient, len(job.Recipients))}
	for i, r := range job.Recipients {
		a.Recipients[i] = Recipient{ID: r.ID, AgeBand: AgeUnknown, Contact: r.Contact, NudityFilter: FilterHide}
	}
	return a
}

// DecodeAudience reads a directory's answer about job, strictly: an unknown field, a field twice, a value that is none, a person too
// many or too few is an error, for an answer that is not understood must not be acted upon. The order of the recipients is free.
func DecodeAudience(data []byte, job Job) (Audience, error) {
	var answer struct {
		Schema string `json:"schema"`
		Audience
	}
	if err := DecodeStrict(data, &answer); err != nil {
		return Audience{}, err
	}
	if answer.Schema != AudienceSchema {
		return Audience{}, fmt.Errorf("schema: want %q", AudienceSchema)
	}
	return answer.Audience.inOrderOf(job)
}

// inOrderOf checks that a is about job's people, each once, and returns them in the job's order.
func (a Audience) inOrderOf(job Job) (Audience, error) {
	if a.Sender.ID != job.Sender.ID || len(a.Recipients) != len(job.Recipients) {
		return Audience{}, errors.New("want the job's sender and each of its recipients once")
	}
	if err := oneOf("sender.age_band", a.Sender.AgeBand, Under16, Teen, Adult, AgeUnknown); err != nil {
		return Audience{}, err
	}
	told := make(map[string]Recipient, len(a.Recipients))
	for i, r := range a.Recipients {
		if err := r.validate(fmt.Sprintf("recipients[%d]", i)); err != nil {
			return Audience{}, err
		}
		told[r.ID] = r
	}
	ordered := Audience{Sender: a.Sender}
	for _, r := range job.Recipients {
		now, ok := told[r.ID]
		if !ok {
			return Audience{}, errors.New("want the job's sender and each of its recipients once")
		}
		ordered.Recipients = append(ordered.Recipients, now)
	}
	return ordered, nil
}

// How an audience that decided was known, for audit records.
const (
	AudienceFromJob       = "job"       // before anything is fetched, and the job's word where a directory did not answer
	AudienceFromDirectory = "directory" // the AudienceSource's answer at publish time
	AudienceAssumed       = "assumed"   // UnknownAudience, for the AudienceSource did not answer
)

// ReasonAudienceUnknown stands beside the reason of a decision that was stricter than the job's word because no directory answered.
const ReasonAudienceUnknown = "audience_unavailable"

// answer is one audience and how it is known.
type answer struct {
	Audience
	from string
}

// askAudience reads the audience again, now that the message is about to be published. While attempts are left, no answer is our own
// trouble, for whomever the message is: a wait that depended on the recipient would tell the sender something. On the last attempt the
// stricter of two answers counts, decision by decision.
func (r *run) askAudience(ctx context.Context) error {
	now, err := askAudience(ctx, r.Audience, r.job)
	switch {
	case err == nil:
		r.answers = []answer{now}
		return nil
	case !r.opts.Final:
		return Trouble(CodeInternal, "audience", err)
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	}
	r.Log.Error("no answer about the audience: the stricter counts", slog.String("job_id", r.job.JobID), slog.Any("error", err))
	r.answers = []answer{{audienceOf(r.job), AudienceFromJob}, {UnknownAudience(r.job), AudienceAssumed}}
	return nil
}

// askAudience asks who the people of job are now, and holds the answer to that.
func askAudience(ctx context.Context, source AudienceSource, job Job) (answer, error) {
	now, err := source.Audience(ctx, job)
	if err == nil {
		now, err = now.inOrderOf(job)
	}
	if err != nil {
		return answer{}, err
	}
	switch source.(type) {
	case JobAudience, KeptAudience:
		return answer{now, AudienceFromJob}, nil
	}
	return answer{now, AudienceFromDirectory}, nil
}

// KeptAudience takes the word of the job that is kept in a store: the AudienceSource of whoever reads messages without a directory.
type KeptAudience struct{ Store Store }

var _ AudienceSource = KeptAudience{}

// Audience returns those of job's people who stand in the kept job. Where none is kept, nothing is known.
func (k KeptAudience) Audience(ctx context.Context, job Job) (Audience, error) {
	kept, err := KeptJob(ctx, k.Store, job.JobID)
	if err != nil {
		return Audience{}, err
	}
	a := Audience{Sender: kept.Sender}
	for _, r := range job.Recipients {
		i := slices.IndexFunc(kept.Recipients, func(k Recipient) bool { return k.ID == r.ID })
		if i < 0 {
			return Audience{}, ErrNoRecipient
		}
		a.Recipients = append(a.Recipients, kept.Recipients[i])
	}
	return a, nil
}
