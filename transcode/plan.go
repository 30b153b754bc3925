package transcode

import (
	"github.com/ninefold/ninefold/pipeline"
)

// Plan is the work order for one item, made from facts and edits alone. Exactly one of Voice, Photo and Video is set.
// It travels to the engine as JSON.
type Plan struct {
	Engine string     `json:"engine"` // EngineVersion
	Voice  *VoicePlan `json:"voice,omitempty"`
	Photo  *PhotoPlan `json:"photo,omitempty"`
	Video  *VideoPlan `json:"video,omitempty"` // animations too

	work, mostWork int64 // what it costs, and what the plans of one message may cost together: decoded pixels
}

var _ pipeline.Plan = (*Plan)(nil)

var _ pipeline.CopyPlan = (*Plan)(nil)

// Recoded is the plan without a copy.
func (p *Plan) Recoded() pipeline.Plan {
	again := *p
	if p.Video != nil && p.Video.Method == MethodRemux {
		video := *p.Video
		video.Method, video.Why = MethodTranscode, "ambiguous pictures"
		again.Video = &video
	}
	return &again
}

// Digest identifies the plan: equal digests make equal renditions of one source.
func (p *Plan) Digest() string { return digest(p) }

// NewPlan decides what to make of one identified item. It is pure: the same values give the same plan.
// Media that break a limit, edits that do not fit and kinds that do not match come back as a coded *pipeline.Error.
func NewPlan(item pipeline.Item, m pipeline.Media, prof Profile) (*Plan, error) {
	if err := matchKind(item.Kind, m); err != nil {
		return nil, err
	}
	if err := pipeline.CheckEdits(item.Edits, m.Kind); err != nil {
		return nil, err
	}
	if err := CheckLimits(m, prof); err != nil {
		return nil, err
	}
	plan := &Plan{Engine: EngineVersion}
	var err error
	switch m.Kind {
	case pipeline.KindVoice:
		plan.Voice, err = planVoice(item, m, prof)
	case pipeline.KindPhoto:
		plan.Photo, err = planPhoto(item, m, prof)
	default:
		if plan.Video, err = planVideo(item, m, prof); err == nil {
			err = plan.checkWork(m, prof.Video)
		}
	}
	return plan, err
}

// matchKind compares what the item claims with what was found. A voice note may come in a container that can hold video; an
// animation comes from the photo library, so it may be called a photo.
func matchKind(claimed pipeline.Kind, m pipeline.Media) error {
	switch {
	case claimed == pipeline.KindAuto, claimed == m.Kind:
		return nil
	case claimed == pipeline.KindPhoto && m.Animated:
		return nil
	case claimed == pipeline.KindVideo && m.Kind == pipeline.KindVoice:
		return pipeline.Refuse(pipeline.CodeNoVideo, "the item is called a video and has sound only; send it as voice")
	case claimed == pipeline.KindVoice && m.Kind == pipeline.KindVideo && !m.Animated:
		return pipeline.Refuse(pipeline.CodeUnsupportedType, "the item is called a voice note and holds a video; send it as video")
	}
	return pipeline.Refuse(pipeline.CodeTypeMismatch, "the item is called %s and its bytes are %s (%s); correct its kind", claimed, m.Kind, m.MIME)
}
