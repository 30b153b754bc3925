package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// progressView shows where the items of one message are. It is safe for concurrent use; close ends what is drawn.
type progressView interface {
	show(p pipeline.Progress)
	say(line string) // above what is drawn
	close()
}

// viewOn returns bars on a terminal; anywhere else a line for each stage, or nothing where quiet.
func viewOn(w io.Writer, quiet bool) progressView {
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		return newBars(w)
	}
	if quiet {
		return &stageLines{w: io.Discard, last: map[string]string{}}
	}
	return &stageLines{w: w, last: map[string]string{}}
}

// stageLines writes one line a stage of each item.
type stageLines struct {
	w    io.Writer
	mu   sync.Mutex
	last map[string]string
}

func (l *stageLines) show(p pipeline.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last[p.ItemID] == p.Stage {
		return
	}
	l.last[p.ItemID] = p.Stage
	fmt.Fprintf(l.w, "%s: %s\n", p.ItemID, p.Stage)
}

func (l *stageLines) say(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.w, line)
}

func (l *stageLines) close() {}

// bars draws one bar an item: the percentage is of the stage that is named beside it.
type bars struct {
	all *mpb.Progress

	mu    sync.Mutex
	items map[string]*itemBar
}

type itemBar struct {
	*mpb.Bar
	mu    sync.Mutex
	stage string
}

func newBars(w io.Writer) *bars {
	return &bars{all: mpb.New(mpb.WithOutput(w), mpb.WithWidth(40), mpb.WithAutoRefresh()), items: map[string]*itemBar{}}
}

func (b *bars) show(p pipeline.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	item, ok := b.items[p.ItemID]
	if !ok {
		item = &itemBar{}
		item.Bar = b.all.AddBar(0, mpb.BarPriority(p.Index),
			mpb.PrependDecorators(decor.Name(p.ItemID, decor.WCSyncSpaceR), decor.Any(item.label, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5})))
		b.items[p.ItemID] = item
	}
	item.name(p.Stage)
	item.SetTotal(100, false)
	item.SetCurrent(int64(p.Percent))
}

func (i *itemBar) name(stage string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stage = stage
}

func (i *itemBar) label(decor.Statistics) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.stage
}

func (b *bars) say(line string) { fmt.Fprintln(b.all, line) }

// close leaves the bars as they stand.
func (b *bars) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, item := range b.items {
		item.Abort(false)
	}
	b.all.Wait()
}

// showJob shows a job that is followed on the queue.
func showJob(view progressView) func(queue.Status) {
	return func(s queue.Status) {
		for _, p := range s.Items {
			view.show(p)
		}
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
