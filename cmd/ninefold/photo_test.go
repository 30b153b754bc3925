package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// secret is what a sender's file must lose on its way, wherever it stands in it.
const secret = "SecretPlace"

// tool runs a program that makes media, and skips the test where it is not installed.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is absent", name)
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

func (s scene) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// exifSegment is an APP1 segment with a maker's name and note, a GPS directory and a thumbnail.
func exifSegment() []byte {
	be := binary.BigEndian
	text := secret + "\x00"
	thumb := "\xff\xd8\xff\xfe\x00\x0d" + secret + "\xff\xd9"
	const header = 8
	makeAt := uint32(header + 2 + 3*12 + 4)
	exifAt := makeAt + uint32(len(text))
	gpsAt := exifAt + 2 + 12 + 4 + uint32(len(text))
	secondAt := gpsAt + 2 + 12 + 4
	b := []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08")
	entry := func(tag, typ uint16, count, value uint32) {
		b = be.AppendUint32(be.AppendUint32(be.AppendUint16(be.AppendUint16(b, tag), typ), count), value)
	}
	b = be.AppendUint16(b, 3)
	entry(0x010f, 2, uint32(len(text)), makeAt)
	entry(0x8769, 4, 1, exifAt)
	entry(0x8825, 4, 1, gpsAt)
	b = append(be.AppendUint32(b, secondAt), text...)
	b = be.AppendUint16(b, 1)
	entry(0x927c, 7, uint32(len(text)), exifAt+2+12+4) // the maker's note
	b = append(be.AppendUint32(b, 0), text...)
	b = be.AppendUint16(b, 1)
	entry(0x0001, 2, 2, 'N'<<24) // GPSLatitudeRef
	b = be.AppendUint16(be.AppendUint32(b, 0), 2)
	entry(0x0201, 4, 1, secondAt+2+24+4) // the thumbnail
	entry(0x0202, 4, 1, uint32(len(thumb)))
	b = append(be.AppendUint32(b, 0), thumb...)
	return append(be.AppendUint16([]byte{0xff, 0xe1}, uint16(len(b)+2)), b...)
}

func segment(marker byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(text)+2)), text...)
}

// tellingJPEG has Exif, XMP, IPTC and a comment.
func tellingJPEG(plain []byte) []byte {
	out := append([]byte{0xff, 0xd8}, exifSegment()...)
	out = append(out, segment(0xe1, "http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta>"+secret+"</x:xmpmeta>")...)
	out = append(out, segment(0xed, "Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00\x10\x1c\x02\x5a\x00\x0b"+secret)...)
	return append(append(out, segment(0xfe, secret)...), plain[2:]...)
}

func chunkPNG(kind, body string) []byte {
	out := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), kind+body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// tellingPNG has text, XMP and Exif before its pixels.
func tellingPNG(plain []byte) []byte {
	const head = 33 // signature and IHDR
	out := append(append([]byte(nil), plain[:head]...), chunkPNG("tEXt", "Comment\x00"+secret)...)
	out = append(out, chunkPNG("iTXt", "XML:com.adobe.xmp\x00\x00\x00\x00\x00<x>"+secret+"</x>")...)
	out = append(out, chunkPNG("eXIf", string(exifSegment()[10:]))...)
	return append(out, plain[head:]...)
}

// tellingGIF has a comment and XMP behind its palette.
func tellingGIF(plain []byte) []byte {
	head := 13
	if plain[10]&0x80 != 0 {
		head += 3 << (plain[10]&7 + 1)
	}
	block := func(label string, text string) string {
		return "\x21" + label + string(rune(len(text))) + text + "\x00"
	}
	out := append([]byte(nil), plain[:head]...)
	out = append(out, block("\xfe", secret)...)
	out = append(out, "\x21\xff\x0bXMP DataXMP"+string(rune(len(secret)))+secret+"\x00"...)
	return append(out, plain[head:]...)
}

// tellingWebP has Exif and XMP behind its frames.
func tellingWebP(plain []byte) []byte {
	out := append([]byte(nil), plain...)
	for id, body := range map[string]string{"EXIF": string(exifSegment()[10:]), "XMP ": "<x>" + secret + "</x>"} {
		out = append(binary.LittleEndian.AppendUint32(append(out, id...), uint32(len(body))), body...)
		if len(body)%2 == 1 {
			out = append(out, 0)
		}
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
}

// tellingScene holds every picture and video type that is taken, each with a secret in it.
func tellingScene(t *testing.T) (s scene, kinds map[string]pipeline.Kind) {
	t.Helper()
	s = newScene(t)
	at := func(name string) string { return filepath.Join(s.dir, name) }
	s.write(t, "a.jpg", tellingJPEG(encodeJPEG(t, quadrants(64, 48))))
	s.write(t, "a.png", tellingPNG(encodePNG(t, quadrants(64, 48))))
	for _, name := range []string{"a.webp", "a.heic", "a.avif"} {
		tool(t, "vips", "copy", at("a.jpg"), at(name))
	}
	film := func(name string, args ...string) []byte {
		line := append([]string{
			"-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=5:d=2", "-metadata", "comment=" + secret,
			"-metadata", "location=+48.1+011.5/" + secret,
		}, args...)
		tool(t, "ffmpeg", append(line, at(name))...)
		return s.read(t, name)
	}
	s.write(t, "a.gif", tellingGIF(film("plain.gif", "-frames:v", "1")))
	s.write(t, "moving.gif", tellingGIF(film("plain-moving.gif")))
	s.write(t, "moving.png", tellingPNG(film("plain.apng", "-f", "apng")))
	s.write(t, "moving.webp", tellingWebP(film("plain.webp", "-c:v", "libwebp_anim", "-lossless", "1", "-f", "webp")))
	film("moving.avif", "-c:v", "libaom-av1", "-cpu-used", "8", "-pix_fmt", "yuv420p")
	s.write(t, "moving.avif", append(s.read(t, "moving.avif"), "\x00\x00\x00\x13free"+secret...))
	sequence := film("seq.mp4", "-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p", "-tag:v", "hvc1")
	copy(sequence[8:], "hevc")
	copy(sequence[16:], "msf1hevc")
	copy(sequence[bytes.Index(sequence, []byte("hdlr"))+12:], "pict")
	s.write(t, "moving.heic", sequence)
	film("film.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p")
	film("film.mov", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "use_metadata_tags")
	film("film.mkv", "-c:v", "libx264", "-pix_fmt", "yuv420p")
	const photo, video = pipeline.KindPhoto, pipeline.KindVideo
	return s, map[string]pipeline.Kind{
		"a.jpg": photo, "a.png": photo, "a.webp": photo, "a.heic": photo, "a.avif": photo, "a.gif": photo,
		"moving.gif": video, "moving.png": video, "moving.webp": video, "moving.avif": video, "moving.heic": video,
		"film.mp4": video, "film.mov": video, "film.mkv": video,
	}
}

// metadataTraces are bytes that stand in no rendition: the secret, and the names of every kind of block that could hold one.
var metadataTraces = []string{secret, "Exif\x00", "EXIF", "GPS", "ns.adobe.com", "xmpmeta", "XMP ", "8BIM", "Photoshop", "ICC_PROFILE", "ICCP", "JFXX", "MPF\x00"}

func TestNoMetadataOfAnyFormatLeaves(t *testing.T) {
	setUp(t)
	s, kinds := tellingScene(t)
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			if !bytes.Contains(s.read(t, name), []byte(secret)) {
				t.Fatal("the source has nothing to lose")
			}
			out := t.TempDir()
			p := call(t.Context(), "process", "--model", "none", filepath.Join(s.dir, name), "--out", out, "--json").want(t, exitOK).manifest(t).Parts[0]
			if p.Kind != kind {
				t.Errorf("kind %s, want %s", p.Kind, kind)
			}
			if animated := filepath.Ext(name) != ".jpg" && kind == pipeline.KindVideo && name[:6] == "moving"; animated && p.Presentation != "gif" {
				t.Errorf("presentation %q, want gif", p.Presentation)
			}
			if len(p.Renditions) < 4 {
				t.Errorf("%d renditions", len(p.Renditions))
			}
			for _, r := range p.Renditions {
				data, err := os.ReadFile(filepath.Join(out, r.Key))
				if err != nil {
					t.Fatal(err)
				}
				for _, trace := range metadataTraces {
					if bytes.Contains(data, []byte(trace)) {
						t.Errorf("%s %s holds %q", r.Name, r.MIME, trace)
					}
				}
			}
		})
	}
}

// lettersAlike is the share of a caption's white pixels that must be white in the other medium, too, there or beside: encoders differ at edges,
// and a video's overlay lies on whole chroma samples.
const lettersAlike = 0.95

// whiteIn is the share of a's white pixels that b has, and how many there are.
func whiteIn(a, b image.Image) (share float64, all int) {
	bright := func(img image.Image, x, y int) uint8 { return color.GrayModel.Convert(img.At(x, y)).(color.Gray).Y }
	found := 0
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			if bright(a, x, y) < 220 {
				continue
			}
			all++
			most := uint8(0)
			for d := range 9 {
				most = max(most, bright(b, x+d%3-1, y+d/3-1))
			}
			if most >= 190 {
				found++
			}
		}
	}
	return float64(found) / float64(max(1, all)), all
}

// One caption card serves both: the same words on the same grey, as a photo and as a video, are the same picture.
func TestCaptionIsTheSameOnPhotoAndVideo(t *testing.T) {
	setUp(t)
	s := newScene(t)
	grey := filepath.Join(s.dir, "grey.png")
	tool(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=0x808080:s=640x480:d=1", "-frames:v", "1", grey)
	tool(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=0x808080:s=640x480:r=10:d=2", "-c:v", "libx264", "-pix_fmt", "yuv420p", filepath.Join(s.dir, "grey.mp4"))
	for _, style := range []string{"bar", "outline"} {
		edit := fmt.Sprintf(`{"op": "caption", "text": "lake day 🛶 สวัสดีชาวโลก שלום", "position": "bottom", "style": %q}`, style)
		out := t.TempDir()
		m := call(t.Context(), "process", "--model", "none", "--job", s.job(t, item("i1", "photo", "grey.png", edit)+","+item("i2", "video", "grey.mp4", edit)),
			"--out", out, "--json").want(t, exitOK).manifest(t)
		frame := filepath.Join(t.TempDir(), "frame.png")
		tool(t, "ffmpeg", "-v", "error", "-ss", "1", "-i", filepath.Join(out, rendition(t, m.Parts[1], "playback").Key), "-frames:v", "1", frame)
		photo, video := opened(t, filepath.Join(out, rendition(t, m.Parts[0], "display").Key)), opened(t, frame)
		if photo.Bounds() != video.Bounds() || photo.Bounds().Size() != image.Pt(640, 480) {
			t.Fatalf("%s: %v and %v", style, photo.Bounds(), video.Bounds())
		}
		for what, pair := range map[string][2]image.Image{"photo": {photo, video}, "video": {video, photo}} {
			if share, all := whiteIn(pair[0], pair[1]); all < 400 || share < lettersAlike {
				t.Errorf("%s: of the %s's %d white pixels the other has %.0f %%", style, what, all, 100*share)
			}
		}
	}
}

func rendition(t *testing.T, p pipeline.Part, name string) pipeline.Rendition {
	t.Helper()
	for _, r := range p.Renditions {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("%s has no rendition %s", p.ItemID, name)
	return pipeline.Rendition{}
}

func opened(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// What is no picture gets a code whatever it is called, and what is another medium is told so.
func TestMisnamedAndOversizedPhotos(t *testing.T) {
	setUp(t)
	s := newScene(t)
	tool(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=5:d=1", "-pix_fmt", "yuv420p", filepath.Join(s.dir, "film.mp4"))
	tool(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=1", filepath.Join(s.dir, "tone.wav"))
	bomb := "\x89PNG\r\n\x1a\n" + string(chunkPNG("IHDR", "\x00\x01\x00\x00\x00\x01\x00\x00\x08\x06\x00\x00\x00")) +
		string(chunkPNG("IDAT", "\x78\x9c\x03\x00\x00\x00\x00\x01")) + string(chunkPNG("IEND", ""))
	for _, c := range []struct {
		name, data string
		want       pipeline.Code
	}{
		{"svg.jpg", `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>`, pipeline.CodeUnsupportedType},
		{"pdf.jpg", "%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", pipeline.CodeUnsupportedType},
		{"tiff.jpg", "II*\x00\x08\x00\x00\x00\x00\x00", pipeline.CodeUnsupportedType},
		{"big-tiff.jpg", "MM\x00*\x00\x00\x00\x08\x00\x00", pipeline.CodeUnsupportedType},
		{"text.jpg", "hello there, this is text", pipeline.CodeUnsupportedType},
		{"html.jpg", "<!DOCTYPE html><html><body><img src=x></body></html>", pipeline.CodeUnsupportedType},
		{"film.jpg", string(s.read(t, "film.mp4")), pipeline.CodeTypeMismatch},
		{"tone.jpg", string(s.read(t, "tone.wav")), pipeline.CodeTypeMismatch},
		{"bomb.jpg", bomb, pipeline.CodeTooManyPixels},
	} {
		s.write(t, c.name, []byte(c.data))
		m := call(t.Context(), "process", "--model", "none", "--job", s.job(t, item("i1", "photo", c.name)), "--out", t.TempDir(), "--json").
			want(t, exitRejected).manifest(t)
		if e := m.Parts[0].Error; e == nil || e.Code != c.want || e.Message == "" {
			t.Errorf("%s: %+v, want %s", c.name, e, c.want)
		}
	}
}
