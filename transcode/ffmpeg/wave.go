package ffmpeg

import (
	"encoding/base64"
	"math"

	"github.com/ninefold/ninefold/pipeline"
)

// floorDB is the quietest that a waveform shows, dBFS.
const floorDB = -60.0

// envelope is a note's 10 ms RMS in dBFS, clamped to -60..0 and laid on 0..1.
type envelope struct {
	frames []float64
	length float64 // in frames; the last frame may be a part of one
}

func newEnvelope(x []float32) envelope {
	e := envelope{length: float64(len(x)) / frameLen, frames: make([]float64, 0, len(x)/frameLen+1)}
	for len(x) > 0 {
		n := min(frameLen, len(x))
		e.frames = append(e.frames, level(squares(x[:n])/float64(n)))
		x = x[n:]
	}
	return e
}

// squares is the sum of x's squares, as four sums: an addition then does not wait for the one before.
func squares(x []float32) float64 {
	var a, b, c, d float64
	for ; len(x) >= 4; x = x[4:] {
		a += float64(x[0]) * float64(x[0])
		b += float64(x[1]) * float64(x[1])
		c += float64(x[2]) * float64(x[2])
		d += float64(x[3]) * float64(x[3])
	}
	for _, v := range x {
		a += float64(v) * float64(v)
	}
	return a + b + (c + d)
}

// level lays a mean square on 0..1, linear in dB.
func level(meanSquare float64) float64 {
	db := 10 * math.Log10(meanSquare) // -Inf for silence
	return (math.Max(floorDB, math.Min(0, db)) - floorDB) / -floorDB
}

// points divides the note into n equal spans and returns the mean level of each. A frame that two spans share counts for both,
// by its share.
func (e envelope) points(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = e.meanLevel(e.length*float64(i)/float64(n), e.length*float64(i+1)/float64(n))
	}
	return out
}

func (e envelope) meanLevel(from, to float64) float64 {
	sum := 0.0
	for f := int(from); f < len(e.frames) && float64(f) < to; f++ {
		sum += e.frames[f] * (math.Min(to, float64(f+1)) - math.Max(from, float64(f)))
	}
	return math.Min(1, sum/math.Max(to-from, 1e-9))
}

func (e envelope) scaled(n, top int) []int {
	out := make([]int, n)
	for i, p := range e.points(n) {
		out[i] = int(math.Round(p * float64(top)))
	}
	return out
}

// waveform is Ninefold's own form: n bytes 0..255.
func (e envelope) waveform(n int) *pipeline.Waveform {
	return &pipeline.Waveform{Points: n, Encoding: "u8-base64", Data: packBytes(e.scaled(n, 255))}
}

// exports are the forms that bridges to other messengers need, each made from the envelope itself.
//
//   - Discord: a byte per 100 ms, at most 256. - Matrix MSC3246: 100 values 0..1024.
//   - Telegram: 100 × 5 bit, least significant bit first, 63 bytes. - WhatsApp: 64 bytes 0..100.
func (e envelope) exports() *pipeline.Waveforms {
	discord := max(1, min(256, int(math.Ceil(e.length/10-1e-9))))
	return &pipeline.Waveforms{
		Discord:  packBytes(e.scaled(discord, 255)),
		Matrix:   e.scaled(100, 1024),
		Telegram: packBits5(e.scaled(100, 31)),
		WhatsApp: packBytes(e.scaled(64, 100)),
	}
}

func packBytes(v []int) string {
	out := make([]byte, len(v))
	for i, n := range v {
		out[i] = byte(n)
	}
	return base64.StdEncoding.EncodeToString(out)
}

func packBits5(v []int) string {
	out := make([]byte, (len(v)*5+7)/8)
	for i, n := range v {
		at := i * 5
		out[at/8] |= byte(n << (at % 8))
		if at%8 > 3 {
			out[at/8+1] |= byte(n >> (8 - at%8))
		}
	}
	return base64.StdEncoding.EncodeToString(out)
}
