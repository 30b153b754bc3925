package sandbox

import (
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// confinement is what every engine program, and whatever it starts, is put into before its first instruction. The worker's thread that
// starts it enters first and the child inherits: nothing is left to the engine's good will, and libvips, which starts before main, is
// inside already. The thread is then good for nothing else and ends with the engine (engine.go).
//
//   - no_new_privs, and no capability even for root: nothing executed inside gains any; a user of its own where the worker may (user.go);
//   - Landlock: system libraries and fonts can be read, the engine's programs executed, its room/in read and its room/out written;
//     with ABI 4 no TCP, with ABI 6 no signal to the outside;
//   - seccomp: the calls of syscalls.go; no socket of any kind, no ptrace, no new namespace, no plain fork, no signal to another process.
//
// The worker itself is closed to engines without any of these: see hide.
//
// Limits come from outside (limits.go, watch.go), and the engine seals itself before it reads a request (seal.go).
type confinement struct {
	support support
	users   *identities
	rules   []pathRule // that all engines share
}

// newConfinement holds what the kernel offers against what the programs need.
func newConfinement(offered support, scratch string, engines ...string) (*confinement, error) {
	programs := slices.Concat(engines, findTools())
	rules, err := programRules(programs)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return &confinement{support: offered, users: newIdentities(scratch, programs), rules: append(rules, systemPaths...)}, nil
}

// findTools returns the programs that an engine starts, as it will find them. A missing one is the engine's to report.
func findTools() []string {
	var found []string
	for _, name := range []string{"ffmpeg", "ffprobe"} {
		for _, dir := range strings.Split(enginePath, ":") {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				found = append(found, path)
				break
			}
		}
	}
	return found
}

// enter confines the calling thread, which must be locked to its goroutine and never be unlocked. What the kernel lacks is left out:
// Config.Sandbox has decided already.
func (c *confinement) enter(r *room) error {
	// A library of the worker's may hold descriptors that it forgot to mark. Older kernels cannot: 5.11.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("sandbox: no_new_privs: %w", err)
	}
	if err := r.user.become(); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return fmt.Errorf("sandbox: capabilities: %w", err)
	}
	if c.support.landlock > 0 {
		if err := enterLandlock(c.support.landlock, append(r.rules(), c.rules...)); err != nil {
			return err
		}
	}
	if c.support.seccomp {
		return enterSeccomp()
	}
	return nil
}

// dropCapabilities leaves the thread none. With no_new_privs an exec brings none back, not even root's.
func dropCapabilities() error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&head, &none[0])
}
