package vips

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// heicSequence is an HEVC video told to be an image sequence: the brands and the handler are all that tells them apart.
func heicSequence(t *testing.T) []byte {
	t.Helper()
	data := animation(t, "-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p", "-tag:v", "hvc1", "-f", "mp4")
	copy(data[8:], "hevc")
	copy(data[16:], "msf1hevc")
	at := bytes.Index(data, []byte("hdlr"))
	copy(data[at+12:], "pict")
	return data
}

func avifSequence(t *testing.T) []byte {
	return animation(t, "-c:v", "libaom-av1", "-cpu-used", "8", "-pix_fmt", "yuv420p", "-f", "avif")
}

func TestProbeSequences(t *testing.T) {
	for name, data := range map[string][]byte{"HEIC": heicSequence(t), "AVIF": avifSequence(t)} {
		dir, f := staged(t, data)
		m, err := Probe(filepath.Join(dir, f.Path), f.Type)
		if err != nil {
			t.Fatal(name, err)
		}
		if !m.Animated || m.Kind != pipeline.KindVideo || m.Frames != 10 || m.Width != 96 || m.Height != 64 || m.DurationMS != 2000 {
			t.Errorf("%s: probed %+v", name, m)
		}
		for n := range data[:min(len(data), 3000)] {
			readSequence(data[:n])
		}
		if at := bytes.Index(data, []byte("stsz")); at > 0 { // a sample for every four bytes of 40 GB
			copy(data[at+12:], "\xff\xff\xff\xff")
			dir, f = staged(t, data)
			m, err = Probe(filepath.Join(dir, f.Path), f.Type)
			if err == nil {
				err = transcode.CheckLimits(m, transcode.DefaultProfile())
			}
			if codeOf(err) != pipeline.CodeTooManyPixels {
				t.Errorf("%s: %v for four thousand million frames", name, err)
			}
		}
	}
}

// A still picture that has a sequence beside it stays a still picture.
func TestStillBesideASequence(t *testing.T) {
	data := avifSequence(t)
	copy(data[8:], "avif")
	dir, f := staged(t, data)
	if r := mustProcess(t, dir, f); r.media.Kind != pipeline.KindPhoto || r.Part.Width != 96 {
		t.Errorf("probed %+v", r.media)
	}
}

// The picture beside a sequence is a photo of its own where the sequence cannot be played, and says so.
func TestPictureInPlaceOfASequence(t *testing.T) {
	t.Parallel()
	data := avifSequence(t)
	dir, f := staged(t, data)
	m, err := ProbeStill(filepath.Join(dir, f.Path), f.Type)
	if err != nil || m.Animated || m.Kind != pipeline.KindPhoto || m.Width != 96 || m.Height != 64 {
		t.Fatalf("probed %+v, %v", m, err)
	}
	r, err := processAs(t, dir, f, m)
	if err != nil || len(r.Part.Warnings) != 1 || r.Part.Warnings[0] != stillOnly {
		t.Errorf("%v, %+v", err, r.Rendered)
	}
}
