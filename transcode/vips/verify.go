package vips

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// Verify reads a rendition again and proves that it is what it says, whole, and nothing but its picture: the type and size, and byte by
// byte no Exif, XMP, IPTC, colour profile, comment, thumbnail, maker note or trailing data. It runs no decoder. A rendition that fails
// is CodeEncodeFailed and must not be published.
func Verify(dir string, r pipeline.Rendition) error {
	if !filepath.IsLocal(filepath.FromSlash(r.Path)) {
		return unverified(r, fmt.Errorf("its path is not local"))
	}
	info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(r.Path)))
	if err != nil || !info.Mode().IsRegular() || info.Size() != r.Size {
		return unverified(r, errors.Join(errors.New("not the file that was written"), err))
	}
	data, err := readBounded(filepath.Join(dir, filepath.FromSlash(r.Path)))
	if err != nil {
		return err
	}
	check, ok := checks[r.MIME]
	if !ok {
		return unverified(r, fmt.Errorf("no check for %s", r.MIME))
	}
	w, h, err := check(data)
	if err == nil && (w != r.Width || h != r.Height) {
		err = fmt.Errorf("it is %d×%d, not %d×%d", w, h, r.Width, r.Height)
	}
	if err != nil {
		return unverified(r, err)
	}
	return nil
}

func unverified(r pipeline.Rendition, err error) error {
	return &pipeline.Error{Code: pipeline.CodeEncodeFailed, Op: "vips.Verify", Message: "the rendition " + r.Name + " did not verify", Err: err}
}

// checks holds, per type, what returns the size of a file that carries its picture and no more.
var checks = map[string]func([]byte) (w, h int, err error){
	"image/jpeg": checkJPEG,
	"image/webp": checkWebP,
	"image/avif": checkAVIF,
}

// checkJPEG allows the markers of a picture, and a JFIF header without a thumbnail.
func checkJPEG(data []byte) (w, h int, err error) {
	segs, trailing, err := walkJPEG(data)
	if err != nil {
		return 0, 0, err
	}
	if trailing > 0 {
		return 0, 0, fmt.Errorf("%d bytes after the picture", trailing)
	}
	for _, s := range segs {
		if !plainSegment(s) {
			return 0, 0, fmt.Errorf("a segment %#x that is no picture", s.marker)
		}
	}
	w, h = jpegSize(segs)
	return w, h, nil
}

func plainSegment(s jpegSegment) bool {
	switch s.marker {
	case markDQT, markDHT, markDRI, markSOS, markEOI:
		return true
	case markAPP0:
		p := s.payload
		return len(p) == 14 && string(p[:5]) == "JFIF\x00" && p[12] == 0 && p[13] == 0
	}
	return isSOF(s.marker)
}

// checkWebP allows a still picture with or without alpha.
func checkWebP(data []byte) (w, h int, err error) {
	chunks, err := walkWebP(data)
	if err != nil {
		return 0, 0, err
	}
	for i, c := range chunks {
		switch c.id {
		case "VP8 ", "VP8L", "ALPH":
		case "VP8X":
			if i != 0 || len(c.body) != 10 || c.body[0]&^webpAlphaFlag != 0 {
				return 0, 0, fmt.Errorf("a header that announces more than a picture")
			}
		default:
			return 0, 0, fmt.Errorf("a chunk %q that is no picture", c.id)
		}
	}
	w, h = webpSize(chunks)
	return w, h, nil
}

// webpAlphaFlag is the only one of VP8X's flags that a rendition may have; the others are profile, Exif, XMP and animation.
const webpAlphaFlag = 0x10

// checkAVIF allows coded items only, with code points for colour and no profile, and no transformation: orientation is in the pixels.
func checkAVIF(data []byte) (w, h int, err error) {
	r := newBoxReader()
	top, err := r.list(data)
	if err != nil {
		return 0, 0, err
	}
	for _, b := range top {
		if !slices.Contains([]string{"ftyp", "meta", "mdat", "free"}, b.kind) {
			return 0, 0, fmt.Errorf("a box %q that is no picture", b.kind)
		}
	}
	if err := onlyCodedItems(r, data); err != nil {
		return 0, 0, err
	}
	properties, ok := r.at(data, "meta", "iprp", "ipco")
	if !ok {
		return 0, 0, errBMFF
	}
	bigW, bigH := largestExtent(data)
	return int(bigW), int(bigH), plainProperties(r, properties.body)
}

// onlyCodedItems walks the item list: a version 2 entry has id (16 bits), protection index (16) and type after its four flag bytes.
func onlyCodedItems(r *boxReader, data []byte) error {
	list, ok := r.at(data, "meta", "iinf")
	if !ok || len(list.body) < fullBoxBytes+2 {
		return errBMFF
	}
	skip := fullBoxBytes + 2
	if list.body[0] > 0 {
		skip = fullBoxBytes + 4
	}
	items, err := r.list(list.body[min(skip, len(list.body)):])
	if err != nil {
		return err
	}
	for _, it := range items {
		if it.kind != "infe" || len(it.body) < 12 || it.body[0] != 2 || string(it.body[8:12]) != "av01" {
			return fmt.Errorf("an item that is no picture")
		}
	}
	return nil
}

// plainProperties refuses colour profiles and transformations.
func plainProperties(r *boxReader, properties []byte) error {
	list, err := r.list(properties)
	if err != nil {
		return err
	}
	for _, p := range list {
		switch {
		case p.kind == "colr" && !bytes.HasPrefix(p.body, []byte("nclx")):
			return fmt.Errorf("a colour profile")
		case p.kind == "irot" || p.kind == "imir" || p.kind == "clap":
			return fmt.Errorf("a transformation %q", p.kind)
		}
	}
	return nil
}
