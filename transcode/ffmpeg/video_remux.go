package ffmpeg

import (
	"context"
	"fmt"
	"path/filepath"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// editSlackMS is the most an edit list of a copied file may delay or hide before the file is transcoded instead: decoders'
// reordering and priming need some, a trimmed phone video would carry what its sender cut away.
const editSlackMS = 150

// remux copies the packets into a clean MP4 and takes the posters from its key frames, in one run. A nil result without an error means
// that the file has to be transcoded after all.
func (j *videoJob) remux(ctx context.Context) (*VideoResult, error) {
	if !j.mayCopy() || !j.copyPackets(ctx) || stripMP4(j.abs(playbackName)) != nil {
		return nil, ctx.Err()
	}
	info, err := readMP4(j.abs(playbackName))
	if err != nil || checkDelivered(j.abs(playbackName)) != nil || info.durationMS > j.plan.Time.LimitMS {
		return nil, ctx.Err()
	}
	if !j.wantsAll() && !j.enoughPosters() && !j.allPosters(ctx) {
		return nil, ctx.Err()
	}
	res, err := j.collect(transcode.MethodRemux)
	if err == nil && j.tools.VerifyVideo(ctx, j.dir, res.Rendered.Part.Renditions[0]) != nil {
		return nil, ctx.Err()
	}
	return res, err
}

// copyPackets copies and decodes key frames in one process: starting another one costs as much as the copy.
func (j *videoJob) copyPackets(ctx context.Context) bool {
	read := j.copySource()
	posters, err := j.copyPosters(read)
	if err != nil {
		return false
	}
	streams := []*ff.Stream{read.picture}
	if read.sound != nil {
		streams = append(streams, read.sound)
	}
	opts := merge(containerOptions(), ff.KwArgs{"c": "copy", "bsf:v": "h264_metadata=video_full_range_flag=0," + slicesOnly})
	copied := ff.Output(streams, j.rel(playbackName), opts)
	args, err := BuildArgs(append(posters, copied)...)
	if err != nil {
		return false
	}
	err = j.tools.Run(ctx, Run{Args: args, Dir: j.dir, Log: &j.log, Progress: j.report})
	return err == nil && len(j.log) == 0
}

// copySource is the reading that is copied, of which only key frames are decoded where they are enough.
func (j *videoJob) copySource() source {
	if j.wantsAll() {
		return fileSource(j.file, j.plan, readAtMost(j.plan))
	}
	return fileSource(j.file, j.plan, readAtMost(j.plan), keysOnly())
}

// keysOnly are the options of a reading that decodes key frames only.
func keysOnly() ff.KwArgs { return ff.KwArgs{"skip_frame": "nokey"} }

// copyPosters are the posters that are taken while copying what is read: from the key frames, and the one that the sender chose.
func (j *videoJob) copyPosters(read source) ([]*ff.Stream, error) {
	g := &graph{out: j.out}
	if j.wantsAll() {
		return j.copyFull(g, read)
	}
	v, err := j.chosen(read, func(v *ff.Stream) *ff.Stream { return apart(v, j.plan.Keys.Apart) })
	if err != nil {
		return nil, err
	}
	outs := g.keyPosters(v, j.plan)
	if tick := j.plan.Posters.WantedTick; tick >= 0 {
		at := transcode.TickMS(tick)
		wanted, err := j.pass(ff.KwArgs{"ss": seconds(at)}, first)
		if err != nil {
			return nil, err
		}
		outs = append(outs, g.stills(stamped(wanted, at), posterPrefix, 1))
	}
	return outs, nil
}

// copyFull decodes every frame beside the copy, for optional work.
func (j *videoJob) copyFull(g *graph, read source) ([]*ff.Stream, error) {
	v, err := j.chosen(read, all)
	if err != nil {
		return nil, err
	}
	if j.plan.Small == nil {
		g.looks = v
		return g.posterOutputs(j.plan), nil
	}
	split := v.Split()
	g.looks = split.Get("0")
	return append(g.posterOutputs(j.plan), g.small(split.Get("1"), j.plan, j.src.sound)), nil
}

// pass is another reading of the source, by these options, of which some pictures are chosen before anything is done to them.
func (j *videoJob) pass(opts ff.KwArgs, choose func(*ff.Stream) *ff.Stream) (*ff.Stream, error) {
	return j.chosen(fileSource(j.file, j.plan, readAtMost(j.plan), opts), choose)
}

// chosen are some pictures of a reading, as they are delivered.
func (j *videoJob) chosen(read source, choose func(*ff.Stream) *ff.Stream) (*ff.Stream, error) {
	again := *j
	again.plan, again.from = unpaced(j.plan), standsAt{found: true, after: -1}
	again.src = source{picture: choose(read.picture)}
	return again.shown()
}

// enoughPosters reports whether key frames have given a choice. Of one alone, which a camera often begins in the dark with, there is none.
func (j *videoJob) enoughPosters() bool {
	posters, err := j.posters()
	return err == nil && (len(posters) > 1 || j.plan.Posters.WantedTick >= 0)
}

// allPosters decodes the copy in full, where its key frames are too few.
func (j *videoJob) allPosters(ctx context.Context) bool {
	made := pipeline.File{Path: j.rel(playbackName), Type: pipeline.TypeMP4}
	copied := *j
	copied.plan = unpaced(j.plan)
	copied.src = source{picture: Input(made, ff.KwArgs{"noautorotate": "", "reinit_filter": 0}).Get("v:0")}
	v, err := copied.shown()
	if err != nil {
		return false
	}
	args, err := BuildArgs((&graph{out: j.out, looks: v}).posterOutputs(j.plan)...)
	if err != nil {
		return false
	}
	var log []byte
	err = j.tools.Run(ctx, Run{Args: args, Dir: j.dir, Log: &log})
	return err == nil && len(log) == 0
}

// mayCopy reports whether a copy would present what the source presents and nothing else.
func (j *videoJob) mayCopy() bool {
	return j.file.Type.Demuxer != pipeline.TypeMP4.Demuxer || presentsAll(filepath.Join(j.dir, filepath.FromSlash(j.file.Path)))
}

// all leaves a reading as it is.
func all(v *ff.Stream) *ff.Stream { return v }

// first takes the first picture of a pass.
func first(v *ff.Stream) *ff.Stream { return selected(v, "eq(n,0)") }

// stamped moves the one picture of a pass to where it belongs.
func stamped(v *ff.Stream, ms int64) *ff.Stream {
	return v.Filter("settb", ff.Args{"1/1000"}).Filter("setpts", ff.Args{fmt.Sprint(ms)})
}

// keyPosters takes some of the key frames as posters.
func (g *graph) keyPosters(v *ff.Stream, plan *transcode.VideoPlan) []*ff.Stream {
	split := v.Split()
	spread := float64(plan.Time.ExpectMS) / 1000 / mostKeyPosters
	return []*ff.Stream{
		g.stills(apart(split.Get("0"), spread), posterPrefix, mostKeyPosters),
		g.stills(bright(split.Get("1").Filter("settb", ff.Args{fmt.Sprintf("1/%d", transcode.SampleHz)}), plan), brightPrefix, plan.Posters.Bright),
	}
}

// mostKeyPosters is how many key frames become poster candidates.
const mostKeyPosters = 4

// apart passes frames that are at least so many seconds apart, the first included.
func apart(v *ff.Stream, seconds float64) *ff.Stream {
	return selected(v, fmt.Sprintf("isnan(prev_selected_t)+gte(t-prev_selected_t,%s)", decimal(seconds)))
}
