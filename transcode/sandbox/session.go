package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// session is the Processor of one message: up to Config.Parallel engines, each in its room. An engine does one request at a
// time, so the file that crashes it is the only one that is hurt; the next request gets another engine.
type session struct {
	pool  *Pool
	ws    *pipeline.Workspace
	slots chan struct{}
	nice  int // of the engines and of what they start

	mu   sync.Mutex
	idle []*engine
	all  []*engine

	lonely sync.Mutex // held by the one request that has all slots
}

var _ pipeline.Processor = (*session)(nil)

func (s *session) Identify(ctx context.Context, f pipeline.File) (pipeline.Media, error) {
	resp, err := s.do(ctx, Request{Op: OpIdentify, File: &f}, s.pool.cfg.Limits.Identify, nil)
	if err != nil {
		return pipeline.Media{}, err
	}
	m := *resp.Media
	m.Size = f.Size // ours, whatever the engine says
	return m, nil
}

func (s *session) Plan(item pipeline.Item, m pipeline.Media) (pipeline.Plan, error) {
	plan, err := transcode.NewPlan(item, m, s.pool.profile)
	if err != nil {
		return nil, err
	}
	return plan, nil
}

func (s *session) Render(ctx context.Context, f pipeline.File, plan pipeline.Plan, progress func(float64)) (*pipeline.Rendered, error) {
	order, ok := plan.(*transcode.Plan)
	if !ok {
		return nil, fmt.Errorf("sandbox: a plan of type %T is not ours", plan)
	}
	out := outOf(f)
	resp, err := s.do(ctx, Request{Op: OpRender, File: &f, Plan: order, Out: out}, s.pool.cfg.Limits.of(order), progress)
	if err != nil {
		return nil, err
	}
	return resp.Rendered, nil
}

// KeyFrames takes the key frames of f as plan would deliver them, where Render would cost more than that. Anything but a video has none.
func (s *session) KeyFrames(ctx context.Context, f pipeline.File, plan pipeline.Plan) ([]pipeline.Sample, error) {
	order, ok := plan.(*transcode.Plan)
	if !ok {
		return nil, fmt.Errorf("sandbox: a plan of type %T is not ours", plan)
	}
	if order.Video == nil || order.Video.Method == transcode.MethodRemux {
		return nil, nil
	}
	out := outOf(f)
	resp, err := s.do(ctx, Request{Op: OpLook, File: &f, Plan: order, Out: out}, s.pool.cfg.Limits.Video, nil)
	if err != nil {
		return nil, err
	}
	return resp.Samples, nil
}

// outOf is where everything made of f is written.
func outOf(f pipeline.File) string { return path.Join("out", path.Base(f.Path)) }

func (s *session) Verify(ctx context.Context, r *pipeline.Rendered) error {
	_, err := s.do(ctx, Request{Op: OpVerify, Rendered: r}, s.pool.cfg.Limits.Verify, nil)
	return err
}

// ReadBack has delivered files decoded by an engine that never saw a source.
func (s *session) ReadBack(ctx context.Context, order pipeline.ReadOrder) (*pipeline.ReadBack, error) {
	req := Request{Op: OpReadBack, Read: &order, Out: order.Out}
	if shown := standing(order.Part); order.Make && shown != nil {
		req.Safe = transcode.SafePlan(shown.Width, shown.Height, s.pool.profile)
	}
	limit := s.pool.cfg.Limits.Photo
	if order.Part.Kind == pipeline.KindVideo {
		limit = s.pool.cfg.Limits.Video
	}
	resp, err := s.do(ctx, req, limit, nil)
	if err != nil {
		return nil, err
	}
	return resp.ReadBack, nil
}

// standing is the still picture that stands for an item: a photo's default rendition, a video's poster.
func standing(p pipeline.Part) *pipeline.Rendition {
	for i, r := range p.Renditions {
		if strings.HasPrefix(r.MIME, "image/") && (r.Default || r.Name == "poster") {
			return &p.Renditions[i]
		}
	}
	return nil
}

// of returns the wall limit of a render.
func (l Limits) of(p *transcode.Plan) time.Duration {
	switch {
	case p.Photo != nil:
		return l.Photo
	case p.Voice != nil:
		return l.Voice
	}
	return l.Video
}

// do runs one request on an engine of this message, and once more on another where somebody killed the first or its memory did not suffice:
// one file alone is hurt by what it does to its engine, none by what others do.
func (s *session) do(ctx context.Context, req Request, limit time.Duration, progress func(float64)) (Response, error) {
	resp, err := s.once(ctx, req, limit, progress)
	switch {
	case ctx.Err() != nil:
		return resp, err
	case errors.Is(err, errKilled):
		s.pool.cfg.Log.Warn("engine was killed from outside; the request is made again", slog.String("op", string(req.Op)))
		return s.once(ctx, req, limit, progress)
	case err != nil && pipeline.AsError(err).Code == pipeline.CodeOutOfMemory:
		s.pool.cfg.Log.Warn("engine ran out of memory; the request is made again on a new one", slog.String("op", string(req.Op)), slog.Any("error", err))
		return s.alone(ctx, req, limit, progress)
	}
	return resp, err
}

// alone runs a request on a new engine, with no other of this message at work: nothing is left in it of the files before, and nobody else
// takes memory.
func (s *session) alone(ctx context.Context, req Request, limit time.Duration, progress func(float64)) (Response, error) {
	s.lonely.Lock()
	defer s.lonely.Unlock()
	for taken := 1; taken < cap(s.slots); taken++ { // all but the one that the request takes itself
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }() //nolint:gocritic // each place is kept until the request is done
		case <-ctx.Done():
			return Response{}, ctx.Err()
		}
	}
	s.dropIdle()
	return s.once(ctx, req, limit, progress)
}

// dropIdle ends the engines that wait for work: the next request gets a new one.
func (s *session) dropIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.idle {
		e.kill()
	}
	s.idle = nil
}

// once carries what the request is about into an engine's room, asks, and carries the answer's files out.
func (s *session) once(ctx context.Context, req Request, limit time.Duration, progress func(float64)) (Response, error) {
	e, err := s.acquire(ctx, req)
	if err != nil {
		return Response{}, err
	}
	defer s.release(e)
	inside, err := e.room.furnish(s.ws, req)
	if err != nil {
		return Response{}, err
	}
	resp, err := s.pool.ask(ctx, e, inside, limit, progress)
	if err != nil {
		return Response{}, err
	}
	e.freeze() // what it wrote stays as it is while it is carried out
	if f := resp.Failure; f != nil {
		return Response{}, s.failed(f)
	}
	if err := resp.check(req); err != nil {
		return Response{}, err
	}
	return resp, e.room.collect(s.ws, req.Op, resp)
}

// failed turns the engine's answer into an error. The engine is not believed: a code that is not in the list, or one that
// only the worker may give, is a crash.
func (s *session) failed(f *Failure) error {
	if !engineCodes[f.Code] {
		return crashed("the engine answered code %.40q", f.Code)
	}
	return &pipeline.Error{Code: f.Code, Op: f.Op, Message: clip(f.Message, 300), Err: fmt.Errorf("%s", clip(f.Cause, maxCause))}
}

func clip(s string, most int) string {
	if len(s) > most {
		return s[:most]
	}
	return s
}

// acquire waits for a free slot and returns an engine that is this message's and can do what is needed.
func (s *session) acquire(ctx context.Context, req Request) (*engine, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	e, err := s.opened(ctx, req)
	if err != nil {
		<-s.slots
	}
	return e, err
}

func (s *session) opened(ctx context.Context, req Request) (*engine, error) {
	if e := s.reuse(req); e != nil {
		return e, nil
	}
	e, err := s.pool.take(req.skill())
	if err != nil {
		return nil, err
	}
	e.reads = req.reads()
	e.yield(s.nice)
	s.mu.Lock()
	s.all = append(s.all, e)
	s.mu.Unlock()
	return s.welcome(ctx, e)
}

// welcome has a new engine work in its room.
func (s *session) welcome(ctx context.Context, e *engine) (*engine, error) {
	resp, err := s.pool.ask(ctx, e, Request{Op: OpOpen, Dir: e.room.Dir()}, s.pool.cfg.Limits.Start, nil)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err == nil && resp.Failure != nil {
		err = fmt.Errorf("%s", clip(resp.Failure.Cause, maxCause))
	}
	if err != nil { // no sender's byte was touched: our own trouble
		return nil, pipeline.Trouble(pipeline.CodeInternal, "open engine", err)
	}
	now, _ := readProcess(e.cmd.Process.Pid)
	e.base = now.space
	return e, nil
}

// reuse takes an idle engine that can do what is needed, nil where there is none; one that is not needed for more is preferred.
func (s *session) reuse(req Request) *engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = slices.DeleteFunc(s.idle, (*engine).dead)
	need, reads := req.skill(), req.reads()
	at := slices.IndexFunc(s.idle, func(e *engine) bool { return e.reads == reads && e.skill == need })
	if at < 0 {
		at = slices.IndexFunc(s.idle, func(e *engine) bool { return e.reads == reads && e.skill > need })
	}
	if at < 0 {
		return nil
	}
	e := s.idle[at]
	s.idle = slices.Delete(s.idle, at, at+1)
	e.thaw()
	return e
}

func (s *session) release(e *engine) {
	if !e.dead() {
		e.freeze()
		if err := e.room.clear(); err != nil {
			s.pool.cfg.Log.Warn("engine's room does not empty", slog.Any("error", err))
			e.kill()
		}
	}
	s.mu.Lock()
	switch {
	case e.dead() && e.given.Load():
		s.pool.cfg.Log.Debug("engine ended", slog.Any("state", e.state))
	case e.dead():
		s.pool.cfg.Log.Warn("engine ended", slog.Any("state", e.state), slog.String("why", e.stderr.gist()))
		s.pool.cfg.Log.Debug("engine ended", slog.String("stderr", e.stderr.String()))
	default:
		s.idle = append(s.idle, e)
	}
	s.mu.Unlock()
	<-s.slots
}

// Close kills every engine of the message and returns when they are gone.
func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.all {
		e.kill()
		s.pool.cfg.Log.Debug("engine done", e.cost()...)
	}
	return nil
}
