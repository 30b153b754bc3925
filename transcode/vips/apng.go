package vips

import (
	"encoding/binary"
	"io"
)

// apng is what an animated PNG's chunks say, read without decompressing anything.
type apng struct {
	width, height int
	head          []byte // the chunks that every frame needs, as they stand in the file
	hidden        []byte // the picture that is no frame, as it stands in the file
	frames        []apngFrame
	plays         int // 0 = for ever

	named int  // frames that acTL promises
	begun bool // the pixels of the still picture have begun
	whole bool
	next  uint32 // the sequence number that must come
}

// apngFrame is one frame: its control chunk's body, and its pixels.
type apngFrame struct {
	control []byte
	data    [][]byte // bodies of IDAT, or of fdAT without their number
}

const (
	maxAPNGChunks = 1 << 20
	maxAPNGFrames = 1<<31 - 1 // by the specification
	pngHeadBytes  = 25        // IHDR
	fcTLBytes     = 26
)

// readAPNG reads an animation. One whose chunks are not valid has no frames: every browser shows it as the still picture that it holds
// besides. One that is cut short has those that are whole; frames beyond what acTL names are none.
func readAPNG(r io.ReaderAt) apng {
	data, err := io.ReadAll(io.LimitReader(io.NewSectionReader(r, 0, maxRead), maxRead))
	if err != nil || len(data) < 8+pngHeadBytes {
		return apng{}
	}
	be := binary.BigEndian
	a := apng{width: int(be.Uint32(data[16:])), height: int(be.Uint32(data[20:]))}
	rest := data[8:]
	for range maxAPNGChunks {
		if len(rest) < 12 || int64(be.Uint32(rest)) > int64(len(rest)-12) || a.whole {
			break
		}
		size := int(be.Uint32(rest))
		if !a.chunk(string(rest[4:8]), rest[8:8+size], rest[:12+size]) {
			return apng{}
		}
		rest = rest[12+size:]
	}
	return a.valid()
}

// valid is the animation as far as it holds.
func (a apng) valid() apng {
	if n := len(a.frames); n > 0 && (len(a.frames[n-1].data) == 0 || !a.whole) {
		if a.whole {
			return apng{}
		}
		a.frames = a.frames[:n-1] // cut short inside it
	}
	if a.whole && len(a.frames) < a.named {
		return apng{}
	}
	a.frames = a.frames[:min(len(a.frames), a.named)]
	return a
}

// chunk takes the next one and reports whether it may stand there.
func (a *apng) chunk(kind string, body, all []byte) bool {
	switch kind {
	case "IHDR", "PLTE", "tRNS":
		a.head = append(a.head, all...)
	case "acTL":
		return a.animation(body, all)
	case "fcTL":
		return a.control(body, all)
	case "IDAT":
		a.begun = true
		if len(a.frames) == 0 {
			a.hidden = append(a.hidden, all...)
			return true
		}
		last := &a.frames[len(a.frames)-1]
		last.data = append(last.data, body)
		return len(a.frames) == 1
	case "fdAT":
		if len(body) < 5 || !a.begun || len(a.frames) == 0 || !a.counts(body) {
			return false
		}
		last := &a.frames[len(a.frames)-1]
		last.data = append(last.data, body[4:])
	case "IEND":
		a.whole = true
	}
	return true
}

// counts reports whether a body begins with the sequence number that must come.
func (a *apng) counts(body []byte) bool {
	ok := binary.BigEndian.Uint32(body) == a.next
	a.next++
	return ok
}

func (a *apng) animation(body, all []byte) bool {
	if len(body) != 8 || a.begun || a.named > 0 || len(a.frames) > 0 || !soundChunk(all[4:]) {
		return false
	}
	named := binary.BigEndian.Uint32(body)
	if named < 1 || named > maxAPNGFrames {
		return false
	}
	a.named, a.plays = int(named), int(min(binary.BigEndian.Uint32(body[4:]), maxAPNGFrames))
	return true
}

func (a *apng) control(body, all []byte) bool {
	if len(body) != fcTLBytes || a.named == 0 || !soundChunk(all[4:]) || !a.counts(body) {
		return false
	}
	if n := len(a.frames); n > 0 && len(a.frames[n-1].data) == 0 {
		return false // the frame before has no pixels
	}
	be := binary.BigEndian
	w, h, x, y := int64(be.Uint32(body[4:])), int64(be.Uint32(body[8:])), int64(be.Uint32(body[12:])), int64(be.Uint32(body[16:]))
	if w < 1 || h < 1 || x+w > int64(a.width) || y+h > int64(a.height) || body[24] > 2 || body[25] > 1 {
		return false
	}
	if !a.begun && (w != int64(a.width) || h != int64(a.height)) {
		return false // the still picture is the first frame and has its size
	}
	a.frames = append(a.frames, apngFrame{control: body})
	return true
}

// delayMS is how long browsers show a frame: one of 10 ms or less for 100.
func (f apngFrame) delayMS() int64 {
	n, d := int64(binary.BigEndian.Uint16(f.control[20:])), int64(binary.BigEndian.Uint16(f.control[22:]))
	if d == 0 {
		d = 100
	}
	if ms := n * 1000 / d; ms > 10 {
		return ms
	}
	return gifShownMS
}

func (a apng) durationMS() (sum int64) {
	for _, f := range a.frames {
		sum += f.delayMS()
	}
	return sum
}

// bytes writes the frames as an APNG that holds nothing else: no frame but those that were counted.
func (a apng) bytes() []byte {
	be := binary.BigEndian
	out := append([]byte("\x89PNG\r\n\x1a\n"), a.head...)
	out = append(out, chunkOf("acTL", be.AppendUint32(be.AppendUint32(nil, uint32(len(a.frames))), 1))...)
	out = append(out, a.hidden...)
	number, inFrame := uint32(0), len(a.hidden) == 0
	for i, f := range a.frames {
		control := append(be.AppendUint32(nil, number), f.control[4:]...)
		if ms := f.delayMS(); ms <= 0xffff {
			be.PutUint16(control[20:], uint16(ms))
			be.PutUint16(control[22:], 1000)
		}
		out, number = append(out, chunkOf("fcTL", control)...), number+1
		for _, d := range f.data {
			if i == 0 && inFrame {
				out = append(out, chunkOf("IDAT", d)...)
				continue
			}
			out, number = append(out, chunkOf("fdAT", append(be.AppendUint32(nil, number), d...))...), number+1
		}
	}
	return append(out, chunkOf("IEND", nil)...)
}
