package vips

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// matrixProfile is a profile of three primaries and a power curve, as cameras and editors write.
func matrixProfile(space chromaticities, gamma float64) []byte {
	return iccProfile(space, power(gamma))
}

// greyProfile has one curve and nothing else.
func greyProfile(gamma float64) []byte {
	curve := append([]byte("curv\x00\x00\x00\x00\x00\x00\x00\x01"), byte(gamma), byte(math.Mod(gamma, 1)*256), 0, 0)
	data := assembled(append(described(), iccTag{"kTRC", curve}))
	copy(data[iccSpaceAt:], "GRAY")
	return data
}

// described are the tags that every profile has.
func described() []iccTag {
	return []iccTag{
		{"desc", append([]byte("desc\x00\x00\x00\x00\x00\x00\x00\x01\x00"), make([]byte, 78)...)},
		{"cprt", []byte("text\x00\x00\x00\x00\x00")},
		{"wtpt", xyzTag(d50)},
	}
}

// tableProfile has a table of 9 steps a channel for each of these tags, and no matrix: "RGB " of Adobe RGB's primaries, or "CMYK" of plain
// inks.
func tableProfile(space string, tags ...string) []byte {
	toXYZ := adaptedToD50(adobe1998)
	channels := 3
	light := func(in []float64) (rgb [3]float64) {
		for i := range rgb {
			rgb[i] = math.Pow(in[i], 1.9)
		}
		return rgb
	}
	if space == "CMYK" {
		channels = 4
		light = func(in []float64) (rgb [3]float64) {
			for i := range rgb {
				rgb[i] = math.Pow((1-0.9*in[i])*(1-0.95*in[3]), 2)
			}
			return rgb
		}
	}
	list := described()
	for _, tag := range tags {
		list = append(list, iccTag{tag, mft2(channels, func(in []float64) [3]float64 {
			rgb, xyz := light(in), [3]float64{}
			for i, column := range toXYZ {
				for j := range xyz {
					xyz[j] += rgb[i] * column[j]
				}
			}
			return labOf(xyz)
		})})
	}
	data := assembled(list)
	copy(data[iccClassAt:], "prtr")
	copy(data[iccSpaceAt:], space)
	copy(data[20:], "Lab ")
	return data
}

func labOf(xyz [3]float64) [3]float64 {
	f := func(i int) float64 {
		v := xyz[i] / d50[i]
		if v <= 216.0/24389 {
			return (24389.0/27*v + 16) / 116
		}
		return math.Cbrt(v)
	}
	return [3]float64{116*f(1) - 16, 500 * (f(0) - f(1)), 200 * (f(1) - f(2))}
}

// mft2 writes a lut16 of 9 steps a channel with straight curves before and after it.
func mft2(channels int, lab func(in []float64) [3]float64) []byte {
	const steps = 9
	be := binary.BigEndian
	b := append([]byte("mft2\x00\x00\x00\x00"), byte(channels), 3, steps, 0)
	for i := range 9 {
		b = be.AppendUint32(b, uint32(0x10000*(1-min(1, i%4)))) // the unit matrix
	}
	b = be.AppendUint16(be.AppendUint16(b, 2), 2)
	straight := func(n int) {
		for range n {
			b = be.AppendUint16(be.AppendUint16(b, 0), 0xffff)
		}
	}
	straight(channels)
	in := make([]float64, channels)
	for i := range int(math.Pow(steps, float64(channels))) {
		for c, rest := channels-1, i; c >= 0; c, rest = c-1, rest/steps {
			in[c] = float64(rest%steps) / (steps - 1)
		}
		v := lab(in)
		b = be.AppendUint16(b, uint16(math.Round(v[0]/100*0xff00)))
		b = be.AppendUint16(b, uint16(math.Round((v[1]+128)*256)))
		b = be.AppendUint16(b, uint16(math.Round((v[2]+128)*256)))
	}
	straight(3)
	return b
}

// profileFile writes a profile where a tool can read it.
func profileFile(t testing.TB, profile []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "profile.icc")
	if err := os.WriteFile(path, profile, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withJPEGProfile puts a profile into a JPEG, in as many segments as it takes.
func withJPEGProfile(data, profile []byte) []byte {
	const most = 65_000
	n := (len(profile) + most - 1) / most
	for i := n - 1; i >= 0; i-- {
		part := profile[i*most : min(len(profile), (i+1)*most)]
		data = withSegment(data, 0xe2, append(append([]byte("ICC_PROFILE\x00"), byte(i+1), byte(n)), part...))
	}
	return data
}

// srgbFile is sRGB as a profile of version 2: libvips' own is one of version 4 since 8.15, and LittleCMS then compensates for the black
// point of some intents, asked for or not.
func srgbFile(t testing.TB) string { return profileFile(t, iccProfile(bt709, srgbCurve)) }
