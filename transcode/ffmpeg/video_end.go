package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// atLimit encodes again what came out as too long by less than the grace: it is delivered up to the limit exactly.
func (j *videoJob) atLimit(ctx context.Context) error {
	limit := j.plan.Time.LimitMS
	info, err := readMP4(j.abs(playbackName))
	if err != nil || info.durationMS <= limit || info.durationMS > limit+transcode.LimitGraceMS {
		return nil //nolint:nilerr // what is wrong with it is said by whoever reads it next
	}
	cut := *j.plan
	cut.Time.LengthMS, cut.Time.ExpectMS = limit, limit
	j.plan = &cut
	if err := j.clear(); err != nil {
		return err
	}
	return j.encode(ctx)
}

// endLackMS is what a presentation may lack at its end before it is made whole, milliseconds: less than a frame.
const endLackMS = 10

// holdLast lets the last picture of a file that is whole stand as long as the presentation lasts, and not longer than a trim. An encoder
// gives it the length of a frame. Sound of that length does the same in every player.
func (j *videoJob) holdLast(ctx context.Context) error {
	when := j.plan.Time
	want := min(when.ExpectMS, when.LimitMS)
	info, err := readMP4(j.abs(playbackName))
	if err != nil || j.plan.Animated || want == 0 {
		return nil //nolint:nilerr // what is wrong with it is said by whoever reads it next
	}
	longer := when.LengthMS > 0 && info.durationMS > when.LengthMS
	if !longer && (info.durationMS >= want-endLackMS || !j.wholeSource()) {
		return nil
	}
	if video := info.track("vide"); video == nil || video.timescale <= 0 {
		return nil
	}
	args, err := j.holdArgs(info, want)
	if err != nil {
		return err
	}
	if err := j.tools.Run(ctx, Run{Args: args, Dir: j.dir, Failed: pipeline.CodeEncodeFailed}); err != nil {
		return err
	}
	if err := moveOver(j.abs(heldName), j.abs(playbackName)); err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Video", err)
	}
	return nil
}

// moveOver puts the bytes of one file into another. An engine may not rename.
func moveOver(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close(), os.Remove(from))
}

// heldName is where the playback with a longer last picture is written.
const heldName = "held.mp4"

// lastOnes is how many of the last pictures in the file one of which may be the last that is shown.
const lastOnes = 17

// holdArgs copies the playback; its last pictures last until the end. A muxer takes the length of the very last one only.
func (j *videoJob) holdArgs(info *mp4, untilMS int64) ([]string, error) {
	video := info.track("vide")
	made := Input(pipeline.File{Path: j.rel(playbackName), Type: pipeline.TypeMP4}, ff.KwArgs{"noautorotate": ""})
	streams := []*ff.Stream{made.Get("v:0")}
	if info.track("soun") != nil {
		streams = append(streams, made.Get("a:0"))
	}
	opts := merge(containerOptions(), ff.KwArgs{"c": "copy"})
	opts["bsf:v"] = fmt.Sprintf(`setts=pts=PTS:dts=DTS:duration=if(gte(N\,%d)\,%d-PTS\,DURATION)`, max(0, video.samples-lastOnes), untilMS*video.timescale/1000)
	return BuildArgs(ff.Output(streams, j.rel(heldName), opts))
}

// wholeSource reports whether the file has all that its headers promise and all of it was decoded: then a picture that seems to be
// missing is one that stands longer.
func (j *videoJob) wholeSource() bool {
	return !containsAny(string(j.log), videoDamages) && !endsEarly(filepath.Join(j.dir, j.file.Path), j.file.Type)
}
