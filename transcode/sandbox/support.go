package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
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
	// NoLandlock is best_effort also where Landlock is missing and this process holds credentials (Config.Credentials).
	NoLandlock Mode = "no_landlock"
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
	}, hiddenCheck(), limitsCheck()}
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
	n := 0
	for _, g := range allowed {
		n += len(g.names)
	}
	c.Detail = fmt.Sprintf("%d system calls allowed, %d forms of them refused: no socket, no signal to another process by any of them", n, len(narrowed))
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

// insideChecks are what an engine finds when it tries the walls itself: doctor's proof that the pieces are not only there but at work.
func insideChecks() []Check {
	return []Check{
		tried(insideFiles, "an engine can read no file of the system's users", map[string]func() error{
			"/etc/passwd can be read": func() error { return opened("/etc/passwd") },
		}),
		tried(insideWorker, "an engine can open neither the worker's environment nor its memory nor its files", map[string]func() error{
			"the worker's environment can be read": func() error { return opened(ofWorker("environ")) },
			"the worker's memory can be opened":    func() error { return opened(ofWorker("mem")) },
			"the worker's files can be listed":     func() error { _, err := os.ReadDir(ofWorker("fd")); return err },
		}),
		tried(insideCalls, "an engine can open no socket, signal nobody by any call, leave no group", map[string]func() error{
			"a socket can be opened":                openSocket,
			"the worker can be signalled":           func() error { return unix.Kill(os.Getppid(), 0) },
			"the worker can be signalled by handle": func() error { return signalByHandle(ofWorker("")) },
			"the worker can be signalled by a pipe": func() error { return ownPipe(os.Getppid()) },
			"the process group can be left":         func() error { return unix.Setpgid(0, 0) },
			"the engine can outlive the worker":     func() error { return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) },
		}),
	}
}

// tried makes a check of attempts that must fail, each under what it would mean if it did not.
func tried(name, well string, attempts map[string]func() error) Check {
	var open []string
	for _, what := range slices.Sorted(maps.Keys(attempts)) {
		if attempts[what]() == nil {
			open = append(open, what)
		}
	}
	if len(open) > 0 {
		return Check{Name: name, Detail: "in an engine " + strings.Join(open, ", ")}
	}
	return Check{Name: name, OK: true, Detail: well}
}

func ofWorker(what string) string { return fmt.Sprintf("/proc/%d/%s", os.Getppid(), what) }

func opened(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

func openSocket() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// signalByHandle asks whether the process of a directory of /proc could be signalled: such a directory is as good as a handle.
func signalByHandle(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.PidfdSendSignal(int(f.Fd()), 0, nil, 0)
}

// ownPipe asks whether another process could be made the owner of a pipe: the kernel signals the owner when something comes.
func ownPipe(pid int) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { r.Close(); w.Close() }()
	_, err = unix.FcntlInt(r.Fd(), unix.F_SETOWN, pid)
	return err
}

// What an engine tries from inside, by the piece that stops it.
const (
	insideFiles  = "sandbox: inside, files"
	insideWorker = "sandbox: inside, worker"
	insideCalls  = "sandbox: inside, calls"
)

// judge makes a failed check of the inside a warning where less is accepted and the kernel lacks the piece that would have stopped it. The
// worker's memory and environment need no such piece: they are never forgiven.
func (s support) judge(checks []Check, mode Mode) []Check {
	lacks := map[string]bool{insideFiles: s.landlock < minLandlock, insideCalls: !s.seccomp}
	for i := range checks {
		if c := &checks[i]; lacks[c.Name] && !c.OK && mode != Required {
			c.OK, c.Warn = true, true
		}
	}
	return checks
}
