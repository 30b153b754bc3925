package ffmpeg

import (
	"context"
	"fmt"
	"path/filepath"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

const (
	// editSlackMS is the most an edit list of a copied file may delay or hide before the file is transcoded instead: decoders'
	// reordering and priming need some, a trimmed phone video would carry what its sender cut away.
	editSlackMS = 150
	// keyGapMS is the longest stretch between two key frames that may stand for all between them.
	keyGapMS = 2_500
)

// remux copies the packets into a clean MP4 and looks at its key frames and its end, in one run. A nil result without an error means
// that the file has to be transcoded after all.
func (j *videoJob) remux(ctx context.Context) (*VideoResult, error) {
	if !j.mayCopy() || !j.copyAndLook(ctx) || stripMP4(j.abs(playbackName)) != nil {
		return nil, ctx.Err()
	}
	info, err := readMP4(j.abs(playbackName))
	if err != nil || checkDelivered(j.abs(playbackName)) != nil || info.durationMS > j.plan.Time.LimitMS {
		return nil, ctx.Err()
	}
	planned := j.planned
	if videoMS := info.track("vide").durationMS; j.covers(videoMS) {
		planned = func(int64) int { return 0 }
	} else if !j.short() && !j.wantsAll() && !j.lookAtAll(ctx) {
		return nil, ctx.Err()
	}
	res, err := j.collect(transcode.MethodRemux, planned)
	if err == nil && j.tools.VerifyVideo(ctx, j.dir, res.Rendered.Part.Renditions[0]) != nil {
		return nil, ctx.Err()
	}
	return res, err
}

// shortCopyMS is up to where every planned sample is taken, two a second, at the price of a full decode: 2.1 CPU-s for 15 s of 1080p,
// where the key frames cost 0.26 and would leave stretches of seconds unseen.
const shortCopyMS = 15_000

func (j *videoJob) short() bool { return j.plan.Time.ExpectMS <= shortCopyMS }

// copyAndLook copies and looks in one process: starting another one costs as much as the copy. The reading whose packets are copied is
// the one whose key frames, or whose every frame, are looked at: what a decoder leaves out is copied all the same.
func (j *videoJob) copyAndLook(ctx context.Context) bool {
	read := j.copySource()
	looks, err := j.copyLooks(read)
	if err != nil {
		return false
	}
	streams := []*ff.Stream{read.picture}
	if read.sound != nil {
		streams = append(streams, read.sound)
	}
	copied := ff.Output(streams, j.rel(playbackName), merge(containerOptions(), ff.KwArgs{"c": "copy", "bsf:v": "h264_metadata=video_full_range_flag=0," + slicesOnly}))
	args, err := BuildArgs(append(looks, copied)...)
	if err != nil {
		return false
	}
	err = j.tools.Run(ctx, Run{Args: args, Dir: j.dir, Log: &j.log, Progress: j.report})
	return err == nil && len(j.log) == 0
}

// copySource is the reading that is copied, of which only key frames are decoded where they are enough.
func (j *videoJob) copySource() source {
	if j.short() || j.wantsAll() {
		return fileSource(j.file, j.plan, readAtMost(j.plan))
	}
	return fileSource(j.file, j.plan, readAtMost(j.plan), keysOnly())
}

// keysOnly are the options of a reading that decodes key frames only.
func keysOnly() ff.KwArgs { return ff.KwArgs{"skip_frame": "nokey"} }

// copyLooks are the frames that are taken while copying what is read: all that are planned of a short video; of others the key frames,
// which stand for what lies between them, the last second, which they leave out, and the poster that the sender chose.
func (j *videoJob) copyLooks(read source) ([]*ff.Stream, error) {
	g := &graph{out: j.out, seen: j.seen}
	var err error
	if j.short() || j.wantsAll() {
		return j.copyFull(g, read)
	}
	if g.looks, err = j.chosen(read, func(v *ff.Stream) *ff.Stream { return apart(v, keyStep(j.plan)) }); err != nil {
		return nil, err
	}
	outs := keyOutputs(g, j.plan)
	at := j.lastLookMS()
	end, err := j.pass(ff.KwArgs{"ss": seconds(at), "skip_frame": "noref"}, first)
	if err != nil {
		return nil, err
	}
	outs = append(outs, g.frames(stamped(end, at), j.plan, 1))
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

// copyFull decodes every frame beside the copy: for all planned samples, and for optional work.
func (j *videoJob) copyFull(g *graph, read source) ([]*ff.Stream, error) {
	v, err := j.chosen(read, all)
	if err != nil {
		return nil, err
	}
	if j.plan.Small == nil {
		g.looks = v
		return g.lookOutputs(j.plan), nil
	}
	split := v.Split()
	g.looks = split.Get("0")
	return append(g.lookOutputs(j.plan), g.small(split.Get("1"), j.plan, j.src.sound)), nil
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

// lastMS is looked at in any case: the key frames may leave it out.
const lastMS = 1_000

// lastLookMS is the moment of the last second that is looked at: the plan's, so that no sender knows it.
func (j *videoJob) lastLookMS() int64 {
	end := j.videoMS()
	for _, tick := range j.plan.Samples.Ticks {
		if at := transcode.TickMS(tick); at >= end-lastMS && at < end-lastMS/4 {
			return at
		}
	}
	return max(0, end-lastMS)
}

// videoMS is how long the pictures last as far as the source's headers say: its sound may last longer.
func (j *videoJob) videoMS() int64 {
	if info, err := readMP4(filepath.Join(j.dir, filepath.FromSlash(j.file.Path))); err == nil {
		if video := info.track("vide"); video != nil && video.durationMS > 0 {
			return min(video.durationMS, j.plan.Time.ExpectMS)
		}
	}
	return j.plan.Time.ExpectMS
}

// lookAtAll decodes the copy in full, where its key frames are too far apart.
func (j *videoJob) lookAtAll(ctx context.Context) bool {
	if j.clearLooks() != nil {
		return false
	}
	made := pipeline.File{Path: j.rel(playbackName), Type: pipeline.TypeMP4}
	copied := *j
	copied.plan = unpaced(j.plan)
	copied.src = source{picture: Input(made, ff.KwArgs{"noautorotate": "", "reinit_filter": 0}).Get("v:0")}
	v, err := copied.shown()
	if err != nil {
		return false
	}
	args, err := BuildArgs((&graph{out: j.out, seen: j.seen, looks: v}).lookOutputs(j.plan)...)
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

// all leaves a pass as it is.
func all(v *ff.Stream) *ff.Stream { return v }

// first takes the first picture of a pass.
func first(v *ff.Stream) *ff.Stream { return selected(v, "eq(n,0)") }

// stamped moves the one picture of a pass to where it belongs.
func stamped(v *ff.Stream, ms int64) *ff.Stream {
	return v.Filter("settb", ff.Args{"1/1000"}).Filter("setpts", ff.Args{fmt.Sprint(ms)})
}

// keyOutputs takes the key frames that were chosen as samples, and some as posters.
func keyOutputs(g *graph, plan *transcode.VideoPlan) []*ff.Stream {
	split := g.looks.Split()
	spread := float64(plan.Time.ExpectMS) / 1000 / keyPosters
	return []*ff.Stream{
		g.frames(split.Get("0"), plan, plan.Samples.Most),
		g.stills(apart(split.Get("1"), spread), posterPrefix, keyPosters),
		g.stills(bright(split.Get("2").Filter("settb", ff.Args{fmt.Sprintf("1/%d", transcode.SampleHz)}), plan), brightPrefix, plan.Posters.Bright),
	}
}

// keyStep is the least distance of two key frames that are both looked at, seconds.
func keyStep(plan *transcode.VideoPlan) float64 {
	return max(0.4, float64(plan.Time.ExpectMS)/1000/float64(plan.Samples.Most))
}

// keyPosters is how many key frames become poster candidates.
const keyPosters = 4

// apart passes frames that are at least so many seconds apart, the first included.
func apart(v *ff.Stream, seconds float64) *ff.Stream {
	return selected(v, fmt.Sprintf("isnan(prev_selected_t)+gte(t-prev_selected_t,%s)", decimal(seconds)))
}

// covers reports whether the frames leave no long stretch unseen, the last second least of all.
func (j *videoJob) covers(videoMS int64) bool {
	files, err := j.numbered(j.seen, framePrefix, ".rgb")
	if err != nil || len(files) == 0 || j.short() || j.wantsAll() {
		return false
	}
	last := int64(0)
	for _, f := range files {
		if f.atMS-last > keyGapMS {
			return false
		}
		last = f.atMS
	}
	return last >= videoMS-lastMS-endSlackMS
}

// endSlackMS forgives what a header's rounding moves the last second by.
const endSlackMS = 100
