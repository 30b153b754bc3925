package vips

import (
	"maps"
	"math"
	"slices"
	"testing"
)

// faultCorners is what Chromium shows in the four corners of the faults' card.
var faultCorners = [4][3]float64{{220, 30, 30}, {30, 200, 40}, {30, 60, 220}, {240, 240, 240}}

// cornerLevels is how far a corner may be from that in any channel: what the complaints were measured with.
const cornerLevels = 8

func checkCorners(t *testing.T, got raster, want [4][3]float64) {
	t.Helper()
	for i := range want {
		x, y := got.w/8+i%2*(got.w*6/8), got.h/8+i/2*(got.h*6/8)
		for c, v := range got.at(x, y) {
			if math.Abs(v-want[i][c]) > cornerLevels {
				t.Errorf("corner %d is %v, want %v", i, got.at(x, y), want[i])
				break
			}
		}
	}
}

// A grey profile on a colour picture is ignored, as every viewer does; so is one for ink.
func TestProfileOfOtherColours(t *testing.T) {
	for _, name := range []string{"rgb-grayicc.jpg", "rgb-grayicc.webp", "rgb-grayicc.avif"} {
		t.Run(name, func(t *testing.T) {
			dir, f := fault(t, "06-grey-profile-on-colour/"+name)
			r := mustProcess(t, dir, f)
			checkCorners(t, r.pixels(t, "display", "image/jpeg"), faultCorners)
			checkCorners(t, r.pixels(t, "display", "image/webp"), faultCorners)
			checkCorners(t, r.sampled(t), faultCorners)
		})
	}
	jpg := jpegOf(t, card(cardW, cardH))
	for name, profile := range map[string][]byte{"grey": greyProfile(1.5), "CMYK": tableProfile("CMYK", "A2B0"), "device link": linkProfile(), "no profile": []byte("x")} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, withJPEGProfile(jpg, profile))
			everywhere(t, mustProcess(t, dir, f), wholeCard)
		})
	}
}

// linkProfile goes from device to device and says nothing of a picture's values.
func linkProfile() []byte {
	data := tableProfile("RGB ", "A2B0")
	copy(data[iccClassAt:], "link")
	return data
}

// PNG's own words for its colours, in their order of precedence. Chromium shows the same card for all of them.
func TestPNGColourChunks(t *testing.T) {
	for _, name := range []string{"gama1.png", "gama18.png", "cicp-p3.png"} {
		t.Run(name, func(t *testing.T) {
			dir, f := fault(t, "07-png-colour-chunks/"+name)
			r := mustProcess(t, dir, f)
			checkCorners(t, r.pixels(t, "display", "image/jpeg"), faultCorners)
			checkCorners(t, r.pixels(t, "display", "image/webp"), faultCorners)
		})
	}
	p3 := matrixProfile(displayP3, 1.2)
	for name, c := range map[string]struct {
		chunks [][]byte
		like   [][]byte
	}{
		"cICP over iCCP":   {[][]byte{pngCICP(12, 13), pngICC(p3)}, [][]byte{pngICC(iccProfile(displayP3, srgbCurve))}},
		"sRGB in cICP":     {[][]byte{pngCICP(1, 13), pngICC(p3)}, nil},
		"cICP of no RGB":   {[][]byte{pngChunk("cICP", []byte{12, 13, 9, 1}), pngICC(p3)}, [][]byte{pngICC(p3)}},
		"cICP says nought": {[][]byte{pngCICP(2, 2), pngICC(p3)}, [][]byte{pngICC(p3)}},
		"iCCP over gAMA":   {[][]byte{pngICC(p3), pngGamma(100_000)}, [][]byte{pngICC(p3)}},
		"sRGB over gAMA":   {[][]byte{pngSRGB(), pngGamma(100_000)}, nil},
		"cHRM alone":       {[][]byte{pngChroma(displayP3)}, nil},
		"cHRM and gAMA":    {[][]byte{pngGamma(55_556), pngChroma(displayP3)}, [][]byte{pngICC(matrixProfile(displayP3, 1.8))}},
		"gAMA 0":           {[][]byte{pngGamma(0)}, nil},
		"cHRM of nothing":  {[][]byte{pngGamma(55_556), pngChunk("cHRM", make([]byte, 32))}, nil},
		"gAMA, broken":     {[][]byte{broken(pngGamma(55_556))}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, depth := range []byte{8, 16} {
				got := lossless(t, pngPicture(64, depth, pngRGB, patches(64), c.chunks...))
				want := lossless(t, pngPicture(64, depth, pngRGB, patches(64), c.like...))
				if d := apart(t, got, want); d > 1 {
					t.Errorf("%d bits: %.1f levels from what it means", depth, d)
				}
			}
		})
	}
}

// broken changes a chunk's checksum.
func broken(chunk []byte) []byte {
	chunk[len(chunk)-1] ^= 1
	return chunk
}

// lossless is the display WebP, which small drawings keep to the bit.
func lossless(t *testing.T, data []byte) raster {
	t.Helper()
	dir, f := staged(t, data)
	return mustProcess(t, dir, f).pixels(t, "display", "image/webp")
}

// PQ and HLG in a PNG come out as the same pixels do in an AVIF.
func TestHDRInPNG(t *testing.T) {
	dir, f := fault(t, "07-png-colour-chunks/cicp-pq.png")
	got := mustProcess(t, dir, f).pixels(t, "display", "image/jpeg")
	want := [4][3]float64{}
	for i, c := range faultCorners {
		for k, v := range c {
			want[i][k] = encodedSRGB(toneMapped(hdrWhite * srgbCurve(v/255)))
		}
	}
	for i := range want {
		c := got.at(got.w/8+i%2*(got.w*6/8), got.h/8+i/2*(got.h*6/8))
		if d := deltaE(c, want[i]); d > hdrDeltaE {
			t.Errorf("corner %d is %v, want %v: ΔE %.1f", i, c, want[i], d)
		}
	}
}

func encodedSRGB(light float64) float64 {
	if light <= 0.0031308 {
		return 255 * 12.92 * light
	}
	return 255 * (1.055*math.Pow(light, 1/2.4) - 0.055)
}

// A profile with a table for one intent is used with that intent.
func TestProfileOfOneIntent(t *testing.T) {
	dir, f := fault(t, "22-profiles-and-depths/lut-profile.jpg")
	mean := mustProcess(t, dir, f).pixels(t, "display", "image/jpeg").shrunkTo(1, 1).at(0, 0)
	for i, v := range [3]float64{58, 122, 177} { // Chromium
		if math.Abs(mean[i]-v) > 3 {
			t.Errorf("mean colour %v, want about 58, 122, 177", mean)
			break
		}
	}
	var first raster
	for _, tag := range []string{"A2B0", "A2B1", "A2B2"} {
		got := lossless(t, pngPicture(64, 8, pngRGB, patches(64), pngICC(tableProfile("RGB ", tag))))
		if first.pix == nil {
			first = got
		}
		if d := apart(t, first, got); d > 0.5 {
			t.Errorf("the same table as %s: %.1f levels from A2B0", tag, d)
		}
	}
	plain := lossless(t, pngPicture(64, 8, pngRGB, patches(64)))
	if d := apart(t, first, plain); d < 5 {
		t.Errorf("%.1f levels from the picture without the profile: nothing is proved", d)
	}
}

// Sixteen bits come out as eight do, whatever the bands, the alpha and the profile.
func TestDepthsComeOutAlike(t *testing.T) {
	dir, f := fault(t, "22-profiles-and-depths/grey-alpha-16.png")
	if mean := mustProcess(t, dir, f).pixels(t, "display", "image/jpeg").shrunkTo(1, 1).at(0, 0); mean[0] < 240 {
		t.Errorf("grey with alpha in 16 bits: mean %v, want almost white", mean)
	}
	profiles := tableProfiles()
	for kind, colour := range map[string]byte{"grey": pngGrey, "grey alpha": pngGreyAlpha, "RGB": pngRGB, "RGBA": pngRGBA} {
		for _, name := range append(slices.Sorted(maps.Keys(profiles)), "none") {
			t.Run(kind+", "+name, func(t *testing.T) {
				t.Parallel()
				var chunks [][]byte
				if profiles[name] != nil {
					chunks = append(chunks, pngICC(profiles[name]))
				}
				eight := lossless(t, pngPicture(64, 8, colour, patches(64), chunks...))
				sixteen := lossless(t, pngPicture(64, 16, colour, patches(64), chunks...))
				if d := apart(t, eight, sixteen); d > 1 {
					t.Errorf("16 bits are %.1f levels from 8", d)
				}
			})
		}
	}
}
