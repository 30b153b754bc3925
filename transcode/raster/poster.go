package raster

import "math"

// Frame is a picture taken from a video, a candidate for its poster.
type Frame struct {
	Pix           []byte // packed RGB, 3 × Width × Height bytes
	Width, Height int    // pixels
	AtMS          int64  // milliseconds from the start of what is delivered
}

// Limits of a frame worth showing. Luma is 0..255.
const (
	darkestLuma  = 30.0 // mean
	lightestLuma = 225.0
	flatSpread   = 8.0 // a standard deviation below it is a plain surface with the noise of its encoding
	introMS      = 500 // the first half second: fades, shaking hands, encoders settling
)

// The faults of a frame, by weight: each is worse than all the lighter ones together, so a black frame is the last choice.
const (
	faultEarly  = 1 << iota // within introMS
	faultLight              // too dark or too light, yet with something to see
	faultFlat               // no contrast
	faultBlack              // dark and flat
	faultBroken             // fewer bytes than its size says
)

// PickPoster returns the index of the frame to show for a video, or -1 where there is none: of those with the least faults
// (black, plain, too dark or light, in the first half second) the one with the most detail, of equals the earliest. A black
// frame is returned only where every frame is black. The frames should have one size: detail is counted in pixels.
func PickPoster(frames []Frame) int {
	best, bestFaults, bestScore := -1, 0, 0.0
	for i, f := range frames {
		faults, score := f.judge()
		if faults >= faultBroken {
			continue
		}
		better := faults < bestFaults || faults == bestFaults && score > bestScore
		if best < 0 || better {
			best, bestFaults, bestScore = i, faults, score
		}
	}
	return best
}

// judge returns the frame's faults and, for frames with the same, how much there is to see: sharpness times contrast.
func (f Frame) judge() (faults int, score float64) {
	if f.Width < 1 || f.Height < 1 || len(f.Pix)/3/f.Width < f.Height {
		return faultBroken, 0
	}
	luma := f.luma()
	mean, spread := meanSpread(luma)
	if f.AtMS < introMS {
		faults |= faultEarly
	}
	if mean < darkestLuma || mean > lightestLuma {
		faults |= faultLight
	}
	if spread < flatSpread {
		faults |= faultFlat
	}
	if mean < darkestLuma && spread < flatSpread {
		faults |= faultBlack
	}
	return faults, sharpness(luma, f.Width) * spread
}

// luma is BT.709's, of the gamma-coded values.
func (f Frame) luma() []uint8 {
	out := make([]uint8, f.Width*f.Height)
	for i := range out {
		px := f.Pix[3*i : 3*i+3]
		out[i] = uint8((54*uint32(px[0]) + 183*uint32(px[1]) + 19*uint32(px[2])) >> 8)
	}
	return out
}

func meanSpread(luma []uint8) (mean, spread float64) {
	var sum, squares float64
	for _, v := range luma {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	n := float64(len(luma))
	mean = sum / n
	return mean, math.Sqrt(max(0, squares/n-mean*mean))
}

// sharpness is the mean size of the Laplacian: how much a pixel differs from its four neighbours. Motion and defocus lower it.
func sharpness(luma []uint8, width int) float64 {
	sum, n := 0, 0
	for row := width; row+width < len(luma); row += width {
		for x := 1; x < width-1; x++ {
			i := row + x
			d := 4*int(luma[i]) - int(luma[i-1]) - int(luma[i+1]) - int(luma[i-width]) - int(luma[i+width])
			sum += max(d, -d)
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return float64(sum) / float64(n)
}
