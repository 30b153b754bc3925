package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// Pool keeps engines started ahead of need, so that a message does not wait for libvips to start; the voice engine
// starts when it is asked for, which costs it less than waiting does memory. An engine that was handed out never comes back: it belongs to
// its message.
type Pool struct {
	cfg     Config
	path    [all + 1]string // of the program for each skill
	cell    *confinement
	profile transcode.Profile
	warm    chan *engine
	stop    context.CancelFunc
	filled  sync.WaitGroup
}

var _ pipeline.Processors = (*Pool)(nil)

// NewPool checks that the engine can be started and begins to warm.
func NewPool(cfg Config, profile transcode.Profile) (*Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	path, err := FindEngine(cfg.Engine)
	if err != nil {
		return nil, err
	}
	paths := [...]string{sound: findVoiceEngine(path), all: path}
	cell, err := newConfinement(cfg.offered(), cfg.Scratch, paths[:]...)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(cfg.allow(cell.support), hide()); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Pool{cfg: cfg, path: paths, cell: cell, profile: profile, warm: make(chan *engine), stop: stop}
	for range cfg.Warm {
		p.filled.Go(func() { p.fill(ctx) })
	}
	return p, nil
}

// fill holds one warm engine at a time, ready to be taken.
func (p *Pool) fill(ctx context.Context) {
	for ctx.Err() == nil {
		e, err := p.start(all)
		if err != nil {
			p.cfg.Log.Error("engine does not start", slog.Any("error", err))
			return // take starts one itself and reports the error to its caller
		}
		select {
		case p.warm <- e:
		case <-e.done: // died while idle
			e.kill() // for its room
			p.cfg.observer().EngineAnswered(OpOpen, 0, EndCrashed)
			p.cfg.Log.Error("engine died before use", slog.Any("state", e.state), slog.String("stderr", e.stderr.String()))
			pause(ctx, restartPause)
		case <-ctx.Done():
			e.kill()
		}
	}
}

// restartPause keeps an engine that cannot live, for want of a library say, from being started in a tight loop.
const restartPause = time.Second

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// take returns an engine for the skill: a warm one, or one started now where none is ready or none needs to be.
func (p *Pool) take(need skill) (*engine, error) {
	if p.path[need] == p.path[all] {
		need = all
		select {
		case e := <-p.warm:
			return e, nil
		default:
		}
	}
	e, err := p.start(need)
	if err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "start engine", err)
	}
	return e, nil
}

// Open returns the Processor of one message. Its engines run at the niceness of ctx: see pipeline.WithNice.
func (p *Pool) Open(ctx context.Context, ws *pipeline.Workspace) (pipeline.Processor, error) {
	return &session{pool: p, ws: ws, slots: make(chan struct{}, p.cfg.Parallel), nice: pipeline.NiceOf(ctx)}, nil
}

// Inspect starts an engine of each kind and asks what this machine's libraries can do: for doctor and for start-up.
func (p *Pool) Inspect(ctx context.Context) ([]Check, error) {
	s := &session{pool: p, slots: make(chan struct{}, 1)}
	defer s.Close()
	resp, err := s.do(ctx, Request{Op: OpInspect}, p.cfg.Limits.Start, nil)
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", p.path[all], err)
	}
	checks := append(p.cell.support.judge(resp.Checks, p.cfg.Sandbox), p.inspectVoice(ctx, s))
	return append(append(checks, p.cell.support.checks(p.cfg.Sandbox)...), p.cell.users.check()), nil
}

// inspectVoice has the voice engine open its room: the least that makes one start and answer. Its ffmpeg is the other one's.
func (p *Pool) inspectVoice(ctx context.Context, s *session) Check {
	c := Check{Name: "voice engine", OK: true}
	if p.path[sound] == p.path[all] {
		c.Detail = voiceEngineName + " is not beside the engine, which serves voice notes too, at more CPU each; make build makes both"
		return c
	}
	e, err := p.take(sound)
	if err == nil {
		defer e.kill()
		_, err = s.welcome(ctx, e)
	}
	if c.OK, c.Detail = err == nil, "starts and answers"; err != nil {
		c.Detail = fmt.Sprintf("%s: %v; build it again with make build", p.path[sound], err)
	}
	return c
}

// Close ends the warm engines. Sessions that are open keep theirs until they are closed.
func (p *Pool) Close() error {
	p.stop()
	p.filled.Wait()
	return nil
}
