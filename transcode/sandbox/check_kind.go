package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// The kind of an item decides what is looked at: a note is not classified. So an engine may call media only what their leading bytes, which
// the worker has read itself, allow; render only what the plan says; and hand over only files that are of that kind by their bytes.

// soundOnly are the types that hold no picture that is shown.
var soundOnly = []string{
	pipeline.TypeMP3.MIME, pipeline.TypeAAC.MIME, pipeline.TypeWAV.MIME, pipeline.TypeFLAC.MIME, pipeline.TypeAMR.MIME, pipeline.TypeCAF.MIME,
}

// checkKind holds the kind that an engine found against the type that the worker found.
func checkKind(found pipeline.Kind, t pipeline.Type) error {
	may := []pipeline.Kind{pipeline.KindVoice, pipeline.KindVideo}
	switch {
	case t.Family == pipeline.FamilyImage:
		may = []pipeline.Kind{pipeline.KindPhoto, pipeline.KindVideo} // an animation is a video
	case slices.Contains(soundOnly, t.MIME):
		may = []pipeline.Kind{pipeline.KindVoice}
	}
	if !slices.Contains(may, found) {
		return crashed("identify answered kind %.40q of %s", found, t.MIME)
	}
	return nil
}

// kindOf is the kind of what a plan makes.
func kindOf(p *transcode.Plan) pipeline.Kind {
	switch {
	case p == nil:
		return ""
	case p.Photo != nil:
		return pipeline.KindPhoto
	case p.Voice != nil:
		return pipeline.KindVoice
	case p.Video != nil:
		return pipeline.KindVideo
	}
	return ""
}

// The types of files.
var (
	pictures = []string{pipeline.TypeJPEG.MIME, pipeline.TypeWebP.MIME, pipeline.TypeAVIF.MIME}
	movie    = []string{pipeline.TypeMP4.MIME}
)

// forms are the renditions of each kind, by name, and the types they come in. What shows nothing is not among them: it is made by the engine
// that reads back (checkReadBack).
var forms = map[pipeline.Kind]map[string][]string{
	pipeline.KindVoice: {"voice": {pipeline.TypeOgg.MIME, pipeline.TypeM4A.MIME}},
	pipeline.KindPhoto: {"display": pictures, "preview": pictures, "thumb": pictures, "grid": pictures},
	pipeline.KindVideo: {
		"playback": movie, "small": movie, "poster": pictures, "thumb": pictures, "grid": pictures,
		"sprite": append([]string{indexMIME}, pictures...),
	},
}

// indexMIME is the type of a sprite's index, the only rendition that is no media.
const indexMIME = "application/json"

// checkForm holds what an engine says it made against the plan.
func checkForm(r *pipeline.Rendered, plan *transcode.Plan) error {
	kind := kindOf(plan)
	if kind == "" || r.Part.Kind != kind {
		return crashed("render answered kind %.40q for a plan of kind %q", r.Part.Kind, kind)
	}
	paths := map[string]bool{}
	for _, f := range r.Part.Renditions {
		if !slices.Contains(forms[kind][f.Name], f.MIME) {
			return crashed("render answered %.40q of type %.40q for a %s", f.Name, f.MIME, kind)
		}
		if paths[f.Path] { // a safe rendition, say, that is a full one
			return crashed("render answered one file for two renditions")
		}
		paths[f.Path] = true
	}
	return checkDescription(r.Part)
}

// checkDescription refuses what describes a kind that the part is not.
func checkDescription(p pipeline.Part) error {
	sound := p.Waveform != nil || p.Waveforms != nil || p.Loudness != nil
	sight := p.Placeholder != nil || p.Width != 0 || p.Height != 0 || p.HasAudio != nil || p.Presentation != ""
	switch {
	case p.Kind == pipeline.KindVoice && sight:
		return crashed("render answered a picture of a voice note")
	case p.Kind == pipeline.KindPhoto && sound:
		return crashed("render answered the sound of a photo")
	}
	if w := p.Waveforms; w != nil && (len(w.Matrix) > maxMatrix || slices.ContainsFunc(w.Matrix, func(v int) bool { return v < 0 || v > 1024 })) {
		return crashed("render answered a waveform of %d values", len(w.Matrix))
	}
	return checkWords(p)
}

// maxMatrix is how many values a Matrix waveform has at most.
const maxMatrix = 100

// The words that an engine may hand to a client.
var (
	codecsText = regexp.MustCompile(`^[A-Za-z0-9., -]{0,64}$`)
	colorText  = regexp.MustCompile(`^(#[0-9a-f]{6})?$`)
)

func checkWords(p pipeline.Part) error {
	for _, r := range p.Renditions {
		if !codecsText.MatchString(r.Codecs) {
			return crashed("render answered codecs %.40q", r.Codecs)
		}
	}
	if p.Placeholder != nil && !colorText.MatchString(p.Placeholder.Color) {
		return crashed("render answered colour %.40q", p.Placeholder.Color)
	}
	if !slices.Contains([]string{"", transcode.PresentVideo, transcode.PresentGIF}, p.Presentation) {
		return crashed("render answered presentation %.40q", p.Presentation)
	}
	if !slices.Contains([]string{"", "transcode", "remux"}, p.Method) {
		return crashed("render answered method %.40q", p.Method)
	}
	return nil
}

// headBytes are enough to know a type that an engine may write.
const headBytes = 4 << 10

// checkBytes holds a file that was carried out against the type that its engine gave it.
func checkBytes(ws *pipeline.Workspace, r pipeline.Rendition) error {
	f, _, err := ws.Open(r.Path, maxCarried)
	if err != nil {
		return crashed("%w", err)
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, headBytes+1))
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "scratch", err)
	}
	if r.MIME == indexMIME {
		return checkIndex(head)
	}
	if t, ok := pipeline.Sniff(head[:min(len(head), headBytes)]); !ok || t.MIME != r.MIME {
		return crashed("%.40q is called %s and is %q", r.Name, r.MIME, t.MIME)
	}
	return nil
}

// checkIndex takes a sprite's index and nothing beside it.
func checkIndex(data []byte) error {
	var index transcode.SpriteIndex
	if len(data) > headBytes || json.Unmarshal(data, &index) != nil {
		return crashed("the sprite's index is none")
	}
	if again, err := json.Marshal(index); err != nil || !bytes.Equal(again, data) {
		return crashed("there is more than an index in the sprite's")
	}
	return nil
}
