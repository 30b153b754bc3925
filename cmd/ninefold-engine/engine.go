package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
	"github.com/ninefold/ninefold/transcode/ffmpeg"
	"github.com/ninefold/ninefold/transcode/raster"
	"github.com/ninefold/ninefold/transcode/sandbox"
	"github.com/ninefold/ninefold/transcode/vips"
)

// engine hands each request to the package that knows the media.
type engine struct {
	sandbox.Workplace
	tools   ffmpeg.Tools
	rasters func() (raster.Tools, error) // fonts are looked up when the first picture needs them
}

var _ sandbox.Handler = (*engine)(nil)

func newEngine() (*engine, error) {
	tools, err := ffmpeg.FindTools()
	if err != nil {
		return nil, err
	}
	return &engine{tools: tools, rasters: sync.OnceValues(func() (raster.Tools, error) { return raster.NewTools() })}, nil
}

// Identify reads headers: libvips for pictures, ffprobe for everything that moves or sounds.
func (e *engine) Identify(ctx context.Context, f pipeline.File) (pipeline.Media, error) {
	if f.Type.Family == pipeline.FamilyImage {
		m, err := vips.Probe(filepath.Join(e.Dir, f.Path), f.Type)
		if err != nil || m.Format == "" {
			return m, err
		}
		return e.sequence(ctx, f, m)
	}
	return e.tools.Probe(ctx, e.Dir, f)
}

// sequence has every picture of a HEIC or AVIF sequence decoded: where one cannot be, the picture beside them is the item, not grey ones.
func (e *engine) sequence(ctx context.Context, f pipeline.File, m pipeline.Media) (pipeline.Media, error) {
	if transcode.CheckLimits(m, transcode.DefaultProfile()) != nil {
		return m, nil //nolint:nilerr // refused soon; nothing is decoded before
	}
	clean, err := e.tools.DecodesCleanly(ctx, e.Dir, f)
	if err != nil || clean {
		return m, err
	}
	if still, err := vips.ProbeStill(filepath.Join(e.Dir, f.Path), f.Type); err == nil {
		return still, nil
	}
	return m, nil
}

// Render carries out a plan. out is a directory inside the workspace that does not exist yet.
func (e *engine) Render(ctx context.Context, f pipeline.File, plan *transcode.Plan, out string, progress func(float64)) (*pipeline.Rendered, error) {
	if err := e.Prepare(out); err != nil {
		return nil, err
	}
	switch {
	case plan.Photo != nil:
		return e.photo(ctx, f, plan.Photo, out)
	case plan.Voice != nil:
		return e.tools.Voice(ctx, e.Dir, out, f, plan.Voice, progress)
	case plan.Video != nil:
		return e.video(ctx, f, plan.Video, out, progress)
	}
	return nil, fmt.Errorf("a plan for nothing")
}

func (e *engine) photo(ctx context.Context, f pipeline.File, plan *transcode.PhotoPlan, out string) (*pipeline.Rendered, error) {
	tools, err := e.rasters()
	if err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "engine", err)
	}
	r, err := vips.Render(ctx, e.Dir, out, f, plan, tools)
	return warnOfCaptions(r, err, tools, plan.Steps)
}

// warnOfCaptions says how many characters of the captions no font has: they are left out, and the sender sees no other sign of it.
func warnOfCaptions(r *pipeline.Rendered, err error, tools raster.Tools, steps []transcode.Step) (*pipeline.Rendered, error) {
	if err != nil {
		return nil, err
	}
	missing := 0
	for _, s := range steps {
		if s.Op == pipeline.OpCaption {
			missing += tools.Undrawn(s.Text)
		}
	}
	switch {
	case missing == 1:
		r.Part.Warnings = append(r.Part.Warnings, "caption: 1 character cannot be drawn")
	case missing > 1:
		r.Part.Warnings = append(r.Part.Warnings, fmt.Sprintf("caption: %d characters cannot be drawn", missing))
	}
	return r, nil
}

// Verify probes every rendition again.
func (e *engine) Verify(ctx context.Context, r *pipeline.Rendered) error {
	for _, rend := range r.Part.Renditions {
		if err := e.verify(ctx, rend); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) verify(ctx context.Context, r pipeline.Rendition) error {
	switch r.MIME {
	case "video/mp4":
		return e.tools.VerifyVideo(ctx, e.Dir, r)
	case "audio/ogg", "audio/mp4":
		return e.tools.VerifyAudio(ctx, e.Dir, r)
	case indexMIME:
		return e.verifyIndex(r)
	}
	return vips.Verify(e.Dir, r)
}
