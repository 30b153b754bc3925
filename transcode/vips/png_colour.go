package vips

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"
	"os"
)

// pngColour is what a PNG's chunks say of its colours: each as it stands in the file, nil where there is none.
type pngColour struct {
	cicp, srgb, gamma, chroma []byte

	packed *io.SectionReader // the body of iCCP
}

// maxColourChunk is the longest of these chunks, cHRM, in bytes.
const maxColourChunk = 32

// readPNGColour reads the chunks that have to stand before the palette and the pixels. The first of a kind counts; one that is broken or
// has the wrong length is none.
func readPNGColour(r io.ReaderAt) (c pngColour) {
	kinds := map[string]struct {
		to   *[]byte
		size uint32
	}{"cICP": {&c.cicp, 4}, "sRGB": {&c.srgb, 1}, "gAMA": {&c.gamma, 4}, "cHRM": {&c.chroma, 32}}
	at := int64(8)
	for range maxPNGChunks {
		var b [12 + maxColourChunk]byte
		if n, _ := r.ReadAt(b[:], at); n < 12 {
			return c
		}
		size, kind := binary.BigEndian.Uint32(b[:]), string(b[4:8])
		if kind == "PLTE" || kind == "IDAT" || kind == "IEND" {
			return c
		}
		if k, ok := kinds[kind]; ok && size == k.size && *k.to == nil && soundChunk(b[4:12+size]) {
			*k.to = bytes.Clone(b[8 : 8+size])
		}
		if kind == "iCCP" && c.packed == nil {
			c.packed = io.NewSectionReader(r, at+8, int64(size))
		}
		at += 12 + int64(size)
	}
	return c
}

// chunkOf writes a chunk.
func chunkOf(kind string, body []byte) []byte {
	out := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), kind...)
	out = append(out, body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// soundChunk compares a chunk, from its type on, with the checksum at its end.
func soundChunk(b []byte) bool {
	body := len(b) - 4
	return crc32.ChecksumIEEE(b[:body]) == binary.BigEndian.Uint32(b[body:])
}

// colourOfPNG gives a PNG the profile that its chunks ask for, in the order of PNG's third edition: cICP, iCCP, sRGB, then gAMA and cHRM.
func (s source) colourOfPNG(p picture) (picture, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return p, nil // the loader has read it: whatever this is, it is no reason to refuse the picture
	}
	defer f.Close()
	c := readPNGColour(f)
	if c.coded() {
		profile := codedProfile(uint16(c.cicp[0]), uint16(c.cicp[1]))
		if profile == nil {
			return p.withoutProfile()
		}
		return p.withProfile(profile)
	}
	if readICC(p.profileBytes()).fits(p.colours()) {
		return p, nil
	}
	if profile := c.profile(); readICC(profile).fits(p.colours()) {
		return p.withProfile(profile)
	}
	if profile := c.measured(); profile != nil {
		return p.withProfile(profile)
	}
	return p.withoutProfile()
}

// maxProfile bounds a profile that is unpacked here; printers' have up to 3 MB.
const maxProfile = 4 << 20

// profile unpacks iCCP: libpng drops an RGB profile of a grey picture, which browsers use.
func (c pngColour) profile() []byte {
	if c.packed == nil {
		return nil
	}
	in := bufio.NewReader(c.packed)
	if name, err := in.ReadSlice(0); err != nil || len(name) > 80 {
		return nil
	}
	if method, err := in.ReadByte(); err != nil || method != 0 {
		return nil
	}
	z, err := zlib.NewReader(in)
	if err != nil {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(z, maxProfile+1))
	if err != nil || len(data) > maxProfile {
		return nil
	}
	return data
}

// coded reports whether cICP counts: PNG's values are RGB in full range, so its matrix is 0 and its range 1. Code point 2 says nothing.
func (c pngColour) coded() bool {
	return len(c.cicp) == 4 && c.cicp[2] == 0 && c.cicp[3] == 1 && c.cicp[0] != codeUnknown && c.cicp[1] != codeUnknown
}

// codeUnknown is H.273's "unspecified".
const codeUnknown = 2

// pngScale is what gAMA and cHRM count in: 1 stands for 0.00001.
const pngScale = 100_000

// gammaOfSRGB is what writers of sRGB put into gAMA; alone it is taken for sRGB's curve.
const gammaOfSRGB = 45_455

// The exponents that are believed: what is beyond them is a mistake.
const (
	leastGamma = 0.1
	mostGamma  = 10
)

// measured writes the profile of gAMA and cHRM, nil where sRGB overrides them. As in browsers, cHRM without gAMA says nothing, and gAMA
// beside a cHRM that is no colour space neither.
func (c pngColour) measured() []byte {
	if c.srgb != nil || c.gamma == nil || c.chroma == nil && binary.BigEndian.Uint32(c.gamma) == gammaOfSRGB {
		return nil
	}
	gamma := pngScale / float64(binary.BigEndian.Uint32(c.gamma))
	space, ok := c.chromaticities()
	if !ok || !(gamma >= leastGamma && gamma <= mostGamma) {
		return nil
	}
	return iccProfile(space, power(gamma))
}

// chromaticities reads cHRM: white, red, green and blue, in this order. A picture without it has sRGB's.
func (c pngColour) chromaticities() (space chromaticities, ok bool) {
	if c.chroma == nil {
		return bt709, true
	}
	for i, to := range []int{3, 0, 1, 2} {
		x, y := binary.BigEndian.Uint32(c.chroma[8*i:]), binary.BigEndian.Uint32(c.chroma[8*i+4:])
		space[to] = [2]float64{float64(x) / pngScale, float64(y) / pngScale}
	}
	return space, space.real()
}

// mostXYZ bounds a profile's numbers, which are 15.16 fixed point: no display has more than 2.
const mostXYZ = 4

// real reports whether the points span a colour space that a profile can hold.
func (c chromaticities) real() bool {
	for _, p := range c {
		if p[0] < 0 || p[1] <= 0 || p[0]+p[1] > 1 {
			return false
		}
	}
	for _, column := range adaptedToD50(c) {
		for _, v := range column {
			if !(math.Abs(v) < mostXYZ) {
				return false
			}
		}
	}
	return true
}
