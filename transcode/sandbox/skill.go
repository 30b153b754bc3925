package sandbox

import "github.com/ninefold/ninefold/pipeline"

// skill is what a request needs of an engine, and what an engine program can do.
type skill int

const (
	sound skill = iota // read the header of what moves or sounds; render and verify a voice note
	all                // that, and pictures and video
)

// skill is what this request needs. Only the full engine has libvips; a header that libvips does not read, either engine reads.
func (r Request) skill() skill {
	switch {
	case r.Op == OpIdentify && r.File != nil && r.File.Type.Family == pipeline.FamilyMedia,
		r.Op == OpRender && r.Plan != nil && r.Plan.Voice != nil,
		r.Op == OpProve && r.Kind == pipeline.KindVoice,
		r.Op == OpVerify && r.Rendered != nil && r.Rendered.Part.Kind == pipeline.KindVoice:
		return sound
	}
	return all
}

// reads reports whether a request is about delivered files alone. It is given to an engine that never saw a source: what an engine might
// have been made to hide by the one is then found in the other.
func (r Request) reads() bool { return r.Op == OpVerify || r.Op == OpReadBack }
