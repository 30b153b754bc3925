package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/measure"
	"github.com/ninefold/ninefold/transcode"
	"github.com/ninefold/ninefold/transcode/sandbox"
)

// ours is the product's own path: a pool of engines, a workspace and an engine for every message.
type ours struct {
	pool    *sandbox.Pool
	scratch string
}

// newOurs starts no engine ahead of need: a steady worker starts one for every message it serves, and that is what is counted.
func newOurs(engine, scratch string) (*ours, error) {
	cfg := sandbox.DefaultConfig()
	cfg.Engine, cfg.Warm, cfg.Log = engine, 0, slog.New(slog.DiscardHandler)
	pool, err := sandbox.NewPool(cfg, transcode.DefaultProfile())
	if err != nil {
		return nil, fmt.Errorf("%w (make build)", err)
	}
	return &ours{pool, scratch}, nil
}

func (o *ours) Close() error { return o.pool.Close() }

// message has fn work with the processor of one message.
func (o *ours) message(ctx context.Context, fn func(*pipeline.Workspace, pipeline.Processor) error) error {
	ws, err := pipeline.NewWorkspace(o.scratch)
	if err != nil {
		return err
	}
	defer ws.Close()
	proc, err := o.pool.Open(ctx, ws)
	if err != nil {
		return err
	}
	defer proc.Close()
	return fn(ws, proc)
}

// note takes one message from its file to verified renditions.
func (o *ours) note(ctx context.Context, n note) error {
	return o.message(ctx, func(ws *pipeline.Workspace, proc pipeline.Processor) error {
		f, err := measure.Stage(ws, n.path, transcode.DefaultProfile().Voice.MaxBytes)
		if err != nil {
			return err
		}
		return process(ctx, proc, f)
	})
}

func process(ctx context.Context, proc pipeline.Processor, f pipeline.File) error {
	m, err := proc.Identify(ctx, f)
	if err != nil {
		return err
	}
	plan, err := proc.Plan(pipeline.Item{ID: "i1", Kind: pipeline.KindVoice}, m)
	if err != nil {
		return err
	}
	r, err := proc.Render(ctx, f, plan, func(float64) {})
	if err != nil {
		return err
	}
	if len(r.Part.Renditions) != 2 || r.Part.Waveform == nil || r.Part.Loudness == nil {
		return fmt.Errorf("the part is not whole: %+v", r.Part)
	}
	return proc.Verify(ctx, r)
}

// startCPU is what it costs to start an engine and end it, CPU-seconds: the median of n.
func (o *ours) startCPU(ctx context.Context, n int) (float64, error) {
	var starts []float64
	for range n {
		cpu, err := measure.CPUOf(func() error { return o.idle(ctx) })
		if err != nil {
			return 0, err
		}
		starts = append(starts, cpu)
	}
	return median(starts), nil
}

// idle has an engine open a workspace and refuse to identify a file that is not there: the least that makes one start.
func (o *ours) idle(ctx context.Context) error {
	return o.message(ctx, func(_ *pipeline.Workspace, proc pipeline.Processor) error {
		if _, err := proc.Identify(ctx, pipeline.File{Path: "in/none", Type: pipeline.TypeOgg}); err == nil {
			return fmt.Errorf("a file that is not there was identified")
		}
		return nil
	})
}
