package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// signals are ways to have the kernel send a signal to the worker, or to be missed by one, by name. None of them harms a worker that is
// reached: the signal is one that Go's runtime takes for its own.
var signals = map[string]func(b *bad, arg string) error{
	"pipe's owner": func(*bad, string) error {
		return onPipe(func(fd uintptr) error { return fcntl(fd, unix.F_SETOWN, uintptr(os.Getppid())) })
	},
	"pipe's owning thread": func(*bad, string) error {
		owner := [2]int32{0, int32(os.Getppid())} // F_OWNER_TID
		return onPipe(func(fd uintptr) error { return fcntl(fd, unix.F_SETOWN_EX, uintptr(unsafe.Pointer(&owner))) })
	},
	"pipe's signal": func(*bad, string) error {
		return onPipe(func(fd uintptr) error { return fcntl(fd, unix.F_SETSIG, uintptr(unix.SIGURG)) })
	},
	"pipe that tells": func(*bad, string) error {
		return onPipe(func(fd uintptr) error { return fcntl(fd, unix.F_SETFL, unix.O_ASYNC) })
	},
	// The kernel reads 32 bits of the command, a filter sees 64.
	"pipe's owner, long": func(*bad, string) error {
		return onPipe(func(fd uintptr) error { return fcntl(fd, 1<<32|unix.F_SETOWN, uintptr(os.Getppid())) })
	},
	"pipe by ioctl": func(*bad, string) error {
		owner := int32(os.Getppid())
		return onPipe(func(fd uintptr) error {
			return anyOf(ioctl(fd, fioasync, unsafe.Pointer(&owner)), ioctl(fd, fiosetown, unsafe.Pointer(&owner)), ioctl(fd, siocspgrp, unsafe.Pointer(&owner)))
		})
	},
	"lease": func(b *bad, _ string) error {
		return onFile(b, func(fd uintptr) error { return fcntl(fd, unix.F_SETLEASE, unix.F_WRLCK) })
	},
	"notice": func(b *bad, _ string) error {
		dir, err := os.Open(filepath.Join(b.dir, "out"))
		if err != nil {
			return err
		}
		defer dir.Close()
		return fcntl(dir.Fd(), unix.F_NOTIFY, 4 /* DN_CREATE */)
	},
	"timer": func(*bad, string) error {
		event := struct {
			value              uint64
			signal, notify, id int32
			_                  [44]byte
		}{signal: int32(unix.SIGURG), notify: 4 /* SIGEV_THREAD_ID */, id: int32(os.Getppid())}
		var timer int32
		_, _, e := unix.RawSyscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&timer)))
		return errno(e)
	},
	"kill directory": func(*bad, string) error {
		dir, err := os.Open(fmt.Sprintf("/proc/%d", os.Getppid()))
		if err != nil {
			return err
		}
		defer dir.Close()
		return unix.PidfdSendSignal(int(dir.Fd()), unix.SIGURG, nil, 0)
	},
	"kill path": func(*bad, string) error {
		fd, err := unix.Open(fmt.Sprintf("/proc/%d", os.Getppid()), unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.PidfdSendSignal(fd, unix.SIGURG, nil, 0)
	},
	"queue": func(*bad, string) error {
		var info [128]byte
		_, _, a := unix.RawSyscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(os.Getppid()), uintptr(unix.SIGURG), uintptr(unsafe.Pointer(&info)))
		_, _, b := unix.RawSyscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(os.Getppid()), uintptr(os.Getppid()), uintptr(unix.SIGURG), uintptr(unsafe.Pointer(&info)), 0, 0)
		_, _, c := unix.RawSyscall(unix.SYS_TKILL, uintptr(os.Getppid()), uintptr(unix.SIGURG), 0)
		return anyOf(errno(a), errno(b), errno(c))
	},
	"outlive": func(*bad, string) error { return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) },
	"last words": func(*bad, string) error {
		return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGURG), 0, 0, 0)
	},
	// CLONE_THREAD without CLONE_SIGHAND is refused by the kernel itself: nothing is made where the filter lets it through.
	"sibling": func(*bad, string) error {
		_, _, e := unix.RawSyscall(unix.SYS_CLONE, unix.CLONE_VM|unix.CLONE_PARENT|unix.CLONE_THREAD, 0, 0)
		return errno(e)
	},
	"kill child": func(*bad, string) error {
		never, _, err := os.Pipe()
		if err != nil {
			return err
		}
		child := exec.Command(os.Args[0])
		child.Stdin = never
		if err := child.Start(); err != nil {
			return err
		}
		return child.Process.Kill()
	},
	"worker's files": func(*bad, string) error {
		_, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", os.Getppid()))
		return err
	},
	"out of memory": func(*bad, string) error {
		return os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", os.Getppid()), []byte("1"), 0)
	},
	"kernel settings": func(*bad, string) error { return failed(os.OpenFile("/proc/sys/kernel/core_pattern", os.O_WRONLY, 0)) },
}

// The commands of ioctl that send signals, on amd64 and arm64.
const (
	fioasync, fiosetown, siocspgrp = 0x5452, 0x8901, 0x8902
)

func onPipe(do func(fd uintptr) error) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { r.Close(); w.Close() }()
	return do(r.Fd())
}

func onFile(b *bad, do func(fd uintptr) error) error {
	f, err := os.Create(filepath.Join(b.dir, "out/file"))
	if err != nil {
		return err
	}
	defer f.Close()
	return do(f.Fd())
}

func fcntl(fd, command, arg uintptr) error {
	_, _, e := unix.RawSyscall(unix.SYS_FCNTL, fd, command, arg)
	return errno(e)
}

func ioctl(fd, command uintptr, arg unsafe.Pointer) error {
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, fd, command, uintptr(arg))
	return errno(e)
}

// anyOf is nil where one of the attempts came through, and else what stopped them.
func anyOf(stopped ...error) error {
	for _, err := range stopped {
		if err == nil || !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EACCES) {
			return err
		}
	}
	return stopped[0]
}
