package vips

import (
	"errors"
	"os"

	"github.com/ninefold/ninefold/pipeline"
)

// Probe reads the header of the picture at path, which was sniffed as t, and decodes no pixel. It says nothing about limits:
// transcode.CheckLimits does. A file whose structure is broken is CodeCorrupt.
func Probe(path string, t pipeline.Type) (m pipeline.Media, err error) {
	err = onThread(func() error {
		m, err = probe(source{path: path, typ: t})
		return err
	})
	return m, err
}

// ProbeStill is Probe for the picture that a HEIC or AVIF sequence has beside it.
func ProbeStill(path string, t pipeline.Type) (m pipeline.Media, err error) {
	err = onThread(func() error {
		m, err = probe(source{path: path, typ: t, still: true})
		return err
	})
	return m, err
}

func probe(s source) (pipeline.Media, error) {
	info, err := os.Stat(s.path)
	if err != nil {
		return pipeline.Media{}, pipeline.Trouble(pipeline.CodeInternal, "vips.Probe", err)
	}
	if info.Size() == 0 {
		return pipeline.Media{}, pipeline.Refuse(pipeline.CodeCorrupt, "the file is empty; send it again").In("vips.Probe")
	}
	m := pipeline.Media{MIME: s.typ.MIME, Kind: pipeline.KindPhoto, Size: info.Size(), Frames: 1}
	if err := structure(s, &m); err != nil {
		return pipeline.Media{}, asCorrupt("vips.Probe", err)
	}
	if m.Format == "" { // a sequence is ffmpeg's: libvips sees at best its cover
		if err := header(s, &m); err != nil {
			return pipeline.Media{}, asCorrupt("vips.Probe", err)
		}
	}
	if m.Frames > 1 {
		m.Kind, m.Animated = pipeline.KindVideo, true
	}
	return m, nil
}

// structure counts frames by our own walk, and refuses what a decoder should not even see the header of.
func structure(s source, m *pipeline.Media) error {
	switch s.typ.MIME {
	case pipeline.TypeAPNG.MIME:
		return apngStructure(s, m)
	case pipeline.TypeGIF.MIME:
		return gifStructure(s, m)
	case pipeline.TypeWebP.MIME:
		return webpStructure(s, m)
	case pipeline.TypeHEIC.MIME, pipeline.TypeAVIF.MIME:
		return heifStructure(s, m)
	}
	return nil
}

func apngStructure(s source, m *pipeline.Media) error {
	f, err := os.Open(s.path)
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "vips.Probe", err)
	}
	defer f.Close()
	a := readAPNG(f)
	m.Frames = max(1, len(a.frames))
	if m.Frames > 1 {
		m.DurationMS, m.Plays = a.durationMS(), a.plays
	}
	return nil
}

func gifStructure(s source, m *pipeline.Media) error {
	data, err := readBounded(s.path)
	if err != nil {
		return err
	}
	g, err := walkGIF(data)
	if err != nil {
		return err
	}
	if len(g.frames) == 0 {
		return errors.New("a GIF without a frame")
	}
	if g.spills() {
		return errors.New("a GIF with a frame far beyond its canvas")
	}
	m.Frames = len(g.frames)
	if m.Frames > 1 {
		m.DurationMS, m.Width, m.Height, m.Plays = g.durationMS(), g.width, g.height, g.plays
	}
	return nil
}

func webpStructure(s source, m *pipeline.Media) error {
	data, err := readBounded(s.path)
	if err != nil {
		return err
	}
	chunks, err := webpChunks(data)
	if err != nil {
		return err
	}
	delays := webpDelays(chunks)
	m.Frames = max(1, len(delays))
	if len(delays) > 1 {
		for _, d := range delays {
			m.DurationMS += int64(d)
		}
		m.Plays = webpPlays(chunks)
	}
	return nil
}

// heifStructure bounds the boxes, and tells a sequence from a still picture by its major brand: a still may have a sequence beside it.
func heifStructure(s source, m *pipeline.Media) error {
	data, err := readBounded(s.path)
	if err != nil {
		return err
	}
	if seq, ok := readSequence(data); ok && !s.still {
		m.Width, m.Height, m.Frames, m.DurationMS, m.Format = seq.width, seq.height, seq.frames, seq.durationMS, s.typ.Demuxer
		return nil
	}
	r := newBoxReader()
	_, still := r.at(data, "meta")
	_, movie := r.at(data, "moov")
	if movie && !still {
		return pipeline.Refuse(pipeline.CodeUnsupportedType, "an image sequence without a picture in it is not taken; send it as a video")
	}
	if _, short := r.at(data, "mini"); short && !still {
		return pipeline.Refuse(pipeline.CodeUnsupportedType, "this is HEIF with a short header, which is not taken; send it as JPEG")
	}
	if !still {
		return errBMFF
	}
	if w, h := largestExtent(data); w*h > maxExtent {
		return pipeline.Refuse(pipeline.CodeTooManyPixels, "the picture is %d×%d; scale it down", w, h)
	}
	return nil
}

// maxExtent is more pixels than any profile should allow: libheif is not even asked about such a file.
const maxExtent = 1 << 28

// header asks libvips for the size and what else shapes the plan.
func header(s source, m *pipeline.Media) error {
	var a arena
	defer a.free()
	p, err := s.open(&a, loading{failOn: failOnNone})
	if err != nil && s.typ == pipeline.TypeJPEG {
		return errors.Join(unreadJPEG(s.path), err)
	}
	if err != nil {
		return err
	}
	m.Image = &pipeline.Image{Orientation: s.orientation(p), HasAlpha: p.alpha(), HasProfile: p.profile(), Space: p.space()}
	w, h := p.width(), p.height()
	if m.Image.Orientation > 4 {
		w, h = h, w
	}
	m.Width, m.Height = max(m.Width, w), max(m.Height, h) // an animation's canvas, which another decoder will obey, may be larger
	if s.typ == pipeline.TypeWebP {
		m.Frames = max(m.Frames, p.pages())
	}
	return nil
}
