package main

import (
	"context"
	"fmt"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
	"github.com/ninefold/ninefold/transcode/ffmpeg"
	"github.com/ninefold/ninefold/transcode/sandbox"
)

// engine hands what sounds to transcode/ffmpeg.
type engine struct {
	sandbox.Workplace
	tools ffmpeg.Tools
}

var _ sandbox.Handler = (*engine)(nil)

func newEngine() (*engine, error) {
	tools, err := ffmpeg.FindTools()
	if err != nil {
		return nil, err
	}
	return &engine{tools: tools}, nil
}

// Identify reads headers, also of what turns out to hold moving pictures: which of the two a file is, only this tells.
func (e *engine) Identify(ctx context.Context, f pipeline.File) (pipeline.Media, error) {
	if f.Type.Family == pipeline.FamilyImage {
		return pipeline.Media{}, fmt.Errorf("a picture of type %s is none of this engine's work", f.Type.MIME)
	}
	return e.tools.Probe(ctx, e.Dir, f)
}

// Render carries out a voice note's plan. out is a directory inside the workspace that does not exist yet.
func (e *engine) Render(ctx context.Context, f pipeline.File, plan *transcode.Plan, out string, progress func(float64)) (*pipeline.Rendered, error) {
	if plan.Voice == nil {
		return nil, fmt.Errorf("a plan for no voice note is none of this engine's work")
	}
	if err := e.Prepare(out); err != nil {
		return nil, err
	}
	return e.tools.Voice(ctx, e.Dir, out, f, plan.Voice, progress)
}

// KeyFrames is for videos.
func (e *engine) KeyFrames(context.Context, pipeline.File, *transcode.Plan, string) ([]pipeline.Sample, error) {
	return nil, fmt.Errorf("a video's key frames are none of this engine's work")
}

// Verify probes every rendition again.
func (e *engine) Verify(ctx context.Context, r *pipeline.Rendered) error {
	for _, rend := range r.Part.Renditions {
		if rend.MIME != "audio/ogg" && rend.MIME != "audio/mp4" {
			return fmt.Errorf("a rendition of type %s is none of this engine's work", rend.MIME)
		}
		if err := e.tools.VerifyAudio(ctx, e.Dir, rend); err != nil {
			return err
		}
	}
	return nil
}

// ReadBack is for what shows something.
func (e *engine) ReadBack(context.Context, pipeline.ReadOrder, *transcode.PhotoPlan) (*pipeline.ReadBack, error) {
	return nil, fmt.Errorf("reading pictures back is none of this engine's work")
}

// Inspect says what the installed ffmpeg can do.
func (e *engine) Inspect(ctx context.Context) []sandbox.Check {
	detail, ok := e.tools.Examine(ctx)
	return []sandbox.Check{{Name: "ffmpeg", OK: ok, Detail: detail}}
}
