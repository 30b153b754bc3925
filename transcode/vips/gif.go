package vips

import (
	"encoding/binary"
	"errors"
)

var errGIF = errors.New("not a GIF")

// gifFacts is what a GIF's structure says, read without decompressing anything.
type gifFacts struct {
	width, height int // canvas
	frames        []gifFrame
	plays         int // how often it is meant to be shown, 0 = for ever
	whole         bool
}

// gifFrame is one picture of the file, as it stands there.
type gifFrame struct {
	x, y, w, h int
	control    []byte // body of the graphic control extension: flags, delay, transparent index; nil where there is none
	packed     byte   // flags of its descriptor
	palette    []byte // its own, else the file's
	data       []byte // code size and whole sub-blocks, without their end
	cut        bool   // the file ends inside it
}

// How long browsers show a frame whose delay is shorter than 20 ms.
const (
	gifShortMS = 20
	gifShownMS = 100
)

func (f gifFrame) delayMS() int64 {
	if len(f.control) < 4 {
		return gifShownMS
	}
	delay := int64(binary.LittleEndian.Uint16(f.control[1:])) * 10
	if delay < gifShortMS {
		return gifShownMS
	}
	return delay
}

func (g gifFacts) durationMS() (sum int64) {
	for _, f := range g.frames {
		sum += f.delayMS()
	}
	return sum
}

// walkGIF reads the block structure up to the trailer. A file cut short gives the frames of which there is any data.
func walkGIF(data []byte) (gifFacts, error) {
	if len(data) < 13 || (string(data[:6]) != "GIF87a" && string(data[:6]) != "GIF89a") {
		return gifFacts{}, errGIF
	}
	g := gifFacts{width: int(binary.LittleEndian.Uint16(data[6:])), height: int(binary.LittleEndian.Uint16(data[8:])), plays: 1}
	at := 13 + paletteBytes(data[10])
	common, control := data[13:min(at, len(data))], []byte(nil)
	for at < len(data) && !g.whole {
		switch data[at] {
		case 0x21:
			end := skipBlocks(data, at+2)
			control = g.extension(data[at:min(end, len(data))], control)
			at = end
		case 0x2c:
			at = g.frame(data, at, common, control)
			control = nil
		case 0x3b:
			g.whole = true
		default:
			at++ // what decoders do with stray bytes between blocks
		}
	}
	return g.fitted(), nil
}

// fitted is the canvas that browsers show: a side of 0 is the first frame's, and the first frame is shown whole.
func (g gifFacts) fitted() gifFacts {
	if len(g.frames) > 0 && !g.spills() {
		f := g.frames[0]
		g.width, g.height = max(g.width, f.x+f.w), max(g.height, f.y+f.h)
	}
	return g
}

func paletteBytes(packed byte) int {
	if packed&0x80 == 0 {
		return 0
	}
	return 3 << (packed&7 + 1)
}

// skipBlocks passes a chain of sub-blocks and its terminator.
func skipBlocks(data []byte, at int) int {
	for at < len(data) && data[at] != 0 {
		at += int(data[at]) + 1
	}
	return at + 1
}

// extension returns the control for the next frame, and reads how often the animation is meant to be shown: once where nothing is said.
func (g *gifFacts) extension(b, control []byte) []byte {
	switch {
	case len(b) >= 7 && b[1] == 0xf9 && b[2] >= 4:
		return b[3:7]
	case len(b) >= 18 && b[1] == 0xff && (string(b[3:14]) == "NETSCAPE2.0" || string(b[3:14]) == "ANIMEXTS1.0") && b[14] >= 3 && b[15]&7 == 1:
		if n := int(binary.LittleEndian.Uint16(b[16:])); n > 0 {
			g.plays = n + 1
		} else {
			g.plays = 0
		}
	}
	return control
}

// frame takes the frame whose descriptor begins at, and returns where the next block does.
func (g *gifFacts) frame(data []byte, at int, common, control []byte) int {
	if at+10 > len(data) {
		return len(data)
	}
	le := binary.LittleEndian
	f := gifFrame{
		x: int(le.Uint16(data[at+1:])), y: int(le.Uint16(data[at+3:])), w: int(le.Uint16(data[at+5:])), h: int(le.Uint16(data[at+7:])),
		packed: data[at+9], palette: common, control: control,
	}
	at += 10
	if n := paletteBytes(f.packed); n > 0 {
		f.palette = data[at:min(at+n, len(data))]
		at += n
	}
	if at+1 >= len(data) {
		return len(data)
	}
	end := wholeBlocks(data, at+1)
	f.data, f.cut = data[at:end], end >= len(data) || data[end] != 0
	if len(f.data) > 1 && f.w > 0 && f.h > 0 {
		g.frames = append(g.frames, f)
	}
	return skipBlocks(data, at+1)
}

// wholeBlocks is where the last whole sub-block of a chain ends.
func wholeBlocks(data []byte, at int) int {
	for at < len(data) && data[at] != 0 && at+int(data[at])+1 <= len(data) {
		at += int(data[at]) + 1
	}
	return min(at, len(data))
}

// gifSpill is how far beyond its canvas a frame may reach, in pixels: encoders err by a few, bombs by 65,535.
const gifSpill = 64

// spills reports whether some frame is far larger than the canvas: decoders make room for it, whatever the canvas said. A canvas without a
// size is the first frame's.
func (g gifFacts) spills() bool {
	w, h := g.width, g.height
	if len(g.frames) > 0 && w == 0 {
		w = g.frames[0].x + g.frames[0].w
	}
	if len(g.frames) > 0 && h == 0 {
		h = g.frames[0].y + g.frames[0].h
	}
	for _, f := range g.frames {
		if f.x+f.w > w+gifSpill || f.y+f.h > h+gifSpill {
			return true
		}
	}
	return false
}

// first is the first frame alone, on a canvas of its own size.
func (g gifFacts) first() []byte {
	f := g.frames[0]
	f.x, f.y = 0, 0
	return gifFacts{width: f.w, height: f.h, frames: []gifFrame{f}}.bytes()
}

// bytes writes the frames as a GIF of the plainest kind: no palette and so no background colour for the whole, which no browser paints
// and every decoder would; a palette in each frame; nothing behind the last frame that was counted.
func (g gifFacts) bytes() []byte {
	le := binary.LittleEndian
	out := le.AppendUint16(le.AppendUint16([]byte("GIF89a"), uint16(g.width)), uint16(g.height))
	out = append(out, 0x70, 0, 0)
	for _, f := range g.frames {
		if f.control != nil {
			out = append(append(append(out, 0x21, 0xf9, 4), f.control[:4]...), 0)
		}
		out = append(out, 0x2c)
		for _, v := range []int{f.x, f.y, f.w, f.h} {
			out = le.AppendUint16(out, uint16(v))
		}
		bits, palette := gifPalette(f.palette)
		out = append(append(out, 0x80|f.packed&0x40|bits), palette...)
		out = append(append(out, f.data...), 0)
	}
	return append(out, 0x3b)
}

// gifPalette fills a palette up to a power of two, black and white where there is none, and returns its size as descriptors give it.
func gifPalette(p []byte) (bits byte, out []byte) {
	if len(p) < 3 {
		p = []byte{0, 0, 0, 255, 255, 255}
	}
	for 3<<(bits+1) < len(p) {
		bits++
	}
	out = make([]byte, 3<<(bits+1))
	copy(out, p)
	return bits, out
}

// openGIF opens the first frame and lays it on its canvas, which is transparent where the frame does not reach.
func (s source) openGIF(a *arena, ld loader, l loading) (picture, error) {
	data, err := readBounded(s.path)
	if err != nil {
		return picture{}, err
	}
	g, err := walkGIF(data)
	if err != nil {
		return picture{}, err
	}
	if len(g.frames) == 0 || g.spills() {
		return picture{}, errGIF
	}
	f := g.frames[0]
	if f.cut && l.failOn == failOnError {
		return picture{}, errors.New("a GIF whose picture is cut short")
	}
	p, err := s.load(a, ld, l, g.first())
	if err != nil || f.w == g.width && f.h == g.height {
		return p, err
	}
	if p, err = p.rgba(); err != nil {
		return picture{}, err
	}
	return p.onCanvas(f.x, f.y, g.width, g.height)
}
