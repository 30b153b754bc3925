package vips

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// heicItem is one item of a HEIC made by hand.
type heicItem struct {
	id       uint16
	kind     string // hvc1, grid, Exif, mime, tmap, …
	mime     string // of a mime item
	hidden   bool
	data     []byte
	inMeta   bool // data stands in the idat box, as a grid's does
	noData   bool // the file does not say where there is any, as of an identity
	boxes    [][]byte
	pointsTo []heicRef
}

// heicRef is a reference from an item to others.
type heicRef struct {
	kind string
	to   []uint16
}

// heicFile is a HEIC made by hand; a phone's structure is all in which pieces there are.
type heicFile struct {
	brands  []string // the first is the major one
	primary uint16
	items   []heicItem
	groups  [][]byte // of the grpl box
	trailer []byte   // what stands behind
}

// bytes writes the file. Equal boxes are stored once, as phones do, and so is equal data: a grid may show one tile many times.
func (f heicFile) bytes() []byte {
	ftyp := boxOf("ftyp", []byte(f.brands[0]+"\x00\x00\x00\x00"+strings.Join(f.brands[1:], "")))
	meta := f.meta(0)
	mdatAt := len(ftyp) + len(meta) + 8
	out := append(ftyp, f.meta(uint32(mdatAt))...)
	return append(append(out, boxOf("mdat", f.mediaData())...), f.trailer...)
}

// metaToTheEnd is bytes with the meta box last, whose length of 0 says that it goes to the end of the file.
func (f heicFile) metaToTheEnd() []byte {
	ftyp := boxOf("ftyp", []byte(f.brands[0]+"\x00\x00\x00\x00"+strings.Join(f.brands[1:], "")))
	meta := f.meta(uint32(len(ftyp) + 8))
	copy(meta, "\x00\x00\x00\x00")
	return slices.Concat(ftyp, boxOf("mdat", f.mediaData()), meta)
}

// stored is where each item's data stands, in the mdat and idat boxes.
func (f heicFile) stored() (at map[uint16]int, media, inMeta []byte) {
	at = map[uint16]int{}
	seen := map[string]int{}
	for _, it := range f.items {
		to := &media
		if it.inMeta {
			to = &inMeta
		}
		key := fmt.Sprint(it.inMeta) + string(it.data)
		if _, ok := seen[key]; !ok {
			seen[key] = len(*to)
			*to = append(*to, it.data...)
		}
		at[it.id] = seen[key]
	}
	return at, media, inMeta
}

func (f heicFile) mediaData() []byte {
	_, media, _ := f.stored()
	return media
}

// meta writes the meta box for media data that begins at byte mdatAt.
func (f heicFile) meta(mdatAt uint32) []byte {
	be := binary.BigEndian
	at, _, idat := f.stored()
	iinf := be.AppendUint16(make([]byte, 4), uint16(len(f.items)))
	located := slices.DeleteFunc(slices.Clone(f.items), func(it heicItem) bool { return it.noData })
	iloc := be.AppendUint16([]byte{1, 0, 0, 0, 0x44, 0x00}, uint16(len(located)))
	ipma := be.AppendUint32(make([]byte, 4), uint32(len(f.items)))
	iref := make([]byte, 4)
	var ipco []byte
	index := map[string]byte{}
	for _, it := range f.items {
		iinf = append(iinf, it.entry()...)
		if !it.noData {
			iloc = it.located(iloc, mdatAt, at[it.id])
		}
		ipma = append(be.AppendUint16(ipma, it.id), byte(len(it.boxes)))
		for _, b := range it.boxes {
			if index[string(b)] == 0 {
				ipco = append(ipco, b...)
				index[string(b)] = byte(len(index) + 1)
			}
			ipma = append(ipma, index[string(b)]|essential(b))
		}
		for _, r := range it.pointsTo {
			body := be.AppendUint16(be.AppendUint16(nil, it.id), uint16(len(r.to)))
			for _, id := range r.to {
				body = be.AppendUint16(body, id)
			}
			iref = append(iref, boxOf(r.kind, body)...)
		}
	}
	body := append(make([]byte, 4), boxOf("hdlr", []byte("\x00\x00\x00\x00\x00\x00\x00\x00pict\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))...)
	body = append(body, boxOf("dinf", boxOf("dref", append([]byte{0, 0, 0, 0, 0, 0, 0, 1}, boxOf("url ", []byte{0, 0, 0, 1})...)))...)
	body = append(body, boxOf("pitm", be.AppendUint16(make([]byte, 4), f.primary))...)
	body = append(body, boxOf("iinf", iinf)...)
	body = append(body, boxOf("iref", iref)...)
	body = append(body, boxOf("iprp", append(boxOf("ipco", ipco), boxOf("ipma", ipma)...))...)
	if len(f.groups) > 0 {
		body = append(body, boxOf("grpl", bytes.Join(f.groups, nil))...)
	}
	body = append(body, boxOf("idat", idat)...)
	return boxOf("meta", append(body, boxOf("iloc", iloc)...))
}

// located appends where the item's data stands.
func (it heicItem) located(iloc []byte, mdatAt uint32, at int) []byte {
	be := binary.BigEndian
	method, base := uint16(0), mdatAt
	if it.inMeta {
		method, base = 1, 0
	}
	for _, v := range []uint16{it.id, method, 0, 1} {
		iloc = be.AppendUint16(iloc, v)
	}
	return be.AppendUint32(be.AppendUint32(iloc, base+uint32(at)), uint32(len(it.data)))
}

// essential marks the properties that a reader must understand.
func essential(b []byte) byte {
	switch string(b[4:8]) {
	case "hvcC", "irot", "imir", "clap":
		return 0x80
	}
	return 0
}

// entry is the item's infe box.
func (it heicItem) entry() []byte {
	be := binary.BigEndian
	body := []byte{2, 0, 0, 0}
	if it.hidden {
		body[3] = 1
	}
	body = append(be.AppendUint16(be.AppendUint16(body, it.id), 0), it.kind+"\x00"...)
	if it.kind == "mime" {
		body = append(body, it.mime+"\x00"...)
	}
	return boxOf("infe", body)
}

func fullBox(kind string, values ...any) []byte {
	body := make([]byte, 4)
	for _, v := range values {
		switch v := v.(type) {
		case int:
			body = append(body, byte(v))
		case uint32:
			body = binary.BigEndian.AppendUint32(body, v)
		case string:
			body = append(body, v...)
		}
	}
	return boxOf(kind, body)
}

func ispe(w, h int) []byte { return fullBox("ispe", uint32(w), uint32(h)) }

// auxC says what an auxiliary picture is.
func auxC(urn string) []byte { return fullBox("auxC", urn+"\x00") }

// hevc is a set of pictures of one size, coded alone, with what their decoder needs to know first.
type hevc struct {
	config   []byte // hvcC box
	pictures [][]byte
	w, h     int
}

// encodeHEVC has ffmpeg code pictures of one size. format is ffmpeg's: yuv420p, yuv420p10le, gray.
func encodeHEVC(t *testing.T, format string, pictures ...*image.NRGBA) hevc {
	t.Helper()
	size := pictures[0].Rect.Size()
	var raw []byte
	for _, p := range pictures {
		for i := 0; i < len(p.Pix); i += 4 {
			raw = append(raw, p.Pix[i:i+3]...)
		}
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.rgb"), filepath.Join(dir, "out.hevc")
	if err := os.WriteFile(in, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is absent; install it")
	}
	cmd := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", fmt.Sprintf("%dx%d", size.X, size.Y), "-i", in,
		"-vf", "scale=flags=accurate_rnd+full_chroma_int:out_color_matrix=bt601:out_range=pc,format="+format, "-c:v", "libx265", "-preset", "ultrafast",
		"-x265-params", "log-level=none:keyint=1:qp=6:range=full:colormatrix=smpte170m:info=0", "-f", "hevc", out)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, msg)
	}
	stream, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return splitHEVC(t, stream, size, depthOf(format))
}

// depthOf are the bits of a channel in one of ffmpeg's formats. The profile does not tell: x265 calls a single picture's Main 10 another.
func depthOf(format string) int {
	if strings.HasSuffix(format, "10le") {
		return 10
	}
	return 8
}

// HEVC's unit types.
const (
	nalVPS, nalSPS, nalPPS = 32, 33, 34
	nalFirstOther          = 32 // below are slices
)

// splitHEVC takes an Annex B stream apart: parameter sets into the configuration, slices into pictures.
func splitHEVC(t *testing.T, stream []byte, size image.Point, depth int) hevc {
	t.Helper()
	out := hevc{w: size.X, h: size.Y}
	sets := map[byte][]byte{}
	for _, unit := range bytes.Split(stream, []byte{0, 0, 1}) {
		unit = bytes.TrimRight(unit, "\x00")
		if len(unit) < 3 {
			continue
		}
		switch kind := unit[0] >> 1 & 0x3f; {
		case kind == nalVPS || kind == nalSPS || kind == nalPPS:
			if sets[kind] == nil {
				sets[kind] = unit
			}
		case kind < nalFirstOther:
			if unit[2]&0x80 != 0 { // the first slice of its picture
				out.pictures = append(out.pictures, nil)
			}
			last := &out.pictures[len(out.pictures)-1]
			*last = append(binary.BigEndian.AppendUint32(*last, uint32(len(unit))), unit...)
		}
	}
	if len(sets) != 3 || len(out.pictures) == 0 {
		t.Fatalf("%d parameter sets and %d pictures in the stream", len(sets), len(out.pictures))
	}
	out.config = hvcC(sets, depth)
	return out
}

// hvcC writes the decoder configuration: the profile is copied out of the sequence parameter set.
func hvcC(sets map[byte][]byte, depth int) []byte {
	profile := bytes.ReplaceAll(sets[nalSPS], []byte{0, 0, 3}, []byte{0, 0})[3:15]
	body := append([]byte{1}, profile...)
	body = append(body, 0xf0, 0, 0xfc, 0xfd, 0xf8|byte(depth-8), 0xf8|byte(depth-8), 0, 0, 0x0f, 3)
	for _, kind := range []byte{nalVPS, nalSPS, nalPPS} {
		body = append(binary.BigEndian.AppendUint16(append(body, 0x80|kind, 0, 1), uint16(len(sets[kind]))), sets[kind]...)
	}
	return boxOf("hvcC", body)
}

// tiles cuts a picture into squares of side, row by row; the last of a row or column repeat the picture's edge.
func tiles(img *image.NRGBA, side int) (cut []*image.NRGBA, columns, rows int) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	columns, rows = (w+side-1)/side, (h+side-1)/side
	for i := range columns * rows {
		tile := image.NewNRGBA(image.Rect(0, 0, side, side))
		for y := range side {
			for x := range side {
				tile.SetNRGBA(x, y, img.NRGBAAt(min(i%columns*side+x, w-1), min(i/columns*side+y, h-1)))
			}
		}
		cut = append(cut, tile)
	}
	return cut, columns, rows
}

// gridData is a grid item's body.
func gridData(columns, rows, w, h int) []byte {
	b := []byte{0, 1, byte(rows - 1), byte(columns - 1)} // flag 1: sizes of 32 bits
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, uint32(w)), uint32(h))
}
