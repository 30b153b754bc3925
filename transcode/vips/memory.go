package vips

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"

	"github.com/ninefold/ninefold/pipeline"
)

// outOfMemory is what libvips and the codecs below it say when memory does not suffice.
var outOfMemory = regexp.MustCompile(`(?i)out of memory|insufficient memory|not enough memory|memory allocation error|` +
	`(?:cannot|unable to|failed to|could not) allocate|bad_alloc`)

// shortOfMemory makes of a decoder's words the result that blames nobody; nil where they are about something else. A codec's own limit on
// what a file may ask for is no lack of memory.
func shortOfMemory(op, text string) error {
	if !outOfMemory.MatchString(text) || strings.Contains(text, "ecurity limit") {
		return nil
	}
	return pipeline.OutOfMemory(op, errors.New(text))
}

// decodeCost is how much address space decoding takes, bytes a pixel.
type decodeCost struct{ plain, deep, alpha int64 } // of 8 bits, of more, and for alpha besides as a share of either: 1/alpha

// decodeCosts are of the types whose decoders call a lack of memory damage; the others tell, or take little. Measured: AVIF of 64 megapixels
// 10 bytes a pixel in 8 bits 4:2:0, 28 in 10 bits 4:4:4; WebP 13.
var decodeCosts = map[string]decodeCost{
	pipeline.TypeHEIC.MIME: {18, 29, 3}, pipeline.TypeAVIF.MIME: {18, 29, 3},
	pipeline.TypeWebP.MIME: {14, 14, 14},
}

// bytes is what the pixels of p take.
func (c decodeCost) bytes(p picture) int64 {
	each := c.plain
	if p.deep() {
		each = c.deep
	}
	if p.alpha() {
		each += each / c.alpha
	}
	return int64(p.width()) * int64(p.height()) * each
}

// decodeMargin is what threads and small buffers take besides, bytes.
const decodeMargin = 96 << 20

// affordable refuses a picture before it is decoded whose pixels do not fit into the address space that is left to this process.
func (s source) affordable(p picture) error {
	cost, asked := decodeCosts[s.typ.MIME]
	if !asked {
		return nil
	}
	need := cost.bytes(p) + decodeMargin
	held, err := syscall.Mmap(-1, 0, int(need), syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		return pipeline.OutOfMemory("vips.Render", fmt.Errorf("%d bytes of address space for %d×%d pixels: %w", need, p.width(), p.height(), err))
	}
	return syscall.Munmap(held)
}
