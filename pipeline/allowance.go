package pipeline

import (
	"context"
	"log/slog"
	"time"
)

// AllowanceWindow is the while within which the videos of one sender are counted together.
const AllowanceWindow = time.Hour

// Allowance holds what the videos of one sender cost together within AllowanceWindow.
type Allowance interface {
	// Spend counts the cost of an item against its sender, once however often it is asked about. Where it does not fit, nothing is counted and
	// wait says when it would: more than 0. An error means that nobody knows.
	Spend(ctx context.Context, s Spending) (wait time.Duration, err error)
}

// Spending is what an item costs, in the unit of MeteredPlan.
type Spending struct {
	SenderID, JobID, ItemID string
	Cost                    int64
}

// spend counts an item's plan against its sender, after the items before it. Where nobody knows, it is made: the budgets of video and message
// hold. What is made again for an operator is nobody's.
func (it *itemRun) spend(ctx context.Context) error {
	metered, ok := it.plan.(MeteredPlan)
	if !ok || it.Allowance == nil || it.again {
		return nil
	}
	cost, _ := metered.Work()
	if cost <= 0 {
		return nil
	}
	wait, err := it.Allowance.Spend(ctx, Spending{SenderID: it.job.Sender.ID, JobID: it.job.JobID, ItemID: it.item.ID, Cost: cost})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		it.Log.Warn("what the sender has spent is not known", slog.String("job_id", it.job.JobID), slog.Any("error", err))
	case wait > 0:
		minutes := int64((wait + time.Minute - 1) / time.Minute)
		return Refuse(CodeTooManyPixels, "more video was sent within an hour than we convert for one sender; send this one again in %d min", minutes)
	}
	return nil
}
