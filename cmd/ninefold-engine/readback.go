package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/ninefold/ninefold/moderation/screen"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
	"github.com/ninefold/ninefold/transcode/ffmpeg"
	"github.com/ninefold/ninefold/transcode/vips"
)

// ReadBack decodes delivered files in full, makes what is shown in their place of them, and takes what the judge must see.
func (e *engine) ReadBack(ctx context.Context, order pipeline.ReadOrder, safe *transcode.PhotoPlan) (*pipeline.ReadBack, error) {
	if err := e.Prepare(order.Out); err != nil {
		return nil, err
	}
	r := reading{engine: e, order: order, stills: screen.NewStills(order.Side), samples: sampleFile{dir: e.Dir, out: order.Out}}
	for _, file := range order.Part.Renditions {
		if err := r.file(ctx, file, safe); err != nil {
			return nil, err
		}
	}
	if err := r.samples.close(); err != nil {
		return nil, err
	}
	r.count(r.stills.Coverage)
	r.result.Screen.Samples = r.samples.list
	return &r.result, nil
}

// reading is one call of ReadBack.
type reading struct {
	*engine
	order   pipeline.ReadOrder
	stills  *screen.Stills
	samples sampleFile
	result  pipeline.ReadBack
}

func (r *reading) file(ctx context.Context, file pipeline.Rendition, safe *transcode.PhotoPlan) error {
	switch {
	case file.MIME == "video/mp4":
		if r.order.Side == 0 {
			return nil
		}
		return r.video(ctx, file)
	case strings.HasPrefix(file.MIME, "image/"):
		stands := safe != nil && r.result.Safe == nil && (file.Default || file.Name == "poster")
		if r.order.Side == 0 && !stands {
			return nil
		}
		return r.still(ctx, file, stands, safe)
	}
	return nil // an index of numbers, or sound: verified to be nothing else
}

// still judges a picture, and makes of it what is shown in its place.
func (r *reading) still(ctx context.Context, file pipeline.Rendition, stands bool, safe *transcode.PhotoPlan) error {
	pix, w, h, err := vips.Delivered(ctx, r.Dir, file)
	if err != nil {
		return err
	}
	if r.order.Side > 0 {
		if err := r.judge(file, screen.Pixels{W: w, H: h, Pix: pix}); err != nil {
			return err
		}
	}
	if !stands {
		return nil
	}
	tools, err := r.rasters()
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "engine", err)
	}
	made, err := vips.RenderPixels(ctx, r.Dir, r.order.Out, pix, w, h, safe, tools)
	if err != nil {
		return err
	}
	r.result.Safe, r.result.Placeholder = made.Part.Renditions, made.Part.Placeholder
	return nil
}

// judge has the rasters of a still scored; a scrub sprite is as many stills as it has cells.
func (r *reading) judge(file pipeline.Rendition, p screen.Pixels) error {
	cells := []screen.Pixels{p}
	if file.Name == "sprite" {
		var err error
		if cells, err = r.cells(p); err != nil {
			return err
		}
	}
	for _, cell := range cells {
		for _, raster := range r.stills.Offer(cell) {
			if err := r.samples.add(raster, 0, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// cells cuts a sprite by its index. What lies outside of the cells is part of the picture as well, so that the whole is judged too.
func (r *reading) cells(p screen.Pixels) ([]screen.Pixels, error) {
	cells := []screen.Pixels{p}
	for _, file := range r.order.Part.Renditions {
		if file.Name != "sprite" || file.MIME != indexMIME {
			continue
		}
		data, err := os.ReadFile(filepath.Join(r.Dir, filepath.FromSlash(file.Path)))
		if err != nil {
			return nil, pipeline.Trouble(pipeline.CodeInternal, "engine", err)
		}
		var index transcode.SpriteIndex
		if json.Unmarshal(data, &index) != nil || index.Width < 1 || index.Height < 1 {
			return nil, pipeline.Refuse(pipeline.CodeEncodeFailed, "the video could not be converted; send it in another format").In("engine")
		}
		for y := 0; y+index.Height <= p.H; y += index.Height {
			for x := 0; x+index.Width <= p.W; x += index.Width {
				cells = append(cells, p.Crop(screen.Rect{X: x, Y: y, W: index.Width, H: index.Height}))
			}
		}
	}
	return cells, nil
}

// video has those of a video's frames scored that are unlike the ones before.
func (r *reading) video(ctx context.Context, file pipeline.Rendition) error {
	w, h := screen.BaseSize(file.Width, file.Height, r.order.Side)
	to := ffmpeg.Reduction{Width: w, Height: h}
	to.ShiftX = hidden(r.order.Seed[:8], file.Width/w)
	to.ShiftY = hidden(r.order.Seed[8:16], file.Height/h)
	reduced := w < file.Width || h < file.Height
	var selector *screen.Selector
	beyond := false
	whole, err := r.tools.ReadBack(ctx, r.Dir, file, to, func(f ffmpeg.DeliveredFrame) error {
		if selector == nil {
			selector = screen.NewSelector(r.order.Seed, f.Count)
		}
		frame := screen.Frame{AtMS: f.AtMS, ForMS: f.ForMS, Always: f.Sync, Base: screen.Pixels{W: w, H: h, Pix: f.Base}}
		beyond = beyond || screen.LeavesRange(f.Points, frame.Base)
		if reduced {
			lost := screen.SampledDetail(f.Points, frame.Base)
			frame.Lost = &lost
		}
		choice := selector.Offer(frame)
		if mean := selector.Fused(); mean != nil {
			if err := r.samples.add(*mean, f.AtMS, true); err != nil {
				return err
			}
		}
		if choice == screen.None {
			return nil
		}
		return r.samples.add(frame.Base, f.AtMS, choice == screen.Whole)
	})
	if err != nil {
		return err
	}
	if last := selector.Finish(); last != nil {
		err = r.samples.add(last.Base, last.AtMS, false)
	}
	if !whole || beyond { // other decoders show other pictures
		r.result.Ambiguous = true
		selector.Covered, selector.CoveredMS, selector.LongestMS = 0, 0, selector.ShownMS
	}
	r.count(selector.Coverage)
	return err
}

// hidden is a number 0..most-1 that the seed decides.
func hidden(seed []byte, most int) int {
	return int(binary.BigEndian.Uint64(seed) % uint64(max(1, most)))
}

func (r *reading) count(c screen.Coverage) {
	s := &r.result.Screen
	s.Frames += c.Frames
	s.Scored += c.Scored
	s.Covered += c.Covered
	s.ShownMS += int64(math.Round(c.ShownMS))
	s.CoveredMS += int64(math.Floor(c.CoveredMS))
	if c.Covered == c.Frames {
		s.CoveredMS = max(s.CoveredMS, s.ShownMS) // rounding alone
	}
	s.LongestMS = max(s.LongestMS, int64(math.Ceil(c.LongestMS)))
}
