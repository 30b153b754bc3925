package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hide closes this process's memory, environment and open files to every other process of its user, for as long as it lives: engines run as
// the same user where the worker may not choose another (user.go). No core file of it is written either. Children are not affected.
func hide() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("sandbox: close the worker's memory: %w", err)
	}
	return nil
}

// hiddenCheck is doctor's line about it.
func hiddenCheck() Check {
	c := Check{Name: "sandbox: worker", Detail: "its memory, environment and files can be opened by others of its user"}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err == nil && dumpable == 0 {
		c.OK, c.Detail = true, "its memory, environment and files are closed to others of its user, engines among them"
	}
	return c
}
