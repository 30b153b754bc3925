package ffmpeg

import (
	"context"
	"fmt"
	"slices"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// The directories of frames that are looked at outside of a rendering, inside its own.
const (
	keysDir   = "keys"
	closerDir = "closer"
)

// Look takes classifier's frames of a video without rendering it. It writes into dir/out, apart from what Video writes there.
//
//  1. With no moments it gives the key frames of f as plan would deliver them, edits included, in one pass that decodes nothing else:
//     a hundredth of what a transcode costs. There may be few, or none where a trim holds no key frame.
//  2. With moments, milliseconds of the delivered video, it gives the frames shown at each of them, from the playback that Video wrote
//     to the same out. A moment behind the end gives nothing.
//  3. An animation gives nothing: all of its frames are among Video's samples.
func (t Tools) Look(ctx context.Context, dir, out string, f pipeline.File, plan *transcode.VideoPlan, cards Cards, atMS []int64) ([]pipeline.Sample, error) {
	if plan.Samples.All {
		return nil, ctx.Err()
	}
	j := videoJob{tools: t, dir: dir, out: out, seen: keysDir, plan: plan, cards: cards, progress: rising(nil)}
	args, err := j.lookArgs(f, atMS)
	if err != nil {
		return nil, err
	}
	if err := t.Run(ctx, Run{Args: args, Dir: dir}); err != nil {
		return nil, err
	}
	return j.samples()
}

func (j *videoJob) lookArgs(f pipeline.File, atMS []int64) ([]string, error) {
	if len(atMS) > 0 {
		j.seen = closerDir
	}
	if err := j.makeDirs(); err != nil {
		return nil, err
	}
	if len(atMS) > 0 {
		return j.closerArgs(atMS)
	}
	return j.keyArgs(f)
}

// keyArgs reads the key frames of f.
func (j *videoJob) keyArgs(f pipeline.File) ([]string, error) {
	j.file = f
	v, err := j.pass(keysOnly(), func(v *ff.Stream) *ff.Stream { return apart(v, keyStep(j.plan)) })
	if err != nil {
		return nil, err
	}
	g := &graph{out: j.out, seen: j.seen}
	return BuildArgs(g.frames(v, j.plan, j.plan.Samples.Most))
}

// closerArgs reads the delivered pictures of some moments. They are seen as a viewer sees them, so nothing is left to be done to them.
func (j *videoJob) closerArgs(atMS []int64) ([]string, error) {
	first, last := slices.Min(atMS), slices.Max(atMS)
	if first < 0 || last > j.plan.Time.LimitMS+limitSlackMS || len(atMS) > maxLooks {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Look", fmt.Errorf("%d moments from %d to %d ms", len(atMS), first, last))
	}
	ticks := make([]int, len(atMS))
	for i, at := range atMS {
		ticks[i] = int((at*transcode.SampleHz + 500) / 1000)
	}
	made := pipeline.File{Path: j.rel(playbackName), Type: pipeline.TypeMP4}
	v := Input(made, ff.KwArgs{"noautorotate": "", "reinit_filter": 0, "t": seconds(last + limitSlackMS)}).Get("v:0")
	v = selected(constantRate(v, transcode.SampleHz), pickTicks(ticks))
	g := &graph{out: j.out, seen: j.seen}
	return BuildArgs(g.frames(v, j.plan, len(ticks)))
}

// unpaced is plan without a constant frame rate, which would repeat a key frame until the next: each must count once.
func unpaced(plan *transcode.VideoPlan) *transcode.VideoPlan {
	p := *plan
	p.Picture.FPS = 0
	return &p
}

const (
	// maxLooks bounds the moments of one call.
	maxLooks = 256
	// limitSlackMS is how far behind the last moment is read, so that the frame that stands there is known.
	limitSlackMS = 1000
)
