package main

import (
	"context"
	"fmt"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode/known"
)

// Prove holds the engine, as it serves messages, to a voice note whose outcome is known.
func (e *engine) Prove(ctx context.Context, kind pipeline.Kind, out string) error {
	if kind != pipeline.KindVoice {
		return fmt.Errorf("kind %q is none of this engine's work", kind)
	}
	bench := known.Bench{Engine: e, Decoder: e.tools, Dir: e.Dir, Out: out}
	return bench.Note(ctx)
}
