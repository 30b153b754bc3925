package transcode

import (
	"math"

	"github.com/ninefold/ninefold/pipeline"
)

// Step is one edit in pixels of the picture as it stands when the step is reached. Exactly one group of fields applies, by Op.
type Step struct {
	Op pipeline.Op `json:"op"` // crop, rotate, flip, adjust, caption

	X int `json:"x,omitempty"` // crop, pixels from the left
	Y int `json:"y,omitempty"` // crop, pixels from the top
	W int `json:"w,omitempty"` // crop, pixels
	H int `json:"h,omitempty"` // crop, pixels

	Degrees   int    `json:"degrees,omitempty"`   // rotate, clockwise
	Direction string `json:"direction,omitempty"` // flip

	Brightness float64 `json:"brightness,omitempty"` // adjust, -1..1
	Contrast   float64 `json:"contrast,omitempty"`   // adjust, -1..1
	Saturation float64 `json:"saturation,omitempty"` // adjust, -1..1

	Text     string `json:"text,omitempty"`     // caption
	Position string `json:"position,omitempty"` // caption
	Style    string `json:"style,omitempty"`    // caption
}

// Geometry turns edits into steps, beginning with a picture of width × height display pixels, and returns the size after the
// last step. Crops are rounded to whole pixels and keep at least one. Edits of time and sound are left out.
func Geometry(edits []pipeline.Edit, width, height int) (steps []Step, w, h int) {
	w, h = width, height
	for _, e := range edits {
		switch e.Op {
		case pipeline.OpCrop:
			s := cropStep(e, w, h)
			steps, w, h = append(steps, s), s.W, s.H
		case pipeline.OpRotate:
			steps = append(steps, Step{Op: e.Op, Degrees: e.Degrees})
			if e.Degrees != 180 {
				w, h = h, w
			}
		case pipeline.OpFlip:
			steps = append(steps, Step{Op: e.Op, Direction: e.Direction})
		case pipeline.OpAdjust:
			steps = append(steps, Step{Op: e.Op, Brightness: e.Brightness, Contrast: e.Contrast, Saturation: e.Saturation})
		case pipeline.OpCaption:
			steps = append(steps, Step{Op: e.Op, Text: e.Text, Position: e.Position, Style: e.Style})
		}
	}
	return steps, w, h
}

// cropStep rounds both edges, not the edge and the size: two crops that touch in fractions touch in pixels.
func cropStep(e pipeline.Edit, w, h int) Step {
	x0, x1 := span(e.X, e.W, w)
	y0, y1 := span(e.Y, e.H, h)
	return Step{Op: e.Op, X: x0, Y: y0, W: x1 - x0, H: y1 - y0}
}

func span(start, length float64, pixels int) (from, to int) {
	from = min(int(math.Round(start*float64(pixels))), pixels-1)
	to = min(int(math.Round((start+length)*float64(pixels))), pixels)
	return from, max(to, from+1)
}

// FitSize scales w × h so that the given edge is at most limit, never enlarging, and never below one pixel.
func FitSize(w, h, edge, limit int) (int, int) {
	if edge <= limit {
		return w, h
	}
	scale := float64(limit) / float64(edge)
	return max(1, int(math.Round(float64(w)*scale))), max(1, int(math.Round(float64(h)*scale)))
}

// OrientationSteps writes an EXIF orientation as steps on the stored picture.
func OrientationSteps(orientation int) []Step {
	turn := func(degrees int) Step { return Step{Op: pipeline.OpRotate, Degrees: degrees} }
	flip := func(direction string) Step {
		return Step{Op: pipeline.OpFlip, Direction: direction}
	}
	switch orientation {
	case 2:
		return []Step{flip(pipeline.FlipHorizontal)}
	case 3:
		return []Step{turn(180)}
	case 4:
		return []Step{flip(pipeline.FlipVertical)}
	case 5:
		return []Step{turn(90), flip(pipeline.FlipHorizontal)}
	case 6:
		return []Step{turn(90)}
	case 7:
		return []Step{turn(270), flip(pipeline.FlipHorizontal)}
	case 8:
		return []Step{turn(270)}
	}
	return nil
}
