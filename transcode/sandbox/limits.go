package sandbox

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ninefold/ninefold/pipeline"
)

// hardLimits bound each process of an engine; the worker sets them from outside before it sends the first byte, and the engine cannot
// raise them (syscalls.go).
//
// The kernel counts RLIMIT_NPROC per user, all workers of that user together, and never for root: it is a last line, far away. What
// bounds one engine is the watch (watch.go).
var hardLimits = []struct {
	name     string
	resource int
	value    uint64
}{
	{"core", unix.RLIMIT_CORE, 0},
	{"file size", unix.RLIMIT_FSIZE, 256 << 20},
	{"descriptors", unix.RLIMIT_NOFILE, 256},
	{"address space", unix.RLIMIT_AS, mostMemory},
	{"CPU seconds", unix.RLIMIT_CPU, mostCPU},
	{"processes of the user", unix.RLIMIT_NPROC, 4096},
	{"locked memory", unix.RLIMIT_MEMLOCK, 0},
	{"message queues", unix.RLIMIT_MSGQUEUE, 0},
}

const (
	mostMemory = 4 << 30 // bytes of address space
	mostCPU    = 900     // seconds; nine items of a message may share an engine, and a 4K video of three minutes takes 400 on a slow core
)

// limit sets the hard limits of a process that has just been started.
func limit(pid int) error {
	for _, l := range hardLimits {
		if err := unix.Prlimit(pid, l.resource, &unix.Rlimit{Cur: l.value, Max: l.value}, nil); err != nil {
			return fmt.Errorf("limit %s to %d: %w", l.name, l.value, err)
		}
	}
	return nil
}

// class is what one request may take, over all processes of its engine.
type class struct {
	cpu    time.Duration
	memory uint64 // bytes: resident memory of all processes, and address space of each beyond what its program takes before it works
}

var classes = map[pipeline.Kind]class{
	pipeline.KindPhoto: {cpu: 30 * time.Second, memory: 2 << 30},
	pipeline.KindVoice: {cpu: 60 * time.Second, memory: mostMemory},
	pipeline.KindVideo: {cpu: mostCPU * time.Second, memory: mostMemory},
}

// class tells a request's class by what the worker knows, never by what an engine said of a file.
func (r Request) class() class {
	switch {
	case r.Op == OpRender && r.Plan != nil && r.Plan.Photo != nil, r.Op == OpIdentify && r.File != nil && r.File.Type.Family == pipeline.FamilyImage:
		return classes[pipeline.KindPhoto]
	case r.Op == OpRender && r.Plan != nil && r.Plan.Video != nil, r.Op == OpLook,
		r.Op == OpReadBack && r.Read != nil && r.Read.Part.Kind == pipeline.KindVideo:
		return classes[pipeline.KindVideo]
	}
	return classes[pipeline.KindVoice]
}

// addressSpace is the limit for an engine that had base bytes of address space before it saw a file: 1.5 GiB, of which 45 MiB are resident,
// are libvips' libraries and what Go sets aside. Counted in, they left a photo 0.5 GiB, which 44 megapixels of AVIF do not fit into.
func (c class) addressSpace(base uint64) uint64 { return min(base+c.memory, mostMemory) }

// grant sets the soft limits of one request: what the engine starts for it inherits them. used is the engine's CPU time so far, base its
// address space when it was new.
func grant(pid int, c class, used time.Duration, base uint64) error {
	cpu := min(uint64((used+c.cpu+time.Second-1)/time.Second), mostCPU)
	if err := unix.Prlimit(pid, unix.RLIMIT_CPU, &unix.Rlimit{Cur: cpu, Max: mostCPU}, nil); err != nil {
		return fmt.Errorf("limit CPU seconds to %d: %w", cpu, err)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_AS, &unix.Rlimit{Cur: c.addressSpace(base), Max: mostMemory}, nil); err != nil {
		return fmt.Errorf("limit address space to %d: %w", c.addressSpace(base), err)
	}
	return nil
}
