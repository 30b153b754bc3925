package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// selfLimits bound the engine and, inherited, every ffmpeg it starts. reliability.md is the source of the numbers.
var selfLimits = []struct {
	name     string
	resource int
	value    uint64
}{
	{"core", unix.RLIMIT_CORE, 0},
	{"file size", unix.RLIMIT_FSIZE, 256 << 20},
	{"descriptors", unix.RLIMIT_NOFILE, 256},
	{"address space", unix.RLIMIT_AS, 4 << 30},
	{"CPU seconds", unix.RLIMIT_CPU, 900}, // nine items of a message may share an engine
}

func limitSelf() error {
	for _, l := range selfLimits {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.value, Max: l.value}); err != nil {
			return fmt.Errorf("limit %s to %d: %w", l.name, l.value, err)
		}
	}
	return nil
}
