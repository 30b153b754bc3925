package sandbox

import (
	"fmt"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// The list of system calls an engine and its children may make. What is not in it fails with EPERM: sockets of every kind, ptrace and
// process_vm_*, mount, keyctl, bpf, perf_event_open, io_uring, userfaultfd, kexec, modules, clocks, other users, and whatever later
// kernels bring. The list was taken from Go's runtime, glibc, libvips and ffmpeg at work on every media type (strace), and is held by the
// end-to-end tests, which run inside it.
//
// A name that an architecture does not have is left out there, so the list serves amd64 and arm64.

// allowed groups the calls by what needs them, the most frequent first: the kernel walks the list.
var allowed = []struct {
	why   string
	names []string
}{
	{"threads of Go, libvips and ffmpeg wait for each other", []string{
		"futex", "sched_yield", "nanosleep", "clock_nanosleep", "rt_sigprocmask", "rt_sigaction", "rt_sigreturn", "sigaltstack",
		"set_robust_list", "get_robust_list", "rseq", "set_tid_address", "arch_prctl", "gettid", "exit", "exit_group", "restart_syscall",
	}},
	{"files that are open, or that Landlock lets open", []string{
		"read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "openat", "open", "close", "fstat", "newfstatat", "stat", "lstat", "statx",
		"access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd", "chdir", "fcntl", "dup", "dup2", "dup3", "umask",
		"fadvise64", "copy_file_range",
	}},
	{"files of its own, where Landlock lets it write", []string{
		"mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "ftruncate", "fsync", "fdatasync", "statfs", "fstatfs",
	}},
	{"memory, within RLIMIT_AS", []string{"mmap", "munmap", "mprotect", "mremap", "madvise", "brk", "mincore"}},
	{"starting ffmpeg and waiting for it", []string{"execve", "wait4", "waitid", "pipe2", "pipe"}},
	{"pipes to the worker and to ffmpeg", []string{
		"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd2", "poll", "ppoll", "select", "pselect6",
	}},
	{"asking what time it is, who it is, how much it may use", []string{
		"clock_gettime", "clock_getres", "gettimeofday", "time", "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getpgrp", "getpgid",
		"getrlimit", "getrusage", "times", "sysinfo", "uname", "getrandom", "sched_getaffinity", "sched_getparam", "sched_getscheduler",
		"sched_get_priority_max", "sched_get_priority_min", "getcpu",
	}},
	{"signals among its own: the seal takes away what reaches others (seal.go), Landlock holds them inside", []string{
		"tgkill", "kill", "pidfd_open", "pidfd_send_signal",
	}},
	{"its own process group, which the worker kills as a whole: the seal takes this away", []string{"setpgid"}},
	{"the seal itself: a further filter can only take away", []string{"seccomp"}},
}

// namespaces are the flags of clone that would make a new kind of place to be in.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID |
	unix.CLONE_NEWNET

// allowedWith are calls that are allowed with some arguments only.
var allowedWith = []struct {
	why  string
	call seccomp.NameWithConditions
}{
	{"threads, and children that are about to execute another program; a plain fork shares no memory and is refused", seccomp.NameWithConditions{
		Name: "clone", Conditions: seccomp.ArgumentConditions{
			{Argument: 0, Operation: seccomp.BitsSet, Value: unix.CLONE_VM},
			{Argument: 0, Operation: seccomp.BitsNotSet, Value: namespaces},
		},
	}},
	{"reading limits; setting one is the worker's", seccomp.NameWithConditions{
		Name: "prlimit64", Conditions: seccomp.ArgumentConditions{{Argument: 2, Operation: seccomp.Equal, Value: 0}},
	}},
	{"naming threads", prctl(unix.PR_SET_NAME)},
	{"ffmpeg must not outlive the engine", prctl(unix.PR_SET_PDEATHSIG)},
	{"no_new_privs can only be set", prctl(unix.PR_SET_NO_NEW_PRIVS)},
	{"the engine's report of its own confinement", prctl(unix.PR_GET_NO_NEW_PRIVS)},
	{"likewise", prctl(unix.PR_GET_SECCOMP)},
	{"glib counts the capabilities that a kernel knows", prctl(unix.PR_CAPBSET_READ)},
}

func prctl(option uint64) seccomp.NameWithConditions {
	return seccomp.NameWithConditions{Name: "prctl", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: option}}}
}

// absent are calls whose callers do without where a kernel does not have them, and do not where it refuses them.
var absent = []string{
	"clone3",    // its flags lie in memory, where no filter sees them: glibc takes clone
	"fallocate", // takes the disk faster than the watch can count
	"memfd_create", "membarrier", "openat2", "close_range", "splice", "sendfile", "vmsplice", "io_uring_setup", "get_mempolicy", "set_mempolicy",
	"mbind", "futex_waitv", "landlock_create_ruleset",
}

// enosys fails a call as a kernel does that does not know it.
const enosys = seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)

// syscallPolicy is the list as the library wants it.
func syscallPolicy() (seccomp.Policy, error) {
	info, err := arch.GetInfo("")
	if err != nil {
		return seccomp.Policy{}, fmt.Errorf("seccomp: %w", err)
	}
	known := func(names []string) (out []string) {
		for _, name := range names {
			if _, ok := info.SyscallNames[name]; ok {
				out = append(out, name)
			}
		}
		return out
	}
	p := seccomp.Policy{DefaultAction: seccomp.ActionErrno}
	for _, g := range allowed {
		p.Syscalls = append(p.Syscalls, seccomp.SyscallGroup{Names: known(g.names), Action: seccomp.ActionAllow})
	}
	with := seccomp.SyscallGroup{Action: seccomp.ActionAllow}
	for _, a := range allowedWith {
		with.NamesWithCondtions = append(with.NamesWithCondtions, a.call)
	}
	p.Syscalls = append(p.Syscalls, with, seccomp.SyscallGroup{Names: known(absent), Action: enosys})
	return p, nil
}

// enterSeccomp has the calling thread, and everything started by it, make only the calls of the list. It needs no_new_privs.
func enterSeccomp() error {
	policy, err := syscallPolicy()
	if err != nil {
		return err
	}
	return seccomp.LoadFilter(seccomp.Filter{Policy: policy})
}
