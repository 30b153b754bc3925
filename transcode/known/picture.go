package known

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"

	"golang.org/x/image/webp"

	"github.com/ninefold/ninefold/pipeline"
)

// The size of what cmd/known-media makes, as it is shown, pixels.
const width, height = 96, 64

// patch is the side of what is looked at in the middle of each of the four fields, pixels.
const patch = 16

// Tolerances, of 255: what two lossy encodings and a tone curve move a plain colour by (4 was seen on Debian 12, 3 on 13), and how far
// pixels of a plain field may lie apart.
const (
	maxOff    = 5.0
	maxSpread = 24
)

// showing is what a picture must show: its size, and its fields' colours: top left, top right, bottom left, bottom right.
type showing struct {
	size   image.Point
	fields [4][3]float64
}

var (
	colours = showing{image.Pt(width, height), [4][3]float64{{180, 60, 50}, {60, 160, 70}, {50, 80, 170}, {128, 128, 128}}}
	greys   = showing{image.Pt(width, height), [4][3]float64{{40, 40, 40}, {100, 100, 100}, {180, 180, 180}, {230, 230, 230}}}
	// turned are the colours after half a turn: what the second half of the video shows.
	turned = showing{image.Pt(width, height), [4][3]float64{{128, 128, 128}, {50, 80, 170}, {60, 160, 70}, {180, 60, 50}}}
	iPhone = showing{image.Pt(160, 120), [4][3]float64{{230, 20, 20}, {20, 190, 40}, {20, 40, 220}, {230, 210, 20}}}
)

func inColour(_ context.Context, b *Bench, r *pipeline.Rendered) error { return b.shows(r, colours) }

func inGrey(_ context.Context, b *Bench, r *pipeline.Rendered) error { return b.shows(r, greys) }

func asAnIPhone(_ context.Context, b *Bench, r *pipeline.Rendered) error { return b.shows(r, iPhone) }

// shows looks at the display renditions, each decoded by a decoder that is not the engine's.
func (b *Bench) shows(r *pipeline.Rendered, want showing) error {
	seen := 0
	for _, rend := range r.Part.Renditions {
		if rend.Name != "display" {
			continue
		}
		data, err := os.ReadFile(b.abs(rend.Path))
		if err != nil {
			return err
		}
		img, err := decode(data, rend.MIME)
		if err != nil {
			return fmt.Errorf("%s: %w", rend.MIME, err)
		}
		if err := want.in(img); err != nil {
			return fmt.Errorf("%s: %w", rend.MIME, err)
		}
		seen++
	}
	if seen != 2 {
		return fmt.Errorf("%d display renditions, want a JPEG and a WebP", seen)
	}
	return nil
}

// decode reads a rendition.
func decode(data []byte, mime string) (image.Image, error) {
	if mime != "image/webp" {
		return jpeg.Decode(bytes.NewReader(data))
	}
	img, err := webp.Decode(bytes.NewReader(data))
	if yuv, ok := img.(*image.YCbCr); ok && err == nil {
		return limited{yuv}, nil
	}
	return img, err
}

// limited is a lossy WebP: BT.601 of limited range, which the decoder hands out as it is and the standard library takes for full range.
type limited struct{ *image.YCbCr }

func (l limited) At(x, y int) color.Color {
	c := l.YCbCrAt(x, y)
	luma, cb, cr := 1.164383*(float64(c.Y)-16), float64(c.Cb)-128, float64(c.Cr)-128
	level := func(v float64) uint8 { return uint8(max(0, min(255, math.Round(v)))) }
	return color.RGBA{R: level(luma + 1.596027*cr), G: level(luma - 0.391762*cb - 0.812968*cr), B: level(luma + 2.017232*cb), A: 255}
}

// in compares a picture's fields with what they must be.
func (s showing) in(img image.Image) error {
	if size := img.Bounds().Size(); size != s.size {
		return fmt.Errorf("%d×%d pixels, want %d×%d", size.X, size.Y, s.size.X, s.size.Y)
	}
	for i, name := range []string{"top left", "top right", "bottom left", "bottom right"} {
		corner := img.Bounds().Min.Add(image.Pt(s.size.X/4+s.size.X/2*(i%2)-patch/2, s.size.Y/4+s.size.Y/2*(i/2)-patch/2))
		mean, spread := measure(img, image.Rectangle{Min: corner, Max: corner.Add(image.Pt(patch, patch))})
		if off := farthest(mean, s.fields[i]); off > maxOff || spread > maxSpread {
			return fmt.Errorf("the %s is rgb %.0f, must be %.0f; its pixels lie %d apart", name, mean, s.fields[i], spread)
		}
	}
	return nil
}

// measure returns the mean colour of a field, and how far its pixels lie apart at most in one channel.
func measure(img image.Image, box image.Rectangle) (mean [3]float64, spread int) {
	low, high := [3]int{255, 255, 255}, [3]int{}
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			for i, v := range colourAt(img, x, y) {
				mean[i] += float64(v) / float64(box.Dx()*box.Dy())
				low[i], high[i] = min(low[i], v), max(high[i], v)
			}
		}
	}
	for i := range low {
		spread = max(spread, high[i]-low[i])
	}
	return mean, spread
}

func colourAt(img image.Image, x, y int) [3]int {
	r, g, b, _ := img.At(x, y).RGBA()
	return [3]int{int(r >> 8), int(g >> 8), int(b >> 8)}
}

func farthest(a, b [3]float64) float64 {
	off := 0.0
	for i := range a {
		off = max(off, a[i]-b[i], b[i]-a[i])
	}
	return off
}
