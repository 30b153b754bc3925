package screen

import (
	"math/rand/v2"
)

const (
	// Bound is how much a block may differ on average, 0..255, and its frames still be alike. Of the frames of restless real clips half
	// are unlike the last eight at 16, a third at 32; a picture of less contrast than that over another one is hardly seen.
	Bound = 16
	// TileBound is Bound for the tiles of a longer picture. The whole, which holds every pixel of them, is held to Bound: what tiles add is
	// the proportion. Of the frames of restless real clips a fifth are unlike the last eight at 48.
	TileBound = 48
	// Remembered is how many of the frames scored last a frame is compared with.
	Remembered = 8
	// Budget is how many frames of one file are scored at most, beside the reserve: every other frame of three minutes at 30 a second.
	Budget = 3072
	// reserve is kept for the last frame and for those drawn at random.
	reserve = 64
	// drawn is how many frames of one file are drawn at random about.
	drawn = 24
)

// Frame is one delivered frame.
type Frame struct {
	AtMS   int64   // when it is shown first
	ForMS  float64 // how long it is shown
	Always bool    // it is scored whatever it is like: a sync frame
	Base   Pixels  // its base raster; a Selector keeps no reference to it
	Lost   *Detail // what its reduction lost, by blocks; nil = nothing, it was not reduced
}

// beyond reports whether f shows detail that the base raster does not hold: scoring that is not enough.
func (f Frame) beyond() bool { return f.Lost != nil && f.Lost.Worst() > DetailBound }

// Choice is what is to be scored of a frame.
type Choice int

// The choices: nothing, for it is like frames that are scored; the whole, whose tiles are like tiles that are scored; the whole and its tiles.
const (
	None Choice = iota
	Whole
	All
)

// Coverage says how much of what is delivered was scored or is like something scored.
type Coverage struct {
	Frames    int     // delivered
	Scored    int     // of them
	Covered   int     // scored, or like a scored one
	ShownMS   float64 // how long all of them are shown
	CoveredMS float64
	LongestMS float64 // longest stretch without a covered frame
}

// Selector chooses the frames of one file, offered in the order they are shown. It is not safe for concurrent use.
type Selector struct {
	Coverage
	budget int
	rng    *rand.Rand
	share  float64 // of frames drawn at random
	wholes memory
	tiles  memory // of frames whose tiles were scored
	last   *Frame // the last frame, where it was not scored
	spare  []byte // its bytes
	gapMS  float64

	fusion *fusion
	means  memory  // scored
	scored int     // of means
	fused  *Pixels // the mean to score now
}

// NewSelector returns a Selector for a file of about expect frames. seed is a secret: whoever knows it knows which frames are drawn.
func NewSelector(seed [32]byte, expect int) *Selector {
	return &Selector{budget: Budget, fusion: newFusion(), rng: rand.New(rand.NewChaCha8(seed)), share: float64(drawn) / float64(max(expect, drawn))}
}

// Offer says what of f is to be scored. Ask Fused as well.
func (s *Selector) Offer(f Frame) Choice {
	before, sum := s.Coverage, sign(f.Base)
	choice := s.offer(f, sum)
	mean := s.fusion.add(f, sum)
	s.fusion.covered += s.Covered - before.Covered
	s.fusion.coveredMS += s.CoveredMS - before.CoveredMS
	s.fuse(mean)
	return choice
}

// Fused returns what the frames offered last look like together, where that is to be scored: pictures that alternate faster than eyes follow
// are seen as one that no frame shows.
func (s *Selector) Fused() *Pixels { return s.fused }

// fuse has a mean scored that is like nothing that was. Beyond the budget its frames are not covered.
func (s *Selector) fuse(mean *Pixels) {
	s.fused = nil
	if mean == nil {
		return
	}
	sum := sign(*mean)
	if s.means.shows(*mean, sum, Bound) || s.wholes.shows(*mean, sum, Bound) {
		return
	}
	if s.scored == FusedBudget {
		s.Covered -= s.fusion.covered
		s.CoveredMS -= s.fusion.coveredMS
		s.LongestMS = max(s.LongestMS, s.fusion.ms)
		return
	}
	s.scored++
	s.fused = mean
	s.means.add(Frame{Base: *mean}, sum)
}

func (s *Selector) offer(f Frame, sum signature) Choice {
	lucky := s.rng.Float64() < s.share // drawn for every frame, so that the draw depends on nothing that a sender can move
	s.Frames++
	s.ShownMS += f.ForMS
	like, tilesLike := s.wholes.holds(f, sum, Bound), s.tiles.holds(f, sum, TileBound)
	like = like && tilesLike
	whole := f.Always || lucky || len(s.wholes) == 0
	if (whole || !like) && s.afford(like && lucky) {
		return s.score(f, sum, whole || !tilesLike)
	}
	s.count(f, like)
	s.keep(f)
	return None
}

// keep remembers a frame that may be the last one.
func (s *Selector) keep(f Frame) {
	f.Base.Pix = append(s.spare[:0], f.Base.Pix...)
	s.last, s.spare = &f, f.Base.Pix
}

// Finish returns the last frame where it is still to be scored, all of it, nil where it was.
func (s *Selector) Finish() *Frame {
	f := s.last
	if f == nil {
		return nil
	}
	if sum := sign(f.Base); !s.wholes.holds(*f, sum, Bound) || !s.tiles.holds(*f, sum, TileBound) {
		s.count(*f, true)
	}
	s.Scored++
	s.last = nil
	return f
}

// afford takes a place of the budget.
func (s *Selector) afford(reserved bool) bool {
	most := s.budget
	if reserved {
		most += reserve
	}
	return s.Scored < most
}

// score takes note of a frame that is scored, with its tiles or without.
func (s *Selector) score(f Frame, sum signature, tiles bool) Choice {
	s.Scored++
	s.count(f, true)
	s.last = nil
	s.wholes.add(f, sum)
	if !tiles {
		return Whole
	}
	s.tiles.add(f, sum)
	return All
}

func (s *Selector) count(f Frame, covered bool) {
	if covered && !f.beyond() {
		s.Covered++
		s.CoveredMS += f.ForMS
		s.gapMS = 0
		return
	}
	s.gapMS += f.ForMS
	s.LongestMS = max(s.LongestMS, s.gapMS)
}
