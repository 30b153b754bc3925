package ffmpeg

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"os"

	"github.com/ninefold/ninefold/pipeline"
)

// cutShort reports whether the file at path says of itself that it should be longer. ffmpeg does not tell: it takes what is there.
// A file cut between two frames of a format without a length of its own cannot be told from a whole one.
func cutShort(path string, typ pipeline.Type) bool {
	check := map[string]func(r io.ReaderAt, size int64) bool{
		"wav": cutWAV, "caf": cutCAF, "aac": cutADTS, "mp3": cutMP3, "ogg": cutOgg, "amr": cutAMR, "mov": cutMP4,
	}[typ.Demuxer]
	if check == nil {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && check(f, info.Size())
}

// maxChunks bounds a walk over chunks: a recorder writes a handful, a file of empty ones would cost a read each.
const maxChunks = 1000

// cutWAV looks for the data chunk. A recorder that never came to write the sizes leaves 0 or all ones.
func cutWAV(r io.ReaderAt, size int64) bool {
	var head [8]byte
	for at, left := int64(12), maxChunks; left > 0 && readAt(r, head[:], at); left-- {
		length := int64(binary.LittleEndian.Uint32(head[4:]))
		if string(head[:4]) == "data" {
			return length != 0xffffffff && at+8+length > size
		}
		at += 8 + length + length&1
	}
	return false
}

// cutCAF looks for the data chunk; -1 is a length that the recorder did not know.
func cutCAF(r io.ReaderAt, size int64) bool {
	var head [12]byte
	for at, left := int64(8), maxChunks; left > 0 && readAt(r, head[:], at); left-- {
		length := int64(binary.BigEndian.Uint64(head[4:]))
		if length < 0 || length > size-at-12 {
			return length >= 0
		}
		at += 12 + length
	}
	return false
}

// cutADTS follows the frames' lengths and looks whether the last one is whole.
func cutADTS(r io.ReaderAt, size int64) bool {
	var head [7]byte
	at := id3Size(r)
	for at+7 <= size && readAt(r, head[:], at) {
		if head[0] != 0xff || head[1]&0xf6 != 0xf0 {
			return false // no longer frames: a tag
		}
		length := int64(head[3]&3)<<11 | int64(head[4])<<3 | int64(head[5])>>5
		if length < 7 {
			return false
		}
		at += length
	}
	return at != size
}

// cutMP3 compares the size with the byte count of a Xing or Info header, where the first frame holds one.
func cutMP3(r io.ReaderAt, size int64) bool {
	head := make([]byte, 256)
	start := id3Size(r)
	n, _ := r.ReadAt(head, start)
	head = head[:n]
	for _, name := range []string{"Xing", "Info"} {
		_, fields, ok := bytes.Cut(head, []byte(name))
		if !ok || len(fields) < 12 {
			continue
		}
		flags, fields := binary.BigEndian.Uint32(fields), fields[4:]
		if flags&1 != 0 {
			fields = fields[4:] // frames
		}
		return flags&2 != 0 && start+int64(binary.BigEndian.Uint32(fields)) > size
	}
	return false
}

// cutOgg looks whether the last page is whole and ends with a packet. The mark of the last page is not asked for: recorders that are
// stopped by closing the file never set it, and a file cut between two pages looks the same.
func cutOgg(r io.ReaderAt, size int64) bool { return !endsWhole(io.NewSectionReader(r, 0, size)) }

// The bytes of a frame of each AMR mode (3GPP TS 26.101 and TS 26.201, RFC 4867), its first one included; 0 = no mode.
var (
	amrNarrow = [16]int64{13, 14, 16, 18, 20, 21, 27, 32, 6, 6, 6, 6, 0, 0, 0, 1}
	amrWide   = [16]int64{18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 6, 0, 0, 0, 1, 1}
)

// cutAMR follows the frames' modes and looks whether the last one is whole.
func cutAMR(r io.ReaderAt, size int64) bool {
	in := bufio.NewReader(io.NewSectionReader(r, 0, size))
	magic, modes := "#!AMR\n", amrNarrow
	if head, _ := in.Peek(9); string(head) == "#!AMR-WB\n" {
		magic, modes = string(head), amrWide
	}
	at := int64(len(magic))
	if _, err := in.Discard(len(magic)); err != nil {
		return true
	}
	for at < size {
		head, err := in.Peek(1)
		if err != nil {
			return true
		}
		length := modes[head[0]>>3&15]
		if length == 0 {
			return false // no longer frames
		}
		at += length
		_, _ = in.Discard(int(length)) // the last one may be short: at tells
	}
	return at != size
}

// cutMP4 looks whether the last of the top-level boxes ends within the file. Fewer bytes than make a box are padding.
func cutMP4(r io.ReaderAt, size int64) bool {
	for at, left := int64(0), maxChunks; left > 0 && size-at >= 8; left-- {
		b, err := boxAt(r, at, size)
		if err != nil {
			return true
		}
		at = b.end
	}
	return false
}

// id3Size is the length of a leading ID3v2 tag.
func id3Size(r io.ReaderAt) int64 {
	var head [10]byte
	if !readAt(r, head[:], 0) || string(head[:3]) != "ID3" {
		return 0
	}
	return 10 + (int64(head[6]&127)<<21 | int64(head[7]&127)<<14 | int64(head[8]&127)<<7 | int64(head[9]&127))
}

func readAt(r io.ReaderAt, p []byte, at int64) bool {
	n, _ := r.ReadAt(p, at)
	return n == len(p)
}
