package raster

import (
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"sync"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// How a card looks.
const (
	barAlpha      = 168  // of 255: white on the bar keeps a contrast of 6.8 even over a white picture; 4.5 is WCAG's floor
	barMargin     = 0.45 // ems between a bar's edge and its text
	strokeShare   = 0.11 // the outline's width over the text size
	strokeMargin  = 2.0  // pixels between an outline and its card's edge
	edgeShare     = 0.03 // an outlined text keeps this share of the height from the picture's edge
	smallestTrace = 2.0  // pixels of outline, at the least: below it white letters are lost on white
)

func white() color.NRGBA { return color.NRGBA{R: 255, G: 255, B: 255, A: 255} }
func black() color.NRGBA { return color.NRGBA{A: 255} }

// Cards sets captions. Fonts are parsed on first use and kept: about 2 MB for Latin, 11 MB for emoji and 20 MB for Chinese,
// Japanese or Korean. It is safe for concurrent use; one card is made at a time.
type Cards struct {
	mu     sync.Mutex
	setter setter
}

// NewCards looks where the fonts are and parses none. Without fontDirs it looks where Debian puts them; an error names the
// packages to install.
func NewCards(fontDirs ...string) (*Cards, error) {
	if len(fontDirs) == 0 {
		fontDirs = defaultFontDirs()
	}
	fonts, err := newFontSet(fontDirs)
	if err != nil {
		return nil, err
	}
	return &Cards{setter: setter{fonts: fonts}}, nil
}

// Card draws step's caption for a picture of w × h pixels. The card, straight alpha, is to be laid over the picture with its
// top left pixel at x, y; it always lies within the picture.
//
//  1. The text begins at the short side over 18 and shrinks until the card takes at most 80 % of the height; 500 characters fit
//     from about 200 × 200 pixels up. On a smaller picture the end is cut and marked with an ellipsis.
//  2. A bar is as wide as the picture and lies at its edge; an outlined text's card is as small as the text.
//  3. A character that no font has is left out; Undrawn counts them.
//  4. A text of control characters alone, or of nothing that can be drawn, gives a transparent card of one pixel.
//
// Errors: invalid_edit for an unknown style or position; internal where a font cannot be read or the picture has no size.
func (c *Cards) Card(step transcode.Step, w, h int) (card *image.NRGBA, x, y int, err error) {
	if err := checkStep(step, w, h); err != nil {
		return nil, 0, 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	text, _ := c.setter.fonts.drawable(cleanText(step.Text))
	if len(text) == 0 {
		return image.NewNRGBA(image.Rect(0, 0, 1, 1)), 0, 0, nil
	}
	r := room{w: w, h: h, style: step.Style}
	l, err := c.setter.fit(text, r)
	if err != nil {
		return nil, 0, 0, pipeline.Trouble(pipeline.CodeInternal, "raster.Card", err)
	}
	card = drawCard(l, r)
	x, y = place(card.Rect, step, w, h)
	return card, x, y, nil
}

// Undrawn counts the characters of a caption, as a reader counts them, that Card leaves out because no font has them.
func (c *Cards) Undrawn(text string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, missing := c.setter.fonts.drawable(cleanText(text))
	return missing
}

// CardPNG writes the card to a new file at path, for a program that takes overlays as files.
func (c *Cards) CardPNG(step transcode.Step, w, h int, path string) (x, y int, err error) {
	card, x, y, err := c.Card(step, w, h)
	if err != nil {
		return 0, 0, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, 0, pipeline.Trouble(pipeline.CodeInternal, "raster.CardPNG", err)
	}
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := errors.Join(encoder.Encode(file, card), file.Close()); err != nil {
		return 0, 0, pipeline.Trouble(pipeline.CodeInternal, "raster.CardPNG", err)
	}
	return x, y, nil
}

func checkStep(step transcode.Step, w, h int) error {
	switch step.Style {
	case pipeline.CaptionBar, pipeline.CaptionOutline:
	default:
		return pipeline.Refuse(pipeline.CodeInvalidEdit, "caption style: want bar or outline")
	}
	switch step.Position {
	case pipeline.CaptionTop, pipeline.CaptionMiddle, pipeline.CaptionBottom:
	default:
		return pipeline.Refuse(pipeline.CodeInvalidEdit, "caption position: want top, middle or bottom")
	}
	if w < 1 || h < 1 {
		return pipeline.Trouble(pipeline.CodeInternal, "raster.Card", errors.New("a caption for a picture without size"))
	}
	return nil
}

// strokeRadius is how far an outline reaches around the text, in pixels.
func strokeRadius(size float64) float64 { return max(smallestTrace, size*strokeShare) }

func drawCard(l layout, r room) *image.NRGBA {
	pad := r.pad(l.size)
	cardW, cardH := r.w, min(r.h, ceil(l.height()+2*pad))
	if r.style == pipeline.CaptionOutline {
		cardW = min(r.w, ceil(l.width()+2*pad))
	}
	card := image.NewNRGBA(image.Rect(0, 0, max(1, cardW), max(1, cardH)))
	p := &pen{card: card, scale: l.scale(), emoji: map[emojiKey]*image.NRGBA{}}
	if r.style == pipeline.CaptionBar {
		flood(card, color.NRGBA{A: barAlpha})
	} else {
		p.lines(l, pad, func(run placedRun) { p.stroke(run.Output, run.spot, strokeRadius(l.size), black()) })
	}
	p.lines(l, pad, func(run placedRun) { p.fill(run.Output, run.spot, white()) })
	return card
}

// lines calls fn with each run's place: lines below one another, each centred by its ink, since a fullwidth stop is mostly blank.
func (p *pen) lines(l layout, top float64, fn func(placedRun)) {
	y := top
	for _, ln := range l.lines {
		at := spot{(float64(p.card.Rect.Dx()) - toFloat(ln.left+ln.right)*p.scale) / 2, y + toFloat(ln.ascent)*p.scale}
		for _, run := range ln.runs {
			fn(placedRun{run, at})
			at.x += toFloat(run.Advance) * p.scale
		}
		y += ln.height() * p.scale
	}
}

func flood(card *image.NRGBA, ink color.NRGBA) {
	for i := 0; i < len(card.Pix); i += 4 {
		card.Pix[i], card.Pix[i+1], card.Pix[i+2], card.Pix[i+3] = ink.R, ink.G, ink.B, ink.A
	}
}

// place is where the card's top left pixel goes.
func place(card image.Rectangle, step transcode.Step, w, h int) (x, y int) {
	edge := 0
	if step.Style == pipeline.CaptionOutline {
		edge = int(float64(h) * edgeShare)
	}
	x = (w - card.Dx()) / 2
	switch step.Position {
	case pipeline.CaptionTop:
		y = edge
	case pipeline.CaptionMiddle:
		y = (h - card.Dy()) / 2
	default:
		y = h - card.Dy() - edge
	}
	return x, min(max(0, y), h-card.Dy())
}

func ceil(v float64) int { return int(math.Ceil(v)) }
