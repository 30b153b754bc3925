package vips

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// Kinds of JPEG that libjpeg does not read are named, and not called damaged.
func TestOtherKindsOfJPEG(t *testing.T) {
	t.Parallel()
	plain := jpegOf(t, card(64, 64))
	at := bytes.Index(plain, []byte{0xff, 0xc0})
	for name, change := range map[string]func(b []byte){
		"lossless JPEG":            func(b []byte) { b[at+1] = 0xc3 },
		"hierarchical JPEG":        func(b []byte) { b[at+1] = 0xc5 },
		"JPEG-LS":                  func(b []byte) { b[at+1] = 0xf7 },
		"JPEG of more than 8 bits": func(b []byte) { b[at+1], b[at+4] = 0xc1, 12 },
	} {
		data := bytes.Clone(plain)
		change(data)
		dir, f := staged(t, data)
		_, err := process(t, dir, f)
		if codeOf(err) != pipeline.CodeUnsupportedType || !strings.Contains(pipeline.AsError(err).Message, name) {
			t.Errorf("%s: %v, want unsupported_type that names it", name, err)
		}
	}
}
