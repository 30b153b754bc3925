package sandbox

import (
	"regexp"
	"strings"
	"sync"
)

// tail keeps the last bytes written to it.
type tail struct {
	mu    sync.Mutex
	data  []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if over := len(t.data) - t.limit; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(p), nil
}

// String returns the last few lines' worth, for a log at its most talkative.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.data[max(0, len(t.data)-4<<10):])
}

// lastWords is how Go's runtime begins to tell of its end: a signal, a panic, or what it cannot go on from. Stacks follow.
var lastWords = regexp.MustCompile(`(?m)^(?:\[signal )?(SIG[A-Z]+: [^\n\]]*|panic: [^\n]*|fatal error: [^\n]*|runtime: out of memory[^\n]*)`)

// noMemory is what a program says that ends for want of memory: GLib, C++ and Go's runtime.
var noMemory = regexp.MustCompile(`failed to allocate \d+ bytes|std::bad_alloc|(?m)^(?:fatal error: )?runtime: (?:out of memory|cannot allocate memory)`)

// saysNoMemory reports whether the program ended for want of memory, by its own words.
func (t *tail) saysNoMemory() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return noMemory.Match(t.data)
}

// mostGist bounds a gist, bytes.
const mostGist = 300

// gist returns one line: the signal's name or the panic where the program tells of one, else the last line that it wrote.
func (t *tail) gist() string {
	t.mu.Lock()
	text := string(t.data)
	t.mu.Unlock()
	line := ""
	for _, said := range lastWords.FindAllStringSubmatch(text, -1) {
		if line == "" || strings.HasPrefix(said[1], "SIG") && !strings.HasPrefix(line, "SIG") {
			line = said[1]
		}
	}
	if line == "" {
		text = strings.TrimSpace(text)
		line = text[strings.LastIndexByte(text, '\n')+1:]
	}
	return clip(line, mostGist)
}
