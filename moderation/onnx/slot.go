package onnx

import (
	"context"
	"errors"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ninefold/ninefold/moderation"
)

// slot is what one running call needs, made once and used again.
type slot struct {
	pre     *moderation.Preprocessor
	in, out *ort.Tensor[float32]
	options *ort.RunOptions
}

func newSlot(m moderation.Manifest, s shapes) (*slot, error) {
	in, err := ort.NewEmptyTensor[float32](s.in)
	if err != nil {
		return nil, err
	}
	out, err := ort.NewEmptyTensor[float32](s.out)
	if err != nil {
		return nil, errors.Join(err, in.Destroy())
	}
	options, err := ort.NewRunOptions()
	if err != nil {
		return nil, errors.Join(err, in.Destroy(), out.Destroy())
	}
	return &slot{pre: moderation.NewPreprocessor(m.Input), in: in, out: out, options: options}, nil
}

// runWithin runs the session and stops it when ctx ends.
func (s *slot) runWithin(ctx context.Context, session *ort.DynamicAdvancedSession) error {
	terminated := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(terminated)
		s.options.Terminate() //nolint:errcheck // the run then ends by itself
	})
	err := session.RunWithOptions([]ort.Value{s.in}, []ort.Value{s.out}, s.options)
	if stop() {
		return err
	}
	<-terminated // or the flag would be set after it was cleared
	return errors.Join(ctx.Err(), s.options.UnsetTerminate())
}

func (s *slot) destroy() error {
	return errors.Join(s.in.Destroy(), s.out.Destroy(), s.options.Destroy())
}
