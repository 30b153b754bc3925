package vips

import (
	"bytes"
	"encoding/binary"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

const idTone = idAux + 1

// crowded has the auxiliary and metadata references of a file name the tone map, too, as iPhones do since iOS 18.
func crowded(f heicFile, kinds ...string) heicFile {
	return f.changed(func(it *heicItem) {
		it.pointsTo = slices.Clone(it.pointsTo)
		for i, r := range it.pointsTo {
			if slices.Contains(kinds, r.kind) {
				it.pointsTo[i].to = append(slices.Clone(r.to), idTone)
			}
		}
	})
}

// turnedByExifOnly drops the boxes that turn the picture: its Exif is all that tells how it was held.
func turnedByExifOnly(f heicFile) heicFile {
	return f.changed(func(it *heicItem) {
		it.boxes = slices.DeleteFunc(slices.Clone(it.boxes), func(b []byte) bool { return string(b[4:8]) == "irot" || string(b[4:8]) == "imir" })
	})
}

// iPhones name two pictures in each auxiliary and metadata reference since iOS 18, which libheif before 1.18 refuses.
func TestTodaysIPhones(t *testing.T) {
	t.Parallel()
	p3 := p3Profile(t)
	wide := asP3(t, card(cardW, cardH))
	held := func(o int) heicFile {
		return toneMapped18(t, phone{format: "yuv420p", colour: [][]byte{p3}, held: o}.shoot(t, wide))
	}
	upright, tenBits := held(6), toneMapped18(t, phone{format: "yuv420p10le", colour: [][]byte{p3}, held: 3}.shoot(t, wide))
	for name, f := range map[string]heicFile{
		"all references":                   crowded(upright, "auxl", "cdsc"),
		"metadata only":                    crowded(upright, "cdsc"),
		"auxiliary pictures only":          crowded(upright, "auxl"),
		"mirrored":                         crowded(held(7), "auxl", "cdsc"),
		"ten bits, upside down":            crowded(tenBits, "auxl", "cdsc"),
		"turned by Exif only":              crowded(turnedByExifOnly(upright), "auxl", "cdsc"),
		"mirrored by Exif only":            crowded(turnedByExifOnly(held(5)), "auxl", "cdsc"),
		"with mattes":                      crowded(upright.with(aux(t, idTone+1, urnSky, idPicture), aux(t, idTone+2, urnPortrait, idPicture)), "auxl", "cdsc"),
		"metadata of the gain map besides": crowded(upright.with(heicItem{id: idTone + 1, kind: "mime", mime: "application/rdf+xml", data: []byte("<x>SecretMaker</x>"), pointsTo: []heicRef{{"cdsc", []uint16{idAux}}}}), "auxl", "cdsc"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, file := staged(t, f.bytes())
			r := mustProcess(t, dir, file)
			allRenditions(t, name, r, cardW, cardH, wholeCard)
			noTraces(t, r)
			if len(r.Part.Warnings) != 0 {
				t.Errorf("warnings %q", r.Part.Warnings)
			}
		})
	}
}

// A picture beside the primary one that lacks its decoder's configuration is passed over, whatever it is for; without that of the primary one
// itself nothing can be shown.
func TestPicturesWithoutConfiguration(t *testing.T) {
	t.Parallel()
	whole := phone{format: "yuv420p", colour: [][]byte{p3Profile(t)}, held: 6}.shoot(t, asP3(t, card(cardW, cardH)))
	bare := func(it heicItem) heicItem {
		it.boxes = slices.DeleteFunc(slices.Clone(it.boxes), func(b []byte) bool { return string(b[4:8]) == "hvcC" })
		return it
	}
	const lone = 5000
	for name, f := range map[string]heicFile{
		"a matte":       whole.with(bare(aux(t, idAux, urnSky, idPicture))),
		"a gain map":    whole.with(bare(aux(t, idAux, urnGainMap, idPicture))),
		"what is alone": whole.with(heicItem{id: lone, kind: "hvc1", hidden: true, data: whole.items[0].data, boxes: [][]byte{ispe(tileSide, tileSide)}}),
	} {
		dir, file := staged(t, f.bytes())
		r, err := process(t, dir, file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		allRenditions(t, name, r, cardW, cardH, wholeCard)
	}
	dir, file := staged(t, whole.changed(func(it *heicItem) { *it = bare(*it) }).bytes())
	if r, err := process(t, dir, file); err == nil {
		t.Errorf("a picture without its own configuration: %v", r.Part.Warnings)
	}
}

// A last box may say by a length of 0 that it goes to the end of the file, the one with the descriptions, too.
func TestMetaToTheEnd(t *testing.T) {
	t.Parallel()
	dir, f := staged(t, phone{format: "yuv420p", colour: [][]byte{p3Profile(t)}, held: 6}.shoot(t, asP3(t, card(cardW, cardH))).metaToTheEnd())
	allRenditions(t, "meta to the end", mustProcess(t, dir, f), cardW, cardH, wholeCard)
}

// faults are the inputs that were once treated wrongly; tests that read them skip where they are absent.
const faults = "../../../shared/faults"

func fault(t *testing.T, name string) (dir string, f pipeline.File) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(faults, name))
	if err != nil {
		t.Skipf("the fault %s is absent: %v", name, err)
	}
	return staged(t, data)
}

// The real picture, its references as iOS 18 writes them: it comes out as the one that it was made from.
func TestIPhonePhotoOfToday(t *testing.T) {
	t.Parallel()
	dir, f := fault(t, "21-todays-iphone-photos/iphone-ios18.heic")
	today := mustProcess(t, dir, f)
	dir, f = fixture(t, "photo/iphone.heic")
	before := mustProcess(t, dir, f)
	if today.media.Width != 3024 || today.media.Height != 4032 {
		t.Errorf("probed %d×%d, want 3024×4032", today.media.Width, today.media.Height)
	}
	if d := apart(t, before.sampled(t), today.sampled(t)); d > 0 {
		t.Errorf("%.2f levels from the same picture with single references", d)
	}
}

// The known iPhone picture of transcode/known has the references that today's iPhones write.
func TestKnownIPhone(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../known/iphone18.heic")
	if err != nil {
		t.Fatal(err)
	}
	twice := map[string]bool{}
	for _, r := range references(data) {
		twice[r.kind] = twice[r.kind] || len(r.to) == 2
	}
	if !twice["auxl"] || !twice["cdsc"] {
		t.Errorf("the references of the known picture are not those of today's iPhones: %v", twice)
	}
}

// clapBox cuts w × h about the middle, moved by x and y.
func clapBox(w, h, x, y uint32) []byte {
	var body []byte
	for _, v := range []uint32{w, h, x, y} {
		body = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(body, v), 1)
	}
	return boxOf("clap", body)
}

// An identity item shows another picture, turned or cut, and has no data of its own: libheif before 1.18 refuses such a file. Nokia's
// conformance files C008, C014, C023 and C039 are of these kinds.
func TestIdentityItems(t *testing.T) {
	t.Parallel()
	coded := encodeHEVC(t, "yuv420p", oriented(card(cardW, cardH), 6))
	base := heicItem{id: 1, kind: "hvc1", data: coded.pictures[0], boxes: [][]byte{coded.config, ispe(coded.w, coded.h)}}
	sized := func(c hevc, id, of uint16, boxes ...[]byte) heicItem {
		return heicItem{id: id, kind: "iden", noData: true, boxes: append([][]byte{ispe(c.w, c.h)}, boxes...), pointsTo: []heicRef{{"dimg", []uint16{of}}}}
	}
	iden := func(id, of uint16, boxes ...[]byte) heicItem { return sized(coded, id, of, boxes...) }
	file := func(primary uint16, items ...heicItem) heicFile {
		return heicFile{brands: []string{"mif1", "heic", "mif1"}, primary: primary, items: items}
	}
	turn := boxOf("irot", []byte{3})
	leftHalf := map[string]color.NRGBA{"top left": topLeft, "top right": topLeft, "bottom left": bottomLeft, "bottom right": bottomLeft}
	level := encodeHEVC(t, "yuv420p", card(cardW, cardH))
	upright := heicItem{id: 1, kind: "hvc1", data: level.pictures[0], boxes: [][]byte{level.config, ispe(level.w, level.h)}}
	cut := clapBox(cardW/4, cardH, uint32(0x100000000-cardW*3/8), 0) // 3/8 of the width to the left of the middle
	for name, c := range map[string]struct {
		file heicFile
		w, h int
		want map[string]color.NRGBA
	}{
		"turned":                           {file(2, base, iden(2, 1, turn)), cardW, cardH, wholeCard},
		"turned in two steps":              {file(3, base, iden(2, 1, boxOf("irot", []byte{2})), iden(3, 2, boxOf("irot", []byte{1}))), cardW, cardH, wholeCard},
		"turned besides the picture's own": {file(2, base.boxed(boxOf("irot", []byte{2})), iden(2, 1, boxOf("irot", []byte{1}))), cardW, cardH, wholeCard},
		"another one beside the picture":   {file(1, base.boxed(turn), iden(2, 1, clapBox(32, 32, 0, 0))), cardW, cardH, wholeCard},
		"a grid of other ones":             {file(1, base.boxed(turn), iden(2, 1, clapBox(32, 32, 0, 0)), heicItem{id: 3, kind: "grid", inMeta: true, data: gridData(1, 1, 32, 32), boxes: [][]byte{ispe(32, 32)}, pointsTo: []heicRef{{"dimg", []uint16{2}}}}), cardW, cardH, wholeCard},
		"cut":                              {file(2, upright, sized(level, 2, 1, cut)), cardW / 4, cardH, leftHalf},
		"nothing done":                     {file(2, upright, sized(level, 2, 1)), cardW, cardH, wholeCard},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, f := staged(t, c.file.bytes())
			r := mustProcess(t, dir, f)
			if r.media.Width != c.w || r.media.Height != c.h {
				t.Fatalf("probed %d×%d, want %d×%d", r.media.Width, r.media.Height, c.w, c.h)
			}
			cardColours(t, name, r.pixels(t, "display", "image/jpeg"), c.want)
		})
	}
}

// boxed is the item with further properties.
func (it heicItem) boxed(boxes ...[]byte) heicItem {
	it.boxes = append(slices.Clone(it.boxes), boxes...)
	return it
}

// The mends look at hostile structure: whatever is cut off or turned around, they end, and change no length.
func TestMendsOfBrokenStructure(t *testing.T) {
	t.Parallel()
	coded := encodeHEVC(t, "yuv420p", card(64, 64))
	var items []heicItem
	items = append(items, heicItem{id: 1, kind: "hvc1", data: coded.pictures[0], boxes: [][]byte{coded.config, ispe(64, 64)}})
	for id := uint16(2); id < 200; id++ { // a chain that comes back to its beginning
		items = append(items, heicItem{id: id, kind: "iden", noData: true, boxes: [][]byte{ispe(64, 64)}, pointsTo: []heicRef{{"dimg", []uint16{max(2, (id+1)%200)}}}})
	}
	data := heicFile{brands: []string{"mif1", "heic"}, primary: 2, items: items}.bytes()
	for n := 0; n < len(data); n += 7 {
		cut := bytes.Clone(data[:n])
		withoutIdentities(cut)
		withoutCrowdedReferences(cut)
		itemExif(cut)
		if len(cut) != n {
			t.Fatal("the length changed")
		}
	}
	dir, f := staged(t, data)
	if _, err := process(t, dir, f); codeOf(err) != pipeline.CodeCorrupt {
		t.Errorf("a circle of identities: %v, want corrupt", err)
	}
}
