package vips

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// iccMatrix is a profile of three primaries and their curves. Of such a picture LittleCMS computes 8 bits exactly; deeper ones go through a
// table of 33 steps a channel, which is off by up to 39 levels (PQ) or 11 (Adobe RGB) where one channel is dark beside a bright one, and by
// other ones on every release. They are computed here instead.
type iccMatrix struct {
	columns [3][3]float64 // of red, green and blue in the connection space
	curves  [3]curve
	stored  [3][]byte // the curves as they stand in the profile
}

// deepSteps is how many values a channel of 16 bits has.
const deepSteps = 1 << 16

// readICCMatrix reads a profile that describes RGB by primaries and curves alone.
func readICCMatrix(data []byte) (m iccMatrix, ok bool) {
	facts := readICC(data)
	if facts.space != "RGB " || facts.hasTables() || string(data[iccPCSAt:iccPCSAt+4]) != "XYZ " {
		return m, false
	}
	for i, letter := range []string{"r", "g", "b"} {
		column, curve := iccTagOf(data, letter+"XYZ"), iccTagOf(data, letter+"TRC")
		if len(column) < 20 || string(column[:4]) != "XYZ " {
			return m, false
		}
		for j := range 3 {
			m.columns[i][j] = fixed(column[8+4*j:])
		}
		m.stored[i] = curve
		if m.curves[i], ok = readICCCurve(curve); !ok {
			return m, false
		}
	}
	return m, true
}

// iccTagOf is the first tag of that name, nil where there is none in the profile.
func iccTagOf(data []byte, name string) []byte {
	for _, entry := range iccEntries(data) {
		if string(entry[:4]) != name {
			continue
		}
		at, size := uint64(binary.BigEndian.Uint32(entry[4:])), uint64(binary.BigEndian.Uint32(entry[8:]))
		if at+size > uint64(len(data)) {
			return nil
		}
		return data[at : at+size]
	}
	return nil
}

// fixed reads a signed number of 16 bits before and 16 behind the point.
func fixed(b []byte) float64 { return float64(int32(binary.BigEndian.Uint32(b))) / 65536 }

// readICCCurve reads a table, a gamma or a formula.
func readICCCurve(tag []byte) (curve, bool) {
	if len(tag) < 12 {
		return nil, false
	}
	switch string(tag[:4]) {
	case "curv":
		return readICCTable(tag[12:], binary.BigEndian.Uint32(tag[8:]))
	case "para":
		return readICCFormula(tag[12:], binary.BigEndian.Uint16(tag[8:]))
	}
	return nil, false
}

// readICCTable reads a curve of n values: none is a straight line, one a gamma.
func readICCTable(b []byte, n uint32) (curve, bool) {
	if uint64(len(b)) < 2*uint64(n) {
		return nil, false
	}
	switch n {
	case 0:
		return power(1), true
	case 1:
		return power(float64(binary.BigEndian.Uint16(b)) / 256), true
	}
	return func(v float64) float64 {
		at := v * float64(n-1)
		i := min(uint32(at), n-2)
		low, high := binary.BigEndian.Uint16(b[2*i:]), binary.BigEndian.Uint16(b[2*i+2:])
		return (float64(low) + (at-float64(i))*(float64(high)-float64(low))) / 65535
	}, true
}

// iccFormulas are the counts of parameters of the formulas, by their numbers.
var iccFormulas = []int{1, 3, 4, 5, 7}

// readICCFormula reads a power with an offset and a straight piece below d: (a v + b)^g + e from d on, c v + f below.
func readICCFormula(b []byte, kind uint16) (curve, bool) {
	if int(kind) >= len(iccFormulas) || len(b) < 4*iccFormulas[kind] {
		return nil, false
	}
	p := make([]float64, iccFormulas[kind], 7)
	for i := range p {
		p[i] = fixed(b[4*i:])
	}
	g, a, offset, c, d, e, f := p[0], 1.0, 0.0, 0.0, math.Inf(-1), 0.0, 0.0
	if kind > 0 {
		a, offset = p[1], p[2]
		d = -offset / a
	}
	switch kind {
	case 2:
		e, f = p[3], p[3]
	case 3:
		c, d = p[3], p[4]
	case 4:
		c, d, e, f = p[3], p[4], p[5], p[6]
	}
	return func(v float64) float64 {
		if v < d {
			return c*v + f
		}
		return math.Pow(max(0, a*v+offset), g) + e
	}, true
}

// light is what the stored values of a channel of 16 bits are in light, 0..1: of each value red, green and blue.
func (m iccMatrix) light() []float32 {
	table := make([]float32, 3*deepSteps)
	for c := range 3 {
		same := slices.IndexFunc(m.stored[:c], func(b []byte) bool { return bytes.Equal(b, m.stored[c]) })
		for i := range deepSteps {
			if same >= 0 {
				table[3*i+c] = table[3*i+same]
			} else if v := m.curves[c](float64(i) / (deepSteps - 1)); v > 0 {
				table[3*i+c] = float32(min(1, v))
			}
		}
	}
	return table
}

// toSRGB turns light in the profile's primaries into light in sRGB's, rows one after the other, scaled to 16 bits.
func (m iccMatrix) toSRGB() (flat [9]float64) {
	from := transposed(adaptedToD50(bt709)).inverse()
	for i, column := range m.columns {
		for j, v := range from.of(column) {
			flat[3*j+i] = v * (deepSteps - 1)
		}
	}
	return flat
}

// codedSRGB is what light of 16 bits is in sRGB. Numbers that were cut off to whole ones stand for their middle.
func codedSRGB() []byte {
	table := make([]byte, deepSteps)
	for i := range table {
		v := (float64(i) + 0.5) / deepSteps
		if v <= 0.0031308 {
			v *= 12.92
		} else {
			v = 1.055*math.Pow(v, 1/2.4) - 0.055
		}
		table[i] = byte(math.Round(255 * v))
	}
	return table
}
