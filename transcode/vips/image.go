package vips

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"context"
	"fmt"
	"image"
	"os"
	"runtime"
	"strings"
	"unsafe"
)

// picture is a libvips image, most often a calculation not yet done. Its arena owns it.
type picture struct {
	c     *C.VipsImage
	arena *arena

	// Of a picture just opened:
	read    []byte // the bytes it was read from where they are not the file's
	preview bool   // it is the file's embedded preview
	block   []byte // its Exif, of a HEIC or AVIF
}

// arena owns the images of one call and frees them together.
type arena struct {
	images  []*C.VipsImage
	buffers []unsafe.Pointer
}

// free releases everything the arena owns.
func (a *arena) free() {
	for i := len(a.images) - 1; i >= 0; i-- {
		C.nf_unref(a.images[i])
	}
	for _, b := range a.buffers {
		C.free(b)
	}
	a.images, a.buffers = nil, nil
}

// own takes the result of a bridge call.
func (a *arena) own(op string, bad C.int, out *C.VipsImage) (picture, error) {
	if bad != 0 {
		return picture{}, vipsError(op)
	}
	a.images = append(a.images, out)
	return picture{c: out, arena: a}, nil
}

// vipsError takes libvips' error text, which goes to the log: all its lines, for the cause is not always the first, up to maxErrorText.
func vipsError(op string) error {
	text := C.GoString(C.vips_error_buffer())
	C.vips_error_clear()
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
	err := shortOfMemory(op, text[:min(len(text), maxErrorText)])
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %s", op, text[:min(len(text), maxErrorText)])
}

// maxErrorText bounds what one failure may say, in bytes.
const maxErrorText = 500

func (p picture) width() int    { return int(p.c.Xsize) }
func (p picture) height() int   { return int(p.c.Ysize) }
func (p picture) bands() int    { return int(p.c.Bands) }
func (p picture) alpha() bool   { return C.vips_image_hasalpha(p.c) != 0 }
func (p picture) deep() bool    { return p.c.BandFmt != C.VIPS_FORMAT_UCHAR }
func (p picture) profile() bool { return C.nf_has_profile(p.c) != 0 }
func (p picture) pages() int    { return int(C.nf_page_count(p.c)) }

// colours is the number of bands beside alpha.
func (p picture) colours() int {
	if p.alpha() {
		return p.bands() - 1
	}
	return p.bands()
}

// orientation is EXIF's 1..8; anything else in the file counts as 1.
func (p picture) orientation() int {
	o := int(C.nf_orientation(p.c))
	if o < 1 || o > 8 {
		return 1
	}
	return o
}

// exif is a copy of the Exif block, nil where there is none.
func (p picture) exif() []byte {
	if p.block != nil {
		return p.block
	}
	var n C.size_t
	data := C.nf_exif(p.c, &n)
	if data == nil || n == 0 || n > maxExif {
		return nil
	}
	return C.GoBytes(data, C.int(n))
}

// maxExif bounds the Exif blocks that are looked into; JPEG's hold 64 KiB.
const maxExif = 1 << 20

// space is libvips' name of the interpretation, "srgb", "cmyk", "b-w", "rgb16".
func (p picture) space() string {
	return C.GoString(C.vips_enum_nick(C.vips_interpretation_get_type(), C.int(p.c.Type)))
}

func (p picture) crop(r image.Rectangle) (picture, error) {
	if r == image.Rect(0, 0, p.width(), p.height()) {
		return p, nil
	}
	var out *C.VipsImage
	bad := C.nf_crop(p.c, &out, C.int(r.Min.X), C.int(r.Min.Y), C.int(r.Dx()), C.int(r.Dy()))
	return p.arena.own("crop", bad, out)
}

// resize scales to exactly w × h with lanczos3.
func (p picture) resize(w, h int) (picture, error) {
	if w == p.width() && h == p.height() {
		return p, nil
	}
	var out *C.VipsImage
	bad := C.nf_resize(p.c, &out, C.int(w), C.int(h))
	return p.arena.own("resize", bad, out)
}

// areaShrink scales down to exactly w × h, each pixel the mean of those it covers.
func (p picture) areaShrink(w, h int) (picture, error) {
	if w == p.width() && h == p.height() {
		return p, nil
	}
	var out *C.VipsImage
	bad := C.nf_area_shrink(p.c, &out, C.int(w), C.int(h))
	return p.arena.own("shrink", bad, out)
}

// srgb converts to 8-bit sRGB, through the embedded profile where there is one that fits. One that does not fit, or that the colour engine
// cannot use, is ignored, as every viewer does.
func (p picture) srgb() (picture, error) {
	facts, none, colours := readICC(p.profileBytes()), iccFacts{}, p.colours()
	how := facts.meaning(colours)
	if m, ok := readICCMatrix(p.profileBytes()); ok && p.deep() && how == C.NF_EMBEDDED_RGB {
		return p.fromMatrix(m)
	}
	out, err := p.withOneTable(facts).converted(how)
	if err != nil && facts.fits(colours) {
		return p.converted(none.meaning(colours))
	}
	return out, err
}

// withOneTable takes all tables but one out of the picture's profile.
func (p picture) withOneTable(facts iccFacts) picture {
	if !facts.hasTables() {
		return p
	}
	out, err := p.withProfile(facts.relative(p.profileBytes()))
	if err != nil {
		return p
	}
	return out
}

func (p picture) converted(how C.int) (picture, error) {
	var out *C.VipsImage
	bad := C.nf_srgb(p.c, &out, how, nil)
	return p.arena.own("colour", bad, out)
}

// fromMatrix converts a deep picture of three primaries and curves.
func (p picture) fromMatrix(m iccMatrix) (picture, error) {
	light, matrix, coded := m.light(), m.toSRGB(), codedSRGB()
	tables := &C.nf_tables{}
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&light[0])
	pin.Pin(&matrix[0])
	pin.Pin(&coded[0])
	tables.light, tables.matrix, tables.coded = (*C.float)(&light[0]), (*C.double)(&matrix[0]), unsafe.Pointer(&coded[0])
	var out *C.VipsImage
	bad := C.nf_srgb(p.c, &out, C.NF_DEEP_RGB, tables)
	return p.arena.own("colour", bad, out)
}

// profileBytes is libvips' own copy of the profile, nil where there is none: valid as long as the picture.
func (p picture) profileBytes() []byte {
	var n C.size_t
	data := C.nf_profile(p.c, &n)
	if data == nil || n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(data), int(n))
}

// withProfile puts a profile on the picture, which says what its values mean and changes none.
func (p picture) withProfile(profile []byte) (picture, error) {
	var out *C.VipsImage
	bad := C.nf_with_profile(p.c, &out, unsafe.Pointer(&profile[0]), C.size_t(len(profile)))
	return p.arena.own("profile", bad, out)
}

// withoutProfile takes the profile off and changes no value.
func (p picture) withoutProfile() (picture, error) {
	var out *C.VipsImage
	bad := C.nf_without_profile(p.c, &out)
	return p.arena.own("profile", bad, out)
}

func (p picture) rotate(degrees int) (picture, error) {
	var out *C.VipsImage
	bad := C.nf_rotate(p.c, &out, C.int(degrees))
	return p.arena.own("rotate", bad, out)
}

func (p picture) flip(vertical bool) (picture, error) {
	var out *C.VipsImage
	v := C.int(0)
	if vertical {
		v = 1
	}
	bad := C.nf_flip(p.c, &out, v)
	return p.arena.own("flip", bad, out)
}

// recomb applies a linear map of R, G, B in 0..1.
func (p picture) recomb(m [3][3]float64, offset float64) (picture, error) {
	flat := make([]C.double, 0, 9)
	for _, row := range m {
		for _, v := range row {
			flat = append(flat, C.double(v))
		}
	}
	var out *C.VipsImage
	bad := C.nf_recomb(p.c, &out, &flat[0], C.double(offset*255))
	return p.arena.own("adjust", bad, out)
}

// flatten lays the picture on grey; one without alpha is returned as it is.
func (p picture) flatten(grey uint8) (picture, error) {
	if !p.alpha() {
		return p, nil
	}
	var out *C.VipsImage
	bad := C.nf_flatten(p.c, &out, C.double(grey))
	return p.arena.own("flatten", bad, out)
}

// onMatte is flatten into a raster in memory.
func (p picture) onMatte(grey uint8) (picture, error) {
	p, err := p.flatten(grey)
	if err != nil {
		return picture{}, err
	}
	return p.memory(context.Background())
}

// withoutIdleAlpha drops an alpha band in which nothing is transparent.
func (p picture) withoutIdleAlpha() (picture, error) {
	if !p.alpha() {
		return p, nil
	}
	var opaque C.int
	if C.nf_opaque(p.c, &opaque) != 0 {
		return picture{}, vipsError("alpha")
	}
	if opaque == 0 {
		return p, nil
	}
	var out *C.VipsImage
	bad := C.nf_drop_alpha(p.c, &out)
	return p.arena.own("alpha", bad, out)
}

func (p picture) rgba() (picture, error) {
	var out *C.VipsImage
	bad := C.nf_rgba(p.c, &out)
	return p.arena.own("alpha", bad, out)
}

// onCanvas lays a picture with alpha at x, y of a transparent canvas of w × h.
func (p picture) onCanvas(x, y, w, h int) (picture, error) {
	var out *C.VipsImage
	bad := C.nf_on_canvas(p.c, &out, C.int(x), C.int(y), C.int(w), C.int(h))
	return p.arena.own("canvas", bad, out)
}

// blur convolves with a gaussian; sigma in pixels.
func (p picture) blur(sigma float64) (picture, error) {
	var out *C.VipsImage
	bad := C.nf_blur(p.c, &out, C.double(sigma))
	return p.arena.own("blur", bad, out)
}

// memory does the calculation into a raster. When ctx ends first, libvips is told to stop.
func (p picture) memory(ctx context.Context) (picture, error) {
	if err := ctx.Err(); err != nil {
		return picture{}, err
	}
	killed := make(chan struct{})
	notEnded := context.AfterFunc(ctx, func() { C.nf_kill(p.c); close(killed) })
	var out *C.VipsImage
	bad := C.nf_memory(p.c, &out)
	if !notEnded() {
		<-killed // it holds p.c, which may be freed once we return
	}
	if err := ctx.Err(); err != nil && bad != 0 {
		C.vips_error_clear()
		return picture{}, err
	}
	return p.arena.own("decode", bad, out)
}

// pixels is the raster's own memory, rows packed. Only for pictures that memory or fromPixels returned; valid until the arena is freed.
func (p picture) pixels() []byte {
	return unsafe.Slice((*byte)(C.nf_pixels(p.c)), p.width()*p.height()*p.bands())
}

// fromPixels copies packed 8-bit sRGB rows in.
func (a *arena) fromPixels(pix []byte, w, h, bands int) (picture, error) {
	var out *C.VipsImage
	bad := C.nf_from_memory(unsafe.Pointer(&pix[0]), C.size_t(len(pix)), C.int(w), C.int(h), C.int(bands), &out)
	return a.own("raster", bad, out)
}

// writeRaw writes packed rows to f, a strip at a time.
func (p picture) writeRaw(f *os.File) error {
	if C.nf_write_raw(p.c, C.int(f.Fd())) != 0 {
		return vipsError("write")
	}
	return nil
}

// goodRows reads the picture from its top and returns how many rows there are before the decoder gives up.
func (p picture) goodRows() int { return int(C.nf_good_rows(p.c)) }
