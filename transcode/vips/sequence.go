package vips

import (
	"encoding/binary"
	"slices"
)

// sequence is what the track of a HEIC or AVIF image sequence says.
type sequence struct {
	width, height int // as displayed
	frames        int
	durationMS    int64
}

// sequenceBrands are the major brands of files that are meant to be played.
var sequenceBrands = []string{"avis", "msf1", "hevc", "hevx", "hevm", "hevs"}

// readSequence finds the first track of pictures with more than one frame. ok is false for stills.
func readSequence(data []byte) (sequence, bool) {
	if len(data) < 12 || !slices.Contains(sequenceBrands, string(data[8:12])) {
		return sequence{}, false
	}
	r := newBoxReader()
	movie, ok := r.at(data, "moov")
	if !ok {
		return sequence{}, false
	}
	tracks, _ := r.list(movie.body)
	for _, track := range tracks {
		if track.kind != "trak" {
			continue
		}
		if seq, ok := readTrack(r, track.body); ok && seq.frames > 1 {
			return seq, true
		}
	}
	return sequence{}, false
}

// readTrack reads a track whose handler is pict (or vide, as some writers have it).
func readTrack(r *boxReader, track []byte) (seq sequence, ok bool) {
	handler, ok := r.at(track, "mdia", "hdlr")
	if !ok || len(handler.body) < 12 || !slices.Contains([]string{"pict", "vide"}, string(handler.body[8:12])) {
		return sequence{}, false
	}
	header, ok := r.at(track, "tkhd")
	if !ok {
		return sequence{}, false
	}
	description, ok := r.at(track, "mdia", "minf", "stbl", "stsd")
	const sizeAt = fullBoxBytes + 4 + 8 + 24 // count, the entry's header, and what stands before its width
	if !ok || len(description.body) < sizeAt+4 {
		return sequence{}, false
	}
	sizes, ok := r.at(track, "mdia", "minf", "stbl", "stsz")
	if !ok || len(sizes.body) < fullBoxBytes+8 {
		return sequence{}, false
	}
	be := binary.BigEndian
	seq.width, seq.height = int(be.Uint16(description.body[sizeAt:])), int(be.Uint16(description.body[sizeAt+2:]))
	if turned(header.body) {
		seq.width, seq.height = seq.height, seq.width
	}
	seq.frames = int(min(be.Uint32(sizes.body[fullBoxBytes+4:]), maxFrames))
	seq.durationMS = mediaMS(r, track)
	return seq, true
}

// maxFrames is more than any profile should allow.
const maxFrames = 1 << 20

// turned reports whether a track header's matrix swaps width and height: its first number is 0.
func turned(header []byte) bool {
	at := 40 // version 0: flags, times, id, duration, reserved, layer, group, volume
	if len(header) > 0 && header[0] == 1 {
		at = 52
	}
	return len(header) >= at+8 && bigEndian(header[at:at+4]) == 0 && bigEndian(header[at+4:at+8]) != 0
}

// mediaMS is the duration that the media header gives, 0 where it gives none.
func mediaMS(r *boxReader, track []byte) int64 {
	b, ok := r.at(track, "mdia", "mdhd")
	if !ok || len(b.body) < 20 {
		return 0
	}
	be := binary.BigEndian
	scale, length := uint64(be.Uint32(b.body[12:])), uint64(be.Uint32(b.body[16:]))
	if b.body[0] == 1 && len(b.body) >= 32 {
		scale, length = uint64(be.Uint32(b.body[20:])), be.Uint64(b.body[24:])
	}
	if scale == 0 || length > 1<<48 {
		return 0
	}
	return int64(length * 1000 / scale)
}
