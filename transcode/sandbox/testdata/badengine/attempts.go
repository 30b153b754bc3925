package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ninefold/ninefold/pipeline"
)

// try makes one attempt and answers with what stopped it, as an honest refusal: corrupt, with the cause. An attempt that came through
// says so. What an attempt needs to know is in arg, more than a real attacker has.
func (b *bad) try(name, arg string) error {
	attempt, ok := attempts[name]
	if !ok {
		attempt, ok = signals[name]
	}
	if !ok {
		return fmt.Errorf("no attempt %q", name)
	}
	verdict := "SUCCEEDED"
	if err := attempt(b, arg); err != nil {
		verdict = err.Error()
	}
	return &pipeline.Error{Code: pipeline.CodeCorrupt, Op: "attempt", Message: "tried", Err: errors.New(verdict)}
}

// attempts are ways out, by name. nil means that one worked.
var attempts = map[string]func(b *bad, arg string) error{
	"read":        func(_ *bad, path string) error { return failed(os.ReadFile(path)) },
	"list":        func(_ *bad, path string) error { return failed(os.ReadDir(path)) },
	"environment": func(*bad, string) error { return failed(os.ReadFile(fmt.Sprintf("/proc/%d/environ", os.Getppid()))) },
	"memory": func(*bad, string) error {
		return failed(os.OpenFile(fmt.Sprintf("/proc/%d/mem", os.Getppid()), os.O_RDWR, 0))
	},
	"write":    func(_ *bad, path string) error { return os.WriteFile(path, []byte("x"), 0o600) },
	"truncate": func(_ *bad, path string) error { return syscall.Truncate(path, 0) },
	"symlink":  func(b *bad, path string) error { return os.Symlink(path, filepath.Join(b.dir, "out/link")) },
	"hardlink": func(b *bad, path string) error { return os.Link(path, filepath.Join(b.dir, "out/hard")) },
	"device": func(b *bad, _ string) error {
		return unix.Mknod(filepath.Join(b.dir, "out/mem"), unix.S_IFCHR|0o600, 0x101)
	},
	"tcp":          func(_ *bad, address string) error { return failed(net.Dial("tcp", address)) },
	"udp":          func(_ *bad, address string) error { return dialUDP(address) },
	"unix":         func(_ *bad, address string) error { return failed(net.Dial("unix", address)) },
	"listen":       func(*bad, string) error { return failed(net.Listen("tcp", "127.0.0.1:0")) },
	"socket":       rawSockets,
	"ptrace":       func(*bad, string) error { return unix.PtraceSeize(os.Getppid()) },
	"steal memory": func(*bad, string) error { return readParent() },
	"kill":         func(*bad, string) error { return syscall.Kill(os.Getppid(), syscall.SIGKILL) },
	"kill thread":  func(*bad, string) error { return syscall.Tgkill(os.Getppid(), os.Getppid(), syscall.SIGKILL) },
	"kill handle":  func(*bad, string) error { return killByHandle(os.Getppid()) },
	"kill all":     func(*bad, string) error { return syscall.Kill(-1, syscall.SIGKILL) },
	"shell":        func(*bad, string) error { return exec.Command("/bin/sh", "-c", "true").Run() },
	"own program":  ownProgram,
	"fork":         forks,
	"children":     children,
	"session":      func(*bad, string) error { return failed(syscall.Setsid()) },
	"group":        func(*bad, string) error { return syscall.Setpgid(0, 0) },
	"namespace":    func(*bad, string) error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"root":         func(*bad, string) error { return unix.Chroot("/") },
	"user":         func(*bad, string) error { _, _, e := unix.RawSyscall(unix.SYS_SETUID, 0, 0, 0); return errno(e) },
	"limits": func(*bad, string) error {
		return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
	},
	"file of 1 GiB": func(b *bad, _ string) error { return oneFile(b) },
	"disk":          fillDisk,
	"hidden disk":   fillHidden,
	"reserve":       reserve,
	"deep":          deep,
	"files":         manyFiles,
	"64 GiB": func(*bad, string) error {
		return failed(unix.Mmap(-1, 0, 64<<30, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE))
	},
	"3 GiB":       func(*bad, string) error { return takeMemory(3 << 30) },
	"spin":        spin,
	"descriptors": foreignDescriptors,
	"core": func(*bad, string) error {
		var l unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &l); err != nil || l.Max == 0 {
			return fmt.Errorf("core files of %d bytes", l.Max)
		}
		return nil
	},
	"credentials": func(*bad, string) error {
		for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "NINEFOLD_S3_SECRET_KEY", "NINEFOLD_REDIS_URL"} {
			if os.Getenv(name) != "" {
				return nil
			}
		}
		return errors.New("none in the environment")
	},
	"io_uring": func(*bad, string) error {
		_, _, e := unix.RawSyscall(unix.SYS_IO_URING_SETUP, 8, 0, 0)
		return errno(e)
	},
	"bpf":     func(*bad, string) error { _, _, e := unix.RawSyscall(unix.SYS_BPF, 0, 0, 0); return errno(e) },
	"keyring": func(*bad, string) error { return failed(unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, true)) },
}

func failed[T any](_ T, err error) error { return err }

func errno(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

func dialUDP(address string) error {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	return failed(conn.Write([]byte("x")))
}

// rawSockets tries every family there is.
func rawSockets(*bad, string) error {
	var last error
	for family := range 46 {
		for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_RAW, unix.SOCK_SEQPACKET} {
			_, err := unix.Socket(family, kind, 0)
			if err == nil {
				return nil
			}
			last = err
		}
	}
	return last
}

func readParent() error {
	buf := make([]byte, 8)
	local := []unix.Iovec{{Base: &buf[0], Len: 8}}
	return failed(unix.ProcessVMReadv(os.Getppid(), local, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0))
}

func killByHandle(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
}

// ownProgram writes one and executes it.
func ownProgram(b *bad, _ string) error {
	path := filepath.Join(b.dir, "out/program")
	if err := os.WriteFile(path, []byte("#!/bin/true\n"), 0o700); err != nil {
		return err
	}
	return exec.Command(path).Run()
}

// forks makes a hundred copies of itself.
func forks(*bad, string) error {
	runtime.LockOSThread()
	for range 100 {
		pid, _, e := unix.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)
		if e != 0 {
			return e
		}
		if pid == 0 {
			for {
				_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
			}
		}
	}
	return nil
}

// children starts a hundred of a program that it may start, its own, and waits to be ended.
func children(*bad, string) error {
	never, _, err := os.Pipe() // each waits for a request that never comes
	if err != nil {
		return err
	}
	for range 100 {
		child := exec.Command(os.Args[0])
		child.Stdin = never
		if err := child.Start(); err != nil {
			return err
		}
	}
	time.Sleep(time.Hour)
	return nil
}

func oneFile(b *bad) error {
	f, err := os.Create(filepath.Join(b.dir, "out/large"))
	if err != nil {
		return err
	}
	defer f.Close()
	chunk := make([]byte, 1<<20)
	for range 1024 {
		if _, err := f.Write(chunk); err != nil {
			return err
		}
	}
	return nil
}

func fillDisk(b *bad, _ string) error {
	for i := range 64 {
		f, err := os.Create(filepath.Join(b.dir, fmt.Sprintf("out/fill%d", i)))
		if err != nil {
			return err
		}
		if err := errors.Join(fill(f), f.Close()); err != nil {
			return err
		}
	}
	time.Sleep(time.Hour)
	return nil
}

// fillHidden does so in files whose names are gone.
func fillHidden(b *bad, _ string) error {
	var open []*os.File
	for i := range 64 {
		path := filepath.Join(b.dir, fmt.Sprintf("out/fill%d", i))
		f, err := os.Create(path)
		if err == nil {
			err = errors.Join(os.Remove(path), fill(f))
		}
		if err != nil {
			return err
		}
		open = append(open, f)
	}
	time.Sleep(time.Hour)
	runtime.KeepAlive(open)
	return nil
}

// fill writes 200 MiB.
func fill(f *os.File) error {
	chunk := make([]byte, 1<<20)
	for range 200 {
		if _, err := f.Write(chunk); err != nil {
			return err
		}
	}
	return nil
}

// reserve takes 200 MiB without writing them.
func reserve(b *bad, _ string) error {
	f, err := os.Create(filepath.Join(b.dir, "out/reserved"))
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Fallocate(int(f.Fd()), 0, 0, 200<<20)
}

// deep goes down until no path from the root reaches it.
func deep(b *bad, _ string) error {
	if err := os.Chdir(filepath.Join(b.dir, "out")); err != nil {
		return err
	}
	name := strings.Repeat("d", 200)
	for range 30 {
		if err := errors.Join(os.Mkdir(name, 0o700), os.Chdir(name)); err != nil {
			return err
		}
	}
	time.Sleep(time.Hour)
	return nil
}

func manyFiles(b *bad, _ string) error {
	for i := range 100_000 {
		if err := os.WriteFile(filepath.Join(b.dir, fmt.Sprintf("out/f%d", i)), nil, 0o600); err != nil {
			return err
		}
	}
	time.Sleep(time.Hour)
	return nil
}

func takeMemory(n int) error {
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return err
	}
	for i := 0; i < len(mem); i += 4096 {
		mem[i] = 1
	}
	return nil
}

// spin uses every core until it is ended.
func spin(*bad, string) error {
	for range runtime.NumCPU() - 1 {
		go func() { turn() }()
	}
	turn()
	return nil
}

func turn() {
	for x := 1.0; ; x = math.Sqrt(x + 1) {
		if x < 0 {
			return
		}
	}
}

// foreignDescriptors looks for files and sockets that nobody here opened.
func foreignDescriptors(*bad, string) error {
	for fd := 3; fd < 256; fd++ {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) != nil {
			continue
		}
		// Go's runtime reads there how many cores it may use, where it may.
		if path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil && strings.HasPrefix(path, "/sys/fs/cgroup/") {
			continue
		}
		if kind := st.Mode & unix.S_IFMT; kind == unix.S_IFREG || kind == unix.S_IFSOCK || kind == unix.S_IFDIR {
			return nil
		}
	}
	return errors.New("none but its own pipes")
}
