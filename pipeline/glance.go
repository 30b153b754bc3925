package pipeline

import "context"

// MethodNone is the method of a part that was not rendered, because what its key frames show keeps it from everybody it was for. Such a
// part is ready and has no rendition: each of its deliveries withholds it.
const MethodNone = "none"

// ReasonNotRendered is why a part of MethodNone stays withheld from somebody who might have it by the time of publication.
const ReasonNotRendered = "not_rendered"

// glance looks at the key frames of a video where they may decide it for everybody, and then ends the item before its render, which costs
// a hundred times as much. Whatever goes wrong here is for the render and the full scan to tell.
func (it *itemRun) glance(ctx context.Context) error {
	if it.kind() != KindVideo || it.media.Animated || !it.endsEarly(certainlyExplicit()) {
		return nil
	}
	samples, err := it.proc.KeyFrames(ctx, it.file, it.plan)
	if err != nil || len(samples) == 0 {
		return ctx.Err()
	}
	facts, err := it.judge(ctx, ScreenInput{Samples: samples, Frames: len(samples), Scored: len(samples), Covered: len(samples)})
	if ctx.Err() != nil || err != nil || facts.Level != LevelExplicit {
		return ctx.Err()
	}
	return it.keep(facts)
}

// certainlyExplicit is the worst that key frames can show.
func certainlyExplicit() Facts {
	return Facts{Status: Scored, Level: LevelExplicit, Scores: &Scores{Explicit: 1}}
}

// mildest is the action of the recipient who would get the most of an item with these facts.
func (it *itemRun) mildest(f Facts) Action {
	mildest := Reject
	for _, rec := range it.served {
		if a := it.Policy.Decide(f, it.kind(), it.job.Sender, rec).Action; a.Severity() < mildest.Severity() {
			mildest = a
		}
	}
	return mildest
}

// keep ends an item that these facts keep from everybody: rejected, or ready with nothing to show where recipients are to know of it.
func (it *itemRun) keep(f Facts) error {
	if it.mildest(f).Severity() < Withhold.Severity() {
		return nil
	}
	it.facts = f
	if err := it.refusedToAll(); err != nil {
		return err
	}
	it.part = it.describe(Part{Kind: it.kind(), Status: StatusReady, Method: MethodNone, Moderation: &f})
	it.done = true
	return nil
}

// unrendered holds a decision about a part of MethodNone to what there is to deliver.
func (p Part) unrendered(d Decision) Decision {
	if p.Method == MethodNone && d.Action.Severity() < Withhold.Severity() {
		return Decision{Action: Withhold, Reason: ReasonNotRendered}
	}
	return d
}
