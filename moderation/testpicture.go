package moderation

import "fmt"

// testSide is the side of the generated pictures, pixels. It is no multiple of a common input size, so that resizing is tested too.
const testSide = 160

// TestPictures lists the pictures TestPicture can make.
func TestPictures() []string { return []string{"ramps", "discs", "noise"} }

// TestPicture makes one of the pictures for a model's self-test, in integers only, so that it is the same on every machine.
// None is symmetric, grey or the same under exchange of channels: a model fed mirrored, transposed or in BGR answers differently.
func TestPicture(name string) (Raster, error) {
	switch name {
	case "ramps":
		return paint(ramps), nil
	case "discs":
		return paint(discs), nil
	case "noise":
		return paint(noise()), nil
	}
	return Raster{}, fmt.Errorf("unknown picture %q: want one of %q", name, TestPictures())
}

func paint(at func(x, y int) [3]byte) Raster {
	r := Raster{Width: testSide, Height: testSide, Pix: make([]byte, 0, testSide*testSide*3)}
	for y := range testSide {
		for x := range testSide {
			p := at(x, y)
			r.Pix = append(r.Pix, p[:]...)
		}
	}
	return r
}

// ramps has a red ramp across, a green ramp down and little blue: a sunset seen from afar.
func ramps(x, y int) [3]byte {
	return [3]byte{byte(255 - x*160/testSide), byte(60 + y*120/testSide), byte(40 + (x+y)*20/testSide)}
}

// discs has an orange disc and a smaller green one on blue.
func discs(x, y int) [3]byte {
	inside := func(cx, cy, r int) bool { return (x-cx)*(x-cx)+(y-cy)*(y-cy) < r*r }
	switch {
	case inside(60, 62, 42):
		return [3]byte{230, 140, 40}
	case inside(122, 118, 25):
		return [3]byte{40, 170, 60}
	}
	return [3]byte{30, 60, 150}
}

// noise is coloured noise in blocks of 8 pixels, warmer than it is cold, from a fixed linear congruential sequence.
func noise() func(x, y int) [3]byte {
	const block = 8
	state := uint32(20251122)
	next := func(most uint32) byte {
		state = state*1664525 + 1013904223
		return byte((state >> 16) % most)
	}
	var cells [testSide / block][testSide / block][3]byte
	for y := range cells {
		for x := range cells[y] {
			cells[y][x] = [3]byte{next(255), next(190), next(120)}
		}
	}
	return func(x, y int) [3]byte { return cells[y/block][x/block] }
}
