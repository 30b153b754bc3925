package vips

import (
	"encoding/binary"
	"errors"
	"io"
)

// maxPNGChunks bounds the walk before the first image data; real files have a dozen chunks there.
const maxPNGChunks = 1000

var errPNG = errors.New("not a whole PNG header")

// apngFrames reads the number of frames from the animation header, which stands before the first image data. libvips shows an
// animated PNG's first frame and says 1. A file without the header has 1.
func apngFrames(r io.ReaderAt) (int, error) {
	at := int64(8)
	for range maxPNGChunks {
		var head [12]byte
		if _, err := r.ReadAt(head[:], at); err != nil {
			return 0, errPNG
		}
		switch string(head[4:8]) {
		case "acTL":
			return int(binary.BigEndian.Uint32(head[8:12])), nil
		case "IDAT", "IEND":
			return 1, nil
		}
		at += 12 + int64(binary.BigEndian.Uint32(head[:4]))
	}
	return 0, errPNG
}
