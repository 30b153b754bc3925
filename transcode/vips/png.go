package vips

import (
	"encoding/binary"
	"os"
)

// maxPNGChunks bounds the walk before the first image data; real files have a dozen chunks there.
const maxPNGChunks = 1000

// endsPNG reports whether a PNG whose pixels are all there has its end, too: what is cut off behind the last of them is no picture, but
// was sent.
func endsPNG(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	at := int64(8)
	for range maxRead / 12 {
		var head [8]byte
		if _, err := f.ReadAt(head[:], at); err != nil {
			return false
		}
		at += 12 + int64(binary.BigEndian.Uint32(head[:4]))
		if string(head[4:]) == "IEND" {
			info, err := f.Stat()
			return err == nil && at <= info.Size()
		}
	}
	return false
}
