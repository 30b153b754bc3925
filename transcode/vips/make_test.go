package vips

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The test card: four corners and a centre, colours every profile here can hold.
var (
	topLeft     = color.NRGBA{R: 230, G: 20, B: 20, A: 255}
	topRight    = color.NRGBA{R: 20, G: 190, B: 40, A: 255}
	bottomLeft  = color.NRGBA{R: 20, G: 40, B: 220, A: 255}
	bottomRight = color.NRGBA{R: 230, G: 210, B: 20, A: 255}
	middle      = color.NRGBA{R: 128, G: 128, B: 128, A: 255}
)

const cardW, cardH = 160, 120

// card draws the test card: quarters, and a grey block of a quarter of the side in the middle.
func card(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, cardAt(x, y, w, h))
		}
	}
	return img
}

func cardAt(x, y, w, h int) color.NRGBA {
	if abs(2*x-w) < w/4 && abs(2*y-h) < h/4 {
		return middle
	}
	switch {
	case x < w/2 && y < h/2:
		return topLeft
	case y < h/2:
		return topRight
	case x < w/2:
		return bottomLeft
	}
	return bottomRight
}

func abs(v int) int { return max(v, -v) }

func pngOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 97}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// oriented stores img so that a viewer obeying the EXIF orientation shows it as it was: the definition of the eight values, by
// where row 0 and column 0 of the stored picture are seen.
func oriented(img *image.NRGBA, orientation int) *image.NRGBA {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	sw, sh := w, h
	if orientation > 4 {
		sw, sh = h, w
	}
	out := image.NewNRGBA(image.Rect(0, 0, sw, sh))
	for y := range sh {
		for x := range sw {
			seen := map[int]image.Point{
				1: {X: x, Y: y}, 2: {X: w - 1 - x, Y: y}, 3: {X: w - 1 - x, Y: h - 1 - y}, 4: {X: x, Y: h - 1 - y},
				5: {X: y, Y: x}, 6: {X: w - 1 - y, Y: x}, 7: {X: w - 1 - y, Y: h - 1 - x}, 8: {X: y, Y: h - 1 - x},
			}[orientation]
			out.SetNRGBA(x, y, img.NRGBAAt(seen.X, seen.Y))
		}
	}
	return out
}

// withSegment puts an APPn or COM segment behind a JPEG's first marker.
func withSegment(data []byte, marker byte, payload []byte) []byte {
	out := append([]byte{0xff, 0xd8, 0xff, marker}, byte((len(payload)+2)>>8), byte(len(payload)+2))
	return append(append(out, payload...), data[2:]...)
}

// exifBlock is an Exif block with an orientation, a GPS position, and a maker's name to be found by its bytes.
func exifBlock(orientation int) []byte {
	b := []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08")
	be := binary.BigEndian
	entry := func(tag, typ uint16, count, value uint32) {
		b = be.AppendUint16(b, tag)
		b = be.AppendUint16(b, typ)
		b = be.AppendUint32(b, count)
		b = be.AppendUint32(b, value)
	}
	b = be.AppendUint16(b, 3)
	entry(0x010f, 2, 12, 8+2+36+4)               // Make
	entry(0x0112, 3, 1, uint32(orientation)<<16) // Orientation
	entry(0x8825, 4, 1, 8+2+36+4+12)             // GPS
	b = be.AppendUint32(b, 0)
	b = append(b, "SecretMaker\x00"...)
	b = be.AppendUint16(b, 1)
	entry(0x0001, 2, 2, 'N'<<24) // GPSLatitudeRef
	return be.AppendUint32(b, 0)
}

// vipsTool runs libvips' own command line tool: an oracle that shares no code of ours.
func vipsTool(t testing.TB, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("vips"); err != nil {
		t.Skip("the vips tool is absent; install libvips-tools")
	}
	if out, err := exec.Command("vips", args...).CombinedOutput(); err != nil {
		t.Fatalf("vips %v: %v: %s", args, err, out)
	}
}

// converted runs a vips operation from a PNG to a new file with the given ending and options, and returns its bytes.
func converted(t testing.TB, pngData []byte, ext, options, operation string, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.png"), filepath.Join(dir, "out"+ext)
	if err := os.WriteFile(in, pngData, 0o600); err != nil {
		t.Fatal(err)
	}
	vipsTool(t, append([]string{operation, in, out + options}, args...)...)
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// adobeRGB writes an ICC profile with Adobe RGB (1998)'s primaries, adapted to D50, and its gamma.
func adobeRGB(t testing.TB) string {
	t.Helper()
	be := binary.BigEndian
	fixed := func(v float64) uint32 { return uint32(int32(math.Round(v * 65536))) }
	xyz := func(x, y, z float64) []byte {
		b := append([]byte("XYZ "), 0, 0, 0, 0)
		for _, v := range []float64{x, y, z} {
			b = be.AppendUint32(b, fixed(v))
		}
		return b
	}
	curve := append([]byte("curv\x00\x00\x00\x00\x00\x00\x00\x01"), 2, 51, 0, 0) // 2.19921875
	desc := append([]byte("desc\x00\x00\x00\x00\x00\x00\x00\x05test\x00"), make([]byte, 79)...)
	tags := []struct {
		name string
		data []byte
	}{
		{"desc", desc},
		{"cprt", []byte("text\x00\x00\x00\x00none\x00\x00\x00\x00")},
		{"wtpt", xyz(0.9642, 1, 0.8249)},
		{"rXYZ", xyz(0.60974, 0.31111, 0.01947)},
		{"gXYZ", xyz(0.20528, 0.62567, 0.06087)},
		{"bXYZ", xyz(0.14919, 0.06322, 0.74457)},
		{"rTRC", curve},
		{"gTRC", curve},
		{"bTRC", curve},
	}
	head := make([]byte, 128)
	copy(head[8:], "\x02\x10\x00\x00mntrRGB XYZ ")
	copy(head[36:], "acsp")
	be.PutUint32(head[68:], fixed(0.9642))
	be.PutUint32(head[72:], fixed(1))
	be.PutUint32(head[76:], fixed(0.8249))
	table, body := be.AppendUint32(nil, uint32(len(tags))), []byte{}
	for _, tag := range tags {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		table = append(table, tag.name...)
		table = be.AppendUint32(table, uint32(128+4+12*len(tags)+len(body)))
		table = be.AppendUint32(table, uint32(len(tag.data)))
		body = append(body, tag.data...)
	}
	all := append(append(head, table...), body...)
	be.PutUint32(all, uint32(len(all)))
	path := filepath.Join(t.TempDir(), "adobe.icc")
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func rgb(c color.NRGBA) [3]float64 { return [3]float64{float64(c.R), float64(c.G), float64(c.B)} }

// withOrientation puts an Exif block into a JPEG or PNG.
func withOrientation(t testing.TB, data []byte, orientation int) []byte {
	t.Helper()
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xd8}):
		return withSegment(data, 0xe1, exifBlock(orientation))
	case bytes.HasPrefix(data, []byte("\x89PNG")):
		const head = 8 + 25 // signature and IHDR
		out := append(append([]byte(nil), data[:head]...), pngChunk("eXIf", exifBlock(orientation)[len("Exif\x00\x00"):])...)
		return append(out, data[head:]...)
	}
	t.Fatal("no way to put Exif into this")
	return nil
}

// withProperties adds item properties to the primary picture of a HEIC or AVIF, in the order in which they are to be applied. Offsets
// of items point behind the boxes that grow and are moved along.
func withProperties(t testing.TB, data []byte, boxes ...[]byte) []byte {
	t.Helper()
	be := binary.BigEndian
	data = append([]byte(nil), data...)
	first := len(allProperties(data)) + 1
	// grow puts b at the end of the box at path.
	grow := func(b []byte, path ...string) {
		at, ends := 0, len(data)
		for _, kind := range path {
			for string(data[at+4:at+8]) != kind {
				if at += int(be.Uint32(data[at:])); at >= ends {
					t.Fatalf("no box %s", kind)
				}
			}
			size := int(be.Uint32(data[at:]))
			be.PutUint32(data[at:], uint32(size+len(b)))
			ends = at + size
			at += 8
			if kind == "meta" {
				at += fullBoxBytes
			}
		}
		data = append(data[:ends:ends], append(append([]byte(nil), b...), data[ends:]...)...)
	}
	before := len(data)
	for _, b := range boxes {
		grow(b, "meta", "iprp", "ipco")
	}
	grow(make([]byte, len(boxes)), "meta", "iprp", "ipma")
	r := newBoxReader()
	ipma, _ := r.at(data, "meta", "iprp", "ipma")
	pitm, _ := r.at(data, "meta", "pitm")
	id := be.Uint16(pitm.body[fullBoxBytes:])
	if ipma.body[0] != 0 || ipma.body[3]&1 != 0 {
		t.Fatal("this ipma has wide entries")
	}
	rest := ipma.body[fullBoxBytes+4:]
	for be.Uint16(rest) != id {
		rest = rest[3+int(rest[2]):]
	}
	n := int(rest[2])
	tail := append([]byte(nil), rest[3+n:len(rest)-len(boxes)]...)
	rest[2] = byte(n + len(boxes))
	for i := range boxes {
		rest[3+n+i] = byte(0x80 | (first + i))
	}
	copy(rest[3+n+len(boxes):], tail)
	moveItems(t, data, uint32(len(data)-before))
	return data
}

// moveItems adds by to every offset of an iloc box of version 0 or 1 whose offsets have 32 bits.
func moveItems(t testing.TB, data []byte, by uint32) {
	t.Helper()
	be := binary.BigEndian
	iloc, ok := newBoxReader().at(data, "meta", "iloc")
	if !ok || iloc.body[0] > 1 || iloc.body[4] != 0x44 {
		t.Fatal("no iloc as this test knows it")
	}
	base, b := int(iloc.body[5]>>4), iloc.body[8:]
	for range be.Uint16(iloc.body[6:]) {
		inFile := true
		if iloc.body[0] == 1 {
			inFile = be.Uint16(b[2:])&15 == 0
			b = b[2:]
		}
		extents := int(be.Uint16(b[4+base:]))
		b = b[6+base:]
		for range extents {
			if inFile {
				be.PutUint32(b, be.Uint32(b)+by)
			}
			b = b[8:]
		}
	}
}
