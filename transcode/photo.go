package transcode

import "github.com/ninefold/ninefold/pipeline"

// PhotoPlan is the work order for a photo.
type PhotoPlan struct{}

func planPhoto(pipeline.Item, pipeline.Media, Profile) (*PhotoPlan, error) { return &PhotoPlan{}, nil }
