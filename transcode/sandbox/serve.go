package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// Handler does the engine's work, in the engine's process. Errors are coded; anything else is engine_crashed.
type Handler interface {
	Open(dir string) error
	Identify(ctx context.Context, f pipeline.File) (pipeline.Media, error)
	Render(ctx context.Context, f pipeline.File, plan *transcode.Plan, out string, progress func(percent float64)) (*pipeline.Rendered, error)
	KeyFrames(ctx context.Context, f pipeline.File, plan *transcode.Plan, out string) ([]pipeline.Sample, error)
	Verify(ctx context.Context, r *pipeline.Rendered) error
	ReadBack(ctx context.Context, order pipeline.ReadOrder, safe *transcode.PhotoPlan) (*pipeline.ReadBack, error)
	Inspect(ctx context.Context) []Check
}

// Serve answers requests one at a time until in ends, which is how a worker says goodbye.
func Serve(ctx context.Context, in io.Reader, out io.Writer, h Handler) error {
	for {
		var req Request
		if _, err := readFrame(in, &req); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		resp := answer(ctx, h, req, func(percent float64) { _ = writeFrame(out, Response{Progress: percent}) })
		if err := writeFrame(out, resp); err != nil {
			return err
		}
	}
}

func answer(ctx context.Context, h Handler, req Request, progress func(float64)) Response {
	resp := Response{Done: true}
	var err error
	switch {
	case req.Op == OpOpen:
		err = h.Open(req.Dir)
	case req.Op == OpIdentify && req.File != nil:
		var m pipeline.Media
		m, err = h.Identify(ctx, *req.File)
		resp.Media = &m
	case req.Op == OpRender && req.File != nil && req.Plan != nil:
		resp.Rendered, err = h.Render(ctx, *req.File, req.Plan, req.Out, progress)
	case req.Op == OpLook && req.File != nil && req.Plan != nil:
		resp.Samples, err = h.KeyFrames(ctx, *req.File, req.Plan, req.Out)
	case req.Op == OpVerify && req.Rendered != nil:
		err = h.Verify(ctx, req.Rendered)
	case req.Op == OpReadBack && req.Read != nil:
		resp.ReadBack, err = h.ReadBack(ctx, *req.Read, req.Safe)
	case req.Op == OpInspect:
		resp.Checks = append(h.Inspect(ctx), insideChecks()...)
	case req.Op == OpProve:
		resp.Checks = []Check{prove(ctx, h, req.Kind)}
	default:
		err = fmt.Errorf("incomplete request %q", req.Op)
	}
	if err != nil {
		return Response{Done: true, Failure: failure(string(req.Op), err)}
	}
	return resp
}

// failure puts an error on the wire. An uncoded error inside the engine is a bug met by this very file: engine_crashed, so
// that it is not tried again for ever.
func failure(op string, err error) *Failure {
	var e *pipeline.Error
	if !errors.As(err, &e) {
		e = crashed("%v", err)
	}
	f := &Failure{Failure: *e.Failure(), Op: op, Cause: err.Error()}
	if len(f.Cause) > maxCause {
		f.Cause = f.Cause[:maxCause]
	}
	return f
}

// maxCause bounds the log text of one failure, bytes.
const maxCause = 8 << 10

// crashed is the result for a file on which a decoder died.
func crashed(format string, args ...any) *pipeline.Error {
	return &pipeline.Error{
		Code: pipeline.CodeEngineCrashed, Op: "engine", Err: fmt.Errorf(format, args...),
		Message: "the file could not be decoded safely; export it again with another program and resend it",
	}
}
