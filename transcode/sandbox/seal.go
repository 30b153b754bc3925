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
//  2. it can signal nobody but itself. Not its children either: a handle may be anybody's, as an open directory of /proc is one. A child ends
//     by Pdeathsig, with the thread that started it (transcode/ffmpeg);
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
			{Action: seccomp.ActionErrno, Names: []string{
				"tkill", "kill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal", "setpgid", "setsid", "seccomp",
			}},
			// Go's runtime interrupts its threads, abort() ends its process. A condition stands last: see narrowed.
			{Action: seccomp.ActionErrno, NamesWithCondtions: []seccomp.NameWithConditions{
				when("tgkill", is(0, seccomp.NotEqual, uint64(os.Getpid()))),
			}},
		},
	}}
	if err := seccomp.LoadFilter(filter); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return nil
}
