package vips

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"math"
)

// PNG's colour types, by their channels.
const (
	pngGrey      = 0
	pngRGB       = 2
	pngPalette   = 3
	pngGreyAlpha = 4
	pngRGBA      = 6
)

var pngChannels = map[byte]int{pngGrey: 1, pngRGB: 3, pngPalette: 1, pngGreyAlpha: 2, pngRGBA: 4}

// field is a test picture: the value of each channel in 0..1; a channel beyond the colours is alpha.
type field func(x, y, channel int) float64

// patches are eight by eight squares of colours that differ from their neighbours, darker ones above, with a slow ramp of alpha.
func patches(side int) field {
	return func(x, y, channel int) float64 {
		i, j := 8*x/side, 8*y/side
		if channel == 3 {
			return 0.3 + 0.1*float64(i)
		}
		v := float64((i*(3+2*channel)+j*(1+channel))%8) / 7
		return (0.15 + 0.8*float64(j)/7) * (0.3 + 0.7*v)
	}
}

// pngPicture writes a PNG of side × side with the depth and colour type, these chunks before its palette and pixels.
func pngPicture(side int, depth, colour byte, f field, chunks ...[]byte) []byte {
	be := binary.BigEndian
	head := be.AppendUint32(be.AppendUint32(nil, uint32(side)), uint32(side))
	out := append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", append(head, depth, colour, 0, 0, 0))...)
	for _, c := range chunks {
		out = append(out, c...)
	}
	if colour == pngPalette {
		var palette []byte
		for i := range 64 {
			for c := range 3 {
				palette = append(palette, byte(math.Round(255*f(side*(2*(i%8)+1)/16, side*(2*(i/8)+1)/16, c))))
			}
		}
		out = append(out, pngChunk("PLTE", palette)...)
		f = func(x, y, _ int) float64 { return float64(8*y/side*8+8*x/side) / (math.Pow(2, float64(depth)) - 1) }
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	for y := range side {
		_, _ = z.Write(pngRow(side, depth, colour, func(x, c int) float64 { return f(x, y, c) }))
	}
	_ = z.Close()
	return append(append(out, pngChunk("IDAT", packed.Bytes())...), pngChunk("IEND", nil)...)
}

func pngRow(side int, depth, colour byte, at func(x, c int) float64) []byte {
	channels, most := pngChannels[colour], math.Pow(2, float64(depth))-1
	row, held, bits := []byte{0}, uint32(0), byte(0)
	for x := range side {
		for c := range channels {
			if (colour == pngGreyAlpha) && c == 1 {
				c = 3
			}
			held, bits = held<<depth|uint32(math.Round(most*at(x, c))), bits+depth
			for bits >= 8 {
				row, bits = append(row, byte(held>>(bits-8))), bits-8
			}
		}
	}
	return row
}

// pngICC is a chunk with a profile in it.
func pngICC(profile []byte) []byte {
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, _ = z.Write(profile)
	_ = z.Close()
	return pngChunk("iCCP", append([]byte("x\x00\x00"), packed.Bytes()...))
}

func pngGamma(v uint32) []byte { return pngChunk("gAMA", binary.BigEndian.AppendUint32(nil, v)) }

func pngChroma(c chromaticities) (out []byte) {
	for _, i := range []int{3, 0, 1, 2} {
		for _, v := range c[i] {
			out = binary.BigEndian.AppendUint32(out, uint32(math.Round(v*pngScale)))
		}
	}
	return pngChunk("cHRM", out)
}

func pngCICP(primaries, transfer byte) []byte {
	return pngChunk("cICP", []byte{primaries, transfer, 0, 1})
}

func pngSRGB() []byte { return pngChunk("sRGB", []byte{0}) }
