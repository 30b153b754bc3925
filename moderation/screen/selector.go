package screen

import (
	"math/rand/v2"
)

const (
	// Bound is how much a block may differ on average, 0..255, and its frames still be alike. Of the frames of restless real clips half
	// are unlike the last eight at 16, a third at 32; a picture of less contrast than that over another one is hardly seen.
	Bound = 16
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
	memory []remembered
	last   *Frame // the last frame, where it was not scored
	spare  []byte // its bytes
	gapMS  float64
}

// remembered is a frame that was scored.
type remembered struct {
	base Pixels
	sign signature
	lost *Detail
}

// NewSelector returns a Selector for a file of about expect frames. seed is a secret: whoever knows it knows which frames are drawn.
func NewSelector(seed [32]byte, expect int) *Selector {
	return &Selector{budget: Budget, rng: rand.New(rand.NewChaCha8(seed)), share: float64(drawn) / float64(max(expect, drawn))}
}

// Offer reports whether f is to be scored.
func (s *Selector) Offer(f Frame) bool {
	lucky := s.rng.Float64() < s.share // drawn for every frame, so that the draw depends on nothing that a sender can move
	s.Frames++
	s.ShownMS += f.ForMS
	sum := sign(f.Base)
	like := s.like(f, sum)
	wanted := !like || f.Always || lucky || len(s.memory) == 0
	if wanted && s.afford(like && lucky) {
		s.score(f, sum)
		return true
	}
	s.count(f, like)
	s.keep(f)
	return false
}

// keep remembers a frame that may be the last one.
func (s *Selector) keep(f Frame) {
	f.Base.Pix = append(s.spare[:0], f.Base.Pix...)
	s.last, s.spare = &f, f.Base.Pix
}

// Finish returns the last frame where it is still to be scored, nil where it was.
func (s *Selector) Finish() *Frame {
	f := s.last
	if f == nil {
		return nil
	}
	if !s.like(*f, sign(f.Base)) {
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

func (s *Selector) score(f Frame, sum signature) {
	s.Scored++
	s.count(f, true)
	s.last = nil
	r := remembered{sign: sum, lost: f.Lost}
	if len(s.memory) == Remembered {
		r.base = s.memory[0].base // its bytes are used again
		s.memory = append(s.memory[:0], s.memory[1:]...)
	}
	r.base = Pixels{W: f.Base.W, H: f.Base.H, Pix: append(r.base.Pix[:0], f.Base.Pix...)}
	s.memory = append(s.memory, r)
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

// like reports whether f is like one of the frames scored last, the latest first.
func (s *Selector) like(f Frame, sum signature) bool {
	for i := len(s.memory) - 1; i >= 0; i-- {
		if s.memory[i].like(f, sum, Bound) {
			return true
		}
	}
	return false
}

func (r remembered) like(f Frame, sum signature, bound int) bool {
	if r.base.W != f.Base.W || r.base.H != f.Base.H || r.sign.distance(sum) > bound {
		return false
	}
	if (r.lost == nil) != (f.Lost == nil) || r.lost != nil && r.lost.differs(*f.Lost, bound) {
		return false
	}
	return alike(r.base, f.Base, bound)
}
