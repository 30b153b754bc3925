package screen

import "fmt"

// Channels of a colour raster: red, green, blue, one byte each.
const Channels = 3

// MaxSide bounds the sides of any raster, pixels.
const MaxSide = 1 << 14

// Pixels is a raster of W × H pixels, row by row from the top, no padding: packed 8-bit sRGB.
type Pixels struct {
	W, H int
	Pix  []byte // W*H*Channels bytes
}

// New returns a black raster.
func New(w, h int) Pixels { return Pixels{W: w, H: h, Pix: make([]byte, w*h*Channels)} }

// Validate reports what keeps p from being a picture.
func (p Pixels) Validate() error {
	if p.W < 1 || p.H < 1 || p.W > MaxSide || p.H > MaxSide {
		return fmt.Errorf("raster of %d × %d pixels: want sides of 1 to %d", p.W, p.H, MaxSide)
	}
	if want := p.W * p.H * Channels; len(p.Pix) != want {
		return fmt.Errorf("raster of %d × %d pixels: want %d bytes, got %d", p.W, p.H, want, len(p.Pix))
	}
	return nil
}

// Rect is a part of a raster: w × h pixels from (x, y) on.
type Rect struct{ X, Y, W, H int }

// Crop copies a part of p, which must lie within it.
func (p Pixels) Crop(r Rect) Pixels {
	out := New(r.W, r.H)
	for y := range r.H {
		from := ((r.Y+y)*p.W + r.X) * Channels
		copy(out.Pix[y*r.W*Channels:(y+1)*r.W*Channels], p.Pix[from:])
	}
	return out
}
