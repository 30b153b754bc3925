package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// TestNotesAreWhatPhonesDocument holds both renditions to what their players' makers ask for.
//
//   - iOS and macOS (AVFoundation's supported formats, the HLS authoring specification): AAC-LC in an M4A of brand "M4A ", moov first, the
//     encoder's priming taken away by one edit.
//   - Android (developer.android.com, "Supported media formats"): AAC-LC in MPEG-4 on every version; Opus in Ogg since 5.0.
//   - RFC 7845 for browsers: version 1, mono, mapping family 0, a pre-skip, 48 kHz.
func TestNotesAreWhatPhonesDocument(t *testing.T) {
	k := newVideoKit(t)
	k.speech("speech.wav", 1.5)
	part := k.mustNote("speech.wav")
	t.Run("m4a", func(t *testing.T) { checkM4A(t, k.readFile(part.Renditions[1].Path), part.DurationMS) })
	t.Run("ogg", func(t *testing.T) {
		data := k.readFile(part.Renditions[0].Path)
		at := bytes.Index(data, []byte("OpusHead"))
		if at != 28 { // the first page's own packet
			t.Fatalf("OpusHead at %d", at)
		}
		head := data[at:]
		if version, channels, family := head[8], head[9], head[18]; version != 1 || channels != 1 || family != 0 {
			t.Errorf("version %d, %d channels, mapping family %d", version, channels, family)
		}
		if skip, rate := binary.LittleEndian.Uint16(head[10:]), binary.LittleEndian.Uint32(head[12:]); skip == 0 || skip > 3840 || rate != rateHz {
			t.Errorf("pre-skip %d, input rate %d", skip, rate)
		}
		if gain := binary.LittleEndian.Uint16(head[16:]); gain != 0 {
			t.Errorf("output gain %d: players differ in whether they apply it", gain)
		}
	})
}

func checkM4A(t *testing.T, data []byte, durationMS int64) {
	t.Helper()
	ftyp := child(data, "ftyp")
	if len(ftyp) < 8 || string(ftyp[:4]) != "M4A " {
		t.Fatalf("major brand %q", ftyp[:min(4, len(ftyp))])
	}
	if brands := ftyp[8:]; !bytes.Contains(brands, []byte("isom")) && !bytes.Contains(brands, []byte("mp42")) {
		t.Errorf("compatible brands %q", brands)
	}
	if moov, mdat := bytes.Index(data, []byte("moov")), bytes.Index(data, []byte("mdat")); moov < 0 || moov > mdat {
		t.Errorf("moov at %d, mdat at %d", moov, mdat)
	}
	moov := child(data, "moov")
	entry := child(leaf(moov, "trak", "mdia", "minf", "stbl"), "stsd")
	if len(entry) < 16 || string(entry[12:16]) != "mp4a" {
		t.Fatalf("sample entry %q", entry)
	}
	if rate := binary.BigEndian.Uint16(entry[8+8+24:]); rate != rateHz {
		t.Errorf("the sample entry says %d Hz", rate)
	}
	if err := verifyASC(entry); err != nil {
		t.Error(err)
	}
	mdhd := leaf(moov, "trak", "mdia", "mdhd")
	if scale := binary.BigEndian.Uint32(mdhd[12:]); scale != rateHz {
		t.Errorf("a time scale of %d", scale)
	}
	const priming = 1024 // samples of ffmpeg's encoder
	elst, mvhd := leaf(moov, "trak", "edts", "elst"), leaf(moov, "mvhd")
	if count := binary.BigEndian.Uint32(elst[4:]); count != 1 {
		t.Fatalf("%d edits", count)
	}
	plays := int64(binary.BigEndian.Uint32(elst[8:])) * 1000 / int64(binary.BigEndian.Uint32(mvhd[12:]))
	if start := binary.BigEndian.Uint32(elst[12:]); start != priming || plays < durationMS-aacFrameMS || plays > durationMS+aacFrameMS {
		t.Errorf("the edit starts at %d and plays %d ms, want %d and %d", start, plays, priming, durationMS)
	}
}

// TestLongWaves are WAV files whose lengths have 64 bits, which recorders write by default.
func TestLongWaves(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "sine=f=500:d=2:r=48000", "-rf64", "always", "a.wav")
	data, err := os.ReadFile(filepath.Join(k.dir, "a.wav"))
	if err != nil || string(data[:4]) != "RF64" {
		t.Fatalf("%.4q, %v", data, err)
	}
	k.write("b.wav", append([]byte("BW64"), data[4:]...))
	for _, name := range []string{"a.wav", "b.wav"} {
		if part := k.mustNote(name); math.Abs(float64(part.DurationMS-2000)) > gapMS || len(part.Warnings) > 0 {
			t.Errorf("%s: %d ms, %q", name, part.DurationMS, part.Warnings)
		}
	}
}
