package vips

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// What a phone writes, as an item list. Ids: tiles from 1, the picture, then what belongs to it.
const (
	idPicture = 200 + iota
	idThumb
	idExif
	idXMP
	idAux
)

const tileSide = 64

// phone makes HEICs as iPhones do: a grid of coded tiles that is turned by a box, with Exif, XMP and a preview.
type phone struct {
	format string   // ffmpeg's pixel format
	colour [][]byte // colr boxes
	brands []string
	held   int // Exif's orientation, which the boxes that turn say, too; 0 = level
}

// shoot stores a picture as the phone is held.
func (p phone) shoot(t *testing.T, seen *image.NRGBA) heicFile {
	t.Helper()
	stored := oriented(seen, max(1, p.held))
	w, h := stored.Rect.Dx(), stored.Rect.Dy()
	cut, columns, rows := tiles(stored, tileSide)
	coded := encodeHEVC(t, p.format, cut...)
	f := heicFile{brands: p.brands, primary: idPicture}
	if f.brands == nil {
		f.brands = []string{"heic", "mif1", "heic"}
	}
	grid := heicItem{id: idPicture, kind: "grid", inMeta: true, data: gridData(columns, rows, w, h)}
	grid.boxes = append(append(append(grid.boxes, p.colour...), ispe(w, h), p.pixi()), turnedBy(p.held)...)
	var ids []uint16
	for i, data := range coded.pictures {
		id := uint16(i + 1)
		ids = append(ids, id)
		tile := heicItem{id: id, kind: "hvc1", hidden: true, data: data, boxes: [][]byte{coded.config, ispe(tileSide, tileSide)}}
		tile.boxes = append(tile.boxes, p.colour...)
		f.items = append(f.items, tile)
	}
	grid.pointsTo = []heicRef{{"dimg", ids}}
	f.items = append(f.items, grid)
	return f.with(p.preview(t, stored), heicItem{
		id: idExif, kind: "Exif", hidden: true, data: append([]byte{0, 0, 0, 6}, exifBlock(max(1, p.held))...), pointsTo: []heicRef{{"cdsc", []uint16{idPicture}}},
	}, heicItem{
		id: idXMP, kind: "mime", mime: "application/rdf+xml", hidden: true, data: []byte("<x:xmpmeta>SecretMaker</x:xmpmeta>"),
		pointsTo: []heicRef{{"cdsc", []uint16{idPicture}}},
	})
}

func (p phone) pixi() []byte {
	if p.format == "yuv420p10le" {
		return fullBox("pixi", 3, 10, 10, 10)
	}
	return fullBox("pixi", 3, 8, 8, 8)
}

// preview is the thumbnail item, half the picture, turned like it.
func (p phone) preview(t *testing.T, stored *image.NRGBA) heicItem {
	t.Helper()
	small := image.NewNRGBA(image.Rect(0, 0, stored.Rect.Dx()/2, stored.Rect.Dy()/2))
	for y := range small.Rect.Dy() {
		for x := range small.Rect.Dx() {
			small.Set(x, y, stored.At(2*x, 2*y))
		}
	}
	coded := encodeHEVC(t, "yuv420p", small)
	it := heicItem{id: idThumb, kind: "hvc1", data: coded.pictures[0], pointsTo: []heicRef{{"thmb", []uint16{idPicture}}}}
	it.boxes = append(append(append(it.boxes, p.colour...), coded.config, ispe(coded.w, coded.h)), turnedBy(p.held)...)
	return it
}

func (f heicFile) with(items ...heicItem) heicFile {
	f.items = append(append([]heicItem(nil), f.items...), items...)
	return f
}

// aux is a grey picture that belongs to others: depth, a matte, a gain map.
func aux(t *testing.T, id uint16, urn string, to ...uint16) heicItem {
	t.Helper()
	grey := image.NewNRGBA(image.Rect(0, 0, 80, 64))
	for i := range grey.Pix {
		grey.Pix[i] = byte(i / 4 % 80 * 3)
	}
	coded := encodeHEVC(t, "yuv420p", grey)
	return heicItem{
		id: id, kind: "hvc1", hidden: true, data: coded.pictures[0], boxes: [][]byte{coded.config, ispe(80, 64), auxC(urn)},
		pointsTo: []heicRef{{"auxl", to}},
	}
}

const (
	urnGainMap  = "urn:com:apple:photo:2020:aux:hdrgainmap"
	urnDepth    = "urn:mpeg:hevc:2015:auxid:2"
	urnPortrait = "urn:com:apple:photo:2018:aux:portraiteffectsmatte"
	urnSkin     = "urn:com:apple:photo:2019:aux:semanticskinmatte"
	urnHair     = "urn:com:apple:photo:2019:aux:semantichairmatte"
	urnSky      = "urn:com:apple:photo:2020:aux:semanticskymatte"
)

// p3Profile is libvips' own Display P3 profile, as a colour box.
func p3Profile(t *testing.T) []byte {
	t.Helper()
	segs, _, err := walkJPEG(converted(t, pngOf(t, card(8, 8)), ".jpg", "", "icc_transform", "p3", "--input-profile", "srgb"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segs {
		if profile, ok := bytes.CutPrefix(s.payload, []byte("ICC_PROFILE\x00\x01\x01")); ok {
			return boxOf("colr", append([]byte("prof"), profile...))
		}
	}
	t.Fatal("no profile in the JPEG")
	return nil
}

// asP3 returns the same colours as Display P3 values.
func asP3(t *testing.T, img image.Image) *image.NRGBA {
	t.Helper()
	back, err := png.Decode(bytes.NewReader(converted(t, pngOf(t, img), ".png", "[strip]", "icc_transform", "p3", "--input-profile", "srgb")))
	if err != nil {
		t.Fatal(err)
	}
	out := image.NewNRGBA(back.Bounds())
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			out.Set(x, y, back.At(x, y))
		}
	}
	return out
}

// turnedBy are the boxes that undo oriented for an Exif orientation: the turn first, anticlockwise, then the mirror.
func turnedBy(o int) (boxes [][]byte) {
	if angle := map[int]byte{3: 2, 5: 1, 6: 3, 7: 3, 8: 1}[o]; angle > 0 {
		boxes = append(boxes, boxOf("irot", []byte{angle}))
	}
	if axis, mirrored := map[int]byte{2: 1, 4: 0, 5: 0, 7: 0}[o]; mirrored {
		boxes = append(boxes, boxOf("imir", []byte{axis}))
	}
	return boxes
}

// The structures of iPhones 7 to 15, and of phones that write alike: all are photos of the right size, the right way up, in true colour,
// and leave nothing but the picture.
func TestPhoneHEICs(t *testing.T) {
	t.Parallel()
	p3 := p3Profile(t)
	plain, wide := card(cardW, cardH), asP3(t, card(cardW, cardH))
	camera := phone{format: "yuv420p", colour: [][]byte{p3}}
	upright := camera.shoot(t, wide)
	turned := func(o int) heicFile {
		c := camera
		c.held = o
		return c.shoot(t, wide)
	}
	branded := func(brands ...string) heicFile {
		f := upright
		f.brands = brands
		return f
	}
	for name, f := range map[string]heicFile{
		"iPhone 7":                      upright,
		"held upright":                  turned(6),
		"held upside down":              turned(3),
		"front camera, mirrored":        turned(2),
		"front camera, held upright":    turned(7),
		"colour by code points":         phone{format: "yuv420p", colour: [][]byte{nclx(primariesP3, 13)}}.shoot(t, wide),
		"profile and code points":       phone{format: "yuv420p", colour: [][]byte{p3, nclx(primariesP3, 13)}}.shoot(t, wide),
		"sRGB":                          phone{format: "yuv420p", colour: [][]byte{nclx(1, 13)}}.shoot(t, plain),
		"ten bits":                      phone{format: "yuv420p10le", colour: [][]byte{p3}, brands: []string{"heix", "mif1", "heix"}}.shoot(t, wide),
		"ten bits, held upright":        phone{format: "yuv420p10le", colour: [][]byte{p3}, held: 6}.shoot(t, wide),
		"portrait mode":                 upright.with(aux(t, idAux, urnDepth, idPicture), aux(t, idAux+1, urnPortrait, idPicture)),
		"portrait mode, three mattes":   upright.with(aux(t, idAux, urnDepth, idPicture), aux(t, idAux+1, urnPortrait, idPicture), aux(t, idAux+2, urnSkin, idPicture), aux(t, idAux+3, urnHair, idPicture)),
		"gain map":                      upright.with(aux(t, idAux, urnGainMap, idPicture)),
		"gain map with its own XMP":     upright.with(aux(t, idAux, urnGainMap, idPicture), heicItem{id: idAux + 1, kind: "mime", mime: "application/rdf+xml", data: []byte("<x>HDRGainMap SecretMaker</x>"), pointsTo: []heicRef{{"cdsc", []uint16{idAux}}}}),
		"gain map of picture and tone":  upright.with(aux(t, idAux, urnGainMap, idPicture, idThumb)),
		"mattes that share a reference": upright.with(aux(t, idAux, urnSky, idPicture, idThumb), aux(t, idAux+1, urnGainMap, idPicture, idThumb)),
		"tone map item":                 toneMapped18(t, upright),
		"spatial pair":                  spatial(t, upright),
		"brands of iOS 13":              branded("heic", "mif1", "MiHE", "MiPr", "miaf", "MiHB", "heic"),
		"brands of iOS 18":              branded("heic", "mif1", "MiHB", "MiHA", "heix", "MiHE", "MiPr", "miaf", "heic", "tmap"),
		"mif1 first":                    branded("mif1", "heic", "miaf"),
		"motion photo":                  withMotion(t, upright),
		"one tile":                      single(t, wide, p3),
	} {
		t.Run(name, func(t *testing.T) {
			data := f.bytes()
			if !bytes.Contains(data, []byte("SecretMaker")) {
				t.Fatal("the source has nothing to lose")
			}
			dir, file := staged(t, data)
			r := mustProcess(t, dir, file)
			if file.Type != pipeline.TypeHEIC || r.media.Kind != pipeline.KindPhoto || r.media.Frames != 1 || len(r.Part.Warnings) != 0 {
				t.Errorf("%s probed %+v, warnings %v", file.Type.MIME, r.media, r.Part.Warnings)
			}
			allRenditions(t, name, r, cardW, cardH, wholeCard)
			noTraces(t, r)
		})
	}
}

// toneMapped18 adds what iOS 18 writes for ISO 21496-1: a derived tone map item beside the picture, as alternatives.
func toneMapped18(t *testing.T, f heicFile) heicFile {
	gain := aux(t, idAux, urnGainMap, idPicture)
	tone := heicItem{
		id: idAux + 1, kind: "tmap", data: make([]byte, 62), boxes: [][]byte{nclx(primariesP3, transferPQ), ispe(cardW, cardH), fullBox("pixi", 3, 10, 10, 10)},
		pointsTo: []heicRef{{"dimg", []uint16{idPicture, idAux}}},
	}
	f = f.with(gain, tone)
	f.groups = [][]byte{fullBox("altr", uint32(900), uint32(2), uint32(idAux+1), uint32(idPicture))}
	return f
}

// spatial adds the second eye of a spatial photo.
func spatial(t *testing.T, f heicFile) heicFile {
	coded := encodeHEVC(t, "yuv420p", image.NewNRGBA(image.Rect(0, 0, cardW, cardH)))
	f = f.with(heicItem{id: idAux, kind: "hvc1", data: coded.pictures[0], boxes: [][]byte{coded.config, ispe(cardW, cardH)}})
	f.groups = [][]byte{fullBox("ster", uint32(901), uint32(2), uint32(idPicture), uint32(idAux))}
	return f
}

// withMotion hangs a video behind, as Samsung's motion photos do.
func withMotion(t *testing.T, f heicFile) heicFile {
	f.trailer = boxOf("mpvd", animation(t, "-pix_fmt", "yuv420p", "-f", "mp4"))
	return f
}

// single is a HEIC without a grid, as screenshots and edited pictures are.
func single(t *testing.T, stored *image.NRGBA, colour []byte) heicFile {
	coded := encodeHEVC(t, "yuv420p", stored)
	f := heicFile{brands: []string{"heic", "mif1", "heic"}, primary: idPicture}
	return f.with(heicItem{id: idPicture, kind: "hvc1", data: coded.pictures[0], boxes: [][]byte{coded.config, ispe(coded.w, coded.h), colour}},
		heicItem{id: idExif, kind: "Exif", data: append([]byte{0, 0, 0, 6}, exifBlock(1)...), pointsTo: []heicRef{{"cdsc", []uint16{idPicture}}}})
}

// quadrantGrid is a large picture of four colours, made of few tiles shown many times.
func quadrantGrid(t *testing.T, columns, rows, side, w, h int) heicFile {
	t.Helper()
	var each []*image.NRGBA
	for _, c := range []color.NRGBA{topLeft, topRight, bottomLeft, bottomRight} {
		tile := image.NewNRGBA(image.Rect(0, 0, side, side))
		for i := 0; i < len(tile.Pix); i += 4 {
			tile.Pix[i], tile.Pix[i+1], tile.Pix[i+2], tile.Pix[i+3] = c.R, c.G, c.B, c.A
		}
		each = append(each, tile)
	}
	coded := encodeHEVC(t, "yuv420p", each...)
	grid := heicItem{
		id: 1000, kind: "grid", inMeta: true, data: gridData(columns, rows, w, h), boxes: [][]byte{ispe(w, h), nclx(1, 13), boxOf("irot", []byte{3})},
	}
	f := heicFile{brands: []string{"heic", "mif1", "MiHE", "miaf", "heic"}, primary: 1000}
	var ids []uint16
	for i := range columns * rows {
		quadrant := 0
		if i%columns >= columns/2 {
			quadrant++
		}
		if i/columns >= rows/2 {
			quadrant += 2
		}
		ids = append(ids, uint16(i+1))
		f.items = append(f.items, heicItem{id: uint16(i + 1), kind: "hvc1", hidden: true, data: coded.pictures[quadrant], boxes: [][]byte{coded.config, ispe(side, side)}})
	}
	grid.pointsTo = []heicRef{{"dimg", ids}}
	return f.with(grid)
}

// The 48 megapixels of an iPhone 14 Pro or 15 are within the limit, and more than 65 are not.
func TestFortyEightMegapixels(t *testing.T) {
	t.Parallel()
	dir, f := staged(t, quadrantGrid(t, 16, 12, 512, 8064, 6048).bytes())
	r := mustProcess(t, dir, f)
	if r.media.Width != 6048 || r.media.Height != 8064 || r.Part.Width != 1536 || r.Part.Height != 2048 {
		t.Errorf("probed %d×%d, display %d×%d", r.media.Width, r.media.Height, r.Part.Width, r.Part.Height)
	}
	everywhere(t, r, map[string]color.NRGBA{"top left": bottomLeft, "top right": topLeft, "bottom left": bottomRight, "bottom right": topRight})

	dir, f = staged(t, quadrantGrid(t, 22, 12, 512, 11000, 6048).bytes())
	if _, err := process(t, dir, f); codeOf(err) != pipeline.CodeTooManyPixels {
		t.Errorf("66 megapixels: %v, want too_many_pixels", err)
	}
}
