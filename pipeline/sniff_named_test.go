package pipeline_test

import (
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// A type that is known and not taken is named to the sender, and never called damaged.
func TestOtherTypesAreNamed(t *testing.T) {
	t.Parallel()
	ftyp := func(brands string) string {
		return "\x00\x00\x00\x18ftyp" + brands[:4] + "\x00\x00\x00\x00" + brands[4:]
	}
	for want, head := range map[string]string{
		"JPEG XL":                  "\xff\x0a\xfa\x7f",
		"JPEG 2000":                "\x00\x00\x00\x0cjP  \r\n\x87\n\x00\x00\x00\x14ftypjp2 ",
		"TIFF or a raw picture":    "II*\x00\x08\x00\x00\x00\x0b\x00",
		"a Canon raw picture":      "II*\x00\x10\x00\x00\x00CR\x02\x00",
		"a DNG raw picture":        "II*\x00\x08\x00\x00\x00\x01\x00\x12\xc6\x01\x00\x04\x00\x00\x00\x01\x04\x00\x00",
		"a Fujifilm raw picture":   "FUJIFILMCCD-RAW 0201",
		"a Photoshop document":     "8BPS\x00\x01",
		"PDF":                      "%PDF-1.7\n",
		"BMP":                      "BM\x36\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00",
		"SVG":                      "\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- by hand -->\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
		"a picture in VVC":         ftyp("vvicmif1"),
		"a HEIF picture in H.264":  ftyp("avcimif1"),
		"HEIF with a short header": ftyp("mif3mif3"),
	} {
		name := pipeline.NameOther([]byte(head))
		if _, taken := pipeline.Sniff([]byte(head)); taken || name != want {
			t.Errorf("%q: taken %v, named %q, want %q", head, taken, name, want)
		}
		err := pipeline.AsError(pipeline.File{Other: name}.Known())
		if err.Code != pipeline.CodeUnsupportedType || !strings.Contains(err.Message, want) {
			t.Errorf("%q: %v", head, err)
		}
	}
	for _, head := range []string{"", "BM", "hello", "<html><body>", "\x00\x00\x00\x18ftypzzzz\x00\x00\x00\x00zzzz", "\x00\x00\x00\x00ftyp"} {
		if name := pipeline.NameOther([]byte(head)); name != "" {
			t.Errorf("%q is called %s", head, name)
		}
	}
}
