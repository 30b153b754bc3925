package pipeline

import (
	"context"
	"sync"
)

// MeteredPlan is a Plan that knows what carrying it out costs.
type MeteredPlan interface {
	Plan
	// Work is the plan's cost and the most that all plans of one message may cost together, in the same unit. 0 = it is not counted.
	Work() (cost, message int64)
}

// budget adds up what the items of a message cost, in their order: which of them are within it does not depend on which is read first.
type budget struct {
	mu    sync.Mutex
	spent int64
	items []settled
}

// settled says that an item's cost is counted, or that it has none.
type settled struct {
	once sync.Once
	done chan struct{}
}

func newBudget(items int) *budget {
	b := &budget{items: make([]settled, items)}
	for i := range b.items {
		b.items[i].done = make(chan struct{})
	}
	return b
}

// settle is called when an item has a plan, or has ended without one.
func (b *budget) settle(index int) {
	if b != nil {
		b.items[index].once.Do(func() { close(b.items[index].done) })
	}
}

// take counts an item's plan once all items before it are settled. They hold their places already and wait for nobody behind them.
func (b *budget) take(ctx context.Context, index int, plan Plan) error {
	metered, ok := plan.(MeteredPlan)
	if b == nil || !ok {
		return nil
	}
	cost, most := metered.Work()
	if cost == 0 {
		return nil
	}
	for i := range index {
		select {
		case <-b.items[i].done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent+cost > most {
		return Refuse(CodeTooManyPixels, "the videos of one message are together too much to convert; send this one in another message")
	}
	b.spent += cost
	return nil
}
