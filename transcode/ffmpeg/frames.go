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

// looked lists the samples, of which there should be planned, and the poster candidates.
func (j *videoJob) looked(planned int) (*VideoResult, error) {
	samples, err := j.samples()
	if err != nil {
		return nil, err
	}
	posters, err := j.posters()
	if err != nil {
		return nil, err
	}
	if len(samples) == 0 || len(posters) == 0 {
		return nil, j.nothing()
	}
	for i := range posters {
		posters[i].Sample = sampleOf(samples, posters[i].AtMS)
	}
	return &VideoResult{Rendered: &pipeline.Rendered{Samples: samples, Planned: max(planned, len(samples))}, Posters: posters}, nil
}

// sampleOf finds the sample of a moment; nil where there is none.
func sampleOf(samples []pipeline.Sample, atMS int64) *pipeline.Sample {
	if i := slices.IndexFunc(samples, func(s pipeline.Sample) bool { return s.AtMS == atMS }); i >= 0 {
		return &samples[i]
	}
	return nil
}

// planned counts the ticks that lie within what was delivered; ticks beyond it showed nothing to anybody.
func (j *videoJob) planned(videoMS int64) int {
	n := 0
	if j.plan.Samples.Frames > j.plan.Samples.Most {
		return j.plan.Samples.Frames // some of them were not looked at
	}
	for _, tick := range j.plan.Samples.Ticks {
		if transcode.TickMS(tick) < videoMS {
			n++
		}
	}
	return n
}

func (j *videoJob) samples() ([]pipeline.Sample, error) {
	files, err := j.numbered(j.seen, framePrefix, ".rgb")
	if err != nil {
		return nil, err
	}
	w, h := j.plan.Samples.Width, j.plan.Samples.Height
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

// clearLooks removes samples and candidates and leaves the playback file.
func (j *videoJob) clearLooks() error {
	if err := os.RemoveAll(j.abs(j.seen)); err != nil {
		return err
	}
	for _, prefix := range []string{posterPrefix, brightPrefix} {
		files, err := j.numbered(".", prefix, ".rgb")
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := os.Remove(j.abs(f.name)); err != nil {
				return err
			}
		}
	}
	return j.makeDirs()
}
