package sandbox

import (
	"context"
	"errors"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// Observer is told of engines, for metrics. It is called from several goroutines and must not block.
type Observer interface {
	// EngineStarted is told of each start of a program, one of Programs; with an error it did not start.
	EngineStarted(program string, err error)
	// EngineAnswered is told of each request: how long it took and how it ended.
	EngineAnswered(op Op, took time.Duration, end End)
}

// End is how a request to an engine ended.
type End string

// The ends. Refused is the engine's word about a file; after every other one but OK the engine is gone.
const (
	EndOK        End = "ok"
	EndRefused   End = "refused"
	EndCrashed   End = "crashed"
	EndKilled    End = "killed" // from outside, the kernel short of memory for one
	EndTimeout   End = "timeout"
	EndCancelled End = "cancelled"
)

// Ends returns the closed list of ends.
func Ends() []End { return []End{EndOK, EndRefused, EndCrashed, EndKilled, EndTimeout, EndCancelled} }

// Ops returns the closed list of requests.
func Ops() []Op { return []Op{OpOpen, OpIdentify, OpRender, OpLook, OpVerify, OpInspect, OpProve} }

// Programs returns the programs that EngineStarted names.
func Programs() []string { return []string{voiceEngineName, engineName} }

// program names what serves the skill.
func (s skill) program() string { return Programs()[s] }

// unobserved is the Observer of a Config without one.
type unobserved struct{}

func (unobserved) EngineStarted(string, error)           {}
func (unobserved) EngineAnswered(Op, time.Duration, End) {}

func (c Config) observer() Observer {
	if c.Observer == nil {
		return unobserved{}
	}
	return c.Observer
}

// ask is call, with the observer told.
func (p *Pool) ask(ctx context.Context, e *engine, req Request, limit time.Duration, progress func(float64)) (Response, error) {
	began := time.Now()
	resp, err := e.call(ctx, req, limit, progress)
	p.cfg.observer().EngineAnswered(req.Op, time.Since(began), endOf(resp, err))
	return resp, err
}

func endOf(resp Response, err error) End {
	var coded *pipeline.Error
	switch {
	case err == nil && resp.Failure != nil:
		return EndRefused
	case err == nil:
		return EndOK
	case errors.Is(err, errKilled):
		return EndKilled
	case errors.As(err, &coded) && coded.Code == pipeline.CodeDecodeTimeout:
		return EndTimeout
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return EndCancelled
	}
	return EndCrashed
}

// start starts a program for the skill, with the observer told.
func (p *Pool) start(can skill) (*engine, error) {
	e, err := start(p.path[can], can, p.cfg.Scratch, p.cell)
	p.cfg.observer().EngineStarted(can.program(), err)
	return e, err
}
