package ffmpeg

import (
	"encoding/binary"
	"io"
	"os"
	"path/filepath"

	"github.com/ninefold/ninefold/pipeline"
)

// More elements of Matroska: what leads to the frames of a video.
const (
	ebmlTrackNumber = 0xD7
	ebmlSimpleBlock = 0xA3
	ebmlBlockGroup  = 0xA0
	ebmlBlock       = 0xA1
)

// maxElements bounds a walk over the frames of a file: three minutes of pictures and sound, many times over.
const maxElements = 200_000

// largestKeyFrame is the largest picture of a browser's VP8 or VP9 recording, whose size changes with the connection and with the window that
// is filmed: the container names the first one. 0 where there is none to be found. Headers of frames are read, and nothing is decoded.
func largestKeyFrame(dir string, f pipeline.File) (w, h int) {
	if f.Type.Demuxer != pipeline.TypeMKV.Demuxer {
		return 0, 0
	}
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Path)))
	if err != nil {
		return 0, 0
	}
	defer file.Close()
	track, read := int64(0), (func([]byte) (int, int))(nil)
	for at, left := int64(0), maxElements; at < f.Size && left > 0; left-- {
		e, ok := elementAt(file, at)
		if !ok {
			return w, h
		}
		switch e.id {
		case ebmlSegment, ebmlCluster, ebmlBlockGroup:
			at = e.at
			continue
		case ebmlTracks:
			if track, read = pictureTrack(file, e); read == nil {
				return 0, 0
			}
		case ebmlSimpleBlock, ebmlBlock:
			if kw, kh := blockSize(file, e.at, track, read); kw*kh > w*h {
				w, h = kw, kh
			}
		}
		if e.size < 0 {
			return w, h
		}
		at = e.at + e.size
	}
	return w, h
}

// pictureTrack is the one track of pictures and what reads the size of its key frames.
func pictureTrack(r io.ReaderAt, tracks ebmlElement) (number int64, read func([]byte) (int, int)) {
	if tracks.size < 0 || tracks.size > maxEBML {
		return 0, nil
	}
	for _, body := range elements(section(r, tracks.at, tracks.size))[ebmlTrack] {
		track := elements(body)
		if ebmlUint(only(track[ebmlTrackType])) != 1 {
			continue
		}
		if read != nil {
			return 0, nil
		}
		number = ebmlUint(only(track[ebmlTrackNumber]))
		read = map[string]func([]byte) (int, int){"V_VP8": sizeVP8, "V_VP9": sizeVP9}[string(only(track[ebmlCodecID]))]
		if read == nil || len(track[ebmlEncodings]) > 0 {
			return 0, nil
		}
	}
	return number, read
}

// blockSize reads the frame that a block begins with.
func blockSize(r io.ReaderAt, at, track int64, read func([]byte) (int, int)) (w, h int) {
	var head [32]byte
	n, _ := r.ReadAt(head[:], at)
	number, skip := vint(head[:n], true)
	if read == nil || skip == 0 || number != track || n < skip+3+16 {
		return 0, 0
	}
	return read(head[skip+3:]) // behind the time and the flags
}

// sizeVP8 reads a key frame's header (RFC 6386, 9.1).
func sizeVP8(p []byte) (w, h int) {
	if p[0]&1 != 0 || p[3] != 0x9d || p[4] != 0x01 || p[5] != 0x2a {
		return 0, 0
	}
	const sizeBits = 1<<14 - 1
	return int(binary.LittleEndian.Uint16(p[6:])) & sizeBits, int(binary.LittleEndian.Uint16(p[8:])) & sizeBits
}

// sizeVP9 reads a key frame's uncompressed header (VP9 bitstream, 6.2).
func sizeVP9(p []byte) (w, h int) {
	const marker, syncCode, rgb = 2, 0x498342, 7
	r := &bitReader{data: p}
	if r.bits(2) != marker {
		return 0, 0
	}
	profile := r.bits(1) | r.bits(1)<<1
	if profile == 3 {
		r.bits(1)
	}
	if r.bits(2) != 0 { // an existing frame shown again; no key frame
		return 0, 0
	}
	r.bits(2)
	if r.bits(24) != syncCode {
		return 0, 0
	}
	if profile >= 2 {
		r.bits(1)
	}
	switch space := r.bits(3); {
	case space != rgb:
		r.bits(1)
		if profile&1 == 1 {
			r.bits(3)
		}
	case profile&1 == 1:
		r.bits(1)
	}
	w, h = r.bits(16)+1, r.bits(16)+1
	if r.short {
		return 0, 0
	}
	return w, h
}
