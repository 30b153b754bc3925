package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/moderation/onnx"
	"github.com/ninefold/ninefold/moderation/screen"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/filestore"
	"github.com/ninefold/ninefold/pipeline/measure"
	"github.com/ninefold/ninefold/transcode"
	"github.com/ninefold/ninefold/transcode/sandbox"
)

// ours is the product's own path: a pool of engines, an engine for every message, and the classifier.
type ours struct {
	pool       *sandbox.Pool
	transcodes *sandbox.Pool // the same, by a profile that copies nothing
	classifier *onnx.Classifier
	screener   *moderation.Screener
	profile    transcode.Profile
	scratch    string
	seen       seen // of the video that was judged last
}

// seen is what the judge was shown.
type seen struct{ frames, scored, calls int }

func (s seen) String() string {
	return fmt.Sprintf("%d frames, of which %d are scored by %d calls of the classifier", s.frames, s.scored, s.calls)
}

// way is how a video is to be made: the method it is to take, and whether somebody judges it.
type way struct {
	method string
	judge  bool
}

var (
	transcoded = way{method: transcode.MethodTranscode}
	remuxed    = way{method: transcode.MethodRemux}
)

func (w way) judged() way { return way{method: w.method, judge: true} }

const model = "nsfwjs-mobilenet-v2" // the default of --model

// newOurs starts no engine ahead of need: a steady worker starts one for every message it serves, and that is what is counted.
func newOurs(ctx context.Context, engine, models, scratch string) (*ours, error) {
	c, err := onnx.Open(ctx, onnx.Options{ModelDir: filepath.Join(models, model)})
	if err != nil {
		return nil, fmt.Errorf("%w (make models)", err)
	}
	o := &ours{classifier: c, profile: transcode.DefaultProfile(), scratch: scratch}
	if o.screener, err = moderation.NewScreener(c, moderation.DefaultScreenConfig()); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	cfg := sandbox.DefaultConfig()
	cfg.Engine, cfg.Warm, cfg.Log = engine, 0, slog.New(slog.DiscardHandler)
	if o.pool, err = sandbox.NewPool(cfg, o.profile); err != nil {
		return nil, errors.Join(fmt.Errorf("%w (make build)", err), c.Close())
	}
	never := o.profile
	never.Video.RemuxMaxRate = 1
	if o.transcodes, err = sandbox.NewPool(cfg, never); err != nil {
		return nil, errors.Join(err, o.pool.Close(), c.Close())
	}
	return o, nil
}

// Close ends the classifier and the pools.
func (o *ours) Close() error {
	return errors.Join(o.pool.Close(), o.transcodes.Close(), o.classifier.Close())
}

// video takes one message from its file to scores and verified renditions, by the method that is asked for.
func (o *ours) video(ctx context.Context, clip string, w way) error {
	ws, err := pipeline.NewWorkspace(o.scratch)
	if err != nil {
		return err
	}
	defer ws.Close()
	pool := o.pool
	if w.method == transcode.MethodTranscode {
		pool = o.transcodes
	}
	proc, err := pool.Open(ctx, ws)
	if err != nil {
		return err
	}
	defer proc.Close()
	f, err := measure.Stage(ws, clip, o.profile.Video.MaxBytes)
	if err != nil {
		return err
	}
	r, err := render(ctx, proc, f, w.method)
	if err != nil {
		return err
	}
	if err := proc.Verify(ctx, r); err != nil {
		return err
	}
	return o.readBack(ctx, ws, proc, r.Part, w.judge)
}

// readBack decodes what would be delivered, has its place-holders made, and has it judged.
func (o *ours) readBack(ctx context.Context, ws *pipeline.Workspace, proc pipeline.Processor, part pipeline.Part, judge bool) error {
	order := pipeline.ReadOrder{Part: part, Out: "out/0/read", Make: true}
	if judge {
		order.Side = o.screener.Side()
	}
	back, err := proc.ReadBack(ctx, order)
	if err != nil {
		return err
	}
	if back.Placeholder == nil || len(back.Safe) != 1 {
		return fmt.Errorf("nothing stands in the place of the video")
	}
	if !judge {
		return nil
	}
	facts, err := o.screener.Screen(ctx, ws, back.Screen)
	if err != nil || facts.Status != pipeline.Scored {
		return errors.Join(err, fmt.Errorf("facts %s, coverage %v", facts.Status, facts.Coverage))
	}
	o.seen = seen{frames: back.Screen.Frames, scored: back.Screen.Scored}
	for _, s := range back.Screen.Samples {
		o.seen.calls++
		if !s.Whole {
			o.seen.calls += len(screen.Regions(s.Width, s.Height)) - 1
		}
	}
	return nil
}

func render(ctx context.Context, proc pipeline.Processor, f pipeline.File, method string) (*pipeline.Rendered, error) {
	m, err := proc.Identify(ctx, f)
	if err != nil {
		return nil, err
	}
	plan, err := proc.Plan(pipeline.Item{ID: "i1", Kind: pipeline.KindVideo}, m)
	if err != nil {
		return nil, err
	}
	r, err := proc.Render(ctx, f, plan, func(float64) {})
	if err != nil {
		return nil, err
	}
	if p := r.Part; p.Method != method || len(p.Renditions) < 4 || len(p.Warnings) > 0 {
		return nil, fmt.Errorf("the part is not as wanted: method %s, %d renditions, %v", p.Method, len(p.Renditions), p.Warnings)
	}
	return r, nil
}

// growth is what a file adds to this process's own memory while its job runs through the whole pipeline, MiB. A small job goes first, so
// that what every worker needs anyway is there already.
func (o *ours) growth(ctx context.Context, clip string) (float64, error) {
	store, err := filestore.Open(filepath.Join(o.scratch, "store"))
	if err != nil {
		return 0, err
	}
	defer store.Close()
	policy, err := moderation.NewPolicy(moderation.DefaultConfig())
	if err != nil {
		return 0, err
	}
	p, err := pipeline.New(pipeline.Config{
		Scratch: o.scratch, ItemsAtOnce: 1, Version: "bench", Profile: o.profile.Digest(), Engine: transcode.EngineVersion,
		MaxBytes: pipeline.ByteCaps{Voice: 1, Photo: 1, Video: o.profile.Video.MaxBytes},
	}, pipeline.Deps{
		Sources: disk{filepath.Dir(clip)}, Store: store, Processors: o.pool, Moderator: o.screener, Policy: policy,
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		return 0, err
	}
	if err := runJob(ctx, p, "warm", "copy30.mp4"); err != nil {
		return 0, err
	}
	return measure.GrowthOf(func() error { return runJob(ctx, p, "large", filepath.Base(clip)) })
}

func runJob(ctx context.Context, p *pipeline.Pipeline, id, key string) error {
	m, err := p.Run(ctx, pipeline.Job{
		Schema: pipeline.JobSchema, JobID: id, MessageID: id, Conversation: pipeline.Conversation{ID: "bench", Kind: pipeline.Direct},
		Sender: pipeline.Sender{ID: "a", AgeBand: pipeline.Adult},
		Recipients: []pipeline.Recipient{{
			ID: "b", AgeBand: pipeline.Adult, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterOff,
		}},
		Items: []pipeline.Item{{ID: "i1", Kind: pipeline.KindVideo, Source: pipeline.Source{Key: key}}},
	}, pipeline.RunOptions{})
	if err == nil && m.Status != pipeline.StatusReady {
		err = fmt.Errorf("the job is %s: %+v", m.Status, m.Error)
	}
	return err
}

// disk reads originals from a directory, as they are.
type disk struct{ dir string }

func (d disk) Open(_ context.Context, key string) (io.ReadCloser, int64, error) {
	f, err := os.Open(filepath.Join(d.dir, key))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}
