package pipeline

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// otherType is a type that is known and not taken: a sender is told its name.
type otherType struct {
	at    int
	bytes string
	also  func([]byte) bool
	name  string
}

// otherTypes are asked in order; the first match wins.
var otherTypes = []otherType{
	{0, "\xff\x0a", nil, "JPEG XL"},
	{0, "\x00\x00\x00\x0cJXL \r\n\x87\n", nil, "JPEG XL"},
	{0, "\x00\x00\x00\x0cjP  \r\n\x87\n", nil, "JPEG 2000"},
	{0, "\xff\x4f\xff\x51", nil, "JPEG 2000"},
	{0, "II*\x00", textual("Adobe DNG", "\x12\xc6\x01\x00\x04\x00\x00\x00"), "a DNG raw picture"},
	{0, "MM\x00*", textual("Adobe DNG", "\xc6\x12\x00\x01\x00\x00\x00\x04"), "a DNG raw picture"},
	{8, "CR\x02\x00", nil, "a Canon raw picture"},
	{0, "IIRO", nil, "an Olympus raw picture"},
	{0, "IIU\x00", nil, "a Panasonic raw picture"},
	{0, "FUJIFILMCCD-RAW", nil, "a Fujifilm raw picture"},
	{0, "FOVb", nil, "a Sigma raw picture"},
	{0, "II*\x00", nil, "TIFF or a raw picture"},
	{0, "MM\x00*", nil, "TIFF or a raw picture"},
	{0, "II+\x00", nil, "TIFF"},
	{0, "MM\x00+", nil, "TIFF"},
	{0, "II\xbc\x01", nil, "JPEG XR"},
	{0, "8BPS", nil, "a Photoshop document"},
	{0, "%PDF-", nil, "PDF"},
	{0, "BM", isBMP, "BMP"},
	{0, "\x00\x00\x01\x00", nil, "a Windows icon"},
	{0, "qoif", nil, "QOI"},
	{0, "v/1\x01", nil, "OpenEXR"},
	{0, "#?RADIANCE", nil, "Radiance HDR"},
	{0, "gimp xcf", nil, "a GIMP document"},
	{0, "", isSVG, "SVG"},
}

// namedBrands are the major brands of ISO base media files that are known and not taken.
var namedBrands = map[string]string{
	"crx ": "a Canon raw picture", "jxl ": "JPEG XL", "jp2 ": "JPEG 2000", "jpx ": "JPEG 2000", "vvic": "a picture in VVC", "vvis": "a picture sequence in VVC",
	"evbi": "a picture in EVC", "j2ki": "a HEIF picture in JPEG 2000", "j2is": "a HEIF sequence in JPEG 2000", "jpeg": "a HEIF picture in JPEG",
	"avci": "a HEIF picture in H.264", "avcs": "a HEIF sequence in H.264", "mif3": "HEIF with a short header", "unif": "an uncompressed HEIF picture",
}

// textual reports whether one of the texts stands in the first bytes.
func textual(any ...string) func([]byte) bool {
	return func(head []byte) bool {
		for _, s := range any {
			if bytes.Contains(head, []byte(s)) {
				return true
			}
		}
		return false
	}
}

// isBMP asks for the size of the second header, which is one of a few.
func isBMP(head []byte) bool {
	if len(head) < 18 {
		return false
	}
	n := binary.LittleEndian.Uint32(head[14:])
	return n == 12 || n == 40 || n == 52 || n == 56 || n == 64 || n == 108 || n == 124
}

// isSVG looks for the root element in a text that begins like XML.
func isSVG(head []byte) bool {
	text := strings.TrimLeft(strings.TrimPrefix(string(head[:min(len(head), 4096)]), "\xef\xbb\xbf"), " \t\r\n")
	return strings.HasPrefix(text, "<") && strings.Contains(text, "<svg")
}

// NameOther names a type that is known and not taken, "" for bytes that nobody knows.
func NameOther(head []byte) string {
	if len(head) >= 12 && string(head[4:8]) == "ftyp" {
		return otherBrand(head)
	}
	for _, o := range otherTypes {
		if len(head) >= o.at+len(o.bytes) && string(head[o.at:o.at+len(o.bytes)]) == o.bytes && (o.also == nil || o.also(head)) {
			return o.name
		}
	}
	return ""
}

// otherBrand asks the major brand, and those besides it where that one names the container only.
func otherBrand(head []byte) string {
	end := min(int(binary.BigEndian.Uint32(head)), len(head))
	for at := 8; at+4 <= end; at += 4 {
		if name := namedBrands[string(head[at:at+4])]; name != "" {
			return name
		}
	}
	return ""
}
