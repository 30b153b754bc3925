package raster

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"

	"github.com/disintegration/imaging"
	"github.com/go-text/typesetting/font"
	ot "github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/vector"
)

// pen draws runs of glyphs onto one card.
type pen struct {
	card  *image.NRGBA
	scale float64 // card pixels a pixel of shapeSize
	area  vector.Rasterizer
	mask  *image.Alpha
	near  []uint16 // see grow
	emoji map[emojiKey]*image.NRGBA
}

type emojiKey struct {
	face *font.Face
	gid  font.GID
	w, h int
}

// placedRun is a run and where it begins.
type placedRun struct {
	shaping.Output
	spot
}

// spot is where a glyph's origin lies on the card, in pixels.
type spot struct{ x, y float64 }

// stroke draws a run's shapes, or those of its emoji, grown by radius pixels on every side.
func (p *pen) stroke(run shaping.Output, at spot, radius float64, ink color.NRGBA) {
	mask := p.shapes(run, at, radius+1)
	if mask == nil {
		mask = p.silhouettes(run, at, radius+1)
	}
	if mask != nil {
		p.grow(mask, radius)
		lay(p.card, mask, ink)
	}
}

// fill draws a run: shapes in the ink, emoji in their own colours.
func (p *pen) fill(run shaping.Output, at spot, ink color.NRGBA) {
	if mask := p.shapes(run, at, 0); mask != nil {
		lay(p.card, mask, ink)
	}
	p.bitmaps(run, at, func(pic *image.NRGBA, corner image.Point) { paste(p.card, pic, corner) })
}

// silhouettes is shapes for a run of emoji.
func (p *pen) silhouettes(run shaping.Output, at spot, reach float64) *image.Alpha {
	box := p.bounds(run, at, reach+1).Intersect(p.card.Rect)
	if box.Empty() {
		return nil
	}
	mask, drawn := p.scratch(box), false
	p.bitmaps(run, at, func(pic *image.NRGBA, corner image.Point) {
		draw.Draw(mask, pic.Rect.Add(corner), pic, image.Point{}, draw.Over)
		drawn = true
	})
	if !drawn {
		return nil
	}
	return mask
}

// each calls fn with the place of every glyph that can show.
func (p *pen) each(run shaping.Output, at spot, fn func(shaping.Glyph, spot)) {
	for _, g := range run.Glyphs {
		if g.GlyphID != font.EmptyGlyph && g.Width != 0 {
			fn(g, spot{at.x + toFloat(g.XOffset)*p.scale, at.y - toFloat(g.YOffset)*p.scale})
		}
		at.x += toFloat(g.Advance) * p.scale
	}
}

// shapes rasters a run into a mask that is only as large as the run's ink and reach around it; nil where there is nothing.
// The mask is valid until the next call.
func (p *pen) shapes(run shaping.Output, at spot, reach float64) *image.Alpha {
	box := p.bounds(run, at, reach+1).Intersect(p.card.Rect)
	if box.Empty() {
		return nil
	}
	p.area.Reset(box.Dx(), box.Dy())
	unit := p.scale * shapeSize / float64(run.Face.Upem())
	drawn := false
	p.each(run, at, func(g shaping.Glyph, where spot) {
		if outline, ok := run.Face.GlyphDataOutline(g.GlyphID); ok && len(outline.Segments) > 0 {
			p.path(outline.Segments, spot{where.x - float64(box.Min.X), where.y - float64(box.Min.Y)}, unit)
			drawn = true
		}
	})
	if !drawn {
		return nil
	}
	mask := p.scratch(box)
	p.area.Draw(mask, mask.Rect, image.Opaque, image.Point{})
	return mask
}

// bounds is what the glyphs' ink covers, reach pixels wider on each side.
func (p *pen) bounds(run shaping.Output, at spot, reach float64) image.Rectangle {
	var all image.Rectangle
	p.each(run, at, func(g shaping.Glyph, where spot) {
		x, y := where.x+toFloat(g.XBearing)*p.scale, where.y-toFloat(g.YBearing)*p.scale
		w, h := toFloat(g.Width)*p.scale, -toFloat(g.Height)*p.scale
		all = all.Union(image.Rect(floor(x-reach), floor(y-reach), floor(x+w+reach)+1, floor(y+h+reach)+1))
	})
	return all
}

func floor(v float64) int { return int(math.Floor(v)) }

// scratch returns a cleared mask over box.
func (p *pen) scratch(box image.Rectangle) *image.Alpha {
	n := box.Dx() * box.Dy()
	if p.mask == nil || cap(p.mask.Pix) < n {
		p.mask = &image.Alpha{Pix: make([]uint8, n)}
	}
	p.mask.Pix, p.mask.Stride, p.mask.Rect = p.mask.Pix[:n], box.Dx(), box
	clear(p.mask.Pix)
	return p.mask
}

func (p *pen) path(segments []ot.Segment, at spot, unit float64) {
	x := func(i int, s ot.Segment) float32 { return float32(at.x + float64(s.Args[i].X)*unit) }
	y := func(i int, s ot.Segment) float32 { return float32(at.y - float64(s.Args[i].Y)*unit) }
	for _, s := range segments {
		switch s.Op {
		case ot.SegmentOpMoveTo:
			p.area.ClosePath()
			p.area.MoveTo(x(0, s), y(0, s))
		case ot.SegmentOpLineTo:
			p.area.LineTo(x(0, s), y(0, s))
		case ot.SegmentOpQuadTo:
			p.area.QuadTo(x(0, s), y(0, s), x(1, s), y(1, s))
		case ot.SegmentOpCubeTo:
			p.area.CubeTo(x(0, s), y(0, s), x(1, s), y(1, s), x(2, s), y(2, s))
		}
	}
	p.area.ClosePath()
}

// bitmaps calls fn with each emoji of a run and where its top left pixel goes.
func (p *pen) bitmaps(run shaping.Output, at spot, fn func(pic *image.NRGBA, corner image.Point)) {
	p.each(run, at, func(g shaping.Glyph, where spot) {
		bitmap, ok := run.Face.GlyphDataBitmap(g.GlyphID)
		if !ok || bitmap.Format != font.PNG {
			return
		}
		if pic := p.picture(run.Face, g, bitmap); pic != nil {
			left, top := where.x+toFloat(g.XBearing)*p.scale, where.y-toFloat(g.YBearing)*p.scale
			fn(pic, image.Pt(int(math.Round(left)), int(math.Round(top))))
		}
	})
}

// picture is an emoji scaled from the font's only size; nil, which leaves its place empty, where the font's picture does not open.
func (p *pen) picture(face *font.Face, g shaping.Glyph, bitmap font.GlyphBitmap) *image.NRGBA {
	w := int(math.Round(toFloat(g.Width) * p.scale))
	h := int(math.Round(-toFloat(g.Height) * p.scale))
	if w < 1 || h < 1 {
		return nil
	}
	key := emojiKey{face, g.GlyphID, w, h}
	pic, ok := p.emoji[key]
	if !ok {
		if src, err := png.Decode(bytes.NewReader(bitmap.Data)); err == nil {
			pic = imaging.Resize(src, w, h, imaging.CatmullRom)
		}
		p.emoji[key] = pic
	}
	return pic
}

// lay puts ink on the card through a mask that lies on the card.
func lay(card *image.NRGBA, mask *image.Alpha, ink color.NRGBA) {
	for y := mask.Rect.Min.Y; y < mask.Rect.Max.Y; y++ {
		row := mask.Pix[mask.PixOffset(mask.Rect.Min.X, y):][:mask.Rect.Dx()]
		out := card.Pix[card.PixOffset(mask.Rect.Min.X, y):]
		for i, a := range row {
			if a != 0 {
				over(out[4*i:4*i+4:4*i+4], ink.R, ink.G, ink.B, uint32(a)*uint32(ink.A)/255)
			}
		}
	}
}

func paste(card, pic *image.NRGBA, at image.Point) {
	box := pic.Rect.Add(at).Intersect(card.Rect)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		in := pic.Pix[pic.PixOffset(box.Min.X-at.X, y-at.Y):]
		out := card.Pix[card.PixOffset(box.Min.X, y):]
		for i := range box.Dx() {
			s := in[4*i : 4*i+4]
			if s[3] != 0 {
				over(out[4*i:4*i+4:4*i+4], s[0], s[1], s[2], uint32(s[3]))
			}
		}
	}
}

// over lays a colour of straight alpha a over one pixel of straight alpha.
func over(px []uint8, r, g, b uint8, a uint32) {
	under := uint32(px[3]) * (255 - a) / 255
	all := a + under
	if all == 0 {
		return
	}
	mix := func(top, bottom uint8) uint8 { return uint8((uint32(top)*a + uint32(bottom)*under + all/2) / all) }
	px[0], px[1], px[2], px[3] = mix(r, px[0]), mix(g, px[1]), mix(b, px[2]), uint8(all)
}
