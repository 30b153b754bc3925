package pipeline

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// SniffLen is how many leading bytes Sniff wants, fewer where the file is shorter: enough to look behind most cover pictures.
const SniffLen = 256 << 10

// Family says which decoder a type belongs to.
type Family string

// The families. Media may hold sound, pictures or both; only a probe tells.
const (
	FamilyImage Family = "image" // libvips
	FamilyMedia Family = "media" // ffmpeg
)

// Type is what a file's leading bytes say it is. Names and declared types are never asked.
type Type struct {
	MIME    string `json:"mime"`
	Family  Family `json:"family"`
	Demuxer string `json:"demuxer,omitempty"` // ffmpeg demuxer to force: the file is read as this or not at all
	Ext     string `json:"ext"`               // our own extension for the staged file, with its dot
}

// The types taken. One row here, a probe and a plan in transcode: that is a new input type.
var (
	TypeJPEG = Type{"image/jpeg", FamilyImage, "", ".jpg"}
	TypePNG  = Type{"image/png", FamilyImage, "", ".png"}
	TypeAPNG = Type{"image/apng", FamilyImage, "apng", ".apng"}
	TypeGIF  = Type{"image/gif", FamilyImage, "gif", ".gif"}
	TypeWebP = Type{"image/webp", FamilyImage, "", ".webp"}
	TypeHEIC = Type{"image/heic", FamilyImage, "mov", ".heic"} // ffmpeg reads sequences only
	TypeAVIF = Type{"image/avif", FamilyImage, "mov", ".avif"} // likewise
	TypeMP4  = Type{"video/mp4", FamilyMedia, "mov", ".mp4"}
	TypeMOV  = Type{"video/quicktime", FamilyMedia, "mov", ".mov"}
	Type3GP  = Type{"video/3gpp", FamilyMedia, "mov", ".3gp"}
	TypeM4A  = Type{"audio/mp4", FamilyMedia, "mov", ".m4a"}
	TypeWebM = Type{"video/webm", FamilyMedia, "matroska", ".webm"}
	TypeMKV  = Type{"video/x-matroska", FamilyMedia, "matroska", ".mkv"}
	TypeOgg  = Type{"audio/ogg", FamilyMedia, "ogg", ".ogg"}
	TypeMP3  = Type{"audio/mpeg", FamilyMedia, "mp3", ".mp3"}
	TypeAAC  = Type{"audio/aac", FamilyMedia, "aac", ".aac"}
	TypeWAV  = Type{"audio/wav", FamilyMedia, "wav", ".wav"}
	TypeFLAC = Type{"audio/flac", FamilyMedia, "flac", ".flac"}
	TypeAMR  = Type{"audio/amr", FamilyMedia, "amr", ".amr"}
	TypeCAF  = Type{"audio/x-caf", FamilyMedia, "caf", ".caf"}
)

// Sniff tells a file's type by its leading bytes. ok is false for everything that must not reach a decoder:
// text, playlists, archives, SVG, PDF, TIFF and whatever else is not in the list.
func Sniff(head []byte) (t Type, ok bool) {
	if len(head) >= 12 && string(head[4:8]) == "ftyp" {
		return sniffBrand(head)
	}
	if at := id3Length(head); at > 0 {
		return sniffAfterID3(head, at)
	}
	for _, m := range magics {
		if len(head) >= m.at+len(m.bytes) && string(head[m.at:m.at+len(m.bytes)]) == m.bytes && (m.also == nil || m.also(head)) {
			return m.typ, true
		}
	}
	if t, ok := sniffSync(head); ok {
		return t, true
	}
	return sniffAfterZeros(head)
}

type magic struct {
	at    int
	bytes string
	also  func([]byte) bool
	typ   Type
}

// magics is asked in order; the first match wins.
var magics = []magic{
	{0, "\xff\xd8\xff", nil, TypeJPEG},
	{0, "\x89PNG\r\n\x1a\n", isAPNG, TypeAPNG},
	{0, "\x89PNG\r\n\x1a\n", isPNG, TypePNG},
	{0, "GIF87a", nil, TypeGIF},
	{0, "GIF89a", nil, TypeGIF},
	{0, "RIFF", riffIs("WEBP"), TypeWebP},
	{0, "RIFF", riffIs("WAVE"), TypeWAV},
	{0, "RF64", riffIs("WAVE"), TypeWAV}, // with a length of 64 bits, and so is
	{0, "BW64", riffIs("WAVE"), TypeWAV},
	{0, "\x1a\x45\xdf\xa3", isWebM, TypeWebM},
	{0, "\x1a\x45\xdf\xa3", nil, TypeMKV},
	{0, "OggS", nil, TypeOgg},
	{0, "fLaC", nil, TypeFLAC},
	{0, "#!AMR\n", nil, TypeAMR},
	{0, "#!AMR-WB\n", nil, TypeAMR},
	{0, "caff", nil, TypeCAF},
	{4, "moov", nil, TypeMOV}, // QuickTime from before ftyp
	{4, "mdat", nil, TypeMOV},
	{4, "wide", nil, TypeMOV},
}

func riffIs(form string) func([]byte) bool {
	return func(head []byte) bool { return len(head) >= 12 && string(head[8:12]) == form }
}

func isWebM(head []byte) bool { return bytes.Contains(head[:min(len(head), 64)], []byte("webm")) }

// isPNG turns away Apple's own kind, whose data no other decoder reads.
func isPNG(head []byte) bool { return !isApplePNG(head) }

// isAPNG looks for the animation header, which must stand before the first image data.
func isAPNG(head []byte) bool {
	for at := 8; at+12 <= len(head); {
		size := int(binary.BigEndian.Uint32(head[at:]))
		switch string(head[at+4 : at+8]) {
		case "acTL":
			return true
		case "IDAT":
			return false
		}
		if size > len(head) {
			return false
		}
		at += 12 + size
	}
	return false
}

// brands maps the major brand of an ISO base media file to its type.
var brands = map[string]Type{
	"heic": TypeHEIC, "heix": TypeHEIC, "heim": TypeHEIC, "heis": TypeHEIC, "hevc": TypeHEIC, "hevx": TypeHEIC,
	"avif": TypeAVIF, "avis": TypeAVIF,
	"M4A ": TypeM4A, "M4B ": TypeM4A, "M4P ": TypeM4A, "F4A ": TypeM4A,
	"qt  ": TypeMOV,
	"3gp1": Type3GP, "3gp2": Type3GP, "3gp3": Type3GP, "3gp4": Type3GP, "3gp5": Type3GP, "3gp6": Type3GP, "3gp7": Type3GP,
	"3gr6": Type3GP, "3gs6": Type3GP, "3gs7": Type3GP, "3ge6": Type3GP, "3ge7": Type3GP, "3g2a": Type3GP, "3g2b": Type3GP, "3g2c": Type3GP,
	"isom": TypeMP4, "iso2": TypeMP4, "iso3": TypeMP4, "iso4": TypeMP4, "iso5": TypeMP4, "iso6": TypeMP4, "iso7": TypeMP4,
	"iso8": TypeMP4, "iso9": TypeMP4, "mp41": TypeMP4, "mp42": TypeMP4, "mp71": TypeMP4, "avc1": TypeMP4, "av01": TypeMP4,
	"M4V ": TypeMP4, "M4VH": TypeMP4, "M4VP": TypeMP4, "f4v ": TypeMP4, "F4V ": TypeMP4, "dash": TypeMP4, "cmfc": TypeMP4,
	"MSNV": TypeMP4, "mmp4": TypeMP4, "XAVC": TypeMP4,
}

// sniffBrand reads the ftyp box: the major brand, then the compatible ones for a kind of picture, then the boxes behind it. mif1 and msf1 name
// the container only, their compatible brands tell HEIC from AVIF.
func sniffBrand(head []byte) (Type, bool) {
	if t, ok := brands[brandAt(head, 8)]; ok {
		return t, true
	}
	end := min(int(binary.BigEndian.Uint32(head)), len(head))
	for at := 16; at+4 <= end; at += 4 {
		if t, ok := brands[brandAt(head, at)]; ok && t.Family == FamilyImage {
			return t, true
		}
	}
	if slices.Contains(otherBrands, string(head[8:12])) {
		return Type{}, false
	}
	return sniffBoxes(head, end)
}

// otherBrands are known, and not those of a movie: pictures of no codec that is taken, and Canon's raw pictures.
var otherBrands = []string{"mif1", "msf1", "crx "}

// brandAt reads a brand. Some recorders fill it with NULs where blanks belong.
func brandAt(head []byte, at int) string {
	return strings.ReplaceAll(string(head[at:at+4]), "\x00", " ")
}

// paddingBoxes may stand before the headers or the media of a movie.
var paddingBoxes = []string{"free", "skip", "wide", "uuid", "pdin", "sidx", "styp"}

// maxSniffBoxes bounds the boxes that are looked at behind a brand that nobody knows.
const maxSniffBoxes = 16

// sniffBoxes takes a file whose brands nobody knows for what it holds: the headers of a movie or its media, with at most padding before them.
// Whether it can be played is the probe's to find out.
func sniffBoxes(head []byte, at int) (Type, bool) {
	for range maxSniffBoxes {
		if at < 8 || at+8 > len(head) {
			break
		}
		switch kind := string(head[at+4 : at+8]); {
		case kind == "moov" || kind == "mdat" || kind == "moof":
			return TypeMP4, true
		case !slices.Contains(paddingBoxes, kind):
			return Type{}, false
		}
		at += int(binary.BigEndian.Uint32(head[at:]))
	}
	return Type{}, false
}

// id3Length returns the length of a leading ID3v2 tag, 0 where there is none.
func id3Length(head []byte) int {
	if len(head) < 10 || string(head[:3]) != "ID3" {
		return 0
	}
	size := 0
	for _, b := range head[6:10] {
		if b >= 0x80 {
			return 0
		}
		size = size<<7 | int(b)
	}
	return size + 10
}

// sniffAfterID3 looks behind the tag where the head reaches that far; a longer tag, a cover picture mostly, is taken for MP3's.
func sniffAfterID3(head []byte, at int) (Type, bool) {
	if at+4 > len(head) {
		return TypeMP3, true
	}
	if string(head[at:at+4]) == "fLaC" {
		return TypeFLAC, true
	}
	if t, ok := sniffSync(head[at:]); ok {
		return t, true
	}
	return TypeMP3, true
}

// sniffAfterZeros finds MP3 frames behind a run of zeros, as cut recordings begin: two frames in a row, for behind anything four bytes
// match sometimes.
func sniffAfterZeros(head []byte) (Type, bool) {
	rest := bytes.TrimLeft(head, "\x00")
	if len(rest) == len(head) {
		return Type{}, false
	}
	if t, ok := sniffSync(rest); !ok || t != TypeMP3 {
		return Type{}, false
	}
	next := layer3Length(rest)
	if next == 0 || next+4 > len(rest) || rest[next+1] != rest[1] {
		return Type{}, false
	}
	return sniffSync(rest[next:])
}

// The bit rates of MPEG layer III, kbit/s, of version 1 and of the lower ones; the rates are those of version 1, Hz.
var (
	layer3High  = [16]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}
	layer3Low   = [16]int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}
	layer3Rates = [4]int{44_100, 48_000, 32_000, 0}
)

// layer3Length is the length of the layer III frame whose header sniffSync has taken, bytes.
func layer3Length(head []byte) int {
	version, rate, kbit, perByte := head[1]>>3&3, layer3Rates[head[2]>>2&3], layer3Low[head[2]>>4], 72_000
	switch version {
	case 3:
		kbit, perByte = layer3High[head[2]>>4], 144_000
	case 2:
		rate /= 2
	case 0:
		rate /= 4
	}
	if rate == 0 {
		return 0
	}
	return perByte*kbit/rate + int(head[2]>>1&1)
}

// sniffSync tells ADTS AAC and MPEG audio by their frame sync; both need a second plausible field, sync alone is any noise.
func sniffSync(head []byte) (Type, bool) {
	if len(head) < 4 || head[0] != 0xff {
		return Type{}, false
	}
	if head[1]&0xf6 == 0xf0 && head[2]>>2&0xf < 13 {
		return TypeAAC, true
	}
	layer3 := head[1]&0xe6 == 0xe2 && head[1]&0x18 != 0x08 // version 01 is reserved
	if layer3 && head[2]>>4 != 0xf && head[2]>>4 != 0 && head[2]>>2&3 != 3 {
		return TypeMP3, true
	}
	return Type{}, false
}
