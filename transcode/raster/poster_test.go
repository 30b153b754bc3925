package raster

import (
	"math/rand/v2"
	"testing"
)

const frameW, frameH = 96, 64

// frame draws grey values, with a little of an encoder's noise.
func frame(atMS int64, grey func(x, y int) int) Frame {
	noise := rand.New(rand.NewPCG(1, uint64(atMS)))
	f := Frame{Pix: make([]byte, 0, 3*frameW*frameH), Width: frameW, Height: frameH, AtMS: atMS}
	for y := range frameH {
		for x := range frameW {
			v := byte(min(max(grey(x, y)+noise.IntN(5)-2, 0), 255))
			f.Pix = append(f.Pix, v, v, v)
		}
	}
	return f
}

func flat(v int) func(int, int) int { return func(int, int) int { return v } }

func checker(low, high int) func(int, int) int {
	return func(x, y int) int {
		if (x/8+y/8)%2 == 0 {
			return low
		}
		return high
	}
}

// soft is a checker out of focus: the mean of the 9 × 9 around each pixel.
func soft(low, high int) func(int, int) int {
	sharp := checker(low, high)
	return func(x, y int) int {
		sum := 0
		for dy := range 9 {
			for dx := range 9 {
				sum += sharp(x+dx, y+dy)
			}
		}
		return sum / 81
	}
}

func TestPickPoster(t *testing.T) {
	broken := Frame{Pix: []byte{1, 2, 3}, Width: 4000, Height: 4000, AtMS: 900}
	huge := Frame{Pix: []byte{1, 2, 3}, Width: 1 << 62, Height: 1 << 62, AtMS: 900}
	sharp, blurred := frame(1000, checker(60, 180)), frame(1000, soft(60, 180))
	for name, tt := range map[string]struct {
		frames []Frame
		want   int
	}{
		"none":                       {nil, -1},
		"only broken":                {[]Frame{broken, huge, {}}, -1},
		"broken is passed over":      {[]Frame{broken, frame(0, flat(0))}, 1},
		"black":                      {[]Frame{frame(1000, flat(2))}, 0},
		"sharp before blurred":       {[]Frame{blurred, sharp, blurred}, 1},
		"detail before grey":         {[]Frame{frame(600, flat(128)), blurred}, 1},
		"grey before black":          {[]Frame{frame(2000, flat(2)), frame(3000, flat(128)), frame(4000, flat(4))}, 1},
		"white before black":         {[]Frame{frame(2000, flat(2)), frame(3000, flat(253))}, 1},
		"early before black":         {[]Frame{frame(0, checker(60, 180)), frame(2000, flat(2))}, 0},
		"early white before black":   {[]Frame{frame(2000, flat(2)), frame(0, flat(253))}, 1},
		"later before early":         {[]Frame{frame(0, checker(0, 255)), frame(499, checker(0, 255)), blurred}, 2},
		"half a second is late":      {[]Frame{frame(499, checker(60, 180)), frame(500, soft(60, 180))}, 1},
		"night scene before a flash": {[]Frame{frame(1000, flat(253)), frame(2000, checker(5, 45)), frame(3000, flat(3))}, 1},
		"well lit before night":      {[]Frame{frame(1000, checker(0, 50)), blurred}, 1},
		"well lit before glare":      {[]Frame{frame(1000, checker(205, 255)), blurred}, 1},
		"equals: the earliest":       {[]Frame{sharp, sharp, sharp}, 0},
		"one pixel":                  {[]Frame{{Pix: []byte{9, 9, 9}, Width: 1, Height: 1, AtMS: 800}}, 0},
	} {
		if got := PickPoster(tt.frames); got != tt.want {
			t.Errorf("%s: frame %d, want %d", name, got, tt.want)
		}
	}
}

// Whatever else is there, a black frame is chosen only among black frames.
func TestPosterIsNeverBlackWhereOneIsNot(t *testing.T) {
	others := []func(int, int) int{flat(128), flat(255), flat(40), checker(0, 60), checker(200, 255), soft(0, 255)}
	for i, other := range others {
		for _, at := range []int64{0, 400, 5000} {
			frames := []Frame{frame(1000, flat(0)), frame(2000, flat(12)), frame(at, other), frame(3000, flat(20))}
			if got := PickPoster(frames); got != 2 {
				t.Errorf("picture %d at %d ms: chose black frame %d", i, at, got)
			}
		}
	}
}

func BenchmarkPickPoster(b *testing.B) {
	one := Frame{Pix: make([]byte, 3*448*796), Width: 796, Height: 448, AtMS: 1000}
	frames := make([]Frame, 16)
	for i := range frames {
		frames[i] = one
	}
	for b.Loop() {
		PickPoster(frames)
	}
}
