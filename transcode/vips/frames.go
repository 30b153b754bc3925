package vips

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// Frames decodes every frame of an animated WebP into the new file rawOut, packed 8-bit sRGB RGBA, one frame after the other, and
// returns their size and durations in ms: ffmpeg 5.1 cannot decode them. Frames are complete pictures, blending and disposal done.
// More frames or pixels than prof allows are CodeTooManyPixels; memory stays at a few frames whatever the file says.
func Frames(path string, t pipeline.Type, rawOut string, prof transcode.Profile) (w, h int, delaysMS []int, err error) {
	if t != pipeline.TypeWebP {
		return 0, 0, nil, pipeline.Refuse(pipeline.CodeUnsupportedType, "frames of %s are decoded by ffmpeg", t.MIME)
	}
	m, err := Probe(path, t)
	if err != nil {
		return 0, 0, nil, err
	}
	if err := transcode.CheckLimits(m, prof); err != nil {
		return 0, 0, nil, err
	}
	if m.Frames > maxRawFrames || int64(m.Width)*int64(m.Height)*int64(m.Frames) > maxRawPixels {
		return 0, 0, nil, pipeline.Refuse(pipeline.CodeTooManyPixels, "the animation has %d frames of %d×%d; at most %d pixels in all as WebP, send it as a video",
			m.Frames, m.Width, m.Height, maxRawPixels)
	}
	delaysMS, err = delays(path, m.Frames)
	if err != nil {
		return 0, 0, nil, asCorrupt("vips.Frames", err)
	}
	err = onThread(func() error { return writeFrames(source{path: path, typ: t}, m, rawOut) })
	return m.Width, m.Height, delaysMS, err
}

// maxRawPixels is what fits into the largest file that an engine may write, 256 MiB, at four bytes each.
const maxRawPixels = 64 << 20

// maxRawFrames keeps the list of their times within one argument of a program, 128 KiB.
const maxRawFrames = 4000

func delays(path string, frames int) ([]int, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	chunks, err := webpChunks(data)
	if err != nil {
		return nil, err
	}
	out := webpDelays(chunks)
	if len(out) == 0 {
		out = []int{0}
	}
	if len(out) != frames {
		return nil, fmt.Errorf("%d delays for %d frames", len(out), frames)
	}
	return out, nil
}

func writeFrames(s source, m pipeline.Media, rawOut string) error {
	var a arena
	defer a.free()
	p, err := s.open(&a, loading{failOn: failOnError, allPages: true})
	if err != nil {
		return asCorrupt("vips.Frames", err)
	}
	stored := image.Pt(m.Width, m.Height)
	if m.Image.Orientation > 4 {
		stored = image.Pt(m.Height, m.Width)
	}
	if p.width() != stored.X || p.height() != stored.Y*m.Frames {
		return asCorrupt("vips.Frames", fmt.Errorf("%d×%d pixels are not %d frames of %v", p.width(), p.height(), m.Frames, stored))
	}
	if p, err = p.srgb(); err == nil {
		p, err = p.rgba()
	}
	if err != nil {
		return asCorrupt("vips.Frames", err)
	}
	f, err := os.OpenFile(rawOut, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "vips.Frames", err)
	}
	if err := errors.Join(writeTurned(p, f, stored, m), f.Close()); err != nil {
		return asCorrupt("vips.Frames", errors.Join(err, os.Remove(rawOut)))
	}
	return nil
}

// writeTurned writes the frames as the Exif of the animation wants them turned, as that of a still picture is obeyed.
func writeTurned(p picture, f *os.File, stored image.Point, m pipeline.Media) error {
	steps := transcode.OrientationSteps(m.Image.Orientation)
	if len(steps) == 0 {
		return p.writeRaw(f)
	}
	for i := range m.Frames {
		at := image.Rectangle{Max: stored}.Add(image.Pt(0, i*stored.Y))
		if err := writeFrame(p, f, at, steps); err != nil {
			return err
		}
	}
	return nil
}

// writeFrame turns and writes one frame, in an arena of its own: memory stays at a few frames.
func writeFrame(p picture, f *os.File, at image.Rectangle, steps []transcode.Step) error {
	var a arena
	defer a.free()
	p.arena = &a
	p, err := p.crop(at)
	if err == nil {
		p, err = p.memory(context.Background())
	}
	for _, s := range steps {
		if err == nil && s.Op == pipeline.OpRotate {
			p, err = p.rotate(s.Degrees)
		} else if err == nil {
			p, err = p.flip(s.Direction == pipeline.FlipVertical)
		}
	}
	if err != nil {
		return err
	}
	return p.writeRaw(f)
}
