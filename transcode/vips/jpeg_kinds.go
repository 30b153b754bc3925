package vips

import "github.com/ninefold/ninefold/pipeline"

// otherJPEGs names the frames that a JPEG may begin with and libjpeg does not decode.
var otherJPEGs = map[byte]string{
	0xc3: "lossless JPEG", 0xc5: "hierarchical JPEG", 0xc6: "hierarchical JPEG", 0xc7: "lossless JPEG", 0xcb: "lossless JPEG",
	0xcd: "hierarchical JPEG", 0xce: "hierarchical JPEG", 0xcf: "lossless JPEG", 0xf7: "JPEG-LS",
}

// unreadJPEG refuses by its name a kind of JPEG that the decoder does not read; nil for the others.
func unreadJPEG(path string) error {
	data, err := readBounded(path)
	if err != nil {
		return nil //nolint:nilerr // whoever decodes it says what is wrong
	}
	segs, _, _ := walkJPEG(data)
	for _, s := range segs {
		name := otherJPEGs[s.marker]
		if name == "" && isSOF(s.marker) && len(s.payload) > 0 && s.payload[0] != 8 {
			name = "JPEG of more than 8 bits"
		}
		if name != "" {
			return pipeline.Refuse(pipeline.CodeUnsupportedType, "this is %s, which is not taken; send it as an ordinary JPEG", name)
		}
		if isSOF(s.marker) {
			return nil
		}
	}
	return nil
}
