package sandbox

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// seeds are small valid files of every type that is taken, made here: what mutants and cuts are made of.
func seeds(t *testing.T) []input {
	t.Helper()
	dir := t.TempDir()
	const still, film, sound = "testsrc2=s=96x64:d=1", "testsrc2=s=96x64:r=10:d=1", "sine=440:d=1:r=16000"
	lavfi := func(name, source string, args ...string) input {
		line := append([]string{"-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", source}, args...)
		return input{name, made(t, dir, name, "ffmpeg", append(line, name)...)}
	}
	all := []input{
		lavfi("a.jpg", still, "-frames:v", "1"), lavfi("a.png", still, "-frames:v", "1"),
		lavfi("a.gif", still, "-frames:v", "1"), lavfi("moving.gif", film, "-t", "0.5"),
		lavfi("moving.apng", film, "-t", "0.5", "-f", "apng"),
		lavfi("film.mp4", film, "-c:v", "libx264", "-pix_fmt", "yuv420p"), lavfi("film.mov", film, "-c:v", "libx264", "-pix_fmt", "yuv420p"),
		lavfi("film.webm", film, "-c:v", "libvpx", "-deadline", "realtime"), lavfi("film.mkv", film, "-c:v", "mpeg4"),
		lavfi("note.ogg", sound, "-c:a", "libopus"), lavfi("note.m4a", sound, "-c:a", "aac"), lavfi("note.mp3", sound, "-c:a", "libmp3lame"),
		lavfi("note.aac", sound, "-c:a", "aac"), lavfi("note.wav", sound), lavfi("note.flac", sound),
		lavfi("note.caf", sound, "-c:a", "alac"),
	}
	for _, name := range []string{"a.webp", "a.heic", "a.avif"} {
		all = append(all, input{name, made(t, dir, name, "vips", "copy", "a.png", name)})
	}
	return all
}

// sharedSeeds makes them once for all campaigns.
var sharedSeeds = func() func(*testing.T) []input {
	var once sync.Once
	var all []input
	return func(t *testing.T) []input {
		t.Helper()
		once.Do(func() { all = seeds(t) })
		if len(all) == 0 {
			t.Fatal("the seeds could not be made: see the first campaign")
		}
		return all
	}
}()

// mutant number n is a seed with some of its bytes flipped, cut, repeated or taken from another seed; the same n gives the same file.
func mutant(all []input, n int) input {
	r := rand.New(rand.NewPCG(uint64(n), 20261122))
	seed := all[n%len(all)]
	data := slices.Clone(seed.data)
	for range 1 + r.IntN(4) {
		if len(data) < 16 {
			break
		}
		at := r.IntN(len(data))
		if r.IntN(2) == 0 { // headers are where decoders err
			at = r.IntN(min(len(data), 512))
		}
		switch r.IntN(6) {
		case 0:
			data[at] ^= 1 << r.IntN(8)
		case 1:
			data[at] = []byte{0, 1, 0x7f, 0x80, 0xff}[r.IntN(5)]
		case 2:
			data = data[:max(16, at)]
		case 3: // a 32-bit length or size
			if at+4 <= len(data) {
				binary.BigEndian.PutUint32(data[at:], []uint32{0, 1, 0x7fffffff, 0x80000000, 0xffffffff, r.Uint32()}[r.IntN(6)])
			}
		case 4: // a piece twice
			end := min(len(data), at+1+r.IntN(256))
			data = slices.Insert(data, at, data[at:end]...)
		case 5: // a piece of another file
			other := all[r.IntN(len(all))].data
			from := r.IntN(len(other))
			piece := other[from:min(len(other), from+1+r.IntN(256))]
			copy(data[at:], piece)
		}
	}
	return input{seed.name, data}
}

func pngChunk(kind string, body []byte) []byte {
	out := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), kind...)
	out = append(out, body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// bombs are small files that claim to be large ones.
func bombs(t *testing.T) []input {
	t.Helper()
	all := sharedSeeds(t)
	return []input{
		{"GIF of 329 bytes with a frame of 65535²", gifBomb()},
		{"PNG of 30,000²", pngBomb(30_000)},
		{"AVIF of 16,000²", resized(t, named(t, all, "a.avif"), "ispe", 8, 4, 16_000)},
		{"AVIF of 17,000²", resized(t, named(t, all, "a.avif"), "ispe", 8, 4, 17_000)},
		{"HEIC of 16,000²", resized(t, named(t, all, "a.heic"), "ispe", 8, 4, 16_000)},
		{"JPEG of 20,000²", resized(t, progressive(t), "\xff\xc2", 5, 2, 20_000)},
		{"MKV of 10,000 streams", mkvBomb(10_000)},
		{"MP4 whose boxes are 20,000 deep", append(bytes.Clone(named(t, all, "film.mp4")[:32]), deepBoxes(20_000)...)},
		{"MP4 of a million boxes", append(bytes.Clone(named(t, all, "film.mp4")[:32]), bytes.Repeat([]byte("\x00\x00\x00\x08free"), 1_000_000)...)},
	}
}

func named(t *testing.T, all []input, name string) []byte {
	t.Helper()
	at := slices.IndexFunc(all, func(in input) bool { return in.name == name })
	if at < 0 {
		t.Fatalf("no seed %s", name)
	}
	return all[at].data
}

// gifBomb is a file that cost bimg alone 17 GB and 96 s.
func gifBomb() []byte {
	le := binary.LittleEndian
	out := le.AppendUint16(le.AppendUint16([]byte("GIF89a"), 16), 16)
	out = append(out, 0x80, 0, 0, 0, 0, 0, 255, 255, 255)
	out = le.AppendUint16(le.AppendUint16(append(out, 0x2c, 0, 0, 0, 0), 65535), 65535)
	out = append(out, 0, 2)
	for len(out) < 325 {
		out = append(out, 2, 0x4c, 0x01)
	}
	return append(out, 0, 0x3b)
}

func pngBomb(side uint32) []byte {
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, side), side)
	out := append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", append(head, 8, 6, 0, 0, 0))...)
	return append(append(out, pngChunk("IDAT", []byte{0x78, 0x9c, 3, 0, 0, 0, 0, 1})...), pngChunk("IEND", nil)...)
}

// resized overwrites width and height, each of size bytes, at an offset behind the first mark.
func resized(t *testing.T, data []byte, mark string, offset, size int, side uint64) []byte {
	t.Helper()
	data = slices.Clone(data)
	at := bytes.Index(data, []byte(mark))
	if at < 0 {
		t.Fatalf("no %q in the file", mark)
	}
	for i := range 2 {
		field := binary.BigEndian.AppendUint64(nil, side)
		copy(data[at+offset+i*size:], field[8-size:])
	}
	return data
}

func progressive(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	made(t, dir, "p.png", "ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=s=64x64:d=1", "-frames:v", "1", "p.png")
	return made(t, dir, "p.jpg", "vips", "jpegsave", "p.png", "p.jpg", "--interlace")
}

// mkvBomb lists n tracks and holds nothing.
func mkvBomb(n int) []byte {
	element := func(id string, body []byte) []byte {
		size := binary.BigEndian.AppendUint64(nil, uint64(len(body)))
		size[0] = 1
		return append(append([]byte(id), size...), body...)
	}
	var tracks []byte
	for i := range n {
		number := binary.BigEndian.AppendUint16(nil, uint16(i+1))
		tracks = append(tracks, element("\xae", slices.Concat(element("\xd7", number), element("\x73\xc5", number), element("\x83", []byte{2}),
			element("\x86", []byte("A_OPUS"))))...)
	}
	return slices.Concat(element("\x1a\x45\xdf\xa3", element("\x42\x82", []byte("matroska"))),
		element("\x18\x53\x80\x67", slices.Concat(element("\x15\x49\xa9\x66", element("\x2a\xd7\xb1", []byte{0x0f, 0x42, 0x40})),
			element("\x16\x54\xae\x6b", tracks))))
}

func deepBoxes(n int) []byte {
	var out []byte
	for i := range n {
		out = binary.BigEndian.AppendUint32(out, uint32(8*(n-i)))
		out = append(out, "moov"...)
	}
	return out
}
