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
		"CgBI":                     "\x89PNG\r\n\x1a\n\x00\x00\x00\x04CgBI\x50\x00\x20\x02",
		"Telegram's animated":      "\x1f\x8b\x08\x00\x00\x00",
		"a picture in VVC":         ftyp("vvicmif1"),
		"a HEIF picture in H.264":  ftyp("avcimif1"),
		"HEIF with a short header": ftyp("mif3mif3"),
	} {
		name := pipeline.NameOther([]byte(head))
		if _, taken := pipeline.Sniff([]byte(head)); taken || !strings.Contains(name.Name, want) {
			t.Errorf("%q: taken %v, named %q, want %q", head, taken, name, want)
		}
		err := pipeline.AsError(pipeline.File{Other: name}.Known())
		if err.Code != pipeline.CodeUnsupportedType || !strings.Contains(err.Message, want) {
			t.Errorf("%q: %v", head, err)
		}
	}
	for _, head := range []string{"", "BM", "hello", "<html><body>", "\x00\x00\x00\x18ftypzzzz\x00\x00\x00\x00zzzz", "\x00\x00\x00\x00ftyp"} {
		if name := pipeline.NameOther([]byte(head)); name.Name != "" {
			t.Errorf("%q is called %s", head, name.Name)
		}
	}
}

// Movies and sounds of old cameras and programs are named, too, and what to send instead is of their own kind.
func TestOtherMediaAreNamed(t *testing.T) {
	t.Parallel()
	packets := func(before string, size int) string {
		return strings.Repeat(before+"\x47"+strings.Repeat("\x00", size-1-len(before)), 6)
	}
	for head, want := range map[string][2]string{
		"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00": {"Wave64", "M4A"},
		"ADIF\x40\x02\xb1\x10":                                 {"ADIF", "M4A"},
		"RIFF\x00\x00\x00\x00AVI LIST":                         {"AVI", "MP4"},
		"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa":     {"Windows Media", "M4A"},
		"\x00\x00\x01\xba\x44\x00":                             {"MPEG", "MP4"},
		packets("", 188):                                       {"MPEG-TS", "MP4"},
		packets("\x00\x00\x00\x00", 192):                       {"MPEG-TS", "MP4"},
		"FLV\x01\x05\x00\x00\x00\x09":                          {"Flash video", "MP4"},
		"FORM\x00\x00\x00\x00AIFFCOMM":                         {"AIFF", "M4A"},
		".snd\x00\x00\x00\x18\xff\xff\xff\xff\x00\x00\x00\x01": {"AU", "M4A"},
	} {
		_, taken := pipeline.Sniff([]byte(head))
		err := pipeline.AsError(pipeline.File{Other: pipeline.NameOther([]byte(head))}.Known())
		wrong := taken || err.Code != pipeline.CodeUnsupportedType || !strings.Contains(err.Message, "this is") ||
			!strings.Contains(err.Message, want[0]) || !strings.Contains(err.Message, want[1])
		if wrong {
			t.Errorf("%.16q: taken %v, %v; want %v", head, taken, err, want)
		}
	}
	for _, head := range []string{"\x47hello, this is text", packets("", 187), "FORM\x00\x00\x00\x00ILBM"} {
		if name := pipeline.NameOther([]byte(head)); name.Name != "" {
			t.Errorf("%.16q is called %s", head, name.Name)
		}
	}
}
