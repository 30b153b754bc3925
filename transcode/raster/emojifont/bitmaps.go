package emojifont

import "encoding/binary"

// Formats of OpenType's colour bitmap tables.
const (
	bitmapVersion   = 0x00030000
	offsetsOf32Bits = 1  // index format
	smallMetricsPNG = 17 // image format
	strikeLength    = 48
	headerLength    = 8
	horizontal      = 1
)

// bitmapTables are CBDT, the pictures of the glyphs 1 and on, and CBLC, where each is: one size, one range of glyphs.
func bitmapTables(pictures [][]byte) (data, index []byte) {
	data = binary.BigEndian.AppendUint32(nil, bitmapVersion)
	var offsets []byte
	for _, png := range pictures {
		offsets = binary.BigEndian.AppendUint32(offsets, uint32(len(data)-4))
		data = appendPicture(data, png)
	}
	offsets = binary.BigEndian.AppendUint32(offsets, uint32(len(data)-4))
	return data, bitmapIndex(1, len(pictures), offsets)
}

func appendPicture(data, png []byte) []byte {
	data = append(data, pictureHeight, pictureWidth, 0, pictureRise, pictureWidth)
	data = binary.BigEndian.AppendUint32(data, uint32(len(png)))
	return append(data, png...)
}

func bitmapIndex(first, last int, offsets []byte) []byte {
	u16, u32 := binary.BigEndian.AppendUint16, binary.BigEndian.AppendUint32
	line := []byte{pictureRise, 256 - (pictureHeight - pictureRise), pictureWidth, 0, 0, 0, 0, 0, 0, 0, 0, 0} // as both text directions want it
	b := u32(u32(nil, bitmapVersion), 1)
	b = u32(b, headerLength+strikeLength)
	b = u32(b, uint32(8+8+len(offsets)))
	b = u32(u32(b, 1), 0)
	b = append(append(b, line...), line...)
	b = u16(u16(b, uint16(first)), uint16(last))
	b = append(b, picturePpem, picturePpem, 32, horizontal)
	b = u32(u16(u16(b, uint16(first)), uint16(last)), 8) // the one range, and where its index is
	b = u32(u16(u16(b, offsetsOf32Bits), smallMetricsPNG), 4)
	return append(b, offsets...)
}
