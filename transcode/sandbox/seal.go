package sandbox

import (
	"fmt"
	"os"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// seal takes away from an engine, with all its threads and for ever, what only its start needed. From here on
//
//  1. nothing it starts can leave its process group, so that one kill by the worker ends all of it;
//  2. it can signal nobody but itself and, through the handle it got when it started them, its children;
//  3. its filters are final.
//
// It comes before the first request, so before the first byte of a stranger's. The kernel's lack of seccomp is the worker's to judge
// (Config.Sandbox): an engine that no worker has confined, or that no kernel could, has nothing to seal.
func seal() error {
	if confined, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || confined == 0 || !seccomp.Supported() {
		return nil //nolint:nilerr // a kernel that old has no seccomp filters either
	}
	// Go looks once whether it can hold children by handle, with calls that are about to be gone.
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Release()
	}
	filter := seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: seccomp.Policy{
		DefaultAction: seccomp.ActionAllow,
		Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionAllow, NamesWithCondtions: []seccomp.NameWithConditions{{
				Name:       "tgkill", // Go's runtime interrupts its threads, abort() ends its process
				Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: uint64(os.Getpid())}},
			}}},
			{Action: seccomp.ActionErrno, Names: []string{
				"tgkill", "tkill", "kill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "setpgid", "setsid", "seccomp",
			}},
		},
	}}
	if err := seccomp.LoadFilter(filter); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return nil
}
