package vips

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

func pngChunk(kind string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	out = append(append(out, kind...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// hugePNG says 64k × 64k pixels in a hundred bytes.
func hugePNG() []byte {
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 65000), 65000)
	out := append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", append(head, 8, 6, 0, 0, 0))...)
	return append(append(out, pngChunk("IDAT", []byte{0x78, 0x9c, 3, 0, 0, 0, 0, 1})...), pngChunk("IEND", nil)...)
}

// gifOf has n frames of w × h on a canvas of cw × ch.
func gifOf(n, cw, ch, w, h int) []byte {
	le := binary.LittleEndian
	out := le.AppendUint16(le.AppendUint16([]byte("GIF89a"), uint16(cw)), uint16(ch))
	out = append(out, 0x80, 0, 0, 0, 0, 0, 255, 255, 255)
	for range n {
		out = append(out, 0x21, 0xf9, 4, 0, 5, 0, 0, 0)
		out = append(le.AppendUint16(le.AppendUint16(append(out, 0x2c, 0, 0, 0, 0), uint16(w)), uint16(h)), 0)
		out = append(out, 2, 2, 0x4c, 0x01, 0)
	}
	return append(out, 0x3b)
}

// hugeAVIF is a small AVIF whose boxes say 17,000 pixels a side.
func hugeAVIF(t *testing.T) []byte {
	data := converted(t, pngOf(t, card(64, 64)), ".avif", "", "copy")
	at := bytes.Index(data, []byte("ispe"))
	if at < 0 {
		t.Fatal("no size in the AVIF")
	}
	binary.BigEndian.PutUint32(data[at+8:], 17000)
	binary.BigEndian.PutUint32(data[at+12:], 17000)
	return data
}

// refusalTime is issue 4's bound for refusing a bomb by its header.
const refusalTime = 200 * time.Millisecond

func TestBombsAreRefusedByHeader(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		code pipeline.Code
	}{
		"PNG of 64k × 64k":         {hugePNG(), pipeline.CodeTooManyPixels},
		"AVIF of 17,000²":          {hugeAVIF(t), pipeline.CodeTooManyPixels},
		"GIF of 10,000 frames":     {gifOf(10_000, 16, 16, 16, 16), pipeline.CodeTooManyPixels},
		"GIF frame off its canvas": {gifOf(1, 16, 16, 65535, 65535), pipeline.CodeCorrupt},
		"GIF canvas of 65,535²":    {gifOf(2, 65535, 65535, 1, 1), pipeline.CodeTooManyPixels},
		"JPEG of 65,500²":          {hugeJPEG(t), pipeline.CodeTooManyPixels},
		"GIF of 1,001 large ones":  {gifOf(1001, 1000, 1000, 1000, 1000), pipeline.CodeTooManyPixels},
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, c.data)
			least := time.Hour
			for range 3 { // the quickest of three: the bound is about the file, not about the machine
				start := time.Now()
				m, err := Probe(filepath.Join(dir, f.Path), f.Type)
				if err == nil {
					err = transcode.CheckLimits(m, transcode.DefaultProfile())
				}
				least = min(least, time.Since(start))
				if codeOf(err) != c.code {
					t.Errorf("%v, want %s", err, c.code)
				}
			}
			if least > refusalTime {
				t.Errorf("refused after %v", least)
			}
		})
	}
}

func hugeJPEG(t *testing.T) []byte {
	data := jpegOf(t, card(64, 64))
	at := bytes.Index(data, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(data[at+5:], 65500)
	binary.BigEndian.PutUint16(data[at+7:], 65500)
	return data
}

func TestEmptyAndGarbage(t *testing.T) {
	dir := t.TempDir()
	noise := make([]byte, 5000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for _, typ := range []pipeline.Type{
		pipeline.TypeJPEG, pipeline.TypePNG, pipeline.TypeAPNG, pipeline.TypeGIF, pipeline.TypeWebP,
		pipeline.TypeHEIC, pipeline.TypeAVIF,
	} {
		for name, data := range map[string][]byte{"empty": {}, "noise": noise} {
			path := filepath.Join(dir, name+typ.Ext)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Probe(path, typ); codeOf(err) != pipeline.CodeCorrupt {
				t.Errorf("%s as %s: %v, want corrupt", name, typ.MIME, err)
			}
		}
	}
	if _, err := Probe(filepath.Join(dir, "noise.jpg"), pipeline.TypeMP4); codeOf(err) != pipeline.CodeUnsupportedType {
		t.Errorf("a video type: %v", err)
	}
}

// A file cut short is corrupt, or from nine tenths on a picture that says so. It never passes as whole.
func TestCutShort(t *testing.T) {
	t.Parallel()
	noisy := card(600, 400)
	r := rand.New(rand.NewPCG(3, 4))
	for i := 0; i < len(noisy.Pix); i += 4 {
		noisy.Pix[i] ^= byte(r.Uint32() & 31)
	}
	plain := pngOf(t, noisy)
	const corrupt, warned = "corrupt", "warned"
	for name, c := range map[string]struct {
		data []byte
		want map[int]string // by percent of the file kept
	}{
		"JPEG":        {jpegOf(t, noisy), map[int]string{5: corrupt, 33: corrupt, 80: corrupt, 95: warned}},
		"progressive": {converted(t, plain, ".jpg", "[Q=90,interlace]", "copy"), map[int]string{5: corrupt, 10: corrupt, 98: warned}},
		"PNG":         {plain, map[int]string{5: corrupt, 33: corrupt, 80: corrupt, 97: warned}},
		"interlaced":  {converted(t, plain, ".png", "[interlace]", "copy"), map[int]string{33: corrupt, 80: corrupt}},
		"WebP":        {converted(t, plain, ".webp", "", "copy"), map[int]string{33: corrupt, 80: corrupt}},
		"HEIC":        {converted(t, plain, ".heic", "", "copy"), map[int]string{33: corrupt, 80: corrupt}},
		"AVIF":        {converted(t, plain, ".avif", "", "copy"), map[int]string{33: corrupt, 80: corrupt}},
		"GIF":         {converted(t, plain, ".gif", "", "copy"), map[int]string{33: corrupt, 80: corrupt}},
	} {
		for percent, want := range c.want {
			t.Run(name, func(t *testing.T) {
				dir, f := staged(t, c.data[:len(c.data)*percent/100])
				got, err := process(t, dir, f)
				switch {
				case want == corrupt && codeOf(err) != pipeline.CodeCorrupt:
					t.Errorf("%d %% of it: %v, want corrupt", percent, err)
				case want == warned && err != nil:
					t.Errorf("%d %% of it: %v, want a picture", percent, err)
				case want == warned && (len(got.Part.Warnings) != 1 || !strings.HasPrefix(got.Part.Warnings[0], "truncated: ")):
					t.Errorf("%d %% of it: warnings %v", percent, got.Part.Warnings)
				}
			})
		}
	}
}

// A progressive JPEG whose first pass is complete shows the whole picture, coarser.
func TestProgressiveFirstPass(t *testing.T) {
	whole := converted(t, pngOf(t, gradient(256, 200)), ".jpg", "[Q=95,interlace]", "copy")
	segs, _, err := walkJPEG(whole)
	if err != nil || firstPassWhole(segs[:len(segs)/2]) {
		t.Fatalf("half the scans count as a first pass (%v)", err)
	}
	dir, f := staged(t, whole)
	want := mustProcess(t, dir, f).sampled(t)
	lastScan := bytes.LastIndex(whole, []byte{0xff, 0xda})
	dir, f = staged(t, whole[:lastScan+40])
	r := mustProcess(t, dir, f)
	if d := apart(t, want, r.sampled(t)); d > 8 || len(r.Part.Warnings) != 1 {
		t.Errorf("%.1f levels from the whole picture, warnings %v", d, r.Part.Warnings)
	}
}

// Every file of the hostile collection that claims to be a picture ends in a picture or a code from the list.
func TestHostilePictures(t *testing.T) {
	t.Parallel()
	names, _ := filepath.Glob(filepath.Join(fixtures, "hostile", "*"))
	if len(names) == 0 {
		t.Skip("the hostile fixtures are absent")
	}
	ended := map[pipeline.Code]int{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		typ, ok := pipeline.Sniff(data[:min(len(data), pipeline.SniffLen)])
		if !ok || typ.Family != pipeline.FamilyImage {
			continue
		}
		dir, f := staged(t, data)
		m, err := Probe(filepath.Join(dir, f.Path), f.Type)
		if err == nil && !m.Animated {
			_, err = processAs(t, dir, f, m)
		}
		code := codeOf(err)
		ended[code]++
		if code == pipeline.CodeInternal || code == pipeline.CodeEncodeFailed {
			t.Errorf("%s: %v", filepath.Base(name), err)
		}
	}
	t.Logf("by code (empty = a picture): %v", ended)
}

// A plan made for one picture must not be carried out on another.
func TestAnotherPictureThanPlanned(t *testing.T) {
	dir, f := staged(t, pngOf(t, card(cardW, cardH)))
	m, err := Probe(filepath.Join(dir, f.Path), f.Type)
	if err != nil {
		t.Fatal(err)
	}
	m.Width++
	if _, err := processAs(t, dir, f, m); codeOf(err) != pipeline.CodeCorrupt {
		t.Errorf("%v, want corrupt", err)
	}
}

// libheif refuses pictures with an auxiliary reference to several others, which recent iPhones write. The reference goes, the picture stays.
func TestCrowdedAuxiliaryReferences(t *testing.T) {
	seeThrough := card(cardW, cardH)
	seeThrough.Pix[3] = 100
	// libvips' WebP writer adds Exif; with it a HEIC has two single references side by side: of the alpha plane, and of Exif.
	data := converted(t, converted(t, pngOf(t, seeThrough), ".webp", "[lossless]", "copy"), ".heic", "[Q=95]", "copy")
	if withoutCrowdedReferences(append([]byte(nil), data...)) {
		t.Error("a sound file was changed")
	}
	dir, f := staged(t, crowdAux(t, data))
	err := onThread(func() error {
		var a arena
		defer a.free()
		_, err := source{path: filepath.Join(dir, f.Path), typ: f.Type}.load(&a, loaders[f.Type.MIME], loading{}, nil)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "Too many auxiliary image references") {
		t.Skipf("this libheif takes such files: %v", err)
	}
	everywhere(t, mustProcess(t, dir, f), wholeCard)
}

// crowdAux makes one auxiliary reference to eight pictures of two single references, in the same bytes.
func crowdAux(t *testing.T, data []byte) []byte {
	t.Helper()
	data = append([]byte(nil), data...)
	iref, ok := newBoxReader().at(data, "meta", "iref")
	if !ok {
		t.Fatal("no references")
	}
	refs, err := newBoxReader().list(iref.children())
	if err != nil || len(refs) != 2 || len(refs[0].body) != 6 || len(refs[1].body) != 6 {
		t.Fatalf("want two single references, got %d (%v)", len(refs), err)
	}
	alpha := refs[0].body
	if refs[1].kind == "auxl" {
		alpha = refs[1].body
	}
	from, to := binary.BigEndian.Uint16(alpha), binary.BigEndian.Uint16(alpha[4:])
	box := binary.BigEndian.AppendUint32(nil, 28)
	box = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(append(box, "auxl"...), from), 8)
	for range 8 {
		box = binary.BigEndian.AppendUint16(box, to)
	}
	copy(iref.children(), box)
	return data
}

// A file of nothing but markers or empty chunks must not become a list of millions.
func TestWalksAreBounded(t *testing.T) {
	markers := append([]byte{0xff, 0xd8}, bytes.Repeat([]byte{0xff, 0x01}, 1<<20)...)
	if segs, _, err := walkJPEG(markers); err == nil || len(segs) > maxSegments+1 {
		t.Errorf("%d segments, %v", len(segs), err)
	}
	chunks := append([]byte("RIFF\x00\x00\x00\x00WEBP"), bytes.Repeat([]byte("ANMF\x00\x00\x00\x00"), 1<<18)...)
	binary.LittleEndian.PutUint32(chunks[4:], uint32(len(chunks)-8))
	if got, err := walkWebP(chunks); err == nil || len(got) > maxChunks {
		t.Errorf("%d chunks, %v", len(got), err)
	}
}
