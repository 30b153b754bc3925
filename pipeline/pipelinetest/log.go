package pipelinetest

import (
	"bytes"
	"strings"
	"sync"
)

// Log is what a logger, a program or a drawing goroutine writes, to be read while it is written. The zero value keeps everything.
type Log struct {
	// Most is how much is kept from the start, bytes, give or take one write; 0 = all.
	Most int

	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Most == 0 || l.buf.Len() < l.Most {
		l.buf.Write(p)
	}
	return len(p), nil
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Count says how often words were written.
func (l *Log) Count(words string) int { return strings.Count(l.String(), words) }
