package transcode

import (
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// PhotoPlan is the work order for a photo, and for the poster of a video: what is done to the pixels and which pictures are made.
// It is plain data; transcode/vips carries it out.
type PhotoPlan struct {
	SourceWidth  int    `json:"source_width"`  // pixels as displayed; the decoder must find the same
	SourceHeight int    `json:"source_height"` // pixels as displayed
	Steps        []Step `json:"steps,omitempty"`
	Width        int    `json:"width"`  // pixels after the last step
	Height       int    `json:"height"` // pixels after the last step

	Images []ImageOut `json:"images,omitempty"` // none: the plan makes what stands in a picture's place, see SafePlan
	Safe   *SafeOut   `json:"safe,omitempty"`

	Matte     uint8 `json:"matte"`                // grey level behind transparent pixels
	KeepAlpha bool  `json:"keep_alpha,omitempty"` // formats that have alpha keep it
	Flat      bool  `json:"flat,omitempty"`       // the source may be a drawing: those become lossless WebP and JPEG with full chroma
}

// ImageOut is one picture to make, with its exact size.
type ImageOut struct {
	Name    string `json:"name"`
	Format  Format `json:"format"`
	Fit     Fit    `json:"fit"` // cover cuts the picture to Width × Height about its centre, inside shows all of it
	Width   int    `json:"width"`
	Height  int    `json:"height"`
	Quality int    `json:"quality"`
	Default bool   `json:"default,omitempty"`
	Budget  int64  `json:"budget,omitempty"` // bytes; above it quality and then size go down, 0 = no budget
}

// SafeOut is the rendition that shows nothing recognisable: the picture shrunk to Tiny, blurred, and enlarged to its size.
// Whatever is lost in Tiny is lost for good; the enlargement sees nothing else.
type SafeOut struct {
	Name       string  `json:"name"`
	Format     Format  `json:"format"`
	TinyWidth  int     `json:"tiny_width"`
	TinyHeight int     `json:"tiny_height"`
	Sigma      float64 `json:"sigma"` // gaussian, in pixels of the tiny raster
	Width      int     `json:"width"`
	Height     int     `json:"height"`
	Quality    int     `json:"quality"`
}

// blurSigma leaves 3 % of the contrast at 6 cycles across a 32 px raster, the finest that 12 px can show, and nothing above.
const blurSigma = 2.2

// blurLeast is how much smaller than the picture the tiny raster is at least: a 32 px icon must not survive as itself.
const blurLeast = 8

const (
	blurQuality = 70
	matteWhite  = 255 // a document or logo expects paper
)

// drawn are the types that screenshots and drawings come in: they keep every pixel.
var drawn = []string{pipeline.TypePNG.MIME, pipeline.TypeAPNG.MIME, pipeline.TypeGIF.MIME}

// planPhoto decides which pictures are made of a photo that passed the limits.
func planPhoto(item pipeline.Item, m pipeline.Media, prof Profile) (*PhotoPlan, error) {
	if m.Width < 1 || m.Height < 1 {
		return nil, pipeline.Refuse(pipeline.CodeCorrupt, "the picture has no size; send it again")
	}
	steps, w, h := Geometry(item.Edits, m.Width, m.Height)
	plan := pictures(w, h, prof.Photo.Renditions, prof.Photo)
	plan.SourceWidth, plan.SourceHeight, plan.Steps = m.Width, m.Height, steps
	plan.KeepAlpha = prof.Photo.KeepAlpha
	plan.Flat = slices.Contains(drawn, m.MIME)
	return plan, nil
}

// PosterPlan decides which pictures are made of a video's poster frame of w × h pixels, edits already applied to it. It asks for
// no classifier sample: the video's own samples are scored.
func PosterPlan(w, h int, prof Profile) *PhotoPlan {
	plan := pictures(w, h, prof.Video.Poster, prof.Photo)
	plan.SourceWidth, plan.SourceHeight = w, h
	return plan
}

// SafePlan decides what is made of a delivered picture of w × h pixels that is shown where the picture itself is not: the safe rendition
// and the placeholder.
func SafePlan(w, h int, prof Profile) *PhotoPlan {
	return &PhotoPlan{SourceWidth: w, SourceHeight: h, Width: w, Height: h, Safe: safe(w, h, prof.Photo), Matte: matteWhite}
}

func pictures(w, h int, specs []ImageSpec, p PhotoProfile) *PhotoPlan {
	return &PhotoPlan{
		Width: w, Height: h, Images: images(w, h, specs, p.DisplayBytes), Matte: matteWhite,
	}
}

// images sizes the specs for a picture of w × h and drops those that came out equal in name, format and size.
func images(w, h int, specs []ImageSpec, budget int64) []ImageOut {
	type key struct {
		name   string
		format Format
		w, h   int
	}
	budgeted := defaultName(specs)
	seen := map[key]bool{}
	var out []ImageOut
	for _, s := range specs {
		im := imageOut(s, w, h)
		k := key{im.Name, im.Format, im.Width, im.Height}
		if seen[k] {
			continue
		}
		seen[k] = true
		if im.Name == budgeted {
			im.Budget = budget
		}
		out = append(out, im)
	}
	return out
}

func imageOut(s ImageSpec, w, h int) ImageOut {
	im := ImageOut{Name: s.Name, Format: s.Format, Fit: s.Fit, Quality: s.Quality, Default: s.Default}
	if s.Fit == FitCover {
		im.Width = min(s.Side, w, h)
		im.Height = im.Width
		return im
	}
	im.Width, im.Height = FitSize(w, h, max(w, h), s.Side)
	return im
}

// defaultName names the rendition that the byte budget is for, in all its formats.
func defaultName(specs []ImageSpec) string {
	for _, s := range specs {
		if s.Default {
			return s.Name
		}
	}
	return ""
}

func safe(w, h int, p PhotoProfile) *SafeOut {
	long := max(w, h)
	s := &SafeOut{Name: "blurred", Format: JPEG, Sigma: blurSigma, Quality: blurQuality}
	s.TinyWidth, s.TinyHeight = FitSize(w, h, long, max(1, min(p.BlurSide, long/blurLeast)))
	s.Width, s.Height = FitSize(w, h, long, p.BlurOut)
	return s
}

// Adjustment is an adjust step as numbers on pixels 0..1: Y' = (Y - 0.5)·Contrast + 0.5 + Brightness for luma, and chroma times
// Saturation. It is what ffmpeg's eq filter does with the same three numbers, so a photo and a video come out alike.
type Adjustment struct {
	Brightness float64 // -1..1, added to luma
	Contrast   float64 // 0..2, 1 leaves it
	Saturation float64 // 0..2, 1 leaves it
}

// Adjustment returns the step's numbers.
func (s Step) Adjustment() Adjustment {
	return Adjustment{Brightness: s.Brightness, Contrast: 1 + s.Contrast, Saturation: 1 + s.Saturation}
}

// rec709 holds the shares of red, green and blue in luma.
var rec709 = [3]float64{0.2126, 0.7152, 0.0722}

// Matrix returns the adjustment as a linear map on R, G, B in 0..1: out = m·in + offset.
func (a Adjustment) Matrix() (m [3][3]float64, offset float64) {
	for i := range m {
		for j := range m[i] {
			m[i][j] = (a.Contrast - a.Saturation) * rec709[j]
		}
		m[i][i] += a.Saturation
	}
	return m, 0.5 - 0.5*a.Contrast + a.Brightness
}

// MasterSize returns the size of the one raster everything is made from: the smallest that none of the plan's pictures exceeds,
// in the picture's own proportions and never larger than the picture.
func (p *PhotoPlan) MasterSize() (w, h int) {
	if len(p.Images) == 0 {
		return p.Width, p.Height
	}
	grow := func(needW, needH int) {
		if needW > w || needH > h {
			w, h = max(w, needW), max(h, needH)
		}
	}
	for _, im := range p.Images {
		if im.Fit == FitCover {
			grow(FitSize(p.Width, p.Height, min(p.Width, p.Height), im.Width))
			continue
		}
		grow(im.Width, im.Height)
	}
	return w, h
}
