package screen

import "math"

// span is where one value of a reduced axis comes from: the samples first..last, of which the outer two count in part.
type span struct {
	first, last           int
	weightFirst, weightIn float32 // of the first sample, and of the whole ones
	weightLast            float32
}

// spans divides an axis of n samples evenly into m, m <= n. The weights of each add up to 1.
func spans(n, m int) []span {
	out := make([]span, m)
	width := float64(n) / float64(m)
	for i := range out {
		from, to := float64(i)*width, float64(i+1)*width
		first := int(from)
		last := min(n-1, int(math.Ceil(to))-1)
		s := span{first: first, last: max(first, last), weightIn: float32(1 / width)}
		s.weightFirst = float32((math.Min(float64(first+1), to) - from) / width)
		s.weightLast = float32((to - float64(s.last)) / width)
		out[i] = s
	}
	return out
}

// weight is how much sample i counts.
func (s span) weight(i int) float32 {
	switch i {
	case s.first:
		return s.weightFirst
	case s.last:
		return s.weightLast
	}
	return s.weightIn
}

// Reduce scales p down to w × h, each value the mean of all the pixels that it covers. An axis that is shorter already keeps its length.
func Reduce(p Pixels, w, h int) Pixels {
	w, h = min(w, p.W), min(h, p.H)
	if w == p.W && h == p.H {
		return p
	}
	out := New(w, h)
	row := make([]float32, w*Channels)
	average(p, Rect{W: p.W, H: p.H}, w, h, row, func(y int, sums []float32) {
		line := out.Pix[y*w*Channels:]
		for i, v := range sums {
			line[i] = byte(v + 0.5)
		}
	})
	return out
}

// Average is Reduce for a part of p, without rounding: emit is called with each of the h lines of w × Channels means 0..255, from the top.
// The slice is used again for the next line. w and h must not exceed the part's sides.
func Average(p Pixels, part Rect, w, h int, emit func(y int, line []float32)) {
	average(p, part, w, h, make([]float32, w*Channels), emit)
}

// average sums line by line: every source line is reduced once, and counts for the one or two lines that it lies in.
func average(p Pixels, part Rect, w, h int, sums []float32, emit func(y int, line []float32)) {
	columns, rows := spans(part.W, w), spans(part.H, h)
	line, at := make([]float32, w*Channels), -1
	for y, r := range rows {
		clear(sums)
		for sy := r.first; sy <= r.last; sy++ {
			if sy != at {
				from := ((part.Y+sy)*p.W + part.X) * Channels
				averageLine(line, p.Pix[from:from+part.W*Channels], columns)
				at = sy
			}
			weight := r.weight(sy)
			for i, v := range line {
				sums[i] += v * weight
			}
		}
		emit(y, sums)
	}
}

func averageLine(dst []float32, src []byte, columns []span) {
	if len(dst) == len(src) {
		for i, v := range src {
			dst[i] = float32(v)
		}
		return
	}
	for x, c := range columns {
		px := src[c.first*Channels:]
		r, g, b := float32(px[0])*c.weightFirst, float32(px[1])*c.weightFirst, float32(px[2])*c.weightFirst
		if c.last > c.first {
			var sr, sg, sb int32
			inner := src[(c.first+1)*Channels : c.last*Channels]
			for i := 0; i+2 < len(inner); i += Channels {
				sr, sg, sb = sr+int32(inner[i]), sg+int32(inner[i+1]), sb+int32(inner[i+2])
			}
			end := src[c.last*Channels:]
			r += float32(sr)*c.weightIn + float32(end[0])*c.weightLast
			g += float32(sg)*c.weightIn + float32(end[1])*c.weightLast
			b += float32(sb)*c.weightIn + float32(end[2])*c.weightLast
		}
		dst[x*Channels], dst[x*Channels+1], dst[x*Channels+2] = r, g, b
	}
}
