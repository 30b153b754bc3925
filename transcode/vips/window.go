package vips

import (
	"image"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// frame is the picture as a step finds it, in source pixels: its whole size, and the window of it that survives every crop to come.
// Only the window is ever in memory; the whole size is what a caption is laid out on.
type frame struct {
	size   image.Point
	window image.Rectangle
}

// swaps reports whether the step exchanges width and height.
func swaps(s transcode.Step) bool { return s.Op == pipeline.OpRotate && s.Degrees != 180 }

// through returns the frame after step s.
func (f frame) through(s transcode.Step) frame {
	switch s.Op {
	case pipeline.OpCrop:
		return frame{image.Pt(s.W, s.H), f.window.Sub(image.Pt(s.X, s.Y))}
	case pipeline.OpRotate:
		return f.turned(s.Degrees)
	case pipeline.OpFlip:
		return f.mirrored(s.Direction)
	}
	return f
}

func (f frame) turned(degrees int) frame {
	w, h, r := f.size.X, f.size.Y, f.window
	switch degrees {
	case 90:
		return frame{image.Pt(h, w), image.Rect(h-r.Max.Y, r.Min.X, h-r.Min.Y, r.Max.X)}
	case 180:
		return frame{f.size, image.Rect(w-r.Max.X, h-r.Max.Y, w-r.Min.X, h-r.Min.Y)}
	case 270:
		return frame{image.Pt(h, w), image.Rect(r.Min.Y, w-r.Max.X, r.Max.Y, w-r.Min.X)}
	}
	return f
}

func (f frame) mirrored(direction string) frame {
	w, h, r := f.size.X, f.size.Y, f.window
	if direction == pipeline.FlipVertical {
		return frame{f.size, image.Rect(r.Min.X, h-r.Max.Y, r.Max.X, h-r.Min.Y)}
	}
	return frame{f.size, image.Rect(w-r.Max.X, r.Min.Y, w-r.Min.X, r.Max.Y)}
}

// stored works the steps back: it returns the frame of the stored picture, whose window is all that has to be decoded.
func stored(size image.Point, steps []transcode.Step) frame {
	sizes := []image.Point{size}
	for _, s := range steps {
		sizes = append(sizes, frame{size: sizes[len(sizes)-1]}.through(s).size)
	}
	f := frame{sizes[len(steps)], image.Rectangle{Max: sizes[len(steps)]}}
	for i := len(steps) - 1; i >= 0; i-- {
		f = undone(f, steps[i], sizes[i])
	}
	return f
}

// undone returns the frame before step s, when the picture was size.
func undone(f frame, s transcode.Step, size image.Point) frame {
	switch s.Op {
	case pipeline.OpCrop:
		return frame{size, f.window.Add(image.Pt(s.X, s.Y))}
	case pipeline.OpRotate:
		return f.turned(360 - s.Degrees)
	case pipeline.OpFlip:
		return f.mirrored(s.Direction)
	}
	return f
}
