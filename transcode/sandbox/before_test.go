package sandbox

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// counted counts what reaches an engine.
type counted struct {
	pipeline.Processors
	asked atomic.Int32
}

func (c *counted) Open(ctx context.Context, ws *pipeline.Workspace) (pipeline.Processor, error) {
	p, err := c.Processors.Open(ctx, ws)
	return &counting{p, c}, err
}

type counting struct {
	pipeline.Processor
	*counted
}

func (c *counting) Identify(ctx context.Context, f pipeline.File) (pipeline.Media, error) {
	c.asked.Add(1)
	return c.Processor.Identify(ctx, f)
}

// TestOnlyMediaReachADecoder: everything that is not of a type we take is refused by its first bytes, in the worker.
func TestOnlyMediaReachADecoder(t *testing.T) {
	r := newRig(t, nil)
	count := &counted{Processors: r.pool}
	r.Processors = count
	for name, head := range map[string]string{
		"ZIP": "PK\x03\x04\x14\x00", "gzip": "\x1f\x8b\x08\x00", "bzip2": "BZh91AY", "xz": "\xfd7zXZ\x00", "7z": "7z\xbc\xaf\x27\x1c", "RAR": "Rar!\x1a\x07\x01\x00",
		"zstd": "\x28\xb5\x2f\xfd", "SVG": `<svg xmlns="http://www.w3.org/2000/svg"/>`, "SVG with a prologue": `<?xml version="1.0"?><svg/>`,
		"MVG": "push graphic-context\n", "PostScript": "%!PS-Adobe-3.0 EPSF-3.0\n", "EPS with a preview": "\xc5\xd0\xd3\xc6\x1e\x00\x00\x00", "PDF": "%PDF-1.7\n",
		"TrueType": "\x00\x01\x00\x00\x00\x0c\x00\x80", "OpenType": "OTTO\x00\x0a\x00\x80", "WOFF": "wOFF\x00\x01\x00\x00", "WOFF2": "wOF2\x00\x01\x00\x00",
		"TIFF": "II*\x00\x08\x00\x00\x00", "BMP": "BM\x36\x00\x00\x00", "PSD": "8BPS\x00\x01", "ICO": "\x00\x00\x01\x00\x01\x00", "DICOM": "\x00\x00\x00\x00DICM",
		"JPEG 2000": "\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG XL": "\xff\x0a\xfa\x7f", "OpenEXR": "v/1\x01", "FITS": "SIMPLE  =", "Matlab": "MATLAB 5.0",
		"HLS": "#EXTM3U\n", "ffconcat": "ffconcat version 1.0\n", "DASH": "<MPD/>", "SDP": "v=0\no=- 0 0 IN IP4", "SMIL": "<smil/>", "ASX": "<asx/>", "PLS": "[playlist]\n",
		"ELF": "\x7fELF\x02\x01\x01", "script": "#!/bin/sh\n", "HTML": "<!doctype html>", "AVI": "RIFF\x00\x00\x00\x00AVI LIST", "ASF": "\x30\x26\xb2\x75\x8e\x66\xcf\x11",
		"FLV": "FLV\x01\x05", "MPEG-TS": "\x47\x40\x00\x10\x00", "RealMedia": ".RMF\x00\x00", "MIDI": "MThd\x00\x00\x00\x06", "module": "Extended Module: ", "nothing": "\x00",
	} {
		data := append([]byte(head), bytes.Repeat([]byte(" "), 600)...)
		if o := r.send(t, name, data); o.err != nil || o.part.Error == nil || o.part.Error.Code != pipeline.CodeUnsupportedType {
			t.Errorf("%s: %s, want unsupported_type", name, o.code())
		}
	}
	if n := count.asked.Load(); n > 0 {
		t.Errorf("engines were asked about %d of them", n)
	}
}

// TestPolyglots: a file of two natures is read as the one its first bytes name, or not at all, and the other nature is not passed on.
func TestPolyglots(t *testing.T) {
	r, all := newRig(t, nil), sharedSeeds(t)
	const other = "PK\x03\x04polyglotQ7Zx<script>alert(1)</script>#EXTM3U\nfile:///etc/passwd\n%PDF-1.7"
	for _, name := range []string{"a.jpg", "a.png", "a.gif", "a.webp", "film.mp4", "note.ogg", "note.mp3", "note.wav", "note.flac"} {
		o := r.send(t, "polyglot "+name, append(bytes.Clone(named(t, all, name)), other...))
		if o.err != nil {
			t.Errorf("%s: %s", name, o.code())
		}
		for _, f := range o.part.Renditions {
			if bytes.Contains(r.object(t, f.Key), []byte("polyglotQ7Zx")) {
				t.Errorf("%s: %s %s passes the other nature on", name, f.Name, f.MIME)
			}
		}
	}
}
