// Package pipeline says what is processed and in which order: the job and the manifest, the interfaces its helpers implement,
// and Run, which turns one into the other.
//
// It imports the standard library only. A new media kind is a Kind, a row in Sniff, a plan and a renderer in transcode (its package
// comment lists the places); Run and the stages stay as they are. A new store is two places: a package that implements Store and
// whose test calls pipelinetest.TestStore, and a line in cmd/ninefold/wire.go.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"
)

// Config is what may be tuned about Run.
type Config struct {
	Scratch     string   // directory for workspaces
	ItemsAtOnce int      // items of one message in work at the same time, 1 to 10
	MaxBytes    ByteCaps // of a source, by the kind an item claims
	Version     string   // of the program, for the manifest
	Profile     string   // digest of the profile, for the manifest and for record keys
	Engine      string   // engine version, for record keys
}

// ByteCaps bounds what is fetched, before it is known to be what it claims, in bytes.
type ByteCaps struct {
	Voice, Photo, Video int64
}

// of returns the cap for a claimed kind; auto may turn out to be the largest.
func (c ByteCaps) of(k Kind) int64 {
	switch k {
	case KindVoice:
		return c.Voice
	case KindPhoto:
		return c.Photo
	case KindVideo:
		return c.Video
	}
	return max(c.Voice, c.Photo, c.Video)
}

// Validate names every setting that cannot work.
func (c Config) Validate() error {
	var wrong []error
	if c.Scratch == "" {
		wrong = append(wrong, fmt.Errorf("scratch: want a directory for temporary files"))
	}
	if c.ItemsAtOnce < 1 || c.ItemsAtOnce > MaxVisualItems+MaxVoiceItems {
		wrong = append(wrong, fmt.Errorf("items at once (--parallel): want 1 to %d, got %d", MaxVisualItems+MaxVoiceItems, c.ItemsAtOnce))
	}
	if min(c.MaxBytes.Voice, c.MaxBytes.Photo, c.MaxBytes.Video) <= 0 {
		wrong = append(wrong, fmt.Errorf("max_bytes: want more than 0 for every kind"))
	}
	return errors.Join(wrong...)
}

// Deps is what Run works with. All fields are needed but Audience, Secret, AuditKey, Suspects, Allowance, Paces and Observer.
type Deps struct {
	Sources    SourceStore
	Store      Store
	Processors Processors
	Moderator  Moderator
	Policy     Policy
	Audience   AudienceSource // nil = JobAudience
	Secret     SecretSource   // decides which frames are drawn at random; nil = a random one of this Pipeline's
	AuditKey   []byte         // ids in audit records are hashed with it; nil = a random one of this Pipeline's
	Log        *slog.Logger
	Now        func() time.Time
	Suspects   Suspects  // nil = nothing is remembered
	Allowance  Allowance // nil = what a sender has spent is not counted
	Paces      Paces     // nil = nobody waits for what is made, and nothing is held back whatever the policy says
	Observer   Observer  // nil = nobody is told
}

// Pipeline runs jobs. It is safe for concurrent use.
type Pipeline struct {
	cfg Config
	Deps
	pseudonyms *pseudonyms
	secret     *keptSecret
}

// New returns a Pipeline, or every mistake in its configuration.
func New(cfg Config, deps Deps) (*Pipeline, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Audience == nil {
		deps.Audience = JobAudience{}
	}
	if deps.Observer == nil {
		deps.Observer = Observers(nil)
	}
	names, err := newPseudonyms(deps.AuditKey)
	if err != nil {
		return nil, err
	}
	return &Pipeline{cfg: cfg, Deps: deps, pseudonyms: names, secret: &keptSecret{source: deps.Secret}}, nil
}

// Describe names all that shapes what Run makes of a job: version, engine, profile, policy and model.
func (p *Pipeline) Describe() string {
	model := p.Moderator.Model()
	return fmt.Sprintf("version=%s engine=%s profile=%s policy=%s model=%s %s %s", p.cfg.Version, p.cfg.Engine, p.cfg.Profile, p.Policy.Ref().Digest,
		model.ID, model.SHA256, model.Thresholds)
}

// RunOptions belong to one attempt at a job.
type RunOptions struct {
	// Final says that no further attempt follows: our own trouble then becomes a rejected part instead of an error, so that
	// nothing stays "processing" for ever.
	Final bool
	// Refusal is a reason to reject the job that was found before it could be read as a whole; its ids must be valid.
	Refusal *Error
	// Progress is called as stages begin and advance, from several goroutines. It may be nil and must not block.
	Progress func(Progress)
	// Afresh has everything done again, whatever an earlier run has left a record of.
	Afresh bool
	// Refused has what earlier attempts have refused decided again.
	Refused bool
}

// Progress says where one item is.
type Progress struct {
	ItemID  string  `json:"item_id"`
	Index   int     `json:"index"`
	Stage   string  `json:"stage"`
	Percent float64 `json:"percent"`          // 0..100 of the stage
	EtaMS   int64   `json:"eta_ms,omitempty"` // until the stage ends at the pace it has had, 0 = not known yet
}

// Run turns a valid job into a committed manifest.
//
//  1. A manifest that is already committed is returned as it is: running a job twice is running it once. A job of the same id that is
//     another message is refused with CodeInvalidJob and leaves nothing; see Job.MessageDigest.
//  2. What else is wrong with the job or a file is in the manifest, never in the error.
//  3. An error is our own trouble; Retryable says whether another attempt may help. With opts.Final only a manifest that
//     could not be stored is an error.
//  4. When Run returns, everything it started has ended and its workspace is gone.
func (p *Pipeline) Run(ctx context.Context, job Job, opts RunOptions) (Manifest, error) {
	if m, err := p.committed(ctx, job.JobID); err == nil {
		return p.answered(ctx, m, job, opts)
	} else if !errors.Is(err, ErrNotExist) {
		return Manifest{}, err
	}
	r := &run{Pipeline: p, job: job, opts: opts, started: p.Now().UTC(), answers: []answer{{audienceOf(job), AudienceFromJob}}}
	ctx, end := p.Observer.Job(ctx, job)
	m, err := r.attempt(ctx)
	end(m, err)
	if err == nil {
		r.logJob(m)
	}
	return m, err
}

// run is one attempt at one job.
type run struct {
	*Pipeline
	job     Job
	opts    RunOptions
	started time.Time
	served  []Recipient // those who passed the gate, as the job knew them
	answers []answer    // who they are: the job's word until the message is about to be published
	rulings []ruling    // what was decided last, for the audit
	// screenAll: this run screens even where no decision of the job's audience depends on it.
	screenAll bool
	// forNobody: the message is refused for its recipients, and made so that its sender cannot tell by the clock. Nobody looks at it.
	forNobody bool
	// again: a stored message is made again.
	again bool
	quiet atomic.Bool // no more progress is reported
	due   time.Time   // when the message may be announced, zero = at once
}

// attempt makes the manifest and commits it.
func (r *run) attempt(ctx context.Context) (Manifest, error) {
	if err := KeepJob(ctx, r.Store, r.job); err != nil { // first: whatever Redis loses from here on, the store knows of the job
		return Manifest{}, err
	}
	m, err := r.manifest(ctx)
	if err != nil {
		return Manifest{}, err
	}
	r.hold(&m)
	ctx = context.WithoutCancel(ctx)
	if err := r.record(ctx, &m); err != nil {
		return Manifest{}, err
	}
	return r.commit(ctx, m)
}

// logJob is the one line that a committed message leaves in the log: ids, codes and numbers, nothing that anybody wrote.
func (r *run) logJob(m Manifest) {
	var in, out int64
	codes := []Code{}
	note := func(f *Failure) {
		if f != nil && !slices.Contains(codes, f.Code) {
			codes = append(codes, f.Code)
		}
	}
	note(m.Error)
	for _, p := range m.Parts {
		note(p.Error)
		if p.Source != nil {
			in += p.Source.Size
		}
		for _, rendition := range p.Renditions {
			out += rendition.Size
		}
	}
	r.Log.Info("job done", slog.String("job_id", m.JobID), slog.String("message_id", m.MessageID), slog.String("status", string(m.Status)),
		slog.Any("codes", codes), slog.Int("items", len(r.job.Items)), slog.Int("recipients", len(r.job.Recipients)),
		slog.Int64("source_bytes", in), slog.Int64("rendition_bytes", out), slog.Int64("duration_ms", m.FinishedAt.Sub(m.CreatedAt).Milliseconds()),
		slog.Int64("held_ms", r.heldMS(m)))
}

// manifest does the work of Run between the look for an old manifest and the commit of the new one.
func (r *run) manifest(ctx context.Context) (Manifest, error) {
	refusal := r.refuse()
	if refusal != nil && !r.madeAnyway(refusal) {
		return r.rejected(refusal), nil
	}
	r.forNobody = refusal != nil
	if at := r.job.ExpiresAt; at != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, *at, errExpired)
		defer cancel()
	}
	parts, err := r.items(ctx)
	if err == nil {
		err = r.askAudience(ctx)
	}
	if err != nil || errors.Is(context.Cause(ctx), errExpired) {
		return r.unlessGivenUp(ctx, err)
	}
	if refusal == nil {
		refusal = r.gate() // the audience may be another one by now
	}
	if refusal != nil {
		return r.rejected(refusal), nil
	}
	if parts, err = r.screenLate(ctx, parts); err != nil {
		return r.unlessGivenUp(ctx, err)
	}
	m := r.assemble(parts)
	if err := r.waitForScan(m); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// unlessGivenUp ends an attempt in trouble: with a rejection where the job has expired or no attempt follows, else with the error.
func (r *run) unlessGivenUp(ctx context.Context, err error) (Manifest, error) {
	if errors.Is(context.Cause(ctx), errExpired) {
		return r.rejected(expired()), nil
	}
	if r.opts.Final && !errors.Is(ctx.Err(), context.Canceled) {
		r.Log.Error("job given up", slog.String("job_id", r.job.JobID), slog.Any("error", err))
		return r.rejected(AsError(err)), nil // an attempt's deadline included: a job must not run into it for ever
	}
	return Manifest{}, err
}

var errExpired = errors.New("the job's expires_at has passed")

func expired() *Error {
	return Refuse(CodeExpired, "the job's expires_at passed before it was done; submit it again with a later one")
}

// refuse is everything that can be decided before a byte is fetched.
func (r *run) refuse() *Error {
	if r.opts.Refusal != nil {
		return r.opts.Refusal
	}
	if err := r.job.Validate(); err != nil {
		return AsError(err)
	}
	if r.job.ExpiresAt != nil && !r.started.Before(*r.job.ExpiresAt) {
		return expired()
	}
	return r.gate()
}

// gate asks the policy about every recipient. A job is refused when nobody is left to serve.
func (r *run) gate() *Error {
	var first Decision
	r.served, r.rulings = nil, nil
	for i, rec := range r.job.Recipients {
		v, ok := r.gateOne(i)
		if ok {
			r.served = append(r.served, rec)
			continue
		}
		r.rulings = append(r.rulings, ruling{i, -1, v})
		if first.Reason == "" {
			first = v.Decision
		}
	}
	if len(r.served) > 0 {
		return nil
	}
	e := Refuse(Code(first.Reason), "%s", gateMessages[Code(first.Reason)])
	e.Op = gateOp
	return e
}

// gateOp marks a refusal that is about people, not about the job or its files.
const gateOp = "gate"

// gateOne asks about the job's recipient i, by every answer there is.
func (r *run) gateOne(i int) (verdict, bool) {
	for _, a := range r.answers {
		if d, ok := r.Policy.Gate(r.job.Conversation.Kind, a.Sender, a.Recipients[i]); !ok {
			return verdict{d, a}, false
		}
	}
	return verdict{}, true
}

// gateMessages tell the integrator what to do; what a sender is told is in the manifest's notices.
var gateMessages = map[Code]string{
	CodeSenderUnderAge:    "the sender is under 16; direct messages are not offered to them",
	CodeRecipientUnderAge: "every recipient is under 16; direct messages are not offered to them",
	CodeMediaFirstContact: "media cannot be the first message to a new contact; send text first",
	CodeNotDeliverable:    "the message cannot be delivered",
}
