package raster

import (
	"slices"
	"unicode"

	"github.com/go-text/typesetting/bidi"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"

	"github.com/ninefold/ninefold/pipeline"
)

// How large text is set, in pixels of the em.
const (
	sizeShare    = 18.0 // a caption begins at the picture's short side over this
	readableSize = 14.0 // and not below this on a small picture
	smallestSize = 6.0  // and shrinks to this before anything is cut
	widthShare   = 0.92 // text takes no more of the picture's width
	heightShare  = 0.80 // a card takes no more of the picture's height
	lineHeight   = 1.37 // ems of one line of the Latin font, for planning before anything is set
	tallestLine  = 1.6  // ems above and below the baseline that stacked marks may claim
)

// line is one row of runs in visual order, left first. Units are those of shapeSize.
type line struct {
	runs            []shaping.Output
	width           fixed.Int26_6 // the sum of the advances
	left, right     fixed.Int26_6 // where ink begins and ends, from the row's origin
	ascent, descent fixed.Int26_6 // both positive
}

func (l line) height() float64 { return toFloat(l.ascent + l.descent) }

// layout is a caption set in lines for one picture.
type layout struct {
	lines []line
	size  float64 // pixels of the em
	cut   bool    // text was left out: the picture is too small for it
}

func (l layout) scale() float64 { return l.size / shapeSize }

// width and height are those of the text block in pixels.
func (l layout) width() float64 {
	w := fixed.Int26_6(0)
	for _, ln := range l.lines {
		w = max(w, ln.right-ln.left)
	}
	return toFloat(w) * l.scale()
}

func (l layout) height() float64 {
	h := 0.0
	for _, ln := range l.lines {
		h += ln.height()
	}
	return h * l.scale()
}

// room is the picture a text block is for.
type room struct {
	w, h  int
	style string // of the card: it decides the margin around the text
}

// pad is the margin between the text and the card's edge, in pixels for a text of size.
func (r room) pad(size float64) float64 {
	if r.style == pipeline.CaptionBar {
		return barMargin * size
	}
	return strokeRadius(size) + strokeMargin
}

func (r room) textWidth() float64 { return float64(r.w) * widthShare }

func (r room) holds(l layout) bool {
	return l.width() <= r.textWidth() && l.height()+2*r.pad(l.size) <= float64(r.h)*heightShare
}

// sizes returns the size to begin with and the smallest one; on a picture too low for a line of smallestSize, what fits.
func (r room) sizes() (from, least float64) {
	one := float64(r.h) * heightShare / (lineHeight + 2*barMargin)
	least = max(1, min(smallestSize, one))
	return max(least, min(max(float64(min(r.w, r.h))/sizeShare, readableSize), one)), least
}

// fit sets text at the largest size that the room holds. Where even the smallest is too large the line ends become spaces,
// and at last the end is cut and marked with an ellipsis.
func (s *setter) fit(text [][]rune, r room) (layout, error) {
	cjk := cjkLanguage(text)
	paragraphs, err := s.shapeAll(text, cjk)
	if err != nil {
		return layout{}, err
	}
	if l, ok := s.largest(paragraphs, r); ok {
		return s.balanced(paragraphs, l, r), nil
	}
	whole, err := s.shape(joined(text), cjk)
	if err != nil {
		return layout{}, err
	}
	if l, ok := s.largest([]*paragraph{whole}, r); ok {
		return l, nil
	}
	return s.cut(whole, r)
}

func (s *setter) shapeAll(text [][]rune, cjk int) ([]*paragraph, error) {
	var all []*paragraph
	for _, t := range text {
		p, err := s.shape(t, cjk)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// sizeSteps halve the span of sizes: seven leave under 1 % of it.
const sizeSteps = 7

func (s *setter) largest(paragraphs []*paragraph, r room) (layout, bool) {
	from, least := r.sizes()
	if l := s.set(paragraphs, from, r.textWidth()); r.holds(l) {
		return l, true
	}
	best := s.set(paragraphs, least, r.textWidth())
	if !r.holds(best) {
		return best, false
	}
	for range sizeSteps {
		l := s.set(paragraphs, (best.size+from)/2, r.textWidth())
		if r.holds(l) {
			best = l
		} else {
			from = l.size
		}
	}
	return best, true
}

// balanced narrows the lines as far as their number stays: no last line with one word. It splits no word for that.
func (s *setter) balanced(paragraphs []*paragraph, l layout, r room) layout {
	narrow, wide := 0.0, l.width()
	for range sizeSteps {
		middle := (narrow + wide) / 2
		if c := s.setAs(shaping.Never, paragraphs, l.size, middle); len(c.lines) == len(l.lines) && r.holds(c) {
			l, wide = c, middle
		} else {
			narrow = middle
		}
	}
	return l
}

// cut keeps as many lines of the smallest size as fit, one at least.
func (s *setter) cut(p *paragraph, r room) (layout, error) {
	dots, err := s.shape([]rune{'…'}, cjkChinese)
	if err != nil {
		return layout{}, err
	}
	_, least := r.sizes()
	l := layout{size: least}
	for n := max(1, int(float64(r.h)*heightShare/(least*lineHeight))); n > 0; n-- {
		l.lines, l.cut = s.wrap(p, least, shaping.WrapConfig{TruncateAfterLines: n, Truncator: dots.runs[0]}, r.textWidth())
		if r.holds(l) {
			break
		}
	}
	return l, nil
}

// set breaks the paragraphs into lines of at most width pixels. A word that is longer than a line is split.
func (s *setter) set(paragraphs []*paragraph, size, width float64) layout {
	return s.setAs(shaping.WhenNecessary, paragraphs, size, width)
}

func (s *setter) setAs(policy shaping.LineBreakPolicy, paragraphs []*paragraph, size, width float64) layout {
	l := layout{size: size}
	for _, p := range paragraphs {
		lines, _ := s.wrap(p, size, shaping.WrapConfig{BreakPolicy: policy}, width)
		l.lines = append(l.lines, lines...)
	}
	return l
}

// wrap breaks one paragraph for a size into lines of width pixels; config says what to do with what is too long.
func (s *setter) wrap(p *paragraph, size float64, config shaping.WrapConfig, width float64) (lines []line, cut bool) {
	if len(p.text) == 0 {
		return []line{blankLine()}, false
	}
	config.Direction = p.direction()
	config.DisableTrailingWhitespaceTrim = true // it trims by writing into the shaped glyphs, which the next size still needs
	wrapped, left := s.wrapper.WrapParagraphF(config, toFixed(width/size*shapeSize), p.text, shaping.NewSliceIterator(p.runs))
	for i, runs := range wrapped {
		var tail []shaping.Output
		if left > 0 && i == len(wrapped)-1 {
			runs, tail = runs[:len(runs)-1], runs[len(runs)-1:]
		}
		lines = append(lines, p.line(runs, tail))
	}
	return lines, left > 0
}

func blankLine() line {
	em := lineHeight * shapeSize // split as the Latin font splits it
	return line{ascent: toFixed(em * 0.78), descent: toFixed(em * 0.22)}
}

// line drops the blanks at the end of a row and puts its runs into visual order; tail, the ellipsis, stands at the row's end.
func (p *paragraph) line(runs shaping.Line, tail []shaping.Output) line {
	runs = p.trim(runs)
	levels := make([]bidi.Level, len(runs), len(runs)+1)
	for i, run := range runs {
		levels[i] = p.levels[run.Runes.Offset]
	}
	for _, t := range tail {
		runs, levels = append(runs, t), append(levels, p.base)
	}
	l := line{}
	for _, i := range visualOrder(levels) {
		l.add(runs[i])
	}
	if len(l.runs) == 0 {
		return blankLine()
	}
	return l
}

func (p *paragraph) trim(runs shaping.Line) shaping.Line {
	end := 0
	for _, run := range runs {
		end = max(end, run.Runes.Offset+run.Runes.Count)
	}
	for end > 0 && (unicode.IsSpace(p.text[end-1]) || p.text[end-1] == wordEnd) {
		end--
	}
	var kept shaping.Line
	for _, run := range runs {
		run.Glyphs = slices.DeleteFunc(slices.Clone(run.Glyphs), func(g shaping.Glyph) bool { return g.TextIndex() >= end })
		run.RecomputeAdvance()
		if len(run.Glyphs) > 0 {
			kept = append(kept, run)
		}
	}
	return kept
}

// visualOrder is rule L2 of the bidi algorithm: from the highest level down to the lowest odd one, every stretch at or above
// the level is reversed.
func visualOrder(levels []bidi.Level) []int {
	order := make([]int, len(levels))
	highest := bidi.Level(0)
	for i, level := range levels {
		order[i], highest = i, max(highest, level)
	}
	for level := highest; level > 0; level-- {
		for i := 0; i < len(order); i++ {
			from := i
			for i < len(order) && levels[order[i]] >= level {
				i++
			}
			slices.Reverse(order[from:i])
		}
	}
	return order
}

func (l *line) add(run shaping.Output) {
	tallest := toFixed(tallestLine * shapeSize)
	up, down := run.LineBounds.Ascent, -run.LineBounds.Descent
	for _, g := range run.Glyphs {
		top := g.YBearing + g.YOffset
		up, down = max(up, min(top, tallest)), max(down, min(-top-g.Height, tallest))
		l.reach(g)
		l.width += g.Advance
	}
	l.runs = append(l.runs, run)
	l.ascent, l.descent = max(l.ascent, up), max(l.descent, down)
}

// reach widens the ink's span by the next glyph.
func (l *line) reach(g shaping.Glyph) {
	if g.Width == 0 {
		return
	}
	from := l.width + g.XOffset + g.XBearing
	if l.left == l.right {
		l.left, l.right = from, from
	}
	l.left, l.right = min(l.left, from), max(l.right, from+g.Width)
}

func toFloat(v fixed.Int26_6) float64 { return float64(v) / 64 }

func toFixed(v float64) fixed.Int26_6 { return fixed.Int26_6(v * 64) }
