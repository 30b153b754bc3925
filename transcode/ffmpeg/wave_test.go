package ffmpeg

import (
	"encoding/base64"
	"math"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// shape makes seconds of a 1 kHz square wave whose level in dBFS follows db, a function of 0..1 of the whole.
func shape(seconds float64, db func(at float64) float64) []float32 {
	x := make([]float32, int(seconds*rateHz))
	for i := range x {
		v := float32(amplitude(db(float64(i) / float64(len(x)))))
		if i/24%2 == 1 {
			v = -v
		}
		x[i] = v
	}
	return x
}

func bytesOf(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// waveTolerance is how far a point may be from the envelope that was put in, of 255.
const waveTolerance = 2

func TestWaveformShowsTheEnvelope(t *testing.T) {
	for name, db := range map[string]func(at float64) float64{
		"silence":   func(float64) float64 { return -200 },
		"full":      func(float64) float64 { return 0 },
		"ramp":      func(at float64) float64 { return -60 + 60*at },
		"fall":      func(at float64) float64 { return -60 * at },
		"too quiet": func(float64) float64 { return -70 },
		"burst": func(at float64) float64 {
			if at >= 0.42 && at < 0.47 {
				return -12
			}
			return -200
		},
	} {
		for _, seconds := range []float64{0.5, 3, 60} {
			points := bytesOf(t, newEnvelope(shape(seconds, db)).waveform(100).Data)
			if len(points) != 100 {
				t.Fatalf("%s: %d points", name, len(points))
			}
			for i, got := range points {
				if seconds < 3 && name == "burst" {
					continue // an edge falls within a frame
				}
				want := 255 * (math.Max(-60, db((float64(i)+0.5)/100)) + 60) / 60
				if math.Abs(float64(got)-want) > waveTolerance {
					t.Errorf("%s, %v s, point %d: %d, want %.1f", name, seconds, i, got, want)
				}
			}
		}
	}
}

// TestWaveformExportsAgree compares every point of every bridge's form with the ramp that was put in, each in its format's own unit.
func TestWaveformExportsAgree(t *testing.T) {
	ramp := func(at float64) float64 { return -60 + 60*at }
	for seconds, discord := range map[float64]int{0.3: 3, 1: 10, 1.01: 11, 12.34: 124, 25.6: 256, 60: 256} {
		x := newEnvelope(shape(seconds, ramp)).exports()
		followsRamp(t, "Discord", seconds, bytesOf(t, x.Discord), discord, 255)
		followsRamp(t, "WhatsApp", seconds, bytesOf(t, x.WhatsApp), 64, 100)
		followsRamp(t, "Matrix", seconds, x.Matrix, 100, 1024)
		checkTelegram(t, x)
	}
}

// followsRamp wants so many points that rise evenly from 0 to full. A point may be off by what waveTolerance is of full, by rounding, and
// by half of what the ramp rises in one frame of the envelope, 10 ms: in a short note several points share a frame.
func followsRamp[T byte | int](t *testing.T, name string, seconds float64, points []T, want int, full float64) {
	t.Helper()
	if len(points) != want {
		t.Fatalf("%s, %v s: %d points, want %d", name, seconds, len(points), want)
	}
	tolerance := full*waveTolerance/255 + 0.5 + full/(seconds*100)/2
	for i, p := range points {
		if at := (float64(i) + 0.5) / float64(want) * full; float64(p) < 0 || float64(p) > full || math.Abs(float64(p)-at) > tolerance {
			t.Errorf("%s, %v s, point %d: %v, want %.1f", name, seconds, i, p, at)
		}
	}
}

// checkTelegram unpacks as Telegram's clients do: 5 bits each, least significant first.
func checkTelegram(t *testing.T, x *pipeline.Waveforms) {
	t.Helper()
	packed := bytesOf(t, x.Telegram)
	if len(packed) != 63 {
		t.Fatalf("Telegram has %d bytes", len(packed))
	}
	for i := range 100 {
		v := 0
		for bit := range 5 {
			at := i*5 + bit
			v |= int(packed[at/8]>>(at%8)&1) << bit
		}
		if want := float64(x.Matrix[i]) * 31 / 1024; math.Abs(float64(v)-want) > 0.6 {
			t.Errorf("Telegram's point %d is %d, Matrix says %.1f", i, v, want)
		}
	}
}
