package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// Bounds of the walk over the boxes of a file that ffmpeg wrote for us.
const (
	maxBoxes     = 10_000
	maxBoxDepth  = 16
	maxMoovBytes = 32 << 20
)

// mp4 is what the headers of an ISO base media file say. The walk reads headers only and never a frame.
type mp4 struct {
	top        []string // types of the top-level boxes, in order
	boxes      []box    // the same, and where they lie in the file
	all        []string // types of all boxes, depth first
	durationMS int64    // of the longest track as it is presented
	tracks     []mp4Track
	metas      [][]byte // bodies of the meta boxes below moov
}

// mp4Track is one track.
type mp4Track struct {
	handler    string // "vide", "soun"
	name       string // handler name
	encoder    string // compressor name of the sample entry
	format     string // sample entry: "avc1", "mp4a"
	formatAt   int64  // of its name in the file
	codecs     string // RFC 6381
	width      int    // video, coded pixels
	height     int
	matrix     [9]int32
	matrixAt   int64 // in the file
	timescale  int64
	ticks      int64 // length of the media, in its timescale
	durationMS int64 // presented
	samples    int64
	bytes      int64  // of all samples
	config     []byte // body of the sample entry's avcC
	asc        []byte // AudioSpecificConfig of its esds
	ascAt      int64  // of that box's name in the file
	colour     []byte // body of its colr
	aspect     []byte // body of its pasp
	outside    bool   // the media lie in another file
	edits      []mp4Edit
	entries    int               // sample entries
	tables     map[string][]byte // bodies of sampleTables
}

// mp4Edit is one entry of an edit list.
type mp4Edit struct {
	lengthMS int64
	media    int64 // where in the media it begins, in the track's own ticks; -1 = nothing is shown
}

// identityMatrix is what a track with nothing left to turn carries.
var identityMatrix = [9]int32{1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30}

// uprightMP4 sets every track's display matrix to identity and takes out what else ffmpeg copies of the source's side data. The pictures
// are turned already, and ffmpeg copies the source's matrix to the output all the same where its own rotation is off.
func uprightMP4(name string) error {
	if err := stripMP4(name); err != nil {
		return err
	}
	info, err := readMP4(name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	var matrix []byte
	for _, v := range identityMatrix {
		matrix = binary.BigEndian.AppendUint32(matrix, uint32(v))
	}
	for _, t := range info.tracks {
		if t.matrixAt > 0 && t.matrix != identityMatrix {
			_, wrong := f.WriteAt(matrix, t.matrixAt)
			err = errors.Join(err, wrong)
		}
	}
	return errors.Join(err, f.Close())
}

// faststart reports whether the headers stand before the media.
func (m *mp4) faststart() bool {
	moov, mdat := slices.Index(m.top, "moov"), slices.Index(m.top, "mdat")
	return moov >= 0 && (mdat < 0 || moov < mdat)
}

func (m *mp4) track(handler string) *mp4Track {
	for i := range m.tracks {
		if m.tracks[i].handler == handler {
			return &m.tracks[i]
		}
	}
	return nil
}

// readMP4 walks the file at path.
func readMP4(path string) (*mp4, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return parseMP4(f, info.Size())
}

func parseMP4(r io.ReaderAt, size int64) (*mp4, error) {
	w := boxWalk{m: &mp4{}}
	for at := int64(0); at < size; {
		b, err := boxAt(r, at, size)
		if err != nil {
			return nil, err
		}
		w.m.top, w.m.boxes = append(w.m.top, b.kind), append(w.m.boxes, b)
		if b.kind == "moov" {
			if err := w.moov(r, b); err != nil {
				return nil, err
			}
		} else if err := w.count(b.kind); err != nil {
			return nil, err
		}
		at = b.end
	}
	for i := range w.m.tracks {
		w.m.durationMS = max(w.m.durationMS, w.m.tracks[i].durationMS)
	}
	return w.m, nil
}

// box is one box: its body is [body, end) of whatever it was read from.
type box struct {
	kind      string
	body, end int64
}

// boxAt reads a header; the box must lie within limit.
func boxAt(r io.ReaderAt, at, limit int64) (box, error) {
	var head [16]byte
	if limit-at < 8 {
		return box{}, fmt.Errorf("mp4: %d bytes left where a box should begin", limit-at)
	}
	n := min(16, limit-at)
	if _, err := r.ReadAt(head[:n], at); err != nil && !errors.Is(err, io.EOF) {
		return box{}, err
	}
	size, b := int64(binary.BigEndian.Uint32(head[:])), box{kind: string(head[4:8]), body: at + 8}
	switch size {
	case 0:
		size = limit - at
	case 1:
		size, b.body = int64(min(binary.BigEndian.Uint64(head[8:]), math.MaxInt64)), at+16
	}
	if size < b.body-at || size > limit-at {
		return box{}, fmt.Errorf("mp4: box %q has a size of %d, %d are left", b.kind, size, limit-at)
	}
	b.end = at + size
	return b, nil
}

// boxWalk collects facts while it walks.
type boxWalk struct {
	m         *mp4
	movieUnit int64 // ticks a second of the movie header
}

func (w *boxWalk) count(kind string) error {
	if len(w.m.all) >= maxBoxes {
		return fmt.Errorf("mp4: more than %d boxes", maxBoxes)
	}
	w.m.all = append(w.m.all, kind)
	return nil
}

func (w *boxWalk) moov(r io.ReaderAt, b box) error {
	if b.end-b.body > maxMoovBytes {
		return fmt.Errorf("mp4: headers of %d bytes", b.end-b.body)
	}
	data := make([]byte, b.end-b.body)
	if _, err := r.ReadAt(data, b.body); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := w.count(b.kind); err != nil {
		return err
	}
	return w.children(data, b.body, nil, 1)
}

// containers hold boxes after that many bytes of their own.
var containers = map[string]int{
	"trak": 0, "edts": 0, "mdia": 0, "minf": 0, "dinf": 0, "stbl": 0, "stsd": 8, "dref": 8, "avc1": 78, "mp4a": 28, "udta": 0,
}

// children walks the boxes in data, which begins at base in the file.
func (w *boxWalk) children(data []byte, base int64, t *mp4Track, depth int) error {
	if depth > maxBoxDepth {
		return fmt.Errorf("mp4: boxes nested deeper than %d", maxBoxDepth)
	}
	r := bytes.NewReader(data)
	for at := int64(0); at < int64(len(data)); {
		b, err := boxAt(r, at, int64(len(data)))
		if err != nil {
			return err
		}
		if err := w.count(b.kind); err != nil {
			return err
		}
		at = b.end
		if err := w.box(b.kind, data[b.body:b.end], base+b.body, t, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *boxWalk) box(kind string, body []byte, base int64, t *mp4Track, depth int) error {
	if kind == "trak" {
		w.m.tracks = append(w.m.tracks, mp4Track{})
		t = &w.m.tracks[len(w.m.tracks)-1]
		err := w.children(body, base, t, depth+1)
		t.present()
		return err
	}
	switch kind {
	case "mvhd":
		w.movieUnit, _ = headerTimes(body)
	case "meta":
		w.m.metas = append(w.m.metas, body)
	}
	if t != nil {
		w.trackBox(kind, body, base, t)
	}
	skip, ok := containers[kind]
	if !ok {
		return nil
	}
	if len(body) < skip {
		return fmt.Errorf("mp4: box %q is cut short", kind)
	}
	return w.children(body[skip:], base+int64(skip), t, depth+1)
}

// trackBox reads what one box says of its track; a box that is cut short says nothing.
func (w *boxWalk) trackBox(kind string, body []byte, base int64, t *mp4Track) {
	if slices.Contains(sampleTables, kind) {
		if t.tables == nil {
			t.tables = map[string][]byte{}
		}
		t.tables[kind] = body
	}
	switch kind {
	case "tkhd":
		t.readMatrix(body, base)
	case "mdhd":
		unit, ticks := headerTimes(body)
		t.timescale, t.ticks, t.durationMS = unit, ticks, ticksMS(ticks, unit)
	case "hdlr":
		if len(body) >= 24 {
			t.handler, t.name = string(body[8:12]), cString(body[24:])
		}
	case "stsz":
		if len(body) >= 12 {
			t.samples, t.bytes = int64(binary.BigEndian.Uint32(body[8:])), frameBytes(body)
		}
	case "stsd":
		if len(body) >= 8 {
			t.entries = int(binary.BigEndian.Uint32(body[4:]))
		}
	case "elst":
		t.readEdits(body, w.movieUnit)
	case "avc1", "mp4a":
		t.format, t.formatAt = kind, base-int64(len(kind))
		if kind == "avc1" && len(body) >= 28 {
			t.width, t.height = int(binary.BigEndian.Uint16(body[24:])), int(binary.BigEndian.Uint16(body[26:]))
		}
		if kind == "avc1" && len(body) >= 74 {
			t.encoder = cString(body[43:min(74, 43+int(body[42]))])
		}
	case "avcC":
		if len(body) >= 4 {
			t.codecs, t.config = fmt.Sprintf("avc1.%02x%02x%02x", body[1], body[2], body[3]), body
		}
	case "colr":
		t.colour = body
	case "pasp":
		t.aspect = body
	case "url ", "urn ", "alis":
		const here = 1 // the flag of a reference to the file itself
		t.outside = t.outside || len(body) < 4 || body[3]&here == 0
	case "esds":
		t.ascAt = base - int64(len(kind))
		t.codecs, t.asc = "mp4a.40.2", audioConfig(append([]byte("esds"), body...)) // held to be AAC-LC by the probe
	}
}

// startsClean reports whether the track begins at 0, give or take slackMS, and hides no more than slackMS of its media.
func (t *mp4Track) startsClean(slackMS int64) bool {
	empty, shown := int64(0), 0
	for _, e := range t.edits {
		if e.media < 0 {
			empty += e.lengthMS
			continue
		}
		shown++
		if ticksMS(e.media, t.timescale) > slackMS {
			return false
		}
	}
	return shown <= 1 && empty <= slackMS
}

// present turns the media's duration into the presented one where an edit list says so.
func (t *mp4Track) present() {
	if len(t.edits) == 0 {
		return
	}
	t.durationMS = 0
	for _, e := range t.edits {
		t.durationMS += e.lengthMS
	}
}

func (t *mp4Track) readMatrix(body []byte, base int64) {
	at := 40
	if len(body) > 0 && body[0] == 1 {
		at = 52
	}
	t.matrixAt = base + int64(at)
	for i := range t.matrix {
		if len(body) >= at+4*i+4 {
			t.matrix[i] = int32(binary.BigEndian.Uint32(body[at+4*i:]))
		}
	}
}

func (t *mp4Track) readEdits(body []byte, movieUnit int64) {
	if len(body) < 8 {
		return
	}
	wide, entry := body[0] == 1, 12
	if wide {
		entry = 20
	}
	for body = body[8:]; len(body) >= entry; body = body[entry:] {
		length, media := int64(binary.BigEndian.Uint32(body)), int64(int32(binary.BigEndian.Uint32(body[4:])))
		if wide {
			length, media = int64(binary.BigEndian.Uint64(body)&math.MaxInt64), int64(binary.BigEndian.Uint64(body[8:]))
		}
		t.edits = append(t.edits, mp4Edit{lengthMS: ticksMS(length, movieUnit), media: media})
	}
}

// headerTimes reads timescale and duration of an mvhd or mdhd.
func headerTimes(body []byte) (unit, ticks int64) {
	switch {
	case len(body) >= 32 && body[0] == 1:
		return int64(binary.BigEndian.Uint32(body[20:])), int64(binary.BigEndian.Uint64(body[24:]) & math.MaxInt64)
	case len(body) >= 20 && body[0] == 0:
		return int64(binary.BigEndian.Uint32(body[12:])), int64(binary.BigEndian.Uint32(body[16:]))
	}
	return 0, 0
}

func ticksMS(ticks, unit int64) int64 {
	if unit <= 0 {
		return 0
	}
	return int64(math.Round(float64(ticks) * 1000 / float64(unit)))
}

func cString(b []byte) string {
	if end := slices.Index(b, 0); end >= 0 {
		b = b[:end]
	}
	return string(b)
}
