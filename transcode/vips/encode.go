package vips

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/h2non/bimg"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// format is how one of our formats is written.
type format struct {
	bimg bimg.ImageType
	mime string
	ext  string
}

var formats = map[transcode.Format]format{
	transcode.JPEG: {bimg.JPEG, "image/jpeg", ".jpg"},
	transcode.WebP: {bimg.WEBP, "image/webp", ".webp"},
	transcode.AVIF: {bimg.AVIF, "image/avif", ".avif"},
}

// avifSpeed is libaom's: 8 costs a tenth of 4 for a few percent of size.
const avifSpeed = 8

// The steps down to the byte budget: quality first, it shows least; then size; then the lowest quality we stand behind.
const (
	qualityStep1 = 75
	qualityStep2 = 70
	qualityFloor = 60
	shrinkStep   = 0.8
	maxShrinks   = 8 // 0.8^8 = 0.17 of the side: nothing is left to save below
)

// encoded is one finished file.
type encoded struct {
	data          []byte
	width, height int
}

// fullChroma is the quality from which on libvips writes JPEG with a colour for every pixel (4:4:4), and below it with one for four
// (4:2:0). bimg has no option for it, so what came out is looked at.
const fullChroma = 90

// encode writes raster p in the given format. JPEG is progressive and has its transparency laid on matte.
func encode(p picture, f transcode.Format, quality int, lossless bool, matte uint8) ([]byte, error) {
	form, ok := formats[f]
	if !ok {
		return nil, fmt.Errorf("no such format %q", f)
	}
	opts := bimg.Options{
		Type: form.bimg, Quality: quality, Lossless: lossless, Interlace: f == transcode.JPEG,
		StripMetadata: true, NoProfile: true, NoAutoRotate: true, Speed: avifSpeed,
	}
	if f == transcode.JPEG && p.alpha() {
		var err error
		if p, err = p.onMatte(matte); err != nil {
			return nil, err
		}
	}
	out, err := bimg.Resize(asTIFF(p.pixels(), p.width(), p.height(), p.bands()), opts)
	if err == nil && len(out) == 0 {
		err = errors.New("the encoder wrote nothing")
	}
	if err == nil && f == transcode.JPEG {
		err = sampledFor(out, quality)
	}
	if err != nil {
		return nil, &pipeline.Error{Code: pipeline.CodeEncodeFailed, Op: "vips.Render", Message: "the picture could not be written as " + string(f), Err: err}
	}
	if f == transcode.WebP {
		return pictureOnly(out)
	}
	return out, nil
}

// within returns data, which is p encoded as im asks, where it fits im's budget. While it does not, it tries again with less: quality 75,
// 70, then 0.8 of the size, then quality 60, then smaller still. The smallest is returned when none fits.
func within(ctx context.Context, p picture, im transcode.ImageOut, data []byte, matte uint8) (encoded, error) {
	best := encoded{data, p.width(), p.height()}
	if im.Budget == 0 || int64(len(data)) <= im.Budget {
		return best, nil
	}
	for _, try := range thrift(im) {
		if err := ctx.Err(); err != nil {
			return encoded{}, err
		}
		smaller, err := shrunk(ctx, p, try)
		if err != nil {
			return encoded{}, err
		}
		data, err := encode(smaller, im.Format, try.quality, false, matte)
		if err != nil {
			return encoded{}, err
		}
		if len(data) < len(best.data) {
			best = encoded{data, smaller.width(), smaller.height()}
		}
		if int64(len(best.data)) <= im.Budget {
			break
		}
	}
	return best, nil
}

// attempt is one step down.
type attempt struct {
	width, height, quality int
}

// thrift lists the attempts for a picture, the least loss first. A plan that starts below a step skips it.
func thrift(im transcode.ImageOut) []attempt {
	var out []attempt
	add := func(w, h, q int) {
		if q <= im.Quality && (w < im.Width || q < im.Quality) {
			out = append(out, attempt{w, h, q})
		}
	}
	add(im.Width, im.Height, qualityStep1)
	add(im.Width, im.Height, qualityStep2)
	scale := 1.0
	for range maxShrinks {
		scale *= shrinkStep
		w, h := max(1, int(float64(im.Width)*scale+0.5)), max(1, int(float64(im.Height)*scale+0.5))
		add(w, h, min(im.Quality, qualityStep2))
		add(w, h, min(im.Quality, qualityFloor))
	}
	return out
}

func shrunk(ctx context.Context, p picture, try attempt) (picture, error) {
	if try.width == p.width() && try.height == p.height() {
		return p, nil
	}
	small, err := p.resize(try.width, try.height)
	if err != nil {
		return picture{}, err
	}
	return small.memory(ctx)
}

// sampledFor reports a JPEG whose chroma is not what its quality should have given it.
func sampledFor(data []byte, quality int) error {
	segs, _, err := walkJPEG(data)
	if err != nil {
		return err
	}
	want := byte(0x22)
	if quality >= fullChroma {
		want = 0x11
	}
	for _, s := range segs {
		if isSOF(s.marker) && (len(s.payload) < 8 || s.payload[7] != want) {
			return fmt.Errorf("quality %d came out with other chroma than %#x", quality, want)
		}
	}
	return nil
}

// graphic reports whether the raster is drawn: made of even areas, or of few colours as pixel art is.
func graphic(pix []byte, bands int) bool { return flat(pix, bands) || fewColours(pix, bands) }

// maxDrawnColours is what a palette holds. Grey pictures have no more, photographs of paper too; they lose nothing with their chroma.
const maxDrawnColours = 256

func fewColours(pix []byte, bands int) bool {
	seen, coloured := map[[3]byte]bool{}, false
	for i := 0; i+bands <= len(pix); i += bands {
		c := [3]byte(pix[i : i+3])
		coloured = coloured || c[0] != c[1] || c[1] != c[2]
		if seen[c] = true; len(seen) > maxDrawnColours {
			return false
		}
	}
	return coloured
}

// flatShare is the share of pixels that equal their left neighbour above which a picture counts as drawn, not photographed: interface
// screenshots have 0.85 and more, photographs under 0.2.
const flatShare = 0.7

// flat reports whether the raster is made of even areas, as screenshots and drawings are.
func flat(pix []byte, bands int) bool {
	if len(pix) < 2*bands {
		return false
	}
	same, all := 0, len(pix)/bands-1
	for i := bands; i+bands <= len(pix); i += bands {
		if bytes.Equal(pix[i-bands:i], pix[i:i+bands]) {
			same++
		}
	}
	return float64(same) >= flatShare*float64(all)
}
