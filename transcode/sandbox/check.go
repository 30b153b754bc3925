package sandbox

import (
	"path"
	"regexp"
	"unicode/utf8"

	"github.com/ninefold/ninefold/pipeline"
)

// The engine has read a stranger's bytes, so its answers are a stranger's too: everything in them is checked before use.

// engineCodes are the codes an engine may give. All but the last are results.
var engineCodes = map[pipeline.Code]bool{
	pipeline.CodeUnsupportedType: true, pipeline.CodeTypeMismatch: true, pipeline.CodeTooLarge: true, pipeline.CodeTooManyPixels: true,
	pipeline.CodeTooLong: true, pipeline.CodeTooShort: true, pipeline.CodeNoAudio: true, pipeline.CodeNoVideo: true,
	pipeline.CodeCorrupt: true, pipeline.CodeInvalidEdit: true, pipeline.CodeDecodeTimeout: true, pipeline.CodeEngineCrashed: true,
	pipeline.CodeOutOfMemory: true, pipeline.CodeEncodeFailed: true, pipeline.CodeInternal: true,
}

const (
	maxSide       = 65_535 // pixels, of anything an engine may report
	maxSamples    = 4096
	maxRenditions = 64
	maxDurationMS = 24 * 3600 * 1000
)

// outName is what a file made by an engine may be called.
var outName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// check looks at everything in an answer that is not a failure.
func (resp Response) check(req Request) error {
	switch req.Op {
	case OpIdentify:
		if resp.Media == nil {
			return crashed("identify answered without media")
		}
		if err := checkKind(resp.Media.Kind, req.File.Type); err != nil {
			return err
		}
		return checkMedia(*resp.Media)
	case OpRender:
		if resp.Rendered == nil {
			return crashed("render answered with nothing")
		}
		if err := checkForm(resp.Rendered, req.Plan); err != nil {
			return err
		}
		return checkRendered(resp.Rendered, req.Out)
	case OpLook:
		return checkSamples(resp.Samples, req.Out)
	case OpReadBack:
		if resp.ReadBack == nil {
			return crashed("read answered with nothing")
		}
		return checkReadBack(resp.ReadBack, req)
	}
	return nil
}

func checkMedia(m pipeline.Media) error {
	if m.Width < 0 || m.Height < 0 || m.Frames < 0 || m.Plays < 0 || m.Streams < 0 || m.DurationMS < 0 || m.BitRate < 0 {
		return crashed("identify answered a negative measure")
	}
	var names []string
	for _, s := range []*pipeline.Stream{m.Video, m.Audio} {
		if s != nil {
			names = append(names, s.Codec)
		}
	}
	for _, l := range m.LeftOut {
		names = append(names, l.Codec)
	}
	for _, name := range names { // a sender reads them
		if len(names) > maxNames || !codecName.MatchString(name) {
			return crashed("identify answered %d codecs, one of them %.40q", len(names), name)
		}
	}
	return nil
}

// maxNames bounds the streams that are named.
const maxNames = 16

// codecName is what a codec may be called.
var codecName = regexp.MustCompile(`^[A-Za-z0-9_-]{0,32}$`)

func checkRendered(r *pipeline.Rendered, out string) error {
	if len(r.Part.Renditions) == 0 || len(r.Part.Renditions) > maxRenditions {
		return crashed("render answered %d renditions", len(r.Part.Renditions))
	}
	if r.Part.DurationMS < 0 || r.Part.DurationMS > maxDurationMS || r.Part.SourceDurationMS < 0 {
		return crashed("render answered a duration of %d ms", r.Part.DurationMS)
	}
	if err := checkTexts(r.Part); err != nil {
		return err
	}
	r.Part = measured(r.Part)
	for _, f := range r.Part.Renditions {
		if err := checkRendition(f, out); err != nil {
			return err
		}
	}
	return nil
}

// checkReadBack holds an answer to what was asked for: a safe rendition only where one was to be made, and counts that can be.
func checkReadBack(r *pipeline.ReadBack, req Request) error {
	if err := checkTexts(pipeline.Part{Placeholder: r.Placeholder}); err != nil {
		return err
	}
	if !req.Read.Make && (len(r.Safe) > 0 || r.Placeholder != nil) || len(r.Safe) > 1 {
		return crashed("read answered %d safe renditions", len(r.Safe))
	}
	for _, f := range r.Safe {
		if f.Class != pipeline.ClassSafe || f.MIME != pipeline.TypeJPEG.MIME {
			return crashed("read answered a rendition of class %.40q and type %.40q", f.Class, f.MIME)
		}
		if err := checkRendition(f, req.Out); err != nil {
			return err
		}
	}
	s := r.Screen
	if s.Frames < 0 || s.Scored < 0 || s.Covered < 0 || s.ShownMS < 0 || s.CoveredMS < 0 || s.LongestMS < 0 ||
		s.Covered > s.Frames || s.Scored > s.Frames || s.CoveredMS > s.ShownMS || req.Read.Side > 0 && (s.Frames == 0 || len(s.Samples) == 0) {
		return crashed("read answered that %d of %d frames are covered, %d of %d ms, by %d samples", s.Covered, s.Frames, s.CoveredMS, s.ShownMS,
			len(s.Samples))
	}
	return checkSamples(s.Samples, req.Out)
}

func checkSamples(samples []pipeline.Sample, out string) error {
	if len(samples) > maxSamples {
		return crashed("the engine answered %d samples", len(samples))
	}
	for _, s := range samples {
		if !ours(s.Path, out) || s.Offset < 0 || !sane(s.Width) || !sane(s.Height) {
			return crashed("the engine answered a sample outside its directory or size")
		}
	}
	return nil
}

// measured keeps of an engine's part what an engine can know. Verdicts, statuses and names are the worker's to give.
func measured(p pipeline.Part) pipeline.Part {
	p.ItemID, p.Index, p.Status, p.Error, p.Source, p.Moderation = "", 0, "", nil, nil, nil
	p.Caption, p.Alt, p.Edits, p.Degraded = "", "", nil, nil
	return p
}

const (
	maxText     = 512 // bytes, of one placeholder, waveform or warning
	maxWarnings = 16
)

// checkTexts bounds every string an engine may hand to a client.
func checkTexts(p pipeline.Part) error {
	texts := append([]string{p.Presentation, p.Method}, p.Warnings...)
	if ph := p.Placeholder; ph != nil {
		texts = append(texts, ph.Blurhash, ph.Thumbhash, ph.Color)
	}
	if w := p.Waveform; w != nil {
		texts = append(texts, w.Encoding, w.Data)
	}
	if w := p.Waveforms; w != nil {
		texts = append(texts, w.Discord, w.Telegram, w.WhatsApp)
	}
	for _, t := range texts {
		if len(t) > maxText || !utf8.ValidString(t) {
			return crashed("render answered a text of %d bytes", len(t))
		}
	}
	if len(p.Warnings) > maxWarnings {
		return crashed("render answered %d warnings", len(p.Warnings))
	}
	return nil
}

// renditionNames are the names a plan can give, and whether the rendition shows the media. A safe class for anything else
// would open it to recipients it is kept from.
var renditionNames = map[string]pipeline.Class{
	"display": pipeline.ClassFull, "preview": pipeline.ClassFull, "thumb": pipeline.ClassFull, "grid": pipeline.ClassFull,
	"small": pipeline.ClassFull, "sprite": pipeline.ClassFull,
	"voice": pipeline.ClassFull, "playback": pipeline.ClassFull, "poster": pipeline.ClassFull, "blurred": pipeline.ClassSafe,
}

func checkRendition(r pipeline.Rendition, out string) error {
	class, known := renditionNames[r.Name]
	if !known || r.Class != class || r.Key != "" {
		return crashed("render answered rendition %.40q of class %.40q and type %.40q", r.Name, r.Class, r.MIME)
	}
	if !ours(r.Path, out) || r.Width < 0 || r.Height < 0 || r.Frames < 0 || r.Width > maxSide || r.Height > maxSide {
		return crashed("render answered a rendition outside its directory or size")
	}
	return nil
}

// ours reports whether a path is a plain name in the directory the engine was told to write to, or one below it.
func ours(p, out string) bool {
	dir := path.Dir(p)
	return (dir == out || path.Dir(dir) == out && outName.MatchString(path.Base(dir))) && outName.MatchString(path.Base(p))
}

func sane(side int) bool { return side > 0 && side <= maxSide }
