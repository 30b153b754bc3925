package screen

import "math"

const (
	// fusedMS is about how long an eye adds up light, milliseconds: pictures that change faster are seen as their mean, which no frame shows.
	fusedMS = 100
	// fastMS is how long frames are shown at most, on the mean of two, that an eye does not tell apart, milliseconds. Of 30 a second each is seen.
	fastMS = 25
	// fusedFrames is how many frames are added up at most, whatever their times say.
	fusedFrames = 16
	// fusedChanges is how often pictures must change within that time: a cut is one change.
	fusedChanges = 2
	// FusedBudget is how many means of one file are scored at most: of 60 frames a second one of six, so that Budget ends before.
	FusedBudget = Budget / 6
	// fusedLeast is how many frames of its own a window has at least: three with two changes, and an even number.
	fusedLeast = 4
	// lightSteps is the fineness of the way back from light to values.
	lightSteps = 1 << 12
)

// fusion adds up the light of frames that follow fast upon each other. What forms over a longer time, a slice of a picture every tenth of a
// second, is not found.
type fusion struct {
	light  [256]float32 // of a value, 0..1
	values [lightSteps + 1]byte

	last Frame // the frame before, with its own bytes
	sign signature

	sums            []float32 // of the window
	weight, ms      float64
	frames, changes int
	ended           bool // a window, with the frame before
	covered         int  // of the frames
	coveredMS       float64
}

func newFusion() *fusion {
	u := &fusion{}
	for v := range u.light {
		u.light[v] = float32(linear(float64(v) / 255))
	}
	v := 0
	for i := range u.values {
		for v < 255 && linear((float64(v)+0.5)/255)*lightSteps < float64(i) {
			v++
		}
		u.values[i] = byte(v)
	}
	return u
}

// linear is the light of an sRGB value, both 0..1.
func linear(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

// add takes the next frame and returns the mean of a window that ends with it, nil where none ends or pictures did not change often in it.
// A window begins with the frame before a change and holds an even number of frames, so that what alternates counts alike. No
// frame is in two windows.
func (u *fusion) add(f Frame, sum signature) *Pixels {
	if slow := f.ForMS+u.last.ForMS > 2*fastMS; slow {
		u.frames, u.last = 0, Frame{ForMS: f.ForMS, Base: Pixels{Pix: u.last.Base.Pix[:0]}}
		return nil
	}
	changed := u.differs(f, sum)
	switch {
	case changed && u.frames == 0 && u.ended: // the frame before was in the last window
		u.begin(len(f.Base.Pix))
		u.take(f)
	case changed && u.frames == 0:
		u.begin(len(f.Base.Pix))
		u.take(u.last)
		u.take(f)
		u.changes = 1
	case u.frames > 0:
		u.take(f)
		if changed {
			u.changes++
		}
	}
	u.ended = false
	u.last = Frame{ForMS: f.ForMS, Base: Pixels{W: f.Base.W, H: f.Base.H, Pix: append(u.last.Base.Pix[:0], f.Base.Pix...)}}
	u.sign = sum
	if u.frames == 0 || u.frames < fusedFrames && (math.Round(u.ms) < fusedMS || u.frames%2 == 1) {
		return nil
	}
	often := u.changes >= fusedChanges
	u.frames, u.changes, u.ended = 0, 0, true
	if !often {
		return nil
	}
	return u.mean(f.Base.W, f.Base.H)
}

func (u *fusion) differs(f Frame, sum signature) bool {
	last := u.last.Base
	return len(last.Pix) == len(f.Base.Pix) && last.W == f.Base.W && (u.sign.distance(sum) > Bound || !alike(last, f.Base, Bound))
}

func (u *fusion) begin(n int) {
	if len(u.sums) != n {
		u.sums = make([]float32, n)
	}
	clear(u.sums)
	u.frames, u.weight, u.ms, u.changes, u.covered, u.coveredMS = 0, 0, 0, 0, 0, 0
}

func (u *fusion) take(f Frame) {
	weight := min(max(f.ForMS, 1), fusedMS)
	w := float32(weight)
	for i, v := range f.Base.Pix {
		u.sums[i] += w * u.light[v]
	}
	u.weight, u.ms = u.weight+weight, u.ms+f.ForMS
	u.frames++
}

func (u *fusion) mean(w, h int) *Pixels {
	p := New(w, h)
	scale := float32(lightSteps / u.weight)
	for i, v := range u.sums {
		p.Pix[i] = u.values[min(lightSteps, int(v*scale+0.5))]
	}
	return &p
}
