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
// A name that an architecture does not have is left out there, so the list serves amd64 and arm64 (whose newfstatat the library calls fstatat).

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
		"read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "openat", "open", "close", "fstat", "newfstatat", "fstatat", "stat", "lstat", "statx",
		"access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd", "chdir", "dup", "dup2", "dup3", "umask",
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
	{"Go's own start: the seal takes away all that reaches another process (seal.go)", []string{
		"tgkill", "kill", "pidfd_open", "pidfd_send_signal",
	}},
	{"its own process group, which the worker kills as a whole: the seal takes this away", []string{"setpgid"}},
	{"the seal itself: a further filter can only take away", []string{"seccomp"}},
	{"some forms of these: see narrowed", []string{"clone", "prlimit64", "fcntl", "prctl"}},
}

// namespaces are the flags of clone that would make a new kind of place to be in.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID |
	unix.CLONE_NEWNET

// narrowed are calls of which some forms are refused. They are told by what is refused, and in a filter apart from the list, since the
// library loses the call's number where a condition does not hold: what stood after a condition would be held against the argument.
var narrowed = []struct {
	why  string
	call seccomp.NameWithConditions
}{
	{"a plain fork shares no memory: only threads and children that are about to execute another program", when("clone",
		is(0, seccomp.BitsNotSet, unix.CLONE_VM))},
	{"no new kind of place to be in, and nothing beside the engine", when("clone",
		is(0, seccomp.BitsSet, namespaces|unix.CLONE_PARENT|unix.CLONE_PTRACE))},
	{"limits are read; setting one is the worker's", when("prlimit64", is(2, seccomp.NotEqual, 0))},
	{"descriptors have no owner, no signal, no lease and no notice: each of them has the kernel signal whoever is named", when("fcntl",
		none(1, unix.F_GETFL, unix.F_SETFL, unix.F_GETFD, unix.F_SETFD, unix.F_DUPFD, unix.F_DUPFD_CLOEXEC)...)},
	{"likewise", when("fcntl", is(1, seccomp.Equal, unix.F_SETFL), is(2, seccomp.BitsSet, unix.O_ASYNC))},
	{"threads have names; no_new_privs can only be set; the engine reports its confinement; glib counts capabilities", when("prctl",
		none(0, unix.PR_SET_NAME, unix.PR_SET_PDEATHSIG, unix.PR_SET_NO_NEW_PRIVS, unix.PR_GET_NO_NEW_PRIVS, unix.PR_GET_SECCOMP, unix.PR_CAPBSET_READ)...)},
	{"ffmpeg must not outlive the engine, nor the engine the worker: no other signal, and none of them taken back", when("prctl",
		is(0, seccomp.Equal, unix.PR_SET_PDEATHSIG), is(1, seccomp.NotEqual, uint64(unix.SIGKILL)))},
}

func when(name string, all ...seccomp.Condition) seccomp.NameWithConditions {
	return seccomp.NameWithConditions{Name: name, Conditions: all}
}

func is(argument uint32, how seccomp.Operation, value uint64) seccomp.Condition {
	return seccomp.Condition{Argument: argument, Operation: how, Value: value}
}

// none says that an argument, all 64 bits of it, is none of the values.
func none(argument uint32, values ...uint64) (all []seccomp.Condition) {
	for _, v := range values {
		all = append(all, is(argument, seccomp.NotEqual, v))
	}
	return all
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

// syscallPolicies are the list and what is refused of it, as the library wants them. A call must pass both.
func syscallPolicies() ([]seccomp.Policy, error) {
	info, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	known := func(names []string) (out []string) {
		for _, name := range names {
			if _, ok := info.SyscallNames[name]; ok {
				out = append(out, name)
			}
		}
		return out
	}
	list := seccomp.Policy{DefaultAction: seccomp.ActionErrno}
	for _, g := range allowed {
		list.Syscalls = append(list.Syscalls, seccomp.SyscallGroup{Names: known(g.names), Action: seccomp.ActionAllow})
	}
	list.Syscalls = append(list.Syscalls, seccomp.SyscallGroup{Names: known(absent), Action: enosys})
	forms := seccomp.SyscallGroup{Action: seccomp.ActionErrno}
	for _, n := range narrowed {
		forms.NamesWithCondtions = append(forms.NamesWithCondtions, n.call)
	}
	return []seccomp.Policy{{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{forms}}, list}, nil
}

// enterSeccomp has the calling thread, and everything started by it, make only the calls of the list. It needs no_new_privs.
func enterSeccomp() error {
	policies, err := syscallPolicies()
	if err != nil {
		return err
	}
	for _, policy := range policies {
		if err := seccomp.LoadFilter(seccomp.Filter{Policy: policy}); err != nil {
			return err
		}
	}
	return nil
}
