package vips

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
)

// maxPNGChunks bounds the walk before the first image data; real files have a dozen chunks there.
const maxPNGChunks = 1000

var errPNG = errors.New("not a whole PNG header")

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
