package raster

import (
	"unicode"

	"github.com/go-text/typesetting/bidi"
	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/segmenter"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"
)

// shapeSize is the em in pixels at which text is shaped, once; every other size is that one scaled. The fonts have no hints,
// so nothing is lost, and fitting a caption shapes nothing again.
const shapeSize = 64

// paragraph is shaped text before its lines are known.
type paragraph struct {
	text   []rune       // with word ends
	levels []bidi.Level // of each rune
	base   bidi.Level   // 0 left to right, 1 right to left
	runs   []shaping.Output
}

func (p *paragraph) direction() di.Direction {
	if p.base == 1 {
		return di.DirectionRTL
	}
	return di.DirectionLTR
}

// setter shapes text. It is not safe for concurrent use.
type setter struct {
	fonts     *fontSet
	segmenter shaping.Segmenter
	shaper    shaping.HarfbuzzShaper
	wrapper   shaping.LineWrapper
	bidi      bidi.Paragraph
}

func (s *setter) shape(text []rune, cjk int) (*paragraph, error) {
	text, err := withWordEnds(text)
	if err != nil {
		return nil, err
	}
	p := &paragraph{text: text}
	p.base, p.levels = s.bidiLevels(text)
	starts := graphemeStarts(text)
	for _, script := range s.scriptRuns(p) {
		runs, err := s.faceRuns(script, p, starts, cjk)
		if err != nil {
			return nil, err
		}
		for _, run := range runs {
			p.runs = append(p.runs, s.shaper.Shape(run))
		}
	}
	return p, nil
}

// bidiLevels resolves the paragraph's direction by its first strong character, and each rune's level. The library tells the
// level at which a run begins and joins neighbours of equal parity, which loses one case: a number that ends right-to-left
// text in a left-to-right paragraph is level 2, and the text after it level 0 again.
func (s *setter) bidiLevels(text []rune) (bidi.Level, []bidi.Level) {
	base := s.baseLevel(text)
	def := bidi.LeftToRight
	if base == 1 {
		def = bidi.RightToLeft
	}
	levels := make([]bidi.Level, len(text))
	runs := s.bidi.Segment(text, def)
	for i := range runs.NumRuns() {
		run := runs.Run(i)
		for j := run.Start; j < run.End; j++ {
			levels[j] = run.Level
		}
		if base == 0 && run.Level == 2 {
			clear(levels[run.Start+numberLength(text[run.Start:run.End]) : run.End])
		}
	}
	return base, levels
}

// baseLevel appends a space: rule L1 of the bidi algorithm gives it the paragraph's own level.
func (s *setter) baseLevel(text []rune) bidi.Level {
	runs := s.bidi.Segment(append(text[:len(text):len(text)], ' '), bidi.Neutral)
	return runs.Run(runs.NumRuns()-1).Level & 1
}

func numberLength(text []rune) int {
	n := 0
	for i, r := range text {
		if unicode.IsLetter(r) || unicode.IsSpace(r) {
			break
		}
		if unicode.IsDigit(r) {
			n = i + 1
		}
	}
	return n
}

func graphemeStarts(text []rune) []bool {
	starts := make([]bool, len(text)+1)
	var seg segmenter.Segmenter
	seg.Init(text)
	for it := seg.GraphemeIterator(); it.Next(); {
		starts[it.Grapheme().Offset] = true
	}
	starts[len(text)] = true
	return starts
}

// noFonts lets the library's segmenter split by direction and script only.
type noFonts struct{ face *font.Face }

func (n noFonts) ResolveFace(rune) *font.Face { return n.face }

func (s *setter) scriptRuns(p *paragraph) []shaping.Input {
	in := shaping.Input{Text: p.text, RunEnd: len(p.text), Direction: p.direction(), Size: fixed.I(shapeSize), Language: language.DefaultLanguage()}
	return s.segmenter.Split(in, noFonts{&font.Face{}})
}

// faceRuns splits a run by font and level. A font is chosen for a whole grapheme cluster where one has all of it, so that a mark stays
// with its base and an emoji sequence stays whole.
func (s *setter) faceRuns(run shaping.Input, p *paragraph, starts []bool, cjk int) ([]shaping.Input, error) {
	var out []shaping.Input
	var last *fontFile
	for i := run.RunStart; i < run.RunEnd; {
		end := i + 1
		for end < run.RunEnd && !starts[end] {
			end++
		}
		for _, part := range s.clusterFonts(p.text[i:end], last, run.Script, cjk) {
			if n := len(out); n > 0 && part.file == last && p.levels[i] == p.levels[i-1] {
				out[n-1].RunEnd = i + part.runes
			} else {
				in, err := s.input(run, part.file, i, i+part.runes)
				if err != nil {
					return nil, err
				}
				out = append(out, in)
			}
			last, i = part.file, i+part.runes
		}
	}
	return out, nil
}

// clusterFonts chooses the fonts of a cluster. A blank takes the font before it, unless that is the emoji's, whose blanks are as wide as
// its pictures, or lacks a mark that stands on the blank.
func (s *setter) clusterFonts(cluster []rune, last *fontFile, script language.Script, cjk int) []piece {
	if last != nil && last != s.fonts.emoji() && last != s.fonts.newerEmoji() && unicode.IsSpace(cluster[0]) && last.covers(cluster) {
		return []piece{{last, len(cluster)}}
	}
	return s.fonts.pieces(cluster, script, cjk)
}

func (s *setter) input(run shaping.Input, file *fontFile, from, to int) (shaping.Input, error) {
	face, err := file.load()
	if err != nil {
		return shaping.Input{}, err
	}
	run.Face, run.RunStart, run.RunEnd = face, from, to
	if file == s.fonts.emoji() {
		run.Script = language.Common // its sequences are listed under no script
	}
	return run, nil
}
