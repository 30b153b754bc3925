package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"slices"
)

// NeedsScreening reports whether what an item of this kind shows would change a decision: for somebody of the audience the policy decides
// otherwise at one level than at another. Nobody is looked at whose message is delivered the same anyway.
func NeedsScreening(kind Kind, a Audience, policy Policy) bool {
	if policy.ScansAlways() {
		return kind != KindVoice
	}
	asked := map[Recipient]bool{} // of a thousand recipients most are alike
	for _, rec := range a.Recipients {
		rec.ID = ""
		if asked[rec] {
			continue
		}
		asked[rec] = true
		if dependsOnLevel(kind, a.Sender, rec, policy) {
			return true
		}
	}
	return false
}

// dependsOnLevel asks the policy about one pair and every state that facts can be in. The reason counts, too: what is told of a decision
// goes by it.
func dependsOnLevel(kind Kind, s Sender, r Recipient, policy Policy) bool {
	states := everyFacts()
	first := policy.Decide(states[0], kind, s, r)
	for _, f := range states[1:] {
		if policy.Decide(f, kind, s, r) != first {
			return true
		}
	}
	return false
}

// everyFacts is every status with every level.
func everyFacts() (all []Facts) {
	seen := &Evidence{Renditions: []string{""}, Judge: JudgeVersion}
	for _, status := range []FactsStatus{NotNeeded, Scored, PartScored, Reviewed, Unavailable, Skipped} {
		for _, level := range []Level{LevelUnknown, LevelClear, LevelSuggestive, LevelDrawn, LevelExplicit} {
			all = append(all,
				Facts{Status: status, Level: level, Scores: &Scores{}},
				Facts{Status: status, Level: level, Scores: &Scores{}, Evidence: seen, Coverage: 1},
				Facts{Status: status, Level: level, Scores: &Scores{}, Evidence: seen},
			)
		}
	}
	return all
}

// notNeeded are the facts of what was not looked at because nobody's decision depends on it. They read as unknown.
func notNeeded() Facts { return Facts{Status: NotNeeded, Level: LevelUnknown} }

// needed reports whether an item of this kind must be screened for the people that the run knows of.
func (r *run) needed(kind Kind) bool {
	if r.forNobody {
		return false
	}
	if r.screenAll && kind != KindVoice {
		return true
	}
	return slices.ContainsFunc(r.answers, func(a answer) bool { return NeedsScreening(kind, a.Audience, r.Policy) })
}

// screenLate screens the stored renditions of what nobody's decision depended on when it was made, and now somebody's does: the audience is
// another one than the job's. While attempts are left, a scan that fails is trouble, as it is for everything else that is published.
func (r *run) screenLate(ctx context.Context, parts []Part) ([]Part, error) {
	late := false
	for _, p := range parts {
		late = late || r.isLate(p)
	}
	if !late {
		return parts, nil
	}
	return r.eachItem(ctx, func(ctx context.Context, it *itemRun) (Part, error) {
		p := parts[it.index]
		if !r.isLate(p) {
			return p, nil
		}
		facts, err := it.screenStored(ctx, p)
		if err != nil {
			it.Log.Warn("scan", slog.String("job_id", it.job.JobID), slog.String("item_id", it.item.ID), slog.Any("error", err))
			if Retryable(err) && !r.opts.Final || ctx.Err() != nil {
				return Part{}, err
			}
			facts = Facts{Status: Unavailable, Level: LevelUnknown}
		}
		p.Moderation = &facts
		return p, nil
	})
}

func (r *run) isLate(p Part) bool {
	return p.Status == StatusReady && p.Method != MethodNone && p.Moderation != nil && p.Moderation.Status == NotNeeded && r.needed(p.Kind)
}

// forget takes the facts of what nobody's decision depends on out of parts: a look that was taken for another message, or before the
// audience changed, is not copied into this one's manifest. A person's review stays.
func (r *run) forget(parts []Part) []Part {
	for i, p := range parts {
		if p.Moderation == nil || p.Kind == KindVoice || p.Moderation.Status == Reviewed || r.needed(p.Kind) {
			continue
		}
		facts := notNeeded()
		parts[i].Moderation = &facts
	}
	return parts
}

// screenStored finds what the stored renditions of a part show. The item's own workspace files are gone afterwards.
func (it *itemRun) screenStored(ctx context.Context, p Part) (Facts, error) {
	begun := it.Now()
	defer func() { it.looked += it.Now().Sub(begun) }()
	own := *it
	defer own.tidy()
	own.tidy()
	facts, err := own.rescreen(ctx, p)
	if err != nil && (facts == nil || facts.Level != LevelExplicit) {
		return Facts{}, err
	}
	return *facts, nil
}

// factsFor are what a record says of its content, as far as this message needs it and may believe it. missing: the renditions are to be
// screened. Facts of another model or of an older judge are not reused for anybody who is protected.
func (it *itemRun) factsFor(p Part) (f Facts, missing bool) {
	switch {
	case p.Kind == KindVoice:
		return *p.Moderation, false
	case !it.needed(p.Kind):
		return notNeeded(), false
	}
	f = *p.Moderation
	scored := f.Status == Scored && f.Model != nil && *f.Model == it.Moderator.Model() && !f.Outdated() && p.Covered()
	return f, !scored && f.Status != Reviewed
}

// recallFacts takes the record's facts, or screens its renditions and puts what was found into the record. ok = the item is done but for
// its decision; otherwise everything is to be made again, of the source that is fetched again.
func (it *itemRun) recallFacts(ctx context.Context, p *Part) (ok bool, err error) {
	facts, missing := it.factsFor(*p)
	if !missing {
		it.facts = facts
		return true, nil
	}
	facts, err = it.screenStored(ctx, *p)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return false, ctx.Err()
	case AsError(err).Code == CodeStorageUnavailable && !errors.Is(err, ErrNotExist):
		return false, err
	default:
		it.Log.Warn("scan", slog.String("job_id", it.job.JobID), slog.String("item_id", it.item.ID), slog.Any("error", err))
		return false, it.fetch(ctx)
	}
	it.facts, p.Moderation = facts, &facts
	return true, it.remember(ctx, *p)
}

// Covered reports whether the facts of p are about every file of it that shows the media. Facts that name no evidence are about whatever
// they stand beside.
func (p Part) Covered() bool {
	if p.Moderation == nil || p.Moderation.Evidence == nil {
		return p.Moderation != nil
	}
	for _, r := range p.Renditions {
		if r.Class != ClassSafe && !containsAll(p.Moderation.Evidence.Renditions, []string{r.SHA256}) {
			return false
		}
	}
	return true
}

// judged are the facts that a decision about p may rest on. What some delivered file could show and no look has covered makes the level
// unknown, unless it is explicit already.
func (p Part) judged() Facts {
	if p.Moderation == nil {
		return Facts{}
	}
	f := *p.Moderation
	if !p.Covered() && f.Level != LevelExplicit {
		f.Level = LevelUnknown
	}
	return f
}
