package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

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
	if rewritten(f.Type) {
		if cut, err := vips.CutShort(filepath.Join(e.Dir, f.Path), f.Type); err == nil && cut {
			v.Rendered.Part.Warnings = append(v.Rendered.Part.Warnings, "truncated: the animation ends before it should; what could be decoded is delivered")
		}
	}
	sprite, err := e.sprite(ctx, out, plan.Sprite, v.Tiles, tools)
	if err != nil {
		return nil, err
	}
	v.Rendered.Part.Renditions = append(v.Rendered.Part.Renditions, sprite...)
	v.Rendered.Part.Plays = plan.Plays
	v.Rendered.Part.Renditions = append(v.Rendered.Part.Renditions, poster.Part.Renditions...)
	return warnOfCaptions(v.Rendered, nil, tools, plan.Picture.Steps)
}

// KeyFrames takes the key frames of a video, and nothing else.
func (e *engine) KeyFrames(ctx context.Context, f pipeline.File, plan *transcode.Plan, out string) ([]pipeline.Sample, error) {
	if plan.Video == nil {
		return nil, fmt.Errorf("key frames of what is no video")
	}
	tools, err := e.rasters()
	if err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "engine", err)
	}
	return e.tools.KeyFrames(ctx, e.Dir, out, f, plan.Video, tools)
}

// moving decodes with ffmpeg all but animated WebP, which ffmpeg 5.1 cannot read: libvips takes its frames apart first.
func (e *engine) moving(ctx context.Context, f pipeline.File, plan *transcode.VideoPlan, out string, tools raster.Tools,
	progress func(float64),
) (*ffmpeg.VideoResult, error) {
	if rewritten(f.Type) {
		plain := f
		plain.Path = out + "/plain" + f.Type.Ext
		if err := vips.PlainAnimation(filepath.Join(e.Dir, f.Path), f.Type, filepath.Join(e.Dir, plain.Path)); err != nil {
			return nil, err
		}
		f = plain
	}
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

// rewritten reports whether an animation is written again before it is decoded, so that what was counted is what is decoded.
func rewritten(t pipeline.Type) bool { return t == pipeline.TypeGIF || t == pipeline.TypeAPNG }

// choosePoster takes the frame the sender asked for, else the one with the most to see. Only that one is read in full.
func (e *engine) choosePoster(posters []ffmpeg.Poster, pic transcode.VideoPicture) (raster.Frame, error) {
	best := slices.IndexFunc(posters, func(p ffmpeg.Poster) bool { return p.Wanted })
	if best < 0 {
		var err error
		if best, err = e.judgePosters(posters, pic); err != nil {
			return raster.Frame{}, err
		}
	}
	return e.frame(posters[best].Path, pic.Width, pic.Height, posters[best].AtMS)
}

// judgePosters compares the candidates.
func (e *engine) judgePosters(posters []ffmpeg.Poster, pic transcode.VideoPicture) (int, error) {
	var frames []raster.Frame
	for _, p := range posters {
		frame, err := e.frame(p.Path, pic.Width, pic.Height, p.AtMS)
		if err != nil {
			return 0, err
		}
		frames = append(frames, frame)
	}
	best := raster.PickPoster(frames)
	if best < 0 {
		return 0, pipeline.Trouble(pipeline.CodeInternal, "engine", fmt.Errorf("no poster among %d", len(posters)))
	}
	return best, nil
}

func (e *engine) frame(name string, w, h int, atMS int64) (raster.Frame, error) {
	pix, err := os.ReadFile(filepath.Join(e.Dir, name))
	if err != nil {
		return raster.Frame{}, pipeline.Trouble(pipeline.CodeInternal, "engine", err)
	}
	return raster.Frame{Pix: pix, Width: w, Height: h, AtMS: atMS}, nil
}
