package vips

import (
	"encoding/binary"
	"errors"
)

var errGIF = errors.New("not a GIF")

// gifFacts is what a GIF's structure says, read without decompressing anything.
type gifFacts struct {
	width, height int // canvas
	frames        int // whole or cut short
	farX, farY    int // the farthest any frame reaches
	durationMS    int64
	whole         bool // its trailer was reached
}

// walkGIF reads the block structure. A file cut short gives the frames begun so far.
func walkGIF(data []byte) (gifFacts, error) {
	if len(data) < 13 || (string(data[:6]) != "GIF87a" && string(data[:6]) != "GIF89a") {
		return gifFacts{}, errGIF
	}
	g := gifFacts{width: int(binary.LittleEndian.Uint16(data[6:])), height: int(binary.LittleEndian.Uint16(data[8:]))}
	at := 13 + paletteBytes(data[10])
	for at < len(data) {
		switch data[at] {
		case 0x21:
			g.extension(data[at:])
			at = skipBlocks(data, at+2)
		case 0x2c:
			if at+10 > len(data) {
				return g, nil
			}
			g.frame(data[at:])
			at = skipBlocks(data, at+10+paletteBytes(data[at+9])+1)
		case 0x3b:
			g.whole = true
			return g, nil
		default:
			at++ // what decoders do with stray bytes between blocks
		}
	}
	return g, nil
}

// CutShort reports whether a GIF ends before its trailer, in which case a decoder delivers what there is and says nothing.
func CutShort(path string) (bool, error) {
	data, err := readBounded(path)
	if err != nil {
		return false, err
	}
	g, err := walkGIF(data)
	return err == nil && !g.whole, err
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

// extension adds up the delays of graphic control extensions. Browsers play less than 20 ms as 100 ms.
func (g *gifFacts) extension(b []byte) {
	if len(b) < 8 || b[1] != 0xf9 {
		return
	}
	delay := int64(binary.LittleEndian.Uint16(b[4:])) * 10
	if delay < 20 {
		delay = 100
	}
	g.durationMS += delay
}

func (g *gifFacts) frame(b []byte) {
	x, y := int(binary.LittleEndian.Uint16(b[1:])), int(binary.LittleEndian.Uint16(b[3:]))
	w, h := int(binary.LittleEndian.Uint16(b[5:])), int(binary.LittleEndian.Uint16(b[7:]))
	g.frames++
	g.farX, g.farY = max(g.farX, x+w), max(g.farY, y+h)
}

// gifSpill is how far beyond its canvas a frame may reach, in pixels: encoders err by a few, bombs by 65,535.
const gifSpill = 64

// spills reports whether some frame is far larger than the canvas: decoders make room for it, whatever the canvas said.
func (g gifFacts) spills() bool { return g.farX > g.width+gifSpill || g.farY > g.height+gifSpill }
