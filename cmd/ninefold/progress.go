package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// stageLines reports each item's stages on a terminal, one line a stage. Anywhere else it says nothing.
func stageLines(w io.Writer) func(pipeline.Progress) {
	f, ok := w.(*os.File)
	if !ok || !isTerminal(f) {
		return nil
	}
	var mu sync.Mutex
	last := map[string]string{}
	return func(p pipeline.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if last[p.ItemID] == p.Stage {
			return
		}
		last[p.ItemID] = p.Stage
		fmt.Fprintf(w, "%s: %s\n", p.ItemID, p.Stage)
	}
}

// jobProgress is stageLines for a job that is followed on the queue.
func jobProgress(w io.Writer) func(queue.Status) {
	report := stageLines(w)
	if report == nil {
		return nil
	}
	return func(s queue.Status) {
		for _, p := range s.Items {
			report(p)
		}
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
