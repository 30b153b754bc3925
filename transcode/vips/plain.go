package vips

import (
	"bytes"
	"errors"
	"os"

	"github.com/ninefold/ninefold/pipeline"
)

// PlainAnimation writes an animated GIF or APNG again, into the new file to: the frames that Probe counted, and nothing that decoders
// understand differently. What is decoded then is what was counted: nothing behind the trailer, no frames beyond those that were named.
func PlainAnimation(from string, t pipeline.Type, to string) error {
	data, err := readBounded(from)
	if err != nil {
		return err
	}
	plain, err := plainAnimation(data, t)
	if err != nil {
		return asCorrupt("vips.PlainAnimation", err)
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.Write(plain)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "vips.PlainAnimation", err)
	}
	return nil
}

func plainAnimation(data []byte, t pipeline.Type) ([]byte, error) {
	if t == pipeline.TypeAPNG {
		a := readAPNG(bytes.NewReader(data))
		if len(a.frames) == 0 {
			return nil, errors.New("an APNG without a frame")
		}
		return a.bytes(), nil
	}
	g, err := walkGIF(data)
	if err == nil && (len(g.frames) == 0 || g.spills()) {
		err = errGIF
	}
	if err != nil {
		return nil, err
	}
	return g.bytes(), nil
}

// CutShort reports whether a GIF or APNG ends before it should, in which case a decoder delivers what there is and says nothing.
func CutShort(path string, t pipeline.Type) (bool, error) {
	data, err := readBounded(path)
	if err != nil {
		return false, err
	}
	if t == pipeline.TypeAPNG {
		return !readAPNG(bytes.NewReader(data)).whole, nil
	}
	g, err := walkGIF(data)
	return err == nil && !g.whole, err
}
