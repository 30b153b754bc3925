package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
)

// m4aBoxes are all that our M4A files consist of. Anything else could carry something out.
var m4aBoxes = []string{
	"ftyp", "moov", "mdat", "free", "mvhd", "trak", "tkhd", "edts", "elst", "mdia", "mdhd", "hdlr", "minf", "smhd", "dinf", "dref", "url ",
	"udta", "meta", "stbl", "stsd", "mp4a", "esds", "btrt", "stts", "stsc", "stsz", "stco", "sgpd", "sbgp",
}

// aacFrameMS is one AAC frame at 48 kHz, 1024 samples, rounded up: the tolerance of an M4A's duration.
const aacFrameMS = 22

// verifyM4A says what is wrong with an M4A rendition that is to play durationMS.
func verifyM4A(f *os.File, size, durationMS int64) error {
	m, err := parseMP4(f, size)
	if err != nil {
		return err
	}
	if !m.faststart() {
		return fmt.Errorf("mp4: moov does not stand before mdat")
	}
	for _, kind := range m.all {
		if !slices.Contains(m4aBoxes, kind) {
			return fmt.Errorf("mp4: a box %q was left in", kind)
		}
	}
	if slices.Contains(m.top, "udta") || slices.Contains(m.top, "meta") || slices.ContainsFunc(m.metas, func(b []byte) bool { return !emptyMeta(b) }) {
		return fmt.Errorf("mp4: tags were left in, or stand beside the headers")
	}
	if len(m.tracks) != 1 || m.tracks[0].handler != "soun" {
		return fmt.Errorf("mp4: %d tracks, want one of sound", len(m.tracks))
	}
	if m.durationMS < durationMS-aacFrameMS || m.durationMS > durationMS+aacFrameMS {
		return fmt.Errorf("mp4: plays %d ms, want %d", m.durationMS, durationMS)
	}
	return verifyMoov(f, size)
}

// verifyMoov checks what lies deeper: no dates, an AAC-LC configuration, and frames that all lie in the file.
func verifyMoov(f io.ReaderAt, size int64) error {
	moov, err := readMoov(f, size)
	if err != nil {
		return err
	}
	for _, header := range [][]string{{"mvhd"}, {"trak", "tkhd"}, {"trak", "mdia", "mdhd"}} {
		if b := leaf(moov, header...); len(b) < 12 || b[0] != 0 || !bytes.Equal(b[4:12], make([]byte, 8)) {
			return fmt.Errorf("mp4: %s has a date", header[len(header)-1])
		}
	}
	if !emptyMeta(leaf(moov, "udta", "meta")) {
		return fmt.Errorf("mp4: tags were left in")
	}
	stbl := leaf(moov, "trak", "mdia", "minf", "stbl")
	if err := verifyASC(leaf(stbl, "stsd")); err != nil {
		return err
	}
	if frames := frameBytes(leaf(stbl, "stsz")); frames <= 0 || frames > size-int64(len(moov)) {
		return fmt.Errorf("mp4: frames of %d bytes in a file of %d", frames, size)
	}
	return nil
}

func readMoov(f io.ReaderAt, size int64) ([]byte, error) {
	for at := int64(0); at < size; {
		b, err := boxAt(f, at, size)
		if err != nil {
			return nil, err
		}
		if b.kind == "moov" { // parseMP4 has bounded it
			data := make([]byte, b.end-b.body)
			_, err := io.ReadFull(io.NewSectionReader(f, b.body, b.end-b.body), data)
			return data, err
		}
		at = b.end
	}
	return nil, fmt.Errorf("mp4: no moov")
}

// leaf follows a path of types through the boxes in data and returns the content of its end, nil where there is none.
func leaf(data []byte, path ...string) []byte {
	for _, kind := range path {
		data = child(data, kind)
	}
	return data
}

func child(data []byte, kind string) []byte {
	for at := int64(0); at < int64(len(data)); {
		b, err := boxAt(bytes.NewReader(data), at, int64(len(data)))
		if err != nil {
			return nil
		}
		if b.kind == kind {
			return data[b.body:b.end]
		}
		at = b.end
	}
	return nil
}

// emptyMeta reports whether a meta box, after its version and flags, holds no tags: ffmpeg always writes it, with an empty list.
func emptyMeta(meta []byte) bool {
	if len(meta) < 4 {
		return len(meta) == 0
	}
	for at := int64(4); at < int64(len(meta)); {
		b, err := boxAt(bytes.NewReader(meta), at, int64(len(meta)))
		if err != nil || b.kind != "hdlr" && b.kind != "ilst" || b.kind == "ilst" && b.end > b.body {
			return false
		}
		at = b.end
	}
	return true
}

// verifyASC finds the AudioSpecificConfig (ISO/IEC 14496-3) in the sample entry: descriptor 5 of the esds, its length in four
// bytes. The sample entry's own channel count is 2 whatever the sound is.
func verifyASC(stsd []byte) error {
	_, esds, _ := bytes.Cut(stsd, []byte("esds"))
	_, config, ok := bytes.Cut(esds, []byte{0x05, 0x80, 0x80, 0x80})
	if !ok || len(config) < 3 {
		return fmt.Errorf("mp4: no AudioSpecificConfig")
	}
	bits := binary.BigEndian.Uint16(config[1:])
	object, rate, channels := bits>>11, bits>>7&15, bits>>3&15
	if object != 2 || rate != 3 || channels != 1 {
		return fmt.Errorf("mp4: object type %d, rate index %d, %d channels, want AAC-LC at 48 kHz, mono", object, rate, channels)
	}
	return nil
}

// frameBytes adds up the frames of an stsz.
func frameBytes(stsz []byte) int64 {
	if len(stsz) < 12 {
		return 0
	}
	each, count := int64(binary.BigEndian.Uint32(stsz[4:])), int64(binary.BigEndian.Uint32(stsz[8:]))
	if each != 0 {
		return each * count
	}
	if int64(len(stsz)-12) != 4*count {
		return 0
	}
	sum := int64(0)
	for table := stsz[12:]; len(table) > 0; table = table[4:] {
		sum += int64(binary.BigEndian.Uint32(table))
	}
	return sum
}
