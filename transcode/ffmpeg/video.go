package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// Cards draws burned captions: a PNG with straight alpha for a picture of w × h pixels, written to file, and where it is to be laid.
type Cards interface {
	CardPNG(step transcode.Step, w, h int, file string) (x, y int, err error)
}

// VideoResult is what one decode of a video or an animation gave.
type VideoResult struct {
	Rendered *pipeline.Rendered
	Posters  []Poster // candidates by time, never empty
	Tiles    []Tile   // of the sprite, by time; empty where the plan has none
}

// Poster is a frame that may become the poster: packed 8-bit sRGB of the plan's Picture.Width × Picture.Height.
type Poster struct {
	Path   string `json:"path"` // inside the workspace
	AtMS   int64  `json:"at_ms"`
	Wanted bool   `json:"wanted"` // the sender's choice
}

// The names of what a video leaves in its directory.
const (
	playbackName = "playback.mp4"
	framePrefix  = "frame-"
	posterPrefix = "poster-"
	brightPrefix = "bright-"
)

// videoJob is one call of Video.
type videoJob struct {
	tools    Tools
	dir      string        // workspace, absolute
	out      string        // directory of the results inside it
	file     pipeline.File // the source; empty where src is frames of ours
	src      source
	plan     *transcode.VideoPlan
	cards    Cards
	progress func(percent float64)
	log      []byte // of the run that decoded the source
	from     standsAt
}

// Video carries out plan on f, which lies in the workspace dir, and writes everything into dir/out.
//
//  1. One ffmpeg run gives the playback MP4 and the poster candidates. A remux is a copy and a pass over
//     key frames, in one run too; one whose result does not hold is transcoded, one too coarse to look at is decoded in full.
//  2. progress is called with 0..100, rising, and may be nil.
//  3. When ctx ends everything that was started is dead before Video returns. Whatever the error, dir/out is gone.
//  4. What could be decoded of a damaged file is delivered with a warning "truncated: …"; nothing at all is corrupt, too_short
//     after a trim, too_long beyond the limit whatever the container claimed.
func (t Tools) Video(ctx context.Context, dir, out string, f pipeline.File, plan *transcode.VideoPlan, cards Cards,
	progress func(float64),
) (*VideoResult, error) {
	j := videoJob{
		tools: t, dir: dir, out: out, file: f, src: fileSource(f, plan, early(plan)), plan: plan, cards: cards, progress: rising(progress),
	}
	res, err := j.run(ctx)
	if err != nil {
		return res, err
	}
	part := &res.Rendered.Part
	if len(part.Warnings) == 0 && endsEarly(filepath.Join(dir, f.Path), f.Type) {
		part.Warnings = []string{"truncated: the file ends before it should; what could be decoded is delivered"}
	}
	part.Warnings = append(part.Warnings, plan.LeftOut...)
	return res, nil
}

func (j *videoJob) run(ctx context.Context) (*VideoResult, error) {
	if err := j.makeDirs(); err != nil {
		return nil, err
	}
	res, err := j.render(ctx)
	if err != nil {
		_ = os.RemoveAll(j.abs(".")) // the first error is the one to tell; the workspace goes as a whole in any case
	}
	return res, err
}

func (j *videoJob) render(ctx context.Context) (*VideoResult, error) {
	if j.plan.Method == transcode.MethodRemux {
		res, err := j.remux(ctx)
		if res != nil || ctx.Err() != nil {
			return res, err
		}
		if err := j.clear(); err != nil { // the copy does not hold: decode after all
			return nil, err
		}
	}
	return j.transcode(ctx)
}

func (j *videoJob) transcode(ctx context.Context) (*VideoResult, error) {
	if err := j.findBeginning(ctx); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{j.encode, j.atLimit, j.holdLast} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return j.collect(transcode.MethodTranscode)
}

func (j *videoJob) encode(ctx context.Context) error {
	g, err := j.graph()
	if err != nil {
		return err
	}
	outputs := append(g.posterOutputs(j.plan), g.playbacks(j.plan, j.src.sound)...)
	args, err := BuildArgs(outputs...)
	if err != nil {
		return err
	}
	err = j.tools.Run(ctx, Run{Args: args, Dir: j.dir, Log: &j.log, Progress: j.report})
	if err != nil {
		return err
	}
	if err := uprightMP4(j.abs(playbackName)); err != nil {
		return j.nothing()
	}
	return nil
}

// report turns the output's time into a share of what the container promised.
func (j *videoJob) report(outMS int64) {
	if j.plan.Time.ExpectMS > 0 {
		j.progress(min(99, float64(outMS)*100/float64(j.plan.Time.ExpectMS)))
	}
}

// rising keeps a progress from falling or standing, and calling nil.
func rising(progress func(float64)) func(float64) {
	last := -1.0
	return func(percent float64) {
		if progress == nil || percent <= last {
			return
		}
		last = percent
		progress(percent)
	}
}

func (j *videoJob) makeDirs() error {
	if !filepath.IsLocal(j.out) || strings.ContainsAny(j.out, "%:\\") {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Video", fmt.Errorf("%q is no plain name inside the workspace", j.out))
	}
	if err := errors.Join(os.MkdirAll(j.abs(keysDir), 0o700), j.makeTilesDir()); err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Video", err)
	}
	return nil
}

// clear removes what a failed attempt left.
func (j *videoJob) clear() error {
	if err := os.RemoveAll(filepath.Join(j.dir, filepath.FromSlash(j.out))); err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Video", err)
	}
	return j.makeDirs()
}

// rel names a file of ours for ffmpeg, whose working directory is the workspace.
func (j *videoJob) rel(name string) string { return path.Join(j.out, name) }

func (j *videoJob) abs(name string) string {
	return filepath.Join(j.dir, filepath.FromSlash(j.rel(name)))
}

// collect reads what the run wrote: nothing it says is taken from the plan.
func (j *videoJob) collect(method string) (*VideoResult, error) {
	info, err := readMP4(j.abs(playbackName))
	if err != nil {
		return nil, pipeline.Refuse(pipeline.CodeCorrupt, "no picture of the video could be decoded; send it again")
	}
	video := info.track("vide")
	if video == nil || video.samples == 0 {
		return nil, j.nothing()
	}
	if info.durationMS > j.plan.Time.LimitMS+transcode.LimitGraceMS {
		return nil, pipeline.Refuse(pipeline.CodeTooLong, "the video is longer than %d ms; cut it", j.plan.Time.LimitMS)
	}
	posters, err := j.posters()
	if err == nil && len(posters) == 0 {
		err = j.nothing()
	}
	if err != nil {
		return nil, err
	}
	res := &VideoResult{Rendered: &pipeline.Rendered{}, Posters: posters}
	renditions, err := j.renditions(info, video)
	if err != nil {
		return nil, err
	}
	if res.Tiles, err = j.tiles(); err != nil {
		return nil, err
	}
	hasAudio := info.track("soun") != nil
	res.Rendered.Part = pipeline.Part{
		Kind: pipeline.KindVideo, Presentation: j.plan.Presentation, Method: method, Width: video.width, Height: video.height,
		DurationMS: info.durationMS, HasAudio: &hasAudio, Renditions: renditions, Warnings: j.warnings(info.durationMS),
	}
	j.progress(100)
	return res, nil
}

func (j *videoJob) nothing() error {
	if j.plan.Time.StartMS > 0 {
		return pipeline.Refuse(pipeline.CodeTooShort, "nothing is left after the trim; begin it earlier")
	}
	return pipeline.Refuse(pipeline.CodeCorrupt, "no picture of the video could be decoded; send it again")
}

// renditions are the playback and, where the plan has one, the small one.
func (j *videoJob) renditions(info *mp4, video *mp4Track) ([]pipeline.Rendition, error) {
	playback, err := j.rendition(info, video, playbackName)
	if err != nil {
		return nil, err
	}
	small, err := j.smallRendition()
	if err != nil || small == nil {
		return []pipeline.Rendition{playback}, err
	}
	return []pipeline.Rendition{playback, *small}, nil
}

func (j *videoJob) rendition(info *mp4, video *mp4Track, name string) (pipeline.Rendition, error) {
	stat, err := os.Stat(j.abs(name)) // its digest is the pipeline's to take, when it is stored
	if err != nil {
		return pipeline.Rendition{}, pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Video", err)
	}
	size := stat.Size()
	codecs := video.codecs
	if sound := info.track("soun"); sound != nil {
		codecs += "," + sound.codecs
	}
	return pipeline.Rendition{
		Name: "playback", Class: pipeline.ClassFull, Path: j.rel(name), MIME: "video/mp4", Codecs: codecs, Size: size,
		Width: video.width, Height: video.height, DurationMS: info.durationMS, Frames: int(video.samples),
		Bitrate: size * 8000 / max(1, info.durationMS), Default: true,
	}, nil
}

const (
	// shortMS and shortShare are how much less than promised may be delivered without a word: containers round, and count sound
	// that is all padding.
	shortMS    = 300
	shortShare = 50 // a 50th
)

// videoDamages are what ffmpeg logs when it left something out.
var videoDamages = []string{
	"partial file", "Error while decoding", "error while decoding", "Invalid NAL", "Invalid data found", "File ended prematurely",
	"ended prematurely", "concealing", "Truncat", "truncat", "corrupt", "missing picture",
}

// warnings says when less was delivered than was sent.
func (j *videoJob) warnings(gotMS int64) []string {
	want := j.plan.Time.ExpectMS
	if want > 0 && gotMS < want-max(shortMS, want/shortShare) {
		return []string{fmt.Sprintf("truncated: %d of %d ms could be decoded", gotMS, want)}
	}
	if containsAny(string(j.log), videoDamages) {
		return []string{"truncated: damaged parts of the video were left out"}
	}
	return nil
}
