package screen

import (
	"math/rand/v2"
	"testing"
)

// together offers frames and returns the means that were to be scored.
func together(frames int, forMS float64, picture func(i int) Pixels) (means []Pixels, c Coverage) {
	s := NewSelector([32]byte{7}, frames)
	for i := range frames {
		s.Offer(Frame{AtMS: int64(float64(i) * forMS), ForMS: forMS, Base: picture(i)})
		if m := s.Fused(); m != nil {
			means = append(means, *m)
		}
	}
	s.Finish()
	return means, s.Coverage
}

// apartBy is the mean distance of two rasters.
func apartBy(a, b Pixels) float64 {
	sum := 0
	for i, v := range a.Pix {
		sum += int(abs32(int32(v) - int32(b.Pix[i])))
	}
	return float64(sum) / float64(len(a.Pix))
}

// TestFramesThatFuse hides a picture in the mean of two that alternate: noise, and what is lacking. The eye sees the mean of the light.
func TestFramesThatFuse(t *testing.T) {
	t.Parallel()
	const side = 48
	u, r, hidden := newFusion(), rand.New(rand.NewPCG(21, 22)), New(side, side)
	for i := range hidden.Pix {
		hidden.Pix[i] = byte(110 + 60*((i/Channels%side)/16%2))
	}
	two := []Pixels{New(side, side), New(side, side)}
	for i, v := range hidden.Pix {
		most := min(u.light[v], 1-u.light[v])
		add := most * float32(2*r.IntN(2)-1)
		for n, sign := range []float32{1, -1} {
			two[n].Pix[i] = u.values[int((u.light[v]+sign*add)*lightSteps)]
		}
	}
	means, c := together(120, 1000.0/60, func(i int) Pixels { return two[i%2] })
	if len(means) != 1 || apartBy(means[0], hidden) > 3 || c.Covered != 120 {
		t.Errorf("%d means, %.1f from what is seen, covered %d of 120", len(means), apartBy(means[0], hidden), c.Covered)
	}
	if slow, _ := together(60, 1000.0/30, func(i int) Pixels { return two[i%2] }); len(slow) != 0 {
		t.Errorf("%d means of pictures that are seen one by one", len(slow))
	}
	if still, _ := together(120, 1000.0/60, func(i int) Pixels { return two[i/60] }); len(still) != 0 {
		t.Errorf("%d means at a cut", len(still))
	}
}

// TestSlicesThatFuse shows a picture in slices, one a frame at 60 frames a second.
func TestSlicesThatFuse(t *testing.T) {
	t.Parallel()
	const side, slices = 48, 6
	means, _ := together(60, 1000.0/60, func(i int) Pixels {
		p := New(side, side)
		for y := i % slices * side / slices; y < (i%slices+1)*side/slices; y++ {
			for x := range side {
				p.Pix[(y*side+x)*Channels] = 255
			}
		}
		return p
	})
	if len(means) == 0 || len(means) > 3 {
		t.Fatalf("%d means", len(means))
	}
	for i := 0; i < len(means[0].Pix); i += Channels {
		if v := means[0].Pix[i]; v < 80 || means[0].Pix[i+1] > 0 {
			t.Fatalf("value %d is %d: not all slices are in it", i, v)
		}
	}
}

// TestMeansBeyondTheBudgetAreUnseen: what is not scored is said.
func TestMeansBeyondTheBudgetAreUnseen(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(23, 24))
	rgb := func(red, green, blue byte) func(int, int) [Channels]byte {
		return func(int, int) [Channels]byte { return [Channels]byte{red, green, blue} }
	}
	var two [2]Pixels
	const n = 6 * (FusedBudget + 300)
	means, c := together(n, 1000.0/60, func(i int) Pixels {
		if i%6 == 0 {
			colour := func() Pixels { return filled(16, 16, rgb(byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256)))) }
			two = [2]Pixels{colour(), colour()}
		}
		return two[i%2]
	})
	if len(means) != FusedBudget || c.Covered >= n || c.Covered < n/3 {
		t.Errorf("%d means, covered %d of %d", len(means), c.Covered, n)
	}
}
