package vips

import (
	"path"

	"github.com/ninefold/ninefold/pipeline"
)

// sampleName is the classifier's raster in the output directory.
const sampleName = "sample.rgb"

// sample writes the classifier's raster: edited, right side up, sRGB, on the plan's matte as what is delivered, each pixel the mean of those it covers.
func (r *renderer) sample() error {
	w, h := r.plan.SampleSize()
	if w == 0 {
		return nil
	}
	p, err := r.rasters[0].flatten(r.plan.Matte)
	if err != nil {
		return err
	}
	if p, err = p.areaShrink(w, h); err != nil {
		return err
	}
	if p, err = p.memory(r.ctx); err != nil {
		return err
	}
	name := path.Join(r.out, sampleName)
	if err := r.create(name, p.pixels()); err != nil {
		return err
	}
	r.result.Samples = []pipeline.Sample{{Path: name, Width: w, Height: h}}
	r.result.Planned = 1
	return nil
}
