package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/ninefold/ninefold/pipeline"
)

// movieMS is how long an ISO base media file lasts, from the first beginning of picture or sound to the last end; 0 = not said, or not an ISO
// base media file. Edit lists and fragments count; a clock need not begin at 0.
func movieMS(dir string, f pipeline.File) int64 {
	if f.Type.Demuxer != pipeline.TypeMP4.Demuxer {
		return 0
	}
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Path)))
	if err != nil {
		return 0
	}
	defer file.Close()
	w := fragmentWalk{tracks: map[uint32]*fragmentTrack{}}
	if w.file(file, f.Size) {
		if ms := w.lengthMS(); ms > 0 {
			return ms
		}
	}
	info, err := parseMP4(file, f.Size)
	if err != nil {
		return 0
	}
	return info.presentedMS()
}

// unknownTicks is what writers of fragments put for a length that they do not know.
const unknownTicks = math.MaxUint32

// presentedMS leaves out what every track waits for before it begins.
func (m *mp4) presentedMS() int64 {
	begin, end := int64(math.MaxInt64), int64(0)
	for i := range m.tracks {
		t := &m.tracks[i]
		if t.handler != "vide" && t.handler != "soun" || t.samples == 0 {
			continue
		}
		if t.ticks == unknownTicks && len(t.edits) == 0 {
			return 0
		}
		begin, end = min(begin, t.waitMS()), max(end, t.durationMS)
	}
	return max(0, end-min(begin, end))
}

// waitMS is how long nothing of the track is shown at first.
func (t *mp4Track) waitMS() int64 {
	wait := int64(0)
	for _, e := range t.edits {
		if e.media >= 0 {
			break
		}
		wait += e.lengthMS
	}
	return wait
}

// fragmentTrack is a track's clock, in its own ticks.
type fragmentTrack struct {
	unit       int64 // ticks a second
	defaultLen int64 // of a sample
	first, end int64 // first < 0 = no sample yet
	next       int64
}

// fragmentWalk reads the headers of fragments one after the other.
type fragmentWalk struct {
	tracks  map[uint32]*fragmentTrack
	current *fragmentTrack
	length  int64 // default of the fragment at hand
	left    int   // bytes of headers that may still be read
}

func (w *fragmentWalk) file(r io.ReaderAt, size int64) bool {
	w.left = maxMoovBytes
	for at, boxes := int64(0), maxBoxes; size-at >= 8; boxes-- {
		b, err := boxAt(r, at, size)
		if err != nil || boxes == 0 {
			return false
		}
		if b.kind == "moov" || b.kind == "moof" {
			w.left -= int(min(b.end-b.body, maxMoovBytes+1))
			if w.left < 0 || !w.inside(section(r, b.body, b.end-b.body), 0) {
				return false
			}
		}
		at = b.end
	}
	return true
}

// inside reads the boxes in data.
func (w *fragmentWalk) inside(data []byte, depth int) bool {
	r := bytes.NewReader(data)
	for at := int64(0); at < int64(len(data)); {
		b, err := boxAt(r, at, int64(len(data)))
		if err != nil || depth > maxBoxDepth {
			return false
		}
		body := data[b.body:b.end]
		switch b.kind {
		case "trak", "mdia", "mvex", "traf":
			if !w.inside(body, depth+1) {
				return false
			}
		default:
			w.box(b.kind, body)
		}
		at = b.end
	}
	return true
}

func (w *fragmentWalk) box(kind string, body []byte) {
	n := func(at int) int64 {
		if at+4 > len(body) {
			return 0
		}
		return int64(binary.BigEndian.Uint32(body[at:]))
	}
	switch {
	case len(body) < 8:
	case kind == "tkhd":
		at := 12
		if body[0] == 1 {
			at = 20
		}
		w.current = &fragmentTrack{first: -1}
		w.tracks[uint32(n(at))] = w.current
	case kind == "mdhd" && w.current != nil:
		w.current.unit, _ = headerTimes(body)
	case kind == "trex" && w.tracks[uint32(n(4))] != nil:
		w.tracks[uint32(n(4))].defaultLen = n(12)
	case kind == "tfhd":
		w.header(n, body)
	case kind == "tfdt" && w.current != nil:
		w.current.next = n(4)
		if body[0] == 1 && len(body) >= 12 {
			w.current.next = int64(binary.BigEndian.Uint64(body[4:]) & (1<<62 - 1))
		}
	case kind == "trun" && w.current != nil:
		w.run(n, len(body))
	}
}

// header is a track fragment's: the track, and the default length of its samples where it has one of its own.
func (w *fragmentWalk) header(n func(int) int64, body []byte) {
	const hasOffset, hasDescription, hasLength = 1, 2, 8
	flags, at := n(0), 8
	w.current = w.tracks[uint32(n(4))]
	if w.current == nil {
		return
	}
	w.length = w.current.defaultLen
	if flags&hasOffset != 0 {
		at += 8
	}
	if flags&hasDescription != 0 {
		at += 4
	}
	if flags&hasLength != 0 && at+4 <= len(body) {
		w.length = n(at)
	}
}

// run adds the samples of one run.
func (w *fragmentWalk) run(n func(int) int64, size int) {
	const hasOffset, hasFlags, hasLength, hasSize, hasSampleFlags, hasShift = 1, 4, 0x100, 0x200, 0x400, 0x800
	flags, at, t := n(0), 8, w.current
	for _, bit := range []int64{hasOffset, hasFlags} {
		if flags&bit != 0 {
			at += 4
		}
	}
	for left := n(4); left > 0 && (at < size || flags&(hasLength|hasSize|hasSampleFlags|hasShift) == 0); left-- {
		length, shift := w.length, int64(0)
		if flags&hasLength != 0 {
			length, at = n(at), at+4
		}
		for _, bit := range []int64{hasSize, hasSampleFlags} {
			if flags&bit != 0 {
				at += 4
			}
		}
		if flags&hasShift != 0 {
			shift, at = int64(int32(n(at))), at+4
		}
		if t.next > math.MaxInt64/4 {
			return
		}
		if begin := t.next + shift; t.first < 0 || begin < t.first {
			t.first = max(0, begin)
		}
		t.end = max(t.end, t.next+shift+length)
		t.next += length
		if flags&(hasLength|hasSize|hasSampleFlags|hasShift) == 0 { // all alike
			t.end, t.next, left = t.end+length*(left-1), t.next+length*(left-1), 1
		}
	}
}

func (w *fragmentWalk) lengthMS() int64 {
	begin, end := math.Inf(1), math.Inf(-1)
	for _, t := range w.tracks {
		if t.first >= 0 && t.unit > 0 {
			begin, end = min(begin, float64(t.first)/float64(t.unit)), max(end, float64(t.end)/float64(t.unit))
		}
	}
	if !(end > begin) || end-begin > maxSeconds {
		return 0
	}
	return int64(math.Round((end - begin) * 1000))
}
