package vips

import (
	"encoding/binary"
	"errors"
)

// maxChunks bounds the walk: an animation has one chunk a frame, and more frames than this none may have.
const maxChunks = 10_000

var errWebP = errors.New("not a whole WebP")

// webpChunk is one RIFF chunk.
type webpChunk struct {
	id   string
	body []byte
}

// walkWebP lists the chunks of a file and fails unless they fill it exactly.
func walkWebP(data []byte) ([]webpChunk, error) {
	if len(data) < 12 || string(data[:4]) != "RIFF" || string(data[8:12]) != "WEBP" {
		return nil, errWebP
	}
	if int64(binary.LittleEndian.Uint32(data[4:]))+8 != int64(len(data)) {
		return nil, errWebP
	}
	return riffChunks(data[12:])
}

// webpChunks lists what chunks there are in a sender's file: bytes behind the picture and a last chunk cut short are the decoder's
// to judge.
func webpChunks(data []byte) ([]webpChunk, error) {
	if len(data) < 12 || string(data[:4]) != "RIFF" || string(data[8:12]) != "WEBP" {
		return nil, errWebP
	}
	end := min(int64(binary.LittleEndian.Uint32(data[4:]))+8, int64(len(data)))
	chunks, err := riffChunks(data[12:max(12, end)])
	if len(chunks) == 0 {
		return nil, errors.Join(errWebP, err)
	}
	return chunks, nil
}

func riffChunks(data []byte) ([]webpChunk, error) {
	var out []webpChunk
	for len(data) > 0 {
		if len(data) < 8 || len(out) >= maxChunks {
			return out, errWebP
		}
		size := int64(binary.LittleEndian.Uint32(data[4:]))
		padded := 8 + size + size&1
		if padded > int64(len(data)) {
			return out, errWebP
		}
		out = append(out, webpChunk{string(data[:4]), data[8 : 8+size]})
		data = data[padded:]
	}
	return out, nil
}

// webpSize finds the size in the first chunk: of the canvas, or of the one picture.
func webpSize(chunks []webpChunk) (w, h int) {
	if len(chunks) == 0 {
		return 0, 0
	}
	b := chunks[0].body
	switch {
	case chunks[0].id == "VP8X" && len(b) >= 10:
		return int(uint24(b[4:])) + 1, int(uint24(b[7:])) + 1
	case chunks[0].id == "VP8L" && len(b) >= 5:
		bits := binary.LittleEndian.Uint32(b[1:])
		return int(bits&0x3fff) + 1, int(bits>>14&0x3fff) + 1
	case chunks[0].id == "VP8 " && len(b) >= 10:
		return int(binary.LittleEndian.Uint16(b[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(b[8:]) & 0x3fff)
	}
	return 0, 0
}

func uint24(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 }

// webpDelays lists the frames' durations in ms, nil for a still. Browsers play less than 20 ms as 100 ms.
func webpDelays(chunks []webpChunk) []int {
	var out []int
	for _, c := range chunks {
		if c.id != "ANMF" || len(c.body) < 16 {
			continue
		}
		delay := int(uint24(c.body[12:]))
		if delay < 20 {
			delay = 100
		}
		out = append(out, delay)
	}
	return out
}

// webpPlays is how often an animation is meant to be shown, 0 = for ever.
func webpPlays(chunks []webpChunk) int {
	for _, c := range chunks {
		if c.id == "ANIM" && len(c.body) >= 6 {
			return int(binary.LittleEndian.Uint16(c.body[4:]))
		}
	}
	return 0
}

// pictureOnly rewrites a WebP with its picture and nothing else: libvips 8.14 adds an Exif chunk of its own even when told to strip.
// A file with no alpha chunk needs no extended header.
func pictureOnly(data []byte) ([]byte, error) {
	chunks, err := walkWebP(data)
	if err != nil {
		return nil, err
	}
	w, h := webpSize(chunks)
	var header, body []byte
	for _, c := range chunks {
		switch c.id {
		case "ALPH":
			header = appendChunk(nil, webpChunk{"VP8X", extended(w, h)})
			body = appendChunk(body, c)
		case "VP8 ", "VP8L":
			body = appendChunk(body, c)
		}
	}
	out := append([]byte("RIFF\x00\x00\x00\x00WEBP"), append(header, body...)...)
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out, nil
}

func appendChunk(out []byte, c webpChunk) []byte {
	out = binary.LittleEndian.AppendUint32(append(out, c.id...), uint32(len(c.body)))
	out = append(out, c.body...)
	if len(c.body)%2 == 1 {
		out = append(out, 0)
	}
	return out
}

// extended is the body of an extended header for a still picture with alpha.
func extended(w, h int) []byte {
	b := make([]byte, 10)
	b[0] = webpAlphaFlag
	b[4], b[5], b[6] = byte(w-1), byte((w-1)>>8), byte((w-1)>>16)
	b[7], b[8], b[9] = byte(h-1), byte((h-1)>>8), byte((h-1)>>16)
	return b
}
