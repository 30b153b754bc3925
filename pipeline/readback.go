package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// screen reads the verified renditions back: what stands in their place is made of them, and the facts are found in them. No facts is no
// reason to fail here: what unknown means is decided per recipient. When every recipient would be refused, the item ends before anything
// of it is stored.
func (it *itemRun) screen(ctx context.Context) error {
	it.facts = Facts{Status: Skipped, Level: LevelUnknown}
	if it.kind() == KindVoice {
		return it.refusedToAll()
	}
	needed, begun := it.needed(it.kind()), it.Now()
	it.look = it.longestLook(ctx, it.rendered.Part) + it.longestRecode(ctx)
	defer func() { it.looked += it.Now().Sub(begun) }()
	back, seen, err := it.readMade(ctx, needed)
	if err != nil {
		return err
	}
	recoded := back.Ambiguous
	if recoded {
		if back, err = it.recode(ctx, back); err != nil {
			return err
		}
	}
	if err := it.adopt(ctx, back); err != nil {
		return err
	}
	switch {
	case !needed:
		it.facts = notNeeded()
		return nil
	case !seen:
		it.facts = Facts{Status: PartScored, Level: LevelUnknown}
		return it.refusedToAll()
	}
	read := it.Now()
	facts, err := it.judge(ctx, back.Screen)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	it.facts = facts
	switch {
	case err != nil:
		it.Log.Warn("scan", "job_id", it.job.JobID, "item_id", it.item.ID, "error", err)
	case !recoded: // the paces are of a look alone
		it.learn(ctx, it.rendered.Part, back.Screen, read.Sub(begun), it.Now().Sub(read))
	}
	return it.refusedToAll()
}

// readMade reads back what was rendered. What cannot be read in full is unseen, not rejected: it goes on to those for whom nobody looks, and a
// rejection would tell the sender for whom somebody does.
func (it *itemRun) readMade(ctx context.Context, judged bool) (back *ReadBack, seen bool, err error) {
	back, err = it.readBack(ctx, it.rendered.Part, true, judged)
	if err == nil || !judged || Retryable(err) {
		return back, judged && err == nil, err
	}
	it.Log.Warn("a rendition cannot be read back; nothing is known of it", "job_id", it.job.JobID, "item_id", it.item.ID, "error", err)
	if err := it.ws.Remove(it.readDir()); err != nil {
		return nil, false, Trouble(CodeInternal, "scratch", err)
	}
	back, err = it.readBack(ctx, it.rendered.Part, true, false)
	return back, false, err
}

// readDir is where reading back an item writes.
func (it *itemRun) readDir() string { return fmt.Sprintf("out/%d/read", it.index) }

// methodCopied is Part.Method of a video whose packets were copied.
const methodCopied = "remux"

// recode makes a copied video anew, by decoding it, where clients would show the copy differently: what one decoder made of it is then what
// everybody is shown, and what is judged. Anything else stays as it is, and unseen.
func (it *itemRun) recode(ctx context.Context, back *ReadBack) (*ReadBack, error) {
	plan, ok := it.plan.(CopyPlan)
	if !ok || it.rendered.Part.Method != methodCopied {
		return back, nil
	}
	it.Log.Info("a copied video is ambiguous; it is transcoded", "job_id", it.job.JobID, "item_id", it.item.ID)
	if err := it.discard(it.rendered.Part.Renditions, back); err != nil {
		return nil, Trouble(CodeInternal, "scratch", err)
	}
	var err error
	if it.rendered, err = it.proc.Render(ctx, it.file, plan.Recoded(), it.report); err != nil {
		return nil, err
	}
	if err := it.verify(ctx); err != nil {
		return nil, err
	}
	return it.readBack(ctx, it.rendered.Part, true, true)
}

// discard removes what was made and read back from the workspace, where it is made again under the same names.
func (it *itemRun) discard(renditions []Rendition, back *ReadBack) error {
	var all error
	for _, r := range slices.Concat(renditions, back.Safe) {
		all = errors.Join(all, it.ws.Remove(r.Path))
	}
	for _, s := range back.Screen.Samples {
		all = errors.Join(all, it.ws.Remove(s.Path))
	}
	return all
}

// readBack decodes the renditions of a part, files of the workspace whose digests are known. Where nobody judges, only what stands in
// their place is made.
func (it *itemRun) readBack(ctx context.Context, part Part, made, judged bool) (*ReadBack, error) {
	side := 0
	if judged {
		side = it.Moderator.Side()
	}
	seed, err := it.seed(ctx, it.file.SHA256)
	if err != nil {
		return nil, err
	}
	back, err := it.proc.ReadBack(ctx, ReadOrder{
		Part: part, Out: it.readDir(), Make: made, Side: side, Seed: seed,
	})
	if err != nil {
		return nil, err
	}
	back.Screen.Renditions = digests(part.Renditions)
	return back, nil
}

func digests(renditions []Rendition) []string {
	sums := make([]string, len(renditions))
	for i, r := range renditions {
		sums[i] = r.SHA256
	}
	slices.Sort(sums)
	return slices.Compact(sums)
}

// adopt adds to the part what was made of its renditions. It is verified like them.
func (it *itemRun) adopt(ctx context.Context, back *ReadBack) error {
	made := Rendered{Part: Part{Kind: it.kind(), Renditions: back.Safe}}
	for i := range made.Part.Renditions {
		if err := it.fingerprint(&made.Part.Renditions[i]); err != nil {
			return err
		}
	}
	if err := it.proc.Verify(ctx, &made); err != nil {
		return err
	}
	part := &it.rendered.Part
	part.Renditions, part.Placeholder = append(part.Renditions, made.Part.Renditions...), back.Placeholder
	return nil
}

// judge has the facts found. A judge that scores nothing has nothing to be shown.
func (it *itemRun) judge(ctx context.Context, in ScreenInput) (Facts, error) {
	return it.Moderator.Screen(ctx, it.ws, in)
}

// rescreen finds the facts of a part in its stored renditions, all those that show it. One that the store lost is ErrNotExist: what a
// client that still has it may show is not known.
func (it *itemRun) rescreen(ctx context.Context, part Part) (*Facts, error) {
	shown := part
	shown.Renditions = slices.DeleteFunc(slices.Clone(part.Renditions), func(r Rendition) bool { return r.Class != ClassFull })
	for i := range shown.Renditions {
		if err := it.stageRendition(ctx, &shown.Renditions[i], i); err != nil {
			return nil, err
		}
	}
	if part.Source != nil {
		it.file.SHA256 = part.Source.SHA256
	}
	back, err := it.readBack(ctx, shown, false, true)
	if err != nil {
		return nil, err
	}
	facts, err := it.judge(ctx, back.Screen)
	return &facts, err
}

// stageRendition fetches a stored rendition into the workspace, held to its digest.
func (it *itemRun) stageRendition(ctx context.Context, r *Rendition, i int) error {
	src, o, err := it.Store.Get(ctx, r.Key)
	if err != nil {
		return err
	}
	defer src.Close()
	f, err := StageFile(it.ws, fmt.Sprintf("in/%d/r%02d", it.index, i), src, o.Size, maxRenditionBytes)
	if err != nil {
		return err
	}
	if f.SHA256 != r.SHA256 || f.Size != r.Size {
		return Trouble(CodeStorageUnavailable, "read back", fmt.Errorf("%s holds other bytes than its digest says", r.Key))
	}
	r.Path, r.Key = f.Path, ""
	return nil
}

// screenSource makes the part again for the judge alone; what it renders is thrown away.
func (it *itemRun) screenSource(ctx context.Context) (*Facts, error) {
	for _, s := range itemStages() {
		if s.name == stageRecall || s.name == stageStore {
			continue
		}
		it.stage = s.name
		it.report(0)
		if err := s.do(it, ctx); err != nil && it.facts.Status == "" { // what is refused for what it shows has facts
			return nil, AsErrorIn(s.name, err)
		}
		if it.done || it.facts.Status != "" {
			break
		}
	}
	facts := it.facts
	return &facts, nil
}
