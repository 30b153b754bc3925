package vips

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"errors"
	"io"
	"os"
	"unsafe"

	"github.com/ninefold/ninefold/pipeline"
)

// loader is how libvips reads a type. The sniffed type alone decides; libvips is never asked to guess.
type loader struct {
	kind      C.int
	operation string
}

var loaders = map[string]loader{
	pipeline.TypeJPEG.MIME: {C.NF_JPEG, "jpegload"},
	pipeline.TypePNG.MIME:  {C.NF_PNG, "pngload"},
	pipeline.TypeAPNG.MIME: {C.NF_PNG, "pngload"},
	pipeline.TypeWebP.MIME: {C.NF_WEBP, "webpload"},
	pipeline.TypeGIF.MIME:  {C.NF_GIF, "gifload"},
	pipeline.TypeHEIC.MIME: {C.NF_HEIF, "heifload"},
	pipeline.TypeAVIF.MIME: {C.NF_HEIF, "heifload"},
}

// maxRead bounds the files that are read whole, for their structure; the photo limit is below it.
const maxRead = 64 << 20

// How strict the decoder is.
const (
	failOnWarning = C.VIPS_FAIL_ON_WARNING // whatever is not as it should be
	failOnError   = C.VIPS_FAIL_ON_ERROR   // cut short or broken
	failOnNone    = C.VIPS_FAIL_ON_NONE    // whatever can be had
)

// source is a file to decode, as a type.
type source struct {
	path  string
	typ   pipeline.Type
	still bool // not the sequence that it may hold
}

// loading says how a source is read.
type loading struct {
	failOn   C.int
	shrink   int  // JPEG: 1, 2, 4 or 8 times smaller on the way in
	allPages bool // WebP: every frame, one under the other
}

// open reads the header; pixels are decoded when they are asked for. The picture lives in a.
func (s source) open(a *arena, l loading) (picture, error) {
	ld, ok := loaders[s.typ.MIME]
	if !ok {
		return picture{}, pipeline.Refuse(pipeline.CodeUnsupportedType, "%s is not a picture type we take; send JPEG, PNG, WebP, GIF, HEIC or AVIF", s.typ.MIME)
	}
	if !has(ld.operation) {
		return picture{}, pipeline.Trouble(pipeline.CodeInternal, "vips", errors.New("this libvips has no "+ld.operation))
	}
	if ld.kind == C.NF_HEIF {
		return s.openHEIF(a, ld, l)
	}
	if ld.kind == C.NF_GIF {
		return s.openGIF(a, ld, l)
	}
	return s.load(a, ld, l, nil)
}

// bytes is the file as p was read from it.
func (s source) bytes(p picture) ([]byte, error) {
	if p.read != nil {
		return p.read, nil
	}
	return readBounded(s.path)
}

// load has libvips read the header, of the file or of data in its place.
func (s source) load(a *arena, ld loader, l loading, data []byte) (picture, error) {
	path := C.CString(s.path)
	defer C.free(unsafe.Pointer(path))
	in := C.nf_source{_type: ld.kind, path: path, shrink: C.int(max(1, l.shrink)), fail_on: l.failOn}
	if l.allPages {
		in.all_pages = 1
	}
	if data != nil {
		in.buf, in.len = C.CBytes(data), C.size_t(len(data))
	}
	var out *C.VipsImage
	bad := C.nf_load(&in, &out)
	if in.buf != nil && bad != 0 {
		C.free(in.buf)
	} else if in.buf != nil {
		a.buffers = append(a.buffers, in.buf)
	}
	return a.own("load", bad, out)
}

// readBounded reads a file of at most maxRead bytes.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "vips", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRead+1))
	if err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "vips", err)
	}
	if len(data) > maxRead {
		return nil, pipeline.Refuse(pipeline.CodeTooLarge, "the file has more than %d bytes; send a smaller one", maxRead)
	}
	return data, nil
}

// asCorrupt makes the sender's error of a decoder's, keeping errors that have a code already.
func asCorrupt(op string, err error) error {
	var coded *pipeline.Error
	if errors.As(err, &coded) {
		return coded.In(op)
	}
	return &pipeline.Error{Code: pipeline.CodeCorrupt, Op: op, Message: "the picture is damaged or cut short; send it again", Err: err}
}
