package vips

import (
	"image"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// safe makes the rendition that shows nothing recognisable. The enlargement is made from the blurred tiny raster alone.
func (r *renderer) safe() error {
	s := r.plan.Safe
	if s == nil {
		return nil
	}
	p, err := r.tiny(s)
	if err != nil {
		return err
	}
	if p, err = p.resize(s.Width, s.Height); err != nil {
		return err
	}
	if p, err = p.memory(r.ctx); err != nil {
		return err
	}
	data, err := encode(p, s.Format, s.Quality, false, r.plan.Matte)
	if err != nil {
		return err
	}
	rendition, err := r.write(pipeline.Rendition{Name: s.Name, Class: pipeline.ClassSafe}, s.Format, encoded{data, s.Width, s.Height})
	r.result.Part.Renditions = append(r.result.Part.Renditions, rendition)
	return err
}

func (r *renderer) tiny(s *transcode.SafeOut) (picture, error) {
	p, err := r.atLeast(s.TinyWidth, s.TinyHeight).flatten(r.plan.Matte)
	if err != nil {
		return picture{}, err
	}
	if p, err = p.areaShrink(s.TinyWidth, s.TinyHeight); err != nil {
		return picture{}, err
	}
	if p, err = p.blur(s.Sigma); err != nil {
		return picture{}, err
	}
	return p.memory(r.ctx)
}

// placeholderSide is the longest side of the raster that placeholders are made from: thumbhash takes no more.
const placeholderSide = 100

func (r *renderer) placeholder() error {
	if r.plan.Safe == nil {
		return nil
	}
	w, h := transcode.FitSize(r.plan.Width, r.plan.Height, max(r.plan.Width, r.plan.Height), placeholderSide)
	p, err := r.atLeast(w, h).areaShrink(w, h)
	if err != nil {
		return err
	}
	if p, err = p.rgba(); err != nil {
		return err
	}
	if p, err = p.memory(r.ctx); err != nil {
		return err
	}
	img := &image.NRGBA{Pix: append([]byte(nil), p.pixels()...), Stride: 4 * w, Rect: image.Rect(0, 0, w, h)}
	ph, err := r.tools.Placeholder(img)
	if err != nil {
		return err
	}
	r.result.Part.Placeholder = &ph
	return nil
}
