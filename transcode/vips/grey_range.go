package vips

// #include "bridge.h"
import "C"

import (
	"context"
	_ "embed" // the known picture
	"slices"
	"sync"

	"github.com/ninefold/ninefold/pipeline"
)

// inFullRange spreads the values of a grey HEIC or AVIF that are stored from 16 to 235 (of 255) over the whole range, as they are shown.
// libheif does that for colours; for grey, the versions that were tried do not.
func (s source) inFullRange(p picture) (picture, error) {
	data, err := s.bytes(p)
	if err != nil || !limitedGrey(data) || heifSpreadsGrey() {
		return p, nil //nolint:nilerr // whoever decodes it says what is wrong
	}
	var out *C.VipsImage
	bad := C.nf_full_range(p.c, &out)
	return p.arena.own("range", bad, out)
}

// limitedGrey reports whether the primary picture has luma alone, in limited range.
func limitedGrey(data []byte) bool {
	id, ok := codedItem(data)
	if !ok {
		return false
	}
	properties := append(primaryProperties(data), itemProperties(data, id)...)
	return slices.ContainsFunc(properties, withoutChroma) && slices.ContainsFunc(properties, saysLimited)
}

// withoutChroma reports whether a decoder's configuration is for pictures of luma alone.
func withoutChroma(b box) bool {
	const monochrome, formats = 0x10, 0x03 // in the third byte of av1C, and in the 17th of hvcC where 0 is luma alone
	return b.kind == "av1C" && len(b.body) > 2 && b.body[2]&monochrome != 0 || b.kind == "hvcC" && len(b.body) > 16 && b.body[16]&formats == 0
}

// saysLimited reports whether code points say that the range is limited. Without code points it is full.
func saysLimited(b box) bool {
	const full = 0x80
	return b.kind == "colr" && len(b.body) > 10 && string(b.body[:4]) == "nclx" && b.body[10]&full == 0
}

//go:embed limited-grey.avif
var limitedGreyAVIF []byte

// heifSpreadsGrey asks this machine's decoder: a known picture, of 16 throughout in limited range, becomes black where it does.
var heifSpreadsGrey = sync.OnceValue(func() bool {
	var a arena
	defer a.free()
	s := source{typ: pipeline.TypeAVIF}
	p, err := s.load(&a, loaders[s.typ.MIME], loading{failOn: failOnError}, limitedGreyAVIF)
	if err != nil {
		return false
	}
	if p, err = p.memory(context.Background()); err != nil {
		return false
	}
	const halfway = 8
	return p.pixels()[0] < halfway
})
