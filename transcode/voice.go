package transcode

import "github.com/ninefold/ninefold/pipeline"

// VoicePlan is the work order for a voice note.
type VoicePlan struct{}

func planVoice(pipeline.Item, pipeline.Media, Profile) (*VoicePlan, error) { return &VoicePlan{}, nil }
