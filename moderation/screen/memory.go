package screen

import "slices"

// memory is the frames scored last, at most Remembered, the latest at the end.
type memory []remembered

// remembered is a frame that was scored.
type remembered struct {
	base Pixels
	sign signature
	lost *Detail
}

// add remembers f in place of the oldest one, whose bytes are used again.
func (m *memory) add(f Frame, sum signature) {
	r := remembered{sign: sum, lost: f.Lost}
	if len(*m) == Remembered {
		r.base = (*m)[0].base
		*m = append((*m)[:0], (*m)[1:]...)
	}
	r.base = Pixels{W: f.Base.W, H: f.Base.H, Pix: append(r.base.Pix[:0], f.Base.Pix...)}
	*m = append(*m, r)
}

// holds reports whether f is like one of the frames, the latest first.
func (m memory) holds(f Frame, sum signature, bound int) bool {
	for i := len(m) - 1; i >= 0; i-- {
		if m[i].like(f, sum, bound) {
			return true
		}
	}
	return false
}

// like compares a frame with a scored one. Detail that only points tell of is held to Bound whatever bound is.
func (r remembered) like(f Frame, sum signature, bound int) bool {
	if (r.lost == nil) != (f.Lost == nil) || r.lost != nil && r.lost.differs(*f.Lost, Bound) {
		return false
	}
	return r.looksLike(f.Base, sum, bound)
}

func (r remembered) looksLike(p Pixels, sum signature, bound int) bool {
	return r.base.W == p.W && r.base.H == p.H && r.sign.distance(sum) <= bound && alike(r.base, p, bound)
}

// shows reports whether a picture is like one of the frames, whatever detail they lost.
func (m memory) shows(p Pixels, sum signature, bound int) bool {
	return slices.ContainsFunc(m, func(r remembered) bool { return r.looksLike(p, sum, bound) })
}
