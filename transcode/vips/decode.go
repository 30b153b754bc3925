package vips

import (
	"errors"
	"fmt"
	"image"
	"math"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// leastShare is the share of its rows that a picture cut short must still show to be worth delivering.
const leastShare = 0.9

// A small JPEG may have lost mostLostRows at its foot, too: one row of blocks, and what is smoothed together with it. leastRowsLeft of it
// are there then.
const (
	mostLostRows  = 24
	leastRowsLeft = 0.5
)

// decode makes the master from a file, strictly; a file cut short gets a second look.
func (r *renderer) decode(s source) error {
	err := r.decodeAs(s, loading{failOn: failOnError})
	if err == nil {
		return r.warn(s.endless())
	}
	if r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	var coded *pipeline.Error
	if errors.As(err, &coded) {
		return err
	}
	left := s.left()
	if !left.enough() || r.decodeAs(s, loading{failOn: failOnNone}) != nil {
		return asCorrupt("vips.Render", err)
	}
	return r.warn(left.warning())
}

// warn notes a warning, if there is one.
func (r *renderer) warn(text string) error {
	if text != "" {
		r.result.Part.Warnings = append(r.result.Part.Warnings, text)
	}
	return nil
}

func (r *renderer) decodeAs(s source, l loading) error {
	p, err := s.open(&r.arena, l)
	if err != nil {
		return err
	}
	preview, orientation := p.preview, s.orientation(p)
	if err := r.expect(p, orientation); err != nil {
		return err
	}
	if err := s.affordable(p); err != nil {
		return err
	}
	full := image.Pt(p.width(), p.height())
	if l.shrink = r.shrinkOnLoad(s, full); l.shrink > 1 {
		if p, err = s.open(&r.arena, l); err != nil {
			return err
		}
	}
	if p, err = s.tagged(p); err != nil {
		return err
	}
	if err := r.toMasterOf(p, full, orientation); err != nil {
		return err
	}
	if s.besideSequence() {
		r.result.Part.Warnings = append(r.result.Part.Warnings, stillOnly)
	}
	if preview {
		r.result.Part.Warnings = append(r.result.Part.Warnings, previewOnly)
	}
	return nil
}

// stillOnly is the warning of a sequence that does not move any more.
const stillOnly = "still: the pictures of the sequence cannot all be decoded; this is the one that the file shows first"

// besideSequence reports whether the file was meant to be played: as a photo it comes only where that fails.
func (s source) besideSequence() bool {
	if s.typ != pipeline.TypeHEIC && s.typ != pipeline.TypeAVIF {
		return false
	}
	data, err := readBounded(s.path)
	if err != nil {
		return false
	}
	_, moves := readSequence(data)
	return moves
}

// previewOnly is the warning of a picture that is smaller than what was sent.
const previewOnly = "preview: the decoder cannot read the full picture; this is the preview that the file holds"

// expect compares the header with what the plan was made for. A decoder that reads another size from the same bytes is not trusted.
func (r *renderer) expect(p picture, orientation int) error {
	w, h := p.width(), p.height()
	if orientation > 4 {
		w, h = h, w
	}
	if w != r.plan.SourceWidth || h != r.plan.SourceHeight {
		return fmt.Errorf("the picture is %d×%d and was planned as %d×%d", w, h, r.plan.SourceWidth, r.plan.SourceHeight)
	}
	return nil
}

// shrinkOnLoad says how much smaller libjpeg may decode: at least a factor of two is left for the better resize after it, which is
// what libvips' own thumbnailer leaves.
func (r *renderer) shrinkOnLoad(s source, full image.Point) int {
	if s.typ.MIME != pipeline.TypeJPEG.MIME {
		return 1
	}
	mw, mh := r.plan.MasterSize()
	factor := math.Min(float64(r.plan.Width)/float64(mw), float64(r.plan.Height)/float64(mh))
	for _, shrink := range []int{8, 4, 2} {
		if factor >= float64(2*shrink) && full.X > shrink && full.Y > shrink {
			return shrink
		}
	}
	return 1
}

// toMaster is toMasterOf for a picture that was not shrunk on loading.
func (r *renderer) toMaster(p picture, orientation int) error {
	return r.toMasterOf(p, image.Pt(p.width(), p.height()), orientation)
}

// toMasterOf makes the master raster: the window that survives all crops, scaled once, in sRGB, then turned and edited. p holds the
// stored picture, full its size before any shrinking on load.
func (r *renderer) toMasterOf(p picture, full image.Point, orientation int) error {
	steps := append(transcode.OrientationSteps(orientation), r.plan.Steps...)
	f := stored(full, steps)
	if !f.window.In(image.Rectangle{Max: full}) || f.window.Empty() {
		return pipeline.Trouble(pipeline.CodeInternal, "vips.Render", fmt.Errorf("the edits leave the picture: %v of %v", f.window, full))
	}
	p, err := p.crop(scaledRect(f.window, full, image.Pt(p.width(), p.height())))
	if err != nil {
		return err
	}
	w, h := r.masterAsStored(steps)
	if p, err = p.resize(w, h); err != nil {
		return err
	}
	if p, err = p.srgb(); err != nil {
		return err
	}
	if !r.plan.KeepAlpha {
		if p, err = p.flatten(r.plan.Matte); err != nil {
			return err
		}
	}
	if p, err = p.memory(r.ctx); err != nil {
		return err
	}
	if p, err = p.withoutIdleAlpha(); err != nil {
		return err
	}
	if p, err = r.edited(p, f, steps); err != nil {
		return err
	}
	r.rasters = []picture{p}
	return nil
}

// masterAsStored is the master's size before the steps turn it.
func (r *renderer) masterAsStored(steps []transcode.Step) (w, h int) {
	w, h = r.plan.MasterSize()
	for _, s := range steps {
		if swaps(s) {
			w, h = h, w
		}
	}
	return w, h
}

// scaledRect is r of a full picture, in a copy of it that has size small. Nothing is lost where they are alike.
func scaledRect(r image.Rectangle, full, small image.Point) image.Rectangle {
	scale := func(v, from, to int) int { return (v*to + from/2) / from }
	out := image.Rect(scale(r.Min.X, full.X, small.X), scale(r.Min.Y, full.Y, small.Y),
		scale(r.Max.X, full.X, small.X), scale(r.Max.Y, full.Y, small.Y))
	out.Max.X, out.Max.Y = max(out.Max.X, out.Min.X+1), max(out.Max.Y, out.Min.Y+1)
	return out.Intersect(image.Rectangle{Max: small})
}
