package vips

import (
	"image"
	"math"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// edited applies the steps to the window p of the stored picture f, and returns a raster in memory. Crops have been done: what they
// would cut off was never decoded.
func (r *renderer) edited(p picture, f frame, steps []transcode.Step) (picture, error) {
	for _, s := range steps {
		var err error
		switch s.Op {
		case pipeline.OpRotate:
			p, err = p.rotate(s.Degrees)
		case pipeline.OpFlip:
			p, err = p.flip(s.Direction == pipeline.FlipVertical)
		case pipeline.OpAdjust:
			p, err = p.recomb(s.Adjustment().Matrix())
		case pipeline.OpCaption:
			p, err = r.captioned(p, f, s)
		}
		if err != nil {
			return picture{}, err
		}
		f = f.through(s)
	}
	return p.memory(r.ctx)
}

// captioned burns a caption. It is laid out on the whole picture as it stands at this step, and drawn where the window shows it: a
// later crop may cut it, as it would have on the full picture.
func (r *renderer) captioned(p picture, f frame, s transcode.Step) (picture, error) {
	p, err := p.memory(r.ctx)
	if err != nil {
		return picture{}, err
	}
	sx, sy := float64(p.width())/float64(f.window.Dx()), float64(p.height())/float64(f.window.Dy())
	card, x, y, err := r.tools.Card(s, scaleLength(f.size.X, sx), scaleLength(f.size.Y, sy))
	if err != nil {
		return picture{}, err
	}
	at := image.Pt(x-int(math.Round(float64(f.window.Min.X)*sx)), y-int(math.Round(float64(f.window.Min.Y)*sy)))
	blend(p.pixels(), p.width(), p.height(), p.bands(), card, at)
	return p, nil
}

func scaleLength(n int, scale float64) int { return max(1, int(math.Round(float64(n)*scale))) }

// blend draws card over packed rows of 3 or 4 bands, its corner at at; what lies outside is left out.
func blend(pix []byte, w, h, bands int, card *image.NRGBA, at image.Point) {
	area := image.Rectangle{Max: card.Rect.Size()}.Add(at).Intersect(image.Rect(0, 0, w, h))
	for y := area.Min.Y; y < area.Max.Y; y++ {
		from := card.Pix[(y-at.Y)*card.Stride+(area.Min.X-at.X)*4:]
		to := pix[(y*w+area.Min.X)*bands:]
		for range area.Dx() {
			over(to[:bands], from[:4])
			from, to = from[4:], to[bands:]
		}
	}
}

// over is the src-over rule with colours that are not premultiplied.
func over(to, from []byte) {
	a := int(from[3])
	switch {
	case a == 0:
		return
	case len(to) == 3 || to[3] == 255:
		for i := range 3 {
			to[i] = byte((int(from[i])*a + int(to[i])*(255-a) + 127) / 255)
		}
		return
	}
	below := int(to[3]) * (255 - a) // of 255²
	whole := a*255 + below
	for i := range 3 {
		to[i] = byte((int(from[i])*a*255 + int(to[i])*below + whole/2) / whole)
	}
	to[3] = byte((whole + 127) / 255)
}
