package ffmpeg

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// RawFrames is an animation that libvips decoded, because ffmpeg does not read its format: packed RGBA with straight alpha, frame
// after frame, in one file.
type RawFrames struct {
	Path     string // inside the workspace
	W, H     int    // pixels
	DelaysMS []int  // how long each frame stands, as the file says; 10 ms or less is shown for 100
}

const (
	// shortDelayMS and shownDelayMS are what browsers do with delays no screen could show.
	shortDelayMS = 10
	shownDelayMS = 100
	// rawHz is the nominal rate raw frames are read at; their real times are set by their delays.
	rawHz = 25
)

// Animation is Video for frames that were decoded elsewhere. Frames that do not match their file are our own trouble.
func (t Tools) Animation(ctx context.Context, dir, out string, raw RawFrames, plan *transcode.VideoPlan, cards Cards,
	progress func(float64),
) (*VideoResult, error) {
	if err := raw.check(dir, plan); err != nil {
		return nil, err
	}
	j := videoJob{
		tools: t, dir: dir, out: out, src: raw.source(plan), plan: plan, cards: cards, progress: rising(progress),
	}
	return j.run(ctx)
}

func (r RawFrames) check(dir string, plan *transcode.VideoPlan) error {
	if len(r.DelaysMS) == 0 || len(r.DelaysMS) > max(1, plan.Frames) || r.W < 1 || r.H < 1 {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Animation", fmt.Errorf("%d frames of %d×%d", len(r.DelaysMS), r.W, r.H))
	}
	info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(r.Path)))
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Animation", err)
	}
	if want := int64(r.W) * int64(r.H) * 4 * int64(len(r.DelaysMS)); info.Size() != want {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Animation", fmt.Errorf("%d bytes of frames, want %d", info.Size(), want))
	}
	return nil
}

// source reads the frames and sets each to its time.
func (r RawFrames) source(plan *transcode.VideoPlan) source {
	in := ff.Input("file:"+r.Path, ff.KwArgs{
		"format": "rawvideo", "pixel_format": "rgba", "video_size": fmt.Sprintf("%dx%d", r.W, r.H), "framerate": rawHz,
		"protocol_whitelist": "file,pipe",
	})
	v := in.Get("v:0").Filter("settb", ff.Args{"1/1000"}).Filter("setpts", ff.Args{r.times()})
	return source{picture: earlier(v, plan)}
}

// imageSource opens a GIF or APNG, once round. A file without delays, or with delays of less than 10 ms, is shown as browsers
// show it. For GIF ffmpeg did so by itself up to version 6, whatever the file says; 7 does it for a delay of 0 only.
func imageSource(f pipeline.File, plan *transcode.VideoPlan) source {
	opts := ff.KwArgs{}
	switch f.Type.Demuxer {
	case pipeline.TypeGIF.Demuxer:
		opts["ignore_loop"] = 1
	case pipeline.TypeAPNG.Demuxer:
		opts["ignore_loop"] = 1
		opts["default_fps"], opts["max_fps"] = 1000/shownDelayMS, 1000/shortDelayMS-1
	}
	v := Input(f, opts).Get(strconv.Itoa(plan.VideoIndex)).Filter("settb", ff.Args{"1/1000"})
	if f.Type.Demuxer == pipeline.TypeGIF.Demuxer {
		v = v.Filter("setpts", ff.Args{gifClock()})
	}
	if n := plan.Frames; n > 0 {
		v = selected(v, fmt.Sprintf("lt(n,%d)", n)) // what comes beyond was not counted
	}
	return source{picture: earlier(v, plan)}
}

// gifClock has a frame stand for shownDelayMS where the next one comes shortDelayMS after it, or sooner.
func gifClock() string {
	return fmt.Sprintf("if(eq(N,0),0,PREV_OUTPTS+if(lte(PTS-PREV_INPTS,%d),%d,PTS-PREV_INPTS))", shortDelayMS, shownDelayMS)
}

// earlier makes an animation begin at its trim. Neither format can be searched, and the frame that stands when the trim begins came
// before it: all frames up to there are moved to 0, where the last of them is the one that shows. Its end is cut where it is written.
func earlier(v *ff.Stream, plan *transcode.VideoPlan) *ff.Stream {
	return v.Filter("setpts", ff.Args{fmt.Sprintf("max(0,PTS-%d)", plan.Time.StartMS)})
}

// times is the timestamp of frame N, milliseconds: the sum of the delays before it. Its value for the frame after the last ends the animation.
func (r RawFrames) times() string {
	starts, indices := make([]int, len(r.DelaysMS)+1), make([]int, len(r.DelaysMS)+1)
	for i, d := range r.DelaysMS {
		if d <= shortDelayMS {
			d = shownDelayMS
		}
		starts[i+1], indices[i+1] = starts[i]+d, i+1
	}
	term := func(n int) string { return fmt.Sprintf("eq(N,%d)*%d", n, starts[n]) }
	return searchTree("N", indices, term)
}
