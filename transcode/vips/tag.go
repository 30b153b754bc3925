package vips

import (
	"encoding/binary"

	"github.com/ninefold/ninefold/pipeline"
)

// tagged gives a picture the profile that its file asks for in other words: a PNG's chunks, or, of a picture without a profile, the code
// points of a HEIC or AVIF, or Exif's mark of Adobe RGB. A picture that says nothing, or something close to sRGB, stays as it is.
func (s source) tagged(p picture) (picture, error) {
	if s.typ == pipeline.TypeHEIC || s.typ == pipeline.TypeAVIF {
		var err error
		if p, err = s.inFullRange(p); err != nil {
			return picture{}, err
		}
	}
	if s.typ == pipeline.TypePNG || s.typ == pipeline.TypeAPNG {
		var err error
		if p, err = s.colourOfPNG(p); err != nil {
			return picture{}, err
		}
	}
	if p.profile() {
		return p, nil
	}
	profile := s.colourOf(p)
	if profile == nil {
		return p, nil
	}
	return p.withProfile(profile)
}

func (s source) colourOf(p picture) []byte {
	if s.typ == pipeline.TypeHEIC || s.typ == pipeline.TypeAVIF {
		data, err := s.bytes(p)
		if err != nil {
			return nil
		}
		if primaries, transfer, ok := codePoints(data); ok {
			return codedProfile(primaries, transfer)
		}
	}
	if exifSaysAdobe(p.exif()) {
		return iccProfile(adobe1998, power(adobeGamma))
	}
	return nil
}

// H.273's code points that ask for a conversion.
const (
	primariesBT2020 = 9
	primariesP3     = 12
	transferGamma22 = 4
	transferLinear  = 8
	transferPQ      = 16
	transferHLG     = 18
)

// codedProfile writes the profile of code points, nil for what viewers show as sRGB: BT.709 and its older relatives.
func codedProfile(primaries, transfer uint16) []byte {
	space, wide := map[uint16]chromaticities{primariesBT2020: bt2020, primariesP3: displayP3}[primaries]
	light, curved := map[uint16]curve{
		transferGamma22: power(2.2), transferLinear: power(1), transferPQ: pqCurve, transferHLG: hlgCurve,
	}[transfer]
	if !wide && !curved {
		return nil
	}
	if !wide {
		space = bt709
	}
	if !curved {
		light = srgbCurve
	}
	return iccProfile(space, light)
}

// codePoints finds the primaries and transfer of the primary picture, or of the first picture that has any where it is a mosaic.
func codePoints(data []byte) (primaries, transfer uint16, ok bool) {
	properties := primaryProperties(data)
	for _, list := range [][]box{properties, allProperties(data)} {
		for _, b := range list {
			if b.kind == "colr" && len(b.body) >= 8 && string(b.body[:4]) == "nclx" {
				return binary.BigEndian.Uint16(b.body[4:]), binary.BigEndian.Uint16(b.body[6:]), true
			}
		}
	}
	return 0, 0, false
}

// Exif's tags on the way to the mark of Adobe RGB, which DCF calls the optional colour space.
const (
	tagExifIFD    = 0x8769
	tagInteropIFD = 0xa005
	tagInterop    = 0x0001
	interopAdobe  = "R03"
)

func exifSaysAdobe(b []byte) bool {
	e, ok := newExif(b)
	if !ok {
		return false
	}
	at, ok := e.find(e.first(), tagExifIFD)
	if !ok {
		return false
	}
	if at, ok = e.find(e.long(at), tagInteropIFD); !ok {
		return false
	}
	at, ok = e.find(e.long(at), tagInterop)
	return ok && string(e.data[at:at+3]) == interopAdobe
}
