package sandbox

import (
	"log/slog"
	"syscall"
)

// yield lowers the priority of every thread of the engine's process group; what the engine starts later inherits it. Without it the
// work is done all the same.
func (e *engine) yield(nice int) {
	if nice == 0 {
		return
	}
	if err := syscall.Setpriority(syscall.PRIO_PGRP, e.cmd.Process.Pid, nice); err != nil {
		slog.Debug("engine keeps its priority", slog.Any("error", err))
	}
}
