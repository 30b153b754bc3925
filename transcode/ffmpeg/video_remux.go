package ffmpeg

import (
	"context"
	"fmt"

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

// remux copies the packets into a clean MP4 and looks at the key frames of the copy. A nil result without an error means that the
// file has to be transcoded after all.
func (j *videoJob) remux(ctx context.Context) (*VideoResult, error) {
	if !j.copyPackets(ctx) {
		return nil, ctx.Err()
	}
	info, err := readMP4(j.abs(playbackName))
	if err != nil || !copyHolds(info) {
		return nil, ctx.Err()
	}
	planned, ok := j.lookAtCopy(ctx, info.track("vide").durationMS)
	if !ok {
		return nil, ctx.Err()
	}
	return j.collect(transcode.MethodRemux, planned)
}

func (j *videoJob) copyPackets(ctx context.Context) bool {
	streams := []*ff.Stream{j.src.picture}
	if j.src.sound != nil {
		streams = append(streams, j.src.sound)
	}
	args, err := BuildArgs(ff.Output(streams, j.rel(playbackName), merge(containerOptions(), ff.KwArgs{"c": "copy"})))
	if err != nil {
		return false
	}
	err = j.tools.Run(ctx, Run{Args: args, Dir: j.dir, Log: &j.log, Progress: func(ms int64) { j.report(ms / 2) }})
	return err == nil && len(j.log) == 0
}

// copyHolds reports whether a copy may be delivered as it is.
func copyHolds(info *mp4) bool {
	if info.track("vide") == nil || checkBoxes(info) != nil {
		return false
	}
	for i := range info.tracks {
		if !info.tracks[i].startsClean(editSlackMS) {
			return false
		}
	}
	return true
}

// lookAtCopy takes samples and posters from the copy: its key frames and its end, or a full decode of a video that is short or
// whose key frames are too far apart to stand for what lies between. ok is false where the copy does not decode.
func (j *videoJob) lookAtCopy(ctx context.Context, videoMS int64) (planned func(int64) int, ok bool) {
	if videoMS > shortCopyMS {
		if !j.look(ctx, ff.KwArgs{"skip_frame": "nokey"}, keyOutputs) {
			return nil, false
		}
		if j.dense(videoMS) {
			return func(int64) int { return 0 }, j.lookAtEnd(ctx, videoMS) && j.lookAtWanted(ctx)
		}
		if j.clearLooks() != nil {
			return nil, false
		}
	}
	return j.planned, j.look(ctx, nil, (*graph).lookOutputs)
}

// shortCopyMS is up to where every planned sample is taken, two a second, at the price of a full decode: 2.1 CPU-s for 15 s of 1080p,
// where the key frames cost 0.26 and would leave stretches of seconds unseen.
const shortCopyMS = 15_000

// lookAtEnd samples the last second, which key frames leave out.
func (j *videoJob) lookAtEnd(ctx context.Context, videoMS int64) bool {
	from := videoMS - 1000
	return j.look(ctx, ff.KwArgs{"ss": seconds(from)}, func(g *graph, plan *transcode.VideoPlan) []*ff.Stream {
		return []*ff.Stream{g.frames(apart(later(g.looks, from), endStep), plan)}
	})
}

// endStep is the distance of the samples of the last second, seconds: as dense as the first ones.
const endStep = 0.45

// lookAtWanted takes the poster that the sender chose.
func (j *videoJob) lookAtWanted(ctx context.Context) bool {
	tick := j.plan.Posters.WantedTick
	if tick < 0 {
		return true
	}
	at := transcode.TickMS(tick)
	return j.look(ctx, ff.KwArgs{"ss": seconds(at)}, func(g *graph, plan *transcode.VideoPlan) []*ff.Stream {
		return []*ff.Stream{g.stills(selected(later(g.looks, at), "eq(n,0)"), posterPrefix, 1)}
	})
}

// later moves pictures that were read from the middle of a file to where they belong.
func later(v *ff.Stream, ms int64) *ff.Stream {
	return v.Filter("settb", ff.Args{"1/1000"}).Filter("setpts", ff.Args{fmt.Sprintf("PTS+%d", ms)})
}

// look decodes the copy for its frames alone.
func (j *videoJob) look(ctx context.Context, opts ff.KwArgs, outputs func(*graph, *transcode.VideoPlan) []*ff.Stream) bool {
	made := pipeline.File{Path: j.rel(playbackName), Type: pipeline.TypeMP4}
	copied := *j
	copied.plan = unpaced(j.plan)
	copied.src = source{picture: Input(made, ff.KwArgs{"noautorotate": ""}, opts).Get("v:0")}
	g, err := copied.graph()
	if err != nil {
		return false
	}
	args, err := BuildArgs(append(outputs(g, j.plan), g.discard())...)
	if err != nil {
		return false
	}
	var log []byte
	err = j.tools.Run(ctx, Run{Args: args, Dir: j.dir, Log: &log})
	return err == nil && len(log) == 0
}

// discard ends the branch that would have been encoded.
func (g *graph) discard() *ff.Stream {
	return ff.Output([]*ff.Stream{g.picture}, "-", ff.KwArgs{"format": "null", "fps_mode:v": "passthrough", "c:v": "wrapped_avframe"})
}

// keyOutputs takes every key frame as a sample, thinned to what a video may have, and some as posters.
func keyOutputs(g *graph, plan *transcode.VideoPlan) []*ff.Stream {
	split := apart(g.looks, keyStep(plan)).Split()
	spread := float64(plan.Time.ExpectMS) / 1000 / keyPosters
	return []*ff.Stream{
		g.frames(split.Get("0"), plan),
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

// dense reports whether the key frames leave no long stretch unseen. The end is looked at apart.
func (j *videoJob) dense(videoMS int64) bool {
	files, err := j.numbered(j.seen, framePrefix, ".rgb")
	if err != nil || len(files) == 0 {
		return false
	}
	last := int64(0)
	for _, f := range files {
		if f.atMS-last > keyGapMS {
			return false
		}
		last = f.atMS
	}
	return videoMS-last <= keyGapMS+1000
}
