package moderation

import "fmt"

// MaxRasterSide is the longest side, in pixels, of a raster the classifier takes. What reaches it in production is some hundred
// pixels wide; the bound keeps a wrong number from becoming a large allocation.
const MaxRasterSide = 1 << 14

// Raster is one picture as the classifier wants it: packed 8-bit sRGB, row by row from the top, no padding, no alpha.
type Raster struct {
	Width, Height int    // pixels, 1..MaxRasterSide
	Pix           []byte // Width*Height*3 bytes
	// Averaged has every pixel count: what is larger than the model's input is reduced by area averaging. Without it the reference's own
	// way is taken, which of a large raster reads four pixels for each of its own.
	Averaged bool
}

// Validate reports what keeps r from being a picture.
func (r Raster) Validate() error {
	if r.Width < 1 || r.Height < 1 || r.Width > MaxRasterSide || r.Height > MaxRasterSide {
		return fmt.Errorf("raster of %d x %d pixels: want sides of 1 to %d", r.Width, r.Height, MaxRasterSide)
	}
	if want := r.Width * r.Height * 3; len(r.Pix) != want {
		return fmt.Errorf("raster of %d x %d pixels: want %d bytes, got %d", r.Width, r.Height, want, len(r.Pix))
	}
	return nil
}
