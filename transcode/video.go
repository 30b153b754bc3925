package transcode

import "github.com/ninefold/ninefold/pipeline"

// VideoPlan is the work order for a video or an animation.
type VideoPlan struct{}

func planVideo(pipeline.Item, pipeline.Media, Profile) (*VideoPlan, error) { return &VideoPlan{}, nil }
