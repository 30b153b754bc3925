package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

// Prover is a Handler that can be held to media whose outcome is known. A library that loads a format may still make something else of it.
type Prover interface {
	// Prove renders the known media of a kind below the directory out. The error says which came out otherwise, and how.
	Prove(ctx context.Context, kind pipeline.Kind, out string) error
}

// proven are the kinds in the order of asking. Voice comes first: an engine that could do more would be used again for it, and the voice
// engine never be asked.
var proven = []pipeline.Kind{pipeline.KindVoice, pipeline.KindPhoto, pipeline.KindVideo}

// Prove has an engine of each kind render known media: for doctor and for start-up. One that answers otherwise than it must would deliver
// noise as ready, so no message is to be given to it.
func (p *Pool) Prove(ctx context.Context) []Check {
	s := &session{pool: p, slots: make(chan struct{}, 1)}
	defer s.Close()
	var checks []Check
	for _, kind := range proven {
		resp, err := s.do(ctx, Request{Op: OpProve, Kind: kind}, p.cfg.Limits.Voice, nil)
		switch {
		case err != nil:
			checks = append(checks, disproved(kind, err))
		case len(resp.Checks) != 1:
			checks = append(checks, disproved(kind, fmt.Errorf("the engine answered %d checks", len(resp.Checks))))
		default:
			checks = append(checks, resp.Checks[0])
		}
	}
	return checks
}

// prove is the engine's side.
func prove(ctx context.Context, h Handler, kind pipeline.Kind) Check {
	p, ok := h.(Prover)
	if !ok {
		return disproved(kind, fmt.Errorf("this engine is too old to be asked; build it again with make build"))
	}
	if err := p.Prove(ctx, kind, roomOut); err != nil {
		return disproved(kind, err)
	}
	return Check{Name: knownName(kind), OK: true, Detail: "known media come out as they must"}
}

func knownName(kind pipeline.Kind) string { return "known answers: " + string(kind) }

// maxDisproved bounds what a machine may say of itself, bytes.
const maxDisproved = 2000

func disproved(kind pipeline.Kind, err error) Check {
	why := clip(strings.ReplaceAll(err.Error(), "\n", "; "), maxDisproved)
	if errors.Is(err, context.DeadlineExceeded) || pipeline.AsError(err).Code == pipeline.CodeDecodeTimeout {
		return Check{Name: knownName(kind), Detail: why + ": no answer in time says nothing of the libraries; this machine is too busy, or too slow for " +
			"media of a second; run it again with less beside it"}
	}
	return Check{Name: knownName(kind), Detail: why + ": this machine's libraries answer otherwise than those that Ninefold is tried on " +
		"(Debian 12 and 13), so its renditions cannot be trusted; install those releases' libvips, libheif and ffmpeg"}
}
