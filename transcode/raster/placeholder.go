package raster

import (
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/color"

	"github.com/bbrks/go-blurhash"
	"github.com/disintegration/imaging"
	"github.com/galdor/go-thumbhash"

	"github.com/ninefold/ninefold/pipeline"
)

// The rasters that hashes are made of, pixels of the longer side: both keep a handful of frequencies, more pixels only cost.
const (
	blurhashSide  = 32
	thumbhashSide = 100 // the reference implementation refuses more
)

// Placeholder makes what a client paints before the first rendition is there, from a raster of any size. Blurhash and colour
// know no transparency: blurhash is made of the picture over white, as the JPEG rendition is, and the colour counts a pixel
// by its alpha. The error is our own trouble: a raster without pixels.
func Placeholder(img *image.NRGBA) (pipeline.Placeholder, error) {
	if img == nil || img.Rect.Empty() {
		return pipeline.Placeholder{}, pipeline.Trouble(pipeline.CodeInternal, "raster.Placeholder", errors.New("a raster without pixels"))
	}
	small := imaging.Fit(img, thumbhashSide, thumbhashSide, imaging.Box)
	hash, err := blurHash(small)
	if err != nil {
		return pipeline.Placeholder{}, pipeline.Trouble(pipeline.CodeInternal, "raster.Placeholder", err)
	}
	return pipeline.Placeholder{Blurhash: hash, Thumbhash: thumbHash(small), Color: hexColor(dominant(small))}, nil
}

func blurHash(small *image.NRGBA) (string, error) {
	tiny := imaging.Fit(small, blurhashSide, blurhashSide, imaging.Box)
	flat := imaging.OverlayCenter(imaging.New(tiny.Rect.Dx(), tiny.Rect.Dy(), color.White), tiny, 1)
	x, y := components(flat.Rect.Dx(), flat.Rect.Dy())
	return blurhash.Encode(x, y, flat)
}

// components is how many frequencies a blurhash keeps across and down: more along the longer side.
func components(w, h int) (x, y int) {
	switch {
	case w > h:
		return 4, 3
	case w < h:
		return 3, 4
	}
	return 4, 4
}

// thumbHash hands the library the raster's bytes under the name of premultiplied ones: it copies image.RGBA as it is and reads
// the copy as straight alpha, which is what the reference implementation defines. From an image.NRGBA it would darken what is
// transparent.
func thumbHash(small *image.NRGBA) string {
	straight := &image.RGBA{Pix: small.Pix, Stride: small.Stride, Rect: small.Rect}
	return base64.StdEncoding.EncodeToString(thumbhash.EncodeImage(straight))
}

// dominant is the mean of the most populous cell of a histogram of 8 × 8 × 8 colours, each pixel counted by its alpha: a colour
// the picture has, where a mean over all of it would be a grey it may not have. A picture all transparent is white.
func dominant(small *image.NRGBA) color.NRGBA {
	type cell struct{ r, g, b, weight uint64 }
	var cells [512]cell
	for i := 0; i+3 < len(small.Pix); i += 4 {
		px := small.Pix[i : i+4]
		c, a := &cells[int(px[0]>>5)<<6|int(px[1]>>5)<<3|int(px[2]>>5)], uint64(px[3])
		c.r, c.g, c.b, c.weight = c.r+uint64(px[0])*a, c.g+uint64(px[1])*a, c.b+uint64(px[2])*a, c.weight+a
	}
	best := &cells[0]
	for i := range cells {
		if cells[i].weight > best.weight {
			best = &cells[i]
		}
	}
	if best.weight == 0 {
		return white()
	}
	mean := func(sum uint64) uint8 { return uint8((sum + best.weight/2) / best.weight) }
	return color.NRGBA{R: mean(best.r), G: mean(best.g), B: mean(best.b), A: 255}
}

func hexColor(c color.NRGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }
