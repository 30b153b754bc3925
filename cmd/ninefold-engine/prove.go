package main

import (
	"context"
	"fmt"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode/known"
)

// Prove holds the engine, as it serves messages, to media whose outcome is known.
func (e *engine) Prove(ctx context.Context, kind pipeline.Kind, out string) error {
	bench := known.Bench{Engine: e, Decoder: e.tools, Dir: e.Dir, Out: out}
	switch kind {
	case pipeline.KindPhoto:
		return bench.Pictures(ctx)
	case pipeline.KindVideo:
		return bench.Video(ctx)
	case pipeline.KindVoice:
		return bench.Note(ctx)
	}
	return fmt.Errorf("nothing is known of kind %q", kind)
}
