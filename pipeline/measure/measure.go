// Package measure says what work costs on this machine: processor time and memory, of this process and of those it starts. It is for benchmarks.
package measure

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// CPUOf is the user and system time that do took, of this process and of what it started and has reaped, seconds.
func CPUOf(do func() error) (float64, error) {
	before, err := cpuSeconds()
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	after, err := cpuSeconds()
	return after - before, err
}

func cpuSeconds() (float64, error) {
	sum := 0.0
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			return 0, err
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
	}
	return sum, nil
}

// sampling is how often memory is looked at: processes here live for tenths of a second.
const sampling = 5 * time.Millisecond

// PeakOf is the most memory that all processes started by do had together, MiB: proportional set size, so that a library that
// two of them have mapped counts once. Looking costs CPU, so it is a run of its own.
func PeakOf(do func() error) (float64, error) {
	stop, peak := make(chan struct{}), 0.0
	var looking sync.WaitGroup
	looking.Go(func() {
		tick := time.NewTicker(sampling)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				peak = max(peak, childrenMiB(os.Getpid()))
			}
		}
	})
	err := do()
	close(stop)
	looking.Wait()
	return peak, err
}

// childrenMiB adds up everything below pid. A process that has just ended counts nothing.
func childrenMiB(pid int) float64 {
	sum := 0.0
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, task := range tasks {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		for _, field := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(field); err == nil {
				sum += proportionalMiB(child) + childrenMiB(child)
			}
		}
	}
	return sum
}

func proportionalMiB(pid int) float64 {
	rollup, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(rollup)) {
		if value, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return kib / 1024
		}
	}
	return 0
}

// Load is the machine's load over the last minute: other work makes CPU seconds longer.
func Load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// GrowthOf is how much more memory this process itself held at its most while it did do than before, MiB: resident, shared libraries and
// all.
func GrowthOf(do func() error) (float64, error) {
	runtime.GC()
	debug.FreeOSMemory()
	before := statusMiB("VmRSS:")
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // the high-water mark begins anew
		return 0, err
	}
	err := do()
	return statusMiB("VmHWM:") - before, err
}

func statusMiB(field string) float64 {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, field); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return kib / 1024
		}
	}
	return 0
}
