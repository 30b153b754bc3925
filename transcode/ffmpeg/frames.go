package ffmpeg

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// Frames carry their time in their names: ffmpeg numbers each by its timestamp in milliseconds. A graph that is set up anew in
// mid-stream, as when a call's resolution changes, then still gives every frame its own time.

// frameFile is one file that ffmpeg numbered.
type frameFile struct {
	name string // in the job's directory
	atMS int64
}

// numbered lists the files dir/prefix<ms>suffix by time.
func (j *videoJob) numbered(dir, prefix, suffix string) ([]frameFile, error) {
	entries, err := os.ReadDir(j.abs(dir))
	if err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Video", err)
	}
	var files []frameFile
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok || !strings.HasSuffix(digits, suffix) {
			continue
		}
		if ms, err := strconv.ParseInt(strings.TrimSuffix(digits, suffix), 10, 64); err == nil && ms >= 0 {
			files = append(files, frameFile{path.Join(dir, e.Name()), ms})
		}
	}
	slices.SortFunc(files, func(a, b frameFile) int { return int(a.atMS - b.atMS) })
	return files, nil
}

// keyFrames lists the key frames that were decoded.
func (j *videoJob) keyFrames() ([]pipeline.Sample, error) {
	files, err := j.numbered(keysDir, framePrefix, ".rgb")
	if err != nil {
		return nil, err
	}
	w, h := j.plan.Keys.Width, j.plan.Keys.Height
	samples := make([]pipeline.Sample, 0, len(files))
	for _, f := range files {
		if err := j.checkRaster(f.name, w, h); err != nil {
			return nil, err
		}
		samples = append(samples, pipeline.Sample{Path: j.rel(f.name), Width: w, Height: h, AtMS: f.atMS})
	}
	return samples, nil
}

// checkRaster holds a raster to its size.
func (j *videoJob) checkRaster(name string, w, h int) error {
	info, err := os.Stat(j.abs(name))
	if err == nil && info.Size() != int64(w)*int64(h)*3 {
		err = fmt.Errorf("%s: %d bytes for %d×%d", name, info.Size(), w, h)
	}
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Video", err)
	}
	return nil
}

// posters lists the candidates once each: a frame may be both spread and bright.
func (j *videoJob) posters() ([]Poster, error) {
	spread, err := j.numbered(".", posterPrefix, ".rgb")
	if err != nil {
		return nil, err
	}
	bright, err := j.numbered(".", brightPrefix, ".rgb")
	if err != nil {
		return nil, err
	}
	wanted := int64(-1)
	if tick := j.plan.Posters.WantedTick; tick >= 0 {
		wanted = transcode.TickMS(tick)
	}
	var posters []Poster
	for _, f := range append(spread, bright...) {
		if err := j.checkRaster(f.name, j.plan.Picture.Width, j.plan.Picture.Height); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(posters, func(p Poster) bool { return p.AtMS == f.atMS }) {
			posters = append(posters, Poster{Path: j.rel(f.name), AtMS: f.atMS, Wanted: f.atMS == wanted})
		}
	}
	slices.SortFunc(posters, func(a, b Poster) int { return int(a.AtMS - b.AtMS) })
	return posters, nil
}
