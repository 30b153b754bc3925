package pipeline

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Other is a type that is known and not taken: a sender is told its name, and what to send instead.
type Other struct{ Name, Instead string }

// What to send instead, by what it is that was sent.
const (
	insteadPicture = "JPEG, PNG, WebP or HEIC"
	insteadMovie   = "MP4, MOV or WebM"
	insteadSound   = "Ogg, M4A, MP3 or WAV"
)

// otherType is how a type that is known and not taken is told.
type otherType struct {
	at    int
	bytes string
	also  func([]byte) bool
	other Other
}

// otherTypes are asked in order; the first match wins.
var otherTypes = []otherType{
	{0, "\xff\x0a", nil, Other{"JPEG XL", insteadPicture}},
	{0, "\x00\x00\x00\x0cJXL \r\n\x87\n", nil, Other{"JPEG XL", insteadPicture}},
	{0, "\x00\x00\x00\x0cjP  \r\n\x87\n", nil, Other{"JPEG 2000", insteadPicture}},
	{0, "\xff\x4f\xff\x51", nil, Other{"JPEG 2000", insteadPicture}},
	{0, "II*\x00", textual("Adobe DNG", "\x12\xc6\x01\x00\x04\x00\x00\x00"), Other{"a DNG raw picture", insteadPicture}},
	{0, "MM\x00*", textual("Adobe DNG", "\xc6\x12\x00\x01\x00\x00\x00\x04"), Other{"a DNG raw picture", insteadPicture}},
	{8, "CR\x02\x00", nil, Other{"a Canon raw picture", insteadPicture}},
	{0, "IIRO", nil, Other{"an Olympus raw picture", insteadPicture}},
	{0, "IIU\x00", nil, Other{"a Panasonic raw picture", insteadPicture}},
	{0, "FUJIFILMCCD-RAW", nil, Other{"a Fujifilm raw picture", insteadPicture}},
	{0, "FOVb", nil, Other{"a Sigma raw picture", insteadPicture}},
	{0, "II*\x00", nil, Other{"TIFF or a raw picture", insteadPicture}},
	{0, "MM\x00*", nil, Other{"TIFF or a raw picture", insteadPicture}},
	{0, "II+\x00", nil, Other{"TIFF", insteadPicture}},
	{0, "MM\x00+", nil, Other{"TIFF", insteadPicture}},
	{0, "II\xbc\x01", nil, Other{"JPEG XR", insteadPicture}},
	{0, "8BPS", nil, Other{"a Photoshop document", insteadPicture}},
	{0, "%PDF-", nil, Other{"PDF", insteadPicture}},
	{0, "BM", isBMP, Other{"BMP", insteadPicture}},
	{0, "\x00\x00\x01\x00", nil, Other{"a Windows icon", insteadPicture}},
	{0, "qoif", nil, Other{"QOI", insteadPicture}},
	{0, "v/1\x01", nil, Other{"OpenEXR", insteadPicture}},
	{0, "#?RADIANCE", nil, Other{"Radiance HDR", insteadPicture}},
	{0, "gimp xcf", nil, Other{"a GIMP document", insteadPicture}},
	{0, "\x89PNG\r\n\x1a\n", isApplePNG, Other{"a PNG for Apple's devices only (CgBI)", insteadPicture}},
	{0, "\x8aMNG\r\n\x1a\n", nil, Other{"MNG", insteadPicture}},
	{0, "icns", nil, Other{"an Apple icon", insteadPicture}},
	{0, "BPG\xfb", nil, Other{"BPG", insteadPicture}},
	{0, "\x1f\x8b\x08", nil, Other{"a compressed file (gzip), as Telegram's animated stickers are", "WebP or WebM"}},
	{0, "RIFF", riffIs("AVI "), Other{"AVI", insteadMovie}},
	{0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11", nil, Other{"Windows Media", insteadMovie + ", and sound as " + insteadSound}},
	{0, "\x00\x00\x01\xba", nil, Other{"MPEG (a program stream)", insteadMovie}},
	{0, "\x00\x00\x01\xb3", nil, Other{"MPEG video", insteadMovie}},
	{0, "\x47", everyPacket(0, 188), Other{"MPEG-TS", insteadMovie}},
	{4, "\x47", everyPacket(4, 192), Other{"MPEG-TS", insteadMovie}},
	{0, "FLV\x01", nil, Other{"Flash video", insteadMovie}},
	{0, ".RMF", nil, Other{"RealMedia", insteadMovie}},
	{0, "FORM", riffIs("AIFF"), Other{"AIFF", insteadSound}},
	{0, "FORM", riffIs("AIFC"), Other{"AIFF", insteadSound}},
	{0, "riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00", nil, Other{"Sony Wave64 (W64)", insteadSound}},
	{0, "ADIF", nil, Other{"AAC in ADIF", insteadSound}},
	{0, ".snd", nil, Other{"Sun audio (AU)", insteadSound}},
	{0, "MThd", nil, Other{"MIDI", insteadSound}},
	{0, "MAC ", nil, Other{"Monkey's Audio", insteadSound}},
	{0, "wvpk", nil, Other{"WavPack", insteadSound}},
	{0, "", isSVG, Other{"SVG", insteadPicture}},
}

// namedBrands are the major brands of ISO base media files that are known and not taken.
var namedBrands = map[string]string{
	"crx ": "a Canon raw picture", "jxl ": "JPEG XL", "jp2 ": "JPEG 2000", "jpx ": "JPEG 2000", "vvic": "a picture in VVC", "vvis": "a picture sequence in VVC",
	"evbi": "a picture in EVC", "j2ki": "a HEIF picture in JPEG 2000", "j2is": "a HEIF sequence in JPEG 2000", "jpeg": "a HEIF picture in JPEG",
	"avci": "a HEIF picture in H.264", "avcs": "a HEIF sequence in H.264", "mif3": "HEIF with a short header", "unif": "an uncompressed HEIF picture",
}

// textual reports whether one of the texts stands in the first bytes.
func textual(texts ...string) func([]byte) bool {
	return func(head []byte) bool {
		for _, s := range texts {
			if bytes.Contains(head, []byte(s)) {
				return true
			}
		}
		return false
	}
}

// isApplePNG reports whether the first chunk is the one that Xcode writes, against all rules, before the header.
func isApplePNG(head []byte) bool { return len(head) >= 16 && string(head[12:16]) == "CgBI" }

// everyPacket reports whether a packet begins with its sync byte at first, and so do the four that follow, size bytes apart.
func everyPacket(first, size int) func([]byte) bool {
	return func(head []byte) bool {
		for i := range 5 {
			if at := first + i*size; at >= len(head) || head[at] != 0x47 {
				return false
			}
		}
		return true
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

// NameOther names a type that is known and not taken; nothing for bytes that nobody knows.
func NameOther(head []byte) Other {
	if len(head) >= 12 && string(head[4:8]) == "ftyp" {
		return Other{otherBrand(head), insteadPicture}
	}
	for _, o := range otherTypes {
		if len(head) >= o.at+len(o.bytes) && string(head[o.at:o.at+len(o.bytes)]) == o.bytes && (o.also == nil || o.also(head)) {
			return o.other
		}
	}
	return Other{}
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
