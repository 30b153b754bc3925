package pipeline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// ftyp is the first box of an ISO base media file.
func ftyp(major string, compatible ...string) string {
	box := "ftyp" + major + "\x00\x00\x02\x00" + strings.Join(compatible, "")
	return "\x00\x00\x00" + string(rune(len(box)+4)) + box
}

// png is a PNG's signature and the given chunks, each of four bytes.
func png(chunks ...string) string {
	s := "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + strings.Repeat("\x00", 13+4)
	for _, c := range chunks {
		s += "\x00\x00\x00\x04" + c + "1234crc!"
	}
	return s
}

func TestSniff(t *testing.T) {
	id3 := func(body string) string { return "ID3\x04\x00\x00\x00\x00\x00\x05title" + body }
	tests := []struct {
		name, head string
		want       pipeline.Type
	}{
		{"JPEG", "\xff\xd8\xff\xe0\x00\x10JFIF", pipeline.TypeJPEG},
		{"PNG", png("gAMA", "IDAT"), pipeline.TypePNG},
		{"APNG", png("gAMA", "acTL", "IDAT"), pipeline.TypeAPNG},
		{"PNG with acTL behind its data", png("IDAT", "acTL"), pipeline.TypePNG},
		{"GIF87a", "GIF87a\x01\x00\x01\x00", pipeline.TypeGIF},
		{"GIF89a", "GIF89a\x01\x00\x01\x00", pipeline.TypeGIF},
		{"WebP", "RIFF\x00\x00\x00\x00WEBPVP8 ", pipeline.TypeWebP},
		{"WAV", "RIFF\x00\x00\x00\x00WAVEfmt ", pipeline.TypeWAV},
		{"HEIC", ftyp("heic", "mif1", "heic"), pipeline.TypeHEIC},
		{"HEIC by its compatible brands", ftyp("mif1", "mif1", "heic"), pipeline.TypeHEIC},
		{"HEIC sequence", ftyp("msf1", "msf1", "hevc"), pipeline.TypeHEIC},
		{"AVIF", ftyp("avif", "avif", "mif1"), pipeline.TypeAVIF},
		{"AVIF by its compatible brands", ftyp("mif1", "miaf", "avif"), pipeline.TypeAVIF},
		{"AVIF sequence", ftyp("avis", "avis"), pipeline.TypeAVIF},
		{"MP4", ftyp("isom", "isom", "avc1"), pipeline.TypeMP4},
		{"MP4 fragment", ftyp("iso5", "iso5", "dash"), pipeline.TypeMP4},
		{"M4V", ftyp("M4V "), pipeline.TypeMP4},
		{"M4A", ftyp("M4A ", "isom"), pipeline.TypeM4A},
		{"MOV", ftyp("qt  ", "qt  "), pipeline.TypeMOV},
		{"MOV without ftyp", "\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", pipeline.TypeMOV},
		{"3GP", ftyp("3gp4", "isom"), pipeline.Type3GP},
		{"WebM", "\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", pipeline.TypeWebM},
		{"Matroska", "\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska", pipeline.TypeMKV},
		{"Ogg", "OggS\x00\x02", pipeline.TypeOgg},
		{"MP3", "\xff\xfb\x90\x64\x00", pipeline.TypeMP3},
		{"MP3 behind a tag", id3("\xff\xfb\x90\x64"), pipeline.TypeMP3},
		{"MP3 behind a long tag", "ID3\x04\x00\x00\x00\x7f\x00\x00", pipeline.TypeMP3},
		{"M4A with a NUL", ftyp("M4A\x00", "isom"), pipeline.TypeM4A},
		{"QuickTime with NULs", ftyp("qt\x00\x00"), pipeline.TypeMOV},
		{"a movie of a brand that nobody knows", ftyp("xyz9", "abc1") + "\x00\x00\x00\x08moov", pipeline.TypeMP4},
		{"the same behind padding", ftyp("xyz9") + "\x00\x00\x00\x08wide\x00\x00\x00\x09free.\x00\x00\x00\x00mdat", pipeline.TypeMP4},
		{"fragments of such a brand", ftyp("xyz9") + "\x00\x00\x00\x08styp\x00\x00\x00\x08moof", pipeline.TypeMP4},
		{"pictures of such a brand", ftyp("xyz9", "mif1", "heic"), pipeline.TypeHEIC},
		{"AAC", "\xff\xf1\x50\x80\x02", pipeline.TypeAAC},
		{"AAC behind a tag", id3("\xff\xf1\x50\x80"), pipeline.TypeAAC},
		{"FLAC", "fLaC\x00\x00\x00\x22", pipeline.TypeFLAC},
		{"FLAC behind a tag", id3("fLaC"), pipeline.TypeFLAC},
		{"AMR", "#!AMR\n\x3c", pipeline.TypeAMR},
		{"AMR wide band", "#!AMR-WB\n\x04", pipeline.TypeAMR},
		{"CAF", "caff\x00\x01\x00\x00desc", pipeline.TypeCAF},
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := pipeline.Sniff([]byte(tt.head))
			if !ok || got != tt.want {
				t.Errorf("got %+v %v, want %+v", got, ok, tt.want)
			}
		})
		seen[tt.want.MIME] = true
		if tt.want.Family == pipeline.FamilyMedia && tt.want.Demuxer == "" {
			t.Errorf("%s: ffmpeg would guess the format of %s", tt.name, tt.want.MIME)
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d types are tried, want 20", len(seen))
	}
}

func TestSniffRefuses(t *testing.T) {
	tests := map[string]string{
		"nothing":             "",
		"one byte":            "\xff",
		"text":                "Dear Sir or Madam, ...",
		"UTF-16 text":         "\xff\xfeD\x00e\x00a\x00r\x00",
		"HTML":                "<!DOCTYPE html><html>",
		"SVG":                 `<svg xmlns="http://www.w3.org/2000/svg"/>`,
		"SVG with a prologue": `<?xml version="1.0"?><svg/>`,
		"PDF":                 "%PDF-1.7\n",
		"PostScript":          "%!PS-Adobe-3.0",
		"TIFF, Intel":         "II*\x00\x08\x00\x00\x00",
		"TIFF, Motorola":      "MM\x00*\x00\x00\x00\x08",
		"BigTIFF":             "II+\x00\x08\x00\x00\x00",
		"PSD":                 "8BPS\x00\x01",
		"BMP":                 "BM\x3a\x00\x00\x00",
		"ICO":                 "\x00\x00\x01\x00\x01\x00",
		"JPEG XL":             "\xff\x0a\x00\x00",
		"JPEG 2000":           "\x00\x00\x00\x0cjP  \r\n\x87\n",
		"CR3 raw":             ftyp("crx ", "crx ", "isom"),
		"an unknown brand":    ftyp("evil", "isom"),
		"a brand, no movie":   ftyp("evil", "isom") + "\x00\x00\x00\x10meta\x00\x00\x00\x00",
		"a brand, a loop":     ftyp("evil", "isom") + "\x00\x00\x00\x00free\x00\x00\x00\x08moov",
		"CR3 with its movie":  ftyp("crx ", "crx ", "isom") + "\x00\x00\x00\x08moov",
		"mif1 of no codec":    ftyp("mif1", "mif1", "jpeg"),
		"mif1 of video":       ftyp("mif1", "isom"),
		"HLS playlist":        "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/x.ts",
		"ffconcat":            "ffconcat version 1.0\nfile '/etc/passwd'",
		"concat, old style":   "file /etc/passwd\n",
		"DASH manifest":       `<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">`,
		"SDP":                 "v=0\no=- 0 0 IN IP4 127.0.0.1",
		"ffmetadata":          ";FFMETADATA1\ntitle=x",
		"ASS subtitles":       "[Script Info]\n",
		"image2 pattern":      "img%03d.png",
		"ZIP":                 "PK\x03\x04\x14\x00",
		"gzip":                "\x1f\x8b\x08\x00",
		"tar":                 strings.Repeat("a", 257) + "ustar\x0000",
		"ELF":                 "\x7fELF\x02\x01\x01",
		"AVI":                 "RIFF\x00\x00\x00\x00AVI LIST",
		"RIFF cut short":      "RIFF\x00\x00\x00\x00WE",
		"FLV":                 "FLV\x01\x05",
		"ASF":                 "\x30\x26\xb2\x75\x8e\x66\xcf\x11",
		"MPEG-TS":             "G@\x00\x10\x00\x00\xb0\x0d",
		"MPEG-PS":             "\x00\x00\x01\xba\x44\x00",
		"MPEG layer II":       "\xff\xfd\x90\x04",
		"MPEG of no version":  "\xff\xeb\x90\x64",
		"a frame sync only":   "\xff\xfb\xff\xff",
		"sync, free bit rate": "\xff\xfb\x00\x00",
		"ones":                strings.Repeat("\xff", 64),
		"zeros":               strings.Repeat("\x00", 64),
		"PNG signature cut":   "\x89PNG\r\n",
		"GIF of no version":   "GIF90a",
	}
	for name, head := range tests {
		t.Run(name, func(t *testing.T) {
			if got, ok := pipeline.Sniff([]byte(head)); ok || got != (pipeline.Type{}) {
				t.Errorf("got %+v %v", got, ok)
			}
		})
	}
}

// fixtures is where the shared media lie, seen from this package.
const fixtures = "../../shared/fixtures"

func TestSniffFixtures(t *testing.T) {
	if _, err := os.Stat(fixtures); err != nil {
		t.Skip("no shared fixtures beside the repository")
	}
	byName := map[string]pipeline.Type{
		".webm": pipeline.TypeWebM, ".ogg": pipeline.TypeOgg, ".opus": pipeline.TypeOgg, ".m4a": pipeline.TypeM4A, ".wav": pipeline.TypeWAV, ".gif": pipeline.TypeGIF,
		".avif": pipeline.TypeAVIF, ".heic": pipeline.TypeHEIC, ".jpg": pipeline.TypeJPEG, ".mov": pipeline.TypeMOV, ".mp4": pipeline.TypeMP4,
	}
	found := 0
	for _, kind := range []string{"voice", "photo", "video"} {
		names, err := filepath.Glob(filepath.Join(fixtures, kind, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			found++
			got, ok := pipeline.Sniff(data[:min(len(data), pipeline.SniffLen)])
			if want := byName[filepath.Ext(name)]; !ok || got != want {
				t.Errorf("%s: got %+v %v, want %+v", name, got, ok, want)
			}
		}
	}
	if found == 0 {
		t.Error("no fixture was found")
	}
}

// FuzzSniff: no input makes it panic, what it takes has a family, a name and, for ffmpeg, a demuxer; more bytes than it asks for or
// than there are change nothing but the reach.
func FuzzSniff(f *testing.F) {
	for _, seed := range []string{ftyp("mif1", "heic"), png("acTL"), "ID3\x04\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x64", "RIFF1234WAVE", "\x1a\x45\xdf\xa3webm", "#EXTM3U"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		got, ok := pipeline.Sniff(head)
		if ok != (got != pipeline.Type{}) {
			t.Fatalf("%+v %v", got, ok)
		}
		if ok && (got.MIME == "" || got.Ext == "" || (got.Family != pipeline.FamilyImage && got.Demuxer == "")) {
			t.Fatalf("%+v", got)
		}
	})
}
