package vips

import "encoding/binary"

// TIFF tags that an uncompressed raster needs.
const (
	tiffWidth           = 256
	tiffHeight          = 257
	tiffBitsPerSample   = 258
	tiffCompression     = 259
	tiffPhotometric     = 262
	tiffStripOffsets    = 273
	tiffSamplesPerPixel = 277
	tiffRowsPerStrip    = 278
	tiffStripByteCounts = 279
	tiffExtraSamples    = 338
)

const (
	tiffShort = 3
	tiffLong  = 4
)

// tiffHeaderBytes is more than the header of asTIFF ever takes; pixels begin there.
const tiffHeaderBytes = 256

// asTIFF wraps packed 8-bit RGB or RGBA rows as an uncompressed TIFF: the form in which bimg takes pixels at the price of a copy.
func asTIFF(pix []byte, w, h, bands int) []byte {
	out := make([]byte, tiffHeaderBytes+len(pix))
	copy(out[tiffHeaderBytes:], pix)
	le := binary.LittleEndian
	copy(out, "II*\x00")
	le.PutUint32(out[4:], 8)
	const bitsAt = 200 // the bit depths do not fit into their entry
	for i := range bands {
		le.PutUint16(out[bitsAt+2*i:], 8)
	}
	entries := [][4]uint32{
		{tiffWidth, tiffLong, 1, uint32(w)},
		{tiffHeight, tiffLong, 1, uint32(h)},
		{tiffBitsPerSample, tiffShort, uint32(bands), bitsAt},
		{tiffCompression, tiffShort, 1, 1},
		{tiffPhotometric, tiffShort, 1, 2}, // RGB
		{tiffStripOffsets, tiffLong, 1, tiffHeaderBytes},
		{tiffSamplesPerPixel, tiffShort, 1, uint32(bands)},
		{tiffRowsPerStrip, tiffLong, 1, uint32(h)},
		{tiffStripByteCounts, tiffLong, 1, uint32(len(pix))},
	}
	if bands == 4 {
		entries = append(entries, [4]uint32{tiffExtraSamples, tiffShort, 1, 2}) // alpha, not premultiplied
	}
	le.PutUint16(out[8:], uint16(len(entries)))
	for i, e := range entries {
		at := 10 + 12*i
		le.PutUint16(out[at:], uint16(e[0]))
		le.PutUint16(out[at+2:], uint16(e[1]))
		le.PutUint32(out[at+4:], e[2])
		le.PutUint32(out[at+8:], e[3])
	}
	return out
}
