package vips

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ninefold/ninefold/pipeline"
)

// maxDeliveredPixels bounds what a delivered picture may decode to: the largest profile allows a side of 8192.
const maxDeliveredPixels = 8192 * 8192

// Delivered decodes a rendition in full, as a client does, and returns its w × h pixels: packed 8-bit sRGB, on white where it has alpha.
// One that does not decode cleanly, or is not of the size it says, is CodeEncodeFailed.
func Delivered(ctx context.Context, dir string, r pipeline.Rendition) (pix []byte, w, h int, err error) {
	err = onThread(func() error {
		var a arena
		defer a.free()
		p, err := delivered(ctx, &a, dir, r)
		if err != nil {
			return err
		}
		pix, w, h = append([]byte(nil), p.pixels()...), p.width(), p.height()
		return nil
	})
	if cause := ctx.Err(); cause != nil {
		return nil, 0, 0, cause
	}
	if err != nil {
		return nil, 0, 0, unverified(r, err)
	}
	return pix, w, h, nil
}

// whiteMatte is what clients show delivered pictures on.
const whiteMatte = 255

func delivered(ctx context.Context, a *arena, dir string, r pipeline.Rendition) (picture, error) {
	typ, ok := deliveredTypes[r.MIME]
	if !ok {
		return picture{}, fmt.Errorf("%s is no picture that is delivered", r.MIME)
	}
	p, err := source{path: filepath.Join(dir, filepath.FromSlash(r.Path)), typ: typ}.open(a, loading{failOn: failOnError})
	if err != nil {
		return picture{}, err
	}
	if p.width() != r.Width || p.height() != r.Height || p.width()*p.height() > maxDeliveredPixels {
		return picture{}, fmt.Errorf("it decodes to %d×%d, not %d×%d", p.width(), p.height(), r.Width, r.Height)
	}
	if p, err = p.srgb(); err != nil {
		return picture{}, err
	}
	if p, err = p.flatten(whiteMatte); err != nil {
		return picture{}, err
	}
	if p.bands() != 3 {
		return picture{}, errors.New("it has no three channels")
	}
	return p.memory(ctx)
}

// deliveredTypes are the pictures that are delivered, and PNG, in which pictures are compared with the reference.
var deliveredTypes = map[string]pipeline.Type{
	pipeline.TypeJPEG.MIME: pipeline.TypeJPEG, pipeline.TypeWebP.MIME: pipeline.TypeWebP, pipeline.TypeAVIF.MIME: pipeline.TypeAVIF,
	pipeline.TypePNG.MIME: pipeline.TypePNG,
}
