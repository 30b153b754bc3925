package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// Mode says what happens where the kernel lacks a piece of the sandbox.
type Mode string

// The modes.
const (
	Required   Mode = "required"    // no engine is started
	BestEffort Mode = "best_effort" // engines run with the pieces there are; doctor and start-up say which are missing
)

// support is what this kernel, as seen by this process, offers.
type support struct {
	landlock int // ABI, 0 = none
	seccomp  bool
}

func kernelSupport() support {
	_, err := arch.GetInfo("")
	return support{landlock: landlockABI(), seccomp: err == nil && seccomp.Supported()}
}

// minLandlock is the first ABI that confines all that Required promises: 3 denies truncation. TCP (4) and signals (6) are denied by seccomp
// on any kernel.
const minLandlock = 3

// lacks names every missing piece and how to get it; nil where the sandbox is whole.
func (s support) lacks() error {
	var missing []error
	switch {
	case s.landlock == 0:
		missing = append(missing, errors.New("Landlock, which keeps engines from other files: Linux 6.2 with lsm=landlock, not blocked by the container"))
	case s.landlock < minLandlock:
		missing = append(missing, fmt.Errorf("Landlock ABI %d (this kernel has %d): Linux 6.2", minLandlock, s.landlock))
	}
	if !s.seccomp {
		missing = append(missing, errors.New("seccomp filters, which keep engines from the network: CONFIG_SECCOMP_FILTER on amd64 or arm64"))
	}
	return errors.Join(missing...)
}

// checks are doctor's lines about the kernel.
func (s support) checks(mode Mode) []Check {
	return []Check{s.landlockCheck(mode), s.seccompCheck(mode), {
		Name: "sandbox: privileges", OK: true, Detail: "no_new_privs, no capabilities, own process group, clean environment",
	}, limitsCheck()}
}

func (s support) landlockCheck(mode Mode) Check {
	c := Check{Name: "sandbox: landlock", OK: true, Detail: fmt.Sprintf("ABI %d: %s", s.landlock, s.landlockDoes())}
	if s.landlock < minLandlock {
		return missing(c, mode, support{s.landlock, true}.lacks())
	}
	return c
}

func (s support) landlockDoes() string {
	does := []string{"files"}
	if s.landlock >= 4 {
		does = append(does, "TCP")
	}
	if s.landlock >= 6 {
		does = append(does, "signals", "abstract sockets")
	}
	return strings.Join(does, ", ")
}

func (s support) seccompCheck(mode Mode) Check {
	c := Check{Name: "sandbox: seccomp", OK: true}
	if !s.seccomp {
		return missing(c, mode, support{minLandlock, false}.lacks())
	}
	n := len(allowedWith)
	for _, g := range allowed {
		n += len(g.names)
	}
	c.Detail = fmt.Sprintf("%d system calls allowed, no socket among them", n)
	return c
}

// missing is the line of a piece that is not there.
func missing(c Check, mode Mode, lack error) Check {
	if c.OK = mode != Required; c.OK {
		c.Warn, c.Detail = true, fmt.Sprintf("engines run without %v (--sandbox %s)", lack, mode)
		return c
	}
	c.Detail = fmt.Sprintf("missing %v; or accept less with --sandbox %s", lack, BestEffort)
	return c
}

func limitsCheck() Check {
	var all []string
	for _, l := range hardLimits {
		all = append(all, fmt.Sprintf("%s %d", l.name, l.value))
	}
	return Check{Name: "sandbox: limits", OK: true, Detail: strings.Join(all, ", ")}
}

// insideCheck is what an engine finds when it tries the walls itself: doctor's proof that the pieces are not only there but at work.
func insideCheck() Check {
	var open []string
	if f, err := os.Open("/etc/passwd"); err == nil {
		f.Close()
		open = append(open, "/etc/passwd can be read")
	}
	if fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err == nil {
		unix.Close(fd)
		open = append(open, "a socket can be opened")
	}
	if err := unix.Kill(os.Getppid(), 0); err == nil {
		open = append(open, "the worker can be signalled")
	}
	if err := unix.Setpgid(0, 0); err == nil {
		open = append(open, "the process group can be left")
	}
	if len(open) > 0 {
		return Check{Name: insideName, Detail: "in an engine " + strings.Join(open, ", ")}
	}
	return Check{Name: insideName, OK: true, Detail: "an engine can read no file of the system's users, open no socket, signal nobody, leave no group"}
}

const insideName = "sandbox: inside"

// judge makes a failed check of the inside a warning where less is accepted and the kernel lacks a piece; where it lacks none it stays one.
func (s support) judge(checks []Check, mode Mode) []Check {
	for i := range checks {
		if c := &checks[i]; c.Name == insideName && !c.OK && mode == BestEffort && s.lacks() != nil {
			c.OK, c.Warn = true, true
		}
	}
	return checks
}
