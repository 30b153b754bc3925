package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// screenings has workers look, on the bulk queue, at messages that somebody protected reads and nobody has looked at.
type screenings struct {
	client *queue.Client
	log    *slog.Logger
}

// screeningWithin is how long a view may be held up by a Redis that does not answer.
const screeningWithin = 2 * time.Second

var _ pipeline.Screenings = screenings{}

// WantScreening queues the order. Without it the view stays the stricter one, and the next reader asks again.
func (s screenings) WantScreening(ctx context.Context, o pipeline.RedoOrder) {
	ctx, cancel := context.WithTimeout(ctx, screeningWithin)
	defer cancel()
	if err := s.client.SubmitRedo(ctx, o); err != nil {
		s.log.Warn("no screening was queued", slog.String("job_id", o.JobID), slog.Any("error", err))
	}
}
