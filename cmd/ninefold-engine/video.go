package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
	"github.com/ninefold/ninefold/transcode/ffmpeg"
	"github.com/ninefold/ninefold/transcode/raster"
	"github.com/ninefold/ninefold/transcode/vips"
)

// video renders a video or an animation with ffmpeg, chooses its poster, and has the poster's pictures made as a photo's are.
func (e *engine) video(ctx context.Context, f pipeline.File, plan *transcode.VideoPlan, out string, progress func(float64)) (*pipeline.Rendered, error) {
	tools, err := e.rasters()
	if err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "engine", err)
	}
	v, err := e.moving(ctx, f, plan, out, tools, progress)
	if err != nil {
		return nil, err
	}
	frame, err := e.choosePoster(v.Posters, plan.Picture)
	if err != nil {
		return nil, err
	}
	poster, err := vips.RenderPixels(ctx, e.Dir, out, frame.Pix, frame.Width, frame.Height, plan.Poster, tools)
	if err != nil {
		return nil, err
	}
	if f.Type == pipeline.TypeGIF {
		if cut, err := vips.CutShort(filepath.Join(e.Dir, f.Path)); err == nil && cut {
			v.Rendered.Part.Warnings = append(v.Rendered.Part.Warnings, "truncated: the animation ends before it should; what could be decoded is delivered")
		}
	}
	sprite, err := e.sprite(ctx, out, plan.Sprite, v.Tiles, tools)
	if err != nil {
		return nil, err
	}
	v.Rendered.Part.Renditions = append(v.Rendered.Part.Renditions, sprite...)
	v.Rendered.Part.Placeholder = poster.Part.Placeholder
	v.Rendered.Part.Renditions = append(v.Rendered.Part.Renditions, poster.Part.Renditions...)
	return v.Rendered, nil
}

// Look takes frames of a video, and nothing else.
func (e *engine) Look(ctx context.Context, f pipeline.File, plan *transcode.Plan, out string, atMS []int64) ([]pipeline.Sample, error) {
	if plan.Video == nil {
		return nil, fmt.Errorf("a look at what is no video")
	}
	tools, err := e.rasters()
	if err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "engine", err)
	}
	return e.tools.Look(ctx, e.Dir, out, f, plan.Video, tools, atMS)
}

// moving decodes with ffmpeg all but animated WebP, which ffmpeg 5.1 cannot read: libvips takes its frames apart first.
func (e *engine) moving(ctx context.Context, f pipeline.File, plan *transcode.VideoPlan, out string, tools raster.Tools,
	progress func(float64),
) (*ffmpeg.VideoResult, error) {
	if f.Type != pipeline.TypeWebP {
		return e.tools.Video(ctx, e.Dir, out, f, plan, tools, progress)
	}
	raw := ffmpeg.RawFrames{Path: out + "/raw"}
	var err error
	raw.W, raw.H, raw.DelaysMS, err = vips.Frames(filepath.Join(e.Dir, f.Path), f.Type, filepath.Join(e.Dir, raw.Path), transcode.DefaultProfile())
	if err != nil {
		return nil, err
	}
	return e.tools.Animation(ctx, e.Dir, out, raw, plan, tools, progress)
}

// choosePoster takes the frame the sender asked for, else the one with the most to see.
func (e *engine) choosePoster(posters []ffmpeg.Poster, pic transcode.VideoPicture) (raster.Frame, error) {
	var frames []raster.Frame
	for _, p := range posters {
		pix, err := os.ReadFile(filepath.Join(e.Dir, p.Path))
		if err != nil {
			return raster.Frame{}, pipeline.Trouble(pipeline.CodeInternal, "engine", err)
		}
		frame := raster.Frame{Pix: pix, Width: pic.Width, Height: pic.Height, AtMS: p.AtMS}
		if p.Wanted {
			return frame, nil
		}
		frames = append(frames, frame)
	}
	best := raster.PickPoster(frames)
	if best < 0 {
		return raster.Frame{}, pipeline.Trouble(pipeline.CodeInternal, "engine", fmt.Errorf("no poster among %d", len(posters)))
	}
	return frames[best], nil
}
