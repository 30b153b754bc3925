package sandbox

import (
	"encoding/binary"
	"slices"
	"testing"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// insteadOnARM64 are the calls of amd64 that arm64 never had, and what is called there instead: "" where nothing is.
var insteadOnARM64 = map[string]string{
	"open": "openat", "newfstatat": "fstatat", "stat": "fstatat", "lstat": "fstatat", "access": "faccessat", "readlink": "readlinkat", "dup2": "dup3",
	"mkdir": "mkdirat", "unlink": "unlinkat", "rmdir": "unlinkat", "pipe": "pipe2", "epoll_wait": "epoll_pwait", "poll": "ppoll",
	"select": "pselect6", "time": "clock_gettime", "getpgrp": "getpgid", "arch_prctl": "",
}

// TestTheListServesBothArchitectures: a name that one architecture does not have would silently allow, or refuse, nothing there.
func TestTheListServesBothArchitectures(t *testing.T) {
	t.Parallel()
	var names, open []string
	for _, g := range allowed {
		names, open = append(names, g.names...), append(open, g.names...)
	}
	names = append(names, absent...)
	for _, n := range narrowed {
		names = append(names, n.call.Name)
	}
	for _, name := range names {
		if _, ok := arch.X86_64.SyscallNames[name]; ok == (name == "fstatat") {
			t.Errorf("amd64 has %s: %v", name, ok)
		}
		instead, legacy := insteadOnARM64[name]
		if _, ok := arch.AARCH64.SyscallNames[name]; ok == legacy {
			t.Errorf("arm64 has %s: %v", name, ok)
		}
		if _, ok := arch.AARCH64.SyscallNames[instead]; instead != "" && (!ok || !slices.Contains(open, instead)) {
			t.Errorf("%s is called on arm64 instead of %s, and is not allowed there", instead, name)
		}
	}
}

// TestWhatTheFiltersAnswer runs the filters of this machine's architecture as the kernel does. It needs no kernel that takes them: an
// emulator of arm64 is enough.
func TestWhatTheFiltersAnswer(t *testing.T) {
	t.Parallel()
	f := newFilters(t)
	for _, g := range allowed {
		for _, name := range g.names {
			if _, ok := f.info.SyscallNames[name]; ok && !isNarrowed(name) {
				f.answers(seccomp.ActionAllow, name)
			}
		}
	}
	const refused = seccomp.ActionErrno | seccomp.Action(unix.EPERM)
	for _, name := range []string{
		"socket", "socketpair", "connect", "ptrace", "process_vm_readv", "mount", "setuid", "bpf", "keyctl", "symlinkat", "linkat", "mknodat",
		"fchmodat", "perf_event_open", "userfaultfd", "unshare", "setns", "init_module", "kexec_load", "add_key", "io_uring_enter",
	} {
		f.answers(refused, name)
	}
	for _, name := range []string{"clone3", "memfd_create", "io_uring_setup"} {
		f.answers(enosys, name)
	}
	f.answers(seccomp.ActionAllow, "clone", unix.CLONE_VM|unix.CLONE_THREAD)
	f.answers(refused, "clone", uint64(unix.SIGCHLD))
	f.answers(refused, "clone", unix.CLONE_VM|unix.CLONE_NEWUSER)
	f.answers(seccomp.ActionAllow, "prlimit64", 0, unix.RLIMIT_AS, 0)
	f.answers(refused, "prlimit64", 0, unix.RLIMIT_AS, 0x7f0000001000)
	f.answers(seccomp.ActionAllow, "fcntl", 3, unix.F_DUPFD_CLOEXEC)
	f.answers(refused, "fcntl", 3, unix.F_SETOWN)
	f.answers(refused, "fcntl", 3, unix.F_SETFL, unix.O_ASYNC)
	f.answers(seccomp.ActionAllow, "prctl", unix.PR_SET_NAME)
	f.answers(refused, "prctl", unix.PR_SET_DUMPABLE)
}

func isNarrowed(name string) bool {
	for _, n := range narrowed {
		if n.call.Name == name {
			return true
		}
	}
	return false
}

type filters struct {
	*testing.T
	info *arch.Info
	vms  []*bpf.VM
}

func newFilters(t *testing.T) filters {
	t.Helper()
	info, err := arch.GetInfo("")
	if err != nil {
		t.Skip(err)
	}
	policies, err := syscallPolicies()
	if err != nil {
		t.Fatal(err)
	}
	f := filters{T: t, info: info}
	for _, p := range policies {
		program, err := p.Assemble()
		if err != nil {
			t.Fatal(err)
		}
		vm, err := bpf.NewVM(program)
		if err != nil {
			t.Fatal(err)
		}
		f.vms = append(f.vms, vm)
	}
	return f
}

// answers holds the strictest answer of all filters to what must be answered.
func (f filters) answers(want seccomp.Action, name string, arguments ...uint64) {
	f.Helper()
	number, ok := f.info.SyscallNames[name]
	if !ok {
		f.Errorf("there is no %s", name)
		return
	}
	got := seccomp.ActionAllow
	for _, vm := range f.vms {
		n, err := vm.Run(callData(f.info, number, arguments))
		if err != nil {
			f.Fatal(err)
		}
		if answer := seccomp.Action(uint32(n)); answer < got { // of what is used here, the lower number is the stricter
			got = answer
		}
	}
	if got != want {
		f.Errorf("%s %x: %v (%x), want %v (%x)", name, arguments, got, uint32(got), want, uint32(want))
	}
}

// callData is the kernel's struct seccomp_data. The library's programs read it by words of 32 bits, which the machine here takes as
// big-endian: each is written so.
func callData(info *arch.Info, number int, arguments []uint64) []byte {
	be := binary.BigEndian
	data := be.AppendUint32(be.AppendUint32(nil, uint32(number)), uint32(info.ID))
	data = be.AppendUint64(data, 0)
	for i := range 6 {
		v := uint64(0)
		if i < len(arguments) {
			v = arguments[i]
		}
		data = be.AppendUint32(be.AppendUint32(data, uint32(v)), uint32(v>>32))
	}
	return data
}
