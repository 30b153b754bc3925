package reprocess

import (
	"context"
	"sync"
)

// frontierMost is how far the messages in work may be apart: what a resumed run must remember one by one.
const frontierMost = 1024

// frontier knows up to which position everything is done, though messages end in another order than they begin.
type frontier struct {
	mu    sync.Mutex
	room  chan struct{}
	open  []*mark // in order
	floor string
}

type mark struct {
	position string
	done     bool
}

func newFrontier(floor string) *frontier {
	return &frontier{room: make(chan struct{}, frontierMost), floor: floor}
}

// begin notes that a message is taken up. It waits while the oldest one in work is too far behind.
func (f *frontier) begin(ctx context.Context, position string) (*mark, error) {
	select {
	case f.room <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m := &mark{position: position}
	f.open = append(f.open, m)
	return m, nil
}

// reached is the position up to which everything is done and written down.
func (f *frontier) reached() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.floor
}

// end notes that a message is done, and written down where it is to be.
func (f *frontier) end(m *mark) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m.done = true
	for len(f.open) > 0 && f.open[0].done {
		f.floor = f.open[0].position
		f.open = f.open[1:]
		<-f.room
	}
}
