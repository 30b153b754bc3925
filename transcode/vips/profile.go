package vips

import (
	"encoding/binary"
	"math"
)

// chromaticities are CIE 1931 x and y of red, green, blue and white.
type chromaticities [4][2]float64

// The colour spaces of pictures that name theirs without a profile: H.273's code points 9 and 12, and Adobe RGB (1998).
var (
	bt709     = chromaticities{{0.640, 0.330}, {0.300, 0.600}, {0.150, 0.060}, {0.3127, 0.3290}}
	bt2020    = chromaticities{{0.708, 0.292}, {0.170, 0.797}, {0.131, 0.046}, {0.3127, 0.3290}}
	displayP3 = chromaticities{{0.680, 0.320}, {0.265, 0.690}, {0.150, 0.060}, {0.3127, 0.3290}}
	adobe1998 = chromaticities{{0.640, 0.330}, {0.210, 0.710}, {0.150, 0.060}, {0.3127, 0.3290}}
)

// curve turns a stored value into light, both 0..1 where 1 is the white of an ordinary display.
type curve func(float64) float64

// adobeGamma is Adobe RGB (1998)'s, 2 + 51/256.
const adobeGamma = 2.19921875

func power(gamma float64) curve { return func(v float64) float64 { return math.Pow(v, gamma) } }

func srgbCurve(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

const (
	hdrWhite = 203.0 // nits of paper white in HDR pictures (ITU-R BT.2408)
	hdrPeak  = 1000.0
)

// pqCurve is SMPTE ST 2084, brought down to an ordinary display.
func pqCurve(v float64) float64 {
	const m1, m2, c1, c2, c3 = 2610.0 / 16384, 2523.0 / 4096 * 128, 3424.0 / 4096, 2413.0 / 4096 * 32, 2392.0 / 4096 * 32
	p := math.Pow(v, 1/m2)
	return toneMapped(10_000 * math.Pow(math.Max(0, p-c1)/(c2-c3*p), 1/m1))
}

// hlgCurve is ARIB STD-B67 on a display of 1,000 nits, its system gamma applied channel by channel, brought down likewise.
func hlgCurve(v float64) float64 {
	const a, b, c, gamma = 0.17883277, 0.28466892, 0.55991073, 1.2
	scene := v * v / 3
	if v > 0.5 {
		scene = (math.Exp((v-c)/a) + b) / 12
	}
	return toneMapped(hdrPeak * math.Pow(scene, gamma))
}

// toneKnee is the share of paper white up to which light is kept as it is: skin and mid-tones look as in an ordinary picture.
const toneKnee = 0.5

// toneMapped brings nits to 0..1: unchanged up to the knee, from there bent so that hdrPeak becomes 1 (the mobius curve that videos
// are mapped with, too).
func toneMapped(nits float64) float64 {
	x := math.Min(nits, hdrPeak) / hdrWhite
	if x <= toneKnee {
		return x
	}
	const j, p = toneKnee, hdrPeak / hdrWhite
	const a, b = -j * j * (p - 1) / (j*j - 2*j + p), (j*j - 2*j*p + p) / (p - 1)
	return (b*b + 2*b*j + j*j) / (b - a) * (x + a) / (x + b)
}

// curveSteps is the length of a profile's curve table: PQ needs that many for its dark end.
const curveSteps = 4096

// iccProfile writes an ICC 2.1 profile of three primaries and one curve: what a colour engine needs to know of a picture that carries
// code points or a word in its Exif instead.
func iccProfile(space chromaticities, c curve) []byte {
	be := binary.BigEndian
	columns := adaptedToD50(space)
	table := be.AppendUint32([]byte("curv\x00\x00\x00\x00"), curveSteps)
	for i := range curveSteps {
		light := c(float64(i) / (curveSteps - 1))
		table = be.AppendUint16(table, uint16(math.Round(65535*math.Max(0, math.Min(1, light)))))
	}
	return assembled([]iccTag{
		{"desc", append([]byte("desc\x00\x00\x00\x00\x00\x00\x00\x01\x00"), make([]byte, 78)...)},
		{"cprt", []byte("text\x00\x00\x00\x00\x00")},
		{"wtpt", xyzTag(d50)},
		{"rXYZ", xyzTag(columns[0])},
		{"gXYZ", xyzTag(columns[1])},
		{"bXYZ", xyzTag(columns[2])},
		{"rTRC", table},
		{"gTRC", table},
		{"bTRC", table},
	})
}

type iccTag struct {
	name string
	data []byte
}

// assembled puts header, tag table and tags together; a tag with the data of the one before shares them.
func assembled(tags []iccTag) []byte {
	be := binary.BigEndian
	head := make([]byte, 128)
	copy(head[8:], "\x02\x10\x00\x00mntrRGB XYZ ")
	copy(head[36:], "acsp")
	copy(head[68:], xyzTag(d50)[8:])
	table, body, at := be.AppendUint32(nil, uint32(len(tags))), []byte{}, 0
	for i, tag := range tags {
		if i == 0 || &tag.data[0] != &tags[i-1].data[0] {
			for len(body)%4 != 0 {
				body = append(body, 0)
			}
			at = 128 + 4 + 12*len(tags) + len(body)
			body = append(body, tag.data...)
		}
		table = append(table, tag.name...)
		table = be.AppendUint32(be.AppendUint32(table, uint32(at)), uint32(len(tag.data)))
	}
	out := append(append(head, table...), body...)
	be.PutUint32(out, uint32(len(out)))
	return out
}

// xyzTag writes one XYZ value as 15.16 fixed point.
func xyzTag(v [3]float64) []byte {
	b := []byte("XYZ \x00\x00\x00\x00")
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, uint32(int32(math.Round(x*65536))))
	}
	return b
}

// d50 is the white of the profile connection space.
var d50 = [3]float64{0.9642, 1, 0.8249}

// bradford is the cone response matrix that profiles are adapted with.
var bradford = matrix3{{0.8951, 0.2664, -0.1614}, {-0.7502, 1.7135, 0.0367}, {0.0389, -0.0685, 1.0296}}

// adaptedToD50 returns XYZ of the three primaries at full light, the white moved to D50.
func adaptedToD50(c chromaticities) (columns [3][3]float64) {
	xyz := func(p [2]float64) [3]float64 { return [3]float64{p[0] / p[1], 1, (1 - p[0] - p[1]) / p[1]} }
	var m matrix3
	for i := range 3 {
		for j, v := range xyz(c[i]) {
			m[j][i] = v
		}
	}
	white := xyz(c[3])
	share := m.inverse().of(white)
	from, to := bradford.of(white), bradford.of(d50)
	for i := range 3 {
		cone := bradford.of([3]float64{m[0][i] * share[i], m[1][i] * share[i], m[2][i] * share[i]})
		for k := range cone {
			cone[k] *= to[k] / from[k]
		}
		columns[i] = bradford.inverse().of(cone)
	}
	return columns
}

type matrix3 [3][3]float64

func (m matrix3) of(v [3]float64) (out [3]float64) {
	for i := range out {
		out[i] = m[i][0]*v[0] + m[i][1]*v[1] + m[i][2]*v[2]
	}
	return out
}

func transposed(m matrix3) (out matrix3) {
	for i := range 3 {
		for j := range 3 {
			out[j][i] = m[i][j]
		}
	}
	return out
}

func (m matrix3) inverse() (out matrix3) {
	det := m[0][0]*(m[1][1]*m[2][2]-m[1][2]*m[2][1]) - m[0][1]*(m[1][0]*m[2][2]-m[1][2]*m[2][0]) + m[0][2]*(m[1][0]*m[2][1]-m[1][1]*m[2][0])
	for i := range 3 {
		for j := range 3 {
			a, b, c, d := (j+1)%3, (j+2)%3, (i+1)%3, (i+2)%3
			out[i][j] = (m[a][c]*m[b][d] - m[a][d]*m[b][c]) / det
		}
	}
	return out
}
