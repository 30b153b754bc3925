package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseMP4Bounds(t *testing.T) {
	nested := makeBox("stbl")
	for range maxBoxDepth + 1 {
		nested = makeBox("stbl", nested...)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"a size below its header":    {[]byte{0, 0, 0, 4, 'm', 'o', 'o', 'v'}, "has a size"},
		"a size beyond the file":     {[]byte{0, 0, 1, 0, 'm', 'o', 'o', 'v'}, "has a size"},
		"a 64-bit size of all ones":  {append([]byte{0, 0, 0, 1, 'm', 'o', 'o', 'v'}, bytes.Repeat([]byte{255}, 8)...), "has a size"},
		"three bytes":                {[]byte{1, 2, 3}, "bytes left"},
		"a nest":                     {makeBox("moov", nested...), "nested"},
		"a hundred thousand boxes":   {makeBox("moov", bytes.Repeat(makeBox("free"), 100_000)...), "more than"},
		"and at the top level":       {bytes.Repeat(makeBox("free"), 100_000), "more than"},
		"a sample table cut short":   {makeBox("moov", makeBox("stsd", 1)...), "cut short"},
		"garbage in a movie's boxes": {makeBox("moov", makeBox("trak", 1, 2, 3)...), "bytes left"},
	} {
		_, err := parseMP4(bytes.NewReader(c.data), int64(len(c.data)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseMP4Facts(t *testing.T) {
	k := newVideoKit(t)
	k.clip("a.mp4", "-movflags", "+faststart")
	k.clip("late.mp4")
	m, err := readMP4(filepath.Join(k.dir, "a.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	v, a := m.track("vide"), m.track("soun")
	if v == nil || v.width != 320 || v.height != 240 || v.samples != 60 || v.durationMS != 2000 || v.format != "avc1" || v.matrix != identityMatrix {
		t.Errorf("video %+v", v)
	}
	if a == nil || a.format != "mp4a" || abs(a.durationMS-2000) > 2 || a.codecs != "mp4a.40.2" {
		t.Errorf("audio %+v", a)
	}
	late, err := readMP4(filepath.Join(k.dir, "late.mp4"))
	if err != nil || late.faststart() || !m.faststart() {
		t.Errorf("faststart: %v, late %v, %v", m.faststart(), late.faststart(), err)
	}
}

// TestMetadataBoxes puts each box that could carry something out into a clean file.
func TestMetadataBoxes(t *testing.T) {
	k := newVideoKit(t)
	k.clip("a.mp4")
	res, _ := k.video("a.mp4")
	clean, err := os.ReadFile(filepath.Join(k.dir, res.Rendered.Part.Renditions[0].Path))
	if err != nil {
		t.Fatal(err)
	}
	moov := bytes.Index(clean, []byte("moov")) - 4
	for _, kind := range []string{"uuid", "loci", "\xa9xyz", "XMP_", "tmcd", "meta"} {
		extra := makeBox(kind, []byte("secret place")...)
		inside := bytes.Clone(clean[:moov+8])
		binary.BigEndian.PutUint32(inside[moov:], binary.BigEndian.Uint32(clean[moov:])+uint32(len(extra)))
		inside = append(append(inside, extra...), clean[moov+8:]...)
		for where, data := range map[string][]byte{"in moov": inside, "at the end": append(bytes.Clone(clean), extra...)} {
			m, err := parseMP4(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(kind, where, err)
			}
			if checkBoxes(m) == nil {
				t.Errorf("a box %q %s was let through", kind, where)
			}
		}
	}
	m, err := parseMP4(bytes.NewReader(clean), int64(len(clean)))
	if err != nil || checkBoxes(m) != nil {
		t.Errorf("the clean file: %v %v", err, checkBoxes(m))
	}
}

func FuzzParseMP4(f *testing.F) {
	f.Add(makeBox("moov", makeBox("trak", makeBox("tkhd", make([]byte, 84)...)...)...))
	f.Add([]byte{0, 0, 0, 1, 'm', 'o', 'o', 'v', 0, 0, 0, 0, 0, 0, 0, 16})
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMP4(bytes.NewReader(data), int64(len(data)))
		if err == nil {
			_ = checkBoxes(m)
		}
	})
}
