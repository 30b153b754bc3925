package ffmpeg

import (
	"context"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// keysDir is the directory of key frames that are looked at before a rendering.
const keysDir = "keys"

// KeyFrames gives the key frames of f as plan would deliver them, edits included, in one pass that decodes nothing else: a hundredth of what
// a transcode costs. It writes into dir/out, apart from what Video writes there. There may be few, or none where a trim holds no key frame;
// an animation has none.
func (t Tools) KeyFrames(ctx context.Context, dir, out string, f pipeline.File, plan *transcode.VideoPlan, cards Cards) ([]pipeline.Sample, error) {
	if plan.Animated {
		return nil, ctx.Err()
	}
	j := videoJob{tools: t, dir: dir, out: out, file: f, plan: plan, cards: cards, progress: rising(nil)}
	if err := j.makeDirs(); err != nil {
		return nil, err
	}
	v, err := j.pass(keysOnly(), func(v *ff.Stream) *ff.Stream { return apart(v, plan.Keys.Apart) })
	if err != nil {
		return nil, err
	}
	args, err := BuildArgs((&graph{out: j.out}).keyFrames(v, plan))
	if err != nil {
		return nil, err
	}
	if err := t.Run(ctx, Run{Args: args, Dir: dir}); err != nil {
		return nil, err
	}
	return j.keyFrames()
}

// unpaced is plan without a constant frame rate, which would repeat a key frame until the next: each must count once.
func unpaced(plan *transcode.VideoPlan) *transcode.VideoPlan {
	p := *plan
	p.Picture.FPS = 0
	return &p
}

// limitSlackMS is how far behind the limit is read, so that what is too long is caught and not cut.
const limitSlackMS = 1000
