package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/ninefold/ninefold/cmd/ninefold/reprocess"
	"github.com/ninefold/ninefold/pipeline"
)

// bulkView shows how far many messages are: a bar with the time that is left on a terminal, and anywhere else a line now and then.
type bulkView interface {
	look(reprocess.Look)
	close()
}

// newBulkView says what begins. A passing journal, that is not kept, is not named.
func newBulkView(w io.Writer, j *reprocess.Journal, passing bool) bulkView {
	if n := j.Done(); n > 0 {
		fmt.Fprintf(w, "run %s goes on: %d messages are done (journal %s)\n", j.Header.Run, n, j.Path())
	} else if passing {
		fmt.Fprintf(w, "run %s begins\n", j.Header.Run)
	} else {
		fmt.Fprintf(w, "run %s begins (journal %s)\n", j.Header.Run, j.Path())
	}
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		return &bulkBar{all: mpb.New(mpb.WithOutput(w), mpb.WithWidth(48), mpb.WithAutoRefresh())}
	}
	return &bulkLines{w: w, now: time.Now}
}

// bulkBar is one bar over all messages. The time left is reckoned from what this process did.
type bulkBar struct {
	all  *mpb.Progress
	bar  *mpb.Bar
	last time.Time
}

func (b *bulkBar) look(l reprocess.Look) {
	if b.bar == nil {
		b.last = time.Now()
		b.bar = b.all.AddBar(int64(l.Total),
			mpb.PrependDecorators(decor.CountersNoUnit("looked at %d of %d messages")),
			mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Name(" left "), decor.EwmaETA(decor.ET_STYLE_GO, 30)))
	}
	if l.Entry.JobID == "" {
		b.bar.SetRefill(int64(l.Seen))
	}
	now := time.Now()
	b.bar.EwmaSetCurrent(int64(l.Seen), now.Sub(b.last))
	b.last = now
}

func (b *bulkBar) close() {
	if b.bar != nil {
		b.bar.Abort(false)
	}
	b.all.Wait()
}

// bulkLineEvery is how often a line says how far it is.
const bulkLineEvery = 10 * time.Second

type bulkLines struct {
	w     io.Writer
	now   func() time.Time
	begun time.Time
	from  int // messages seen before the first finished one
	last  time.Time
}

func (b *bulkLines) look(l reprocess.Look) {
	now := b.now()
	switch {
	case l.Entry.JobID == "":
		b.begun, b.from = now, l.Seen
		return
	case failedOrKept(l.Entry):
		fmt.Fprintf(b.w, "%s: %s %s %s\n", l.Entry.JobID, l.Entry.Outcome, l.Entry.Code, l.Entry.Why)
	}
	if now.Sub(b.last) < bulkLineEvery && l.Seen < l.Total {
		return
	}
	b.last = now
	fmt.Fprintf(b.w, "looked at %d of %d messages%s\n", l.Seen, l.Total, b.left(now, l))
}

func failedOrKept(e reprocess.Entry) bool {
	return e.Outcome == reprocess.OutcomeFailed || e.Outcome == pipeline.OutcomeKept || e.Code != ""
}

// left reckons with the pace so far.
func (b *bulkLines) left(now time.Time, l reprocess.Look) string {
	done, rest := l.Seen-b.from, l.Total-l.Seen
	if done <= 0 || rest <= 0 {
		return ""
	}
	each := now.Sub(b.begun) / time.Duration(done)
	return fmt.Sprintf(", about %s left", (each * time.Duration(rest)).Round(time.Second))
}

func (b *bulkLines) close() {}
