package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ninefold/ninefold/pipeline"
)

// Limits of the kernel bound a process; the watch bounds an engine, with everything it started, while a request runs. Between requests
// an engine is stopped.
const (
	watchEvery    = 250 * time.Millisecond
	mostProcesses = 64
	mostThreads   = 1024    // of all of them; ffmpeg starts some per core
	mostDisk      = 1 << 30 // bytes in out/: a rendition of 256 MiB and raw pictures beside it
	mostFiles     = 4096    // in out/
)

// usage is what the processes of one group take together.
type usage struct {
	processes, threads int
	cpu                time.Duration // their ended children included
	memory             uint64        // bytes, resident
	pids               []int
}

// process is one line of /proc/PID/stat.
type process struct {
	group, threads int
	cpu            time.Duration
	memory         uint64 // bytes, resident
	space          uint64 // bytes of address space
}

// tick is the unit of times in /proc; Linux has reported hundredths of a second on every architecture Go knows.
const tick = 10 * time.Millisecond

// readProcess reads a process's stat. ok is false where it is gone.
func readProcess(pid int) (p process, ok bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	_, after, ok := bytes.Cut(data[max(0, bytes.LastIndexByte(data, ')')):], []byte(") ")) // a name may hold anything
	f := bytes.Fields(after)
	if !ok || len(f) < 22 {
		return process{}, false
	}
	number := func(field int) int64 { // as proc(5) counts
		n, _ := strconv.ParseInt(string(f[field-3]), 10, 64)
		return n
	}
	cpu := time.Duration(number(14)+number(15)+number(16)+number(17)) * tick
	return process{
		group: int(number(5)), threads: int(number(20)), cpu: cpu, space: uint64(number(23)), memory: uint64(number(24)) * uint64(os.Getpagesize()),
	}, true
}

// groupUsage adds up a process group. The kernel is asked for each process's group before its stat is read: that costs a thirtieth, and
// a machine has hundreds of processes that are none of the group's.
func groupUsage(group int) (u usage) {
	dir, err := os.Open("/proc")
	if err != nil {
		return u
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if in, err := unix.Getpgid(pid); err != nil || in != group {
			continue
		}
		if p, ok := readProcess(pid); ok && p.group == group {
			u.processes, u.threads, u.cpu, u.memory = u.processes+1, u.threads+p.threads, u.cpu+p.cpu, u.memory+p.memory
			u.pids = append(u.pids, pid)
		}
	}
	return u
}

// overdrawn says what an engine that uses u took too much of; nil where all is well. before is its CPU time when the request came.
func (e *engine) overdrawn(u usage, c class, before time.Duration) *pipeline.Error {
	if cpu := u.cpu - before; cpu > c.cpu {
		return timeout("%s of CPU time, %s allowed", cpu, c.cpu)
	}
	if u.memory > c.memory {
		return crashed("%d bytes of memory, %d allowed", u.memory, c.memory)
	}
	if u.processes > mostProcesses || u.threads > mostThreads {
		return crashed("%d processes with %d threads, %d with %d allowed", u.processes, u.threads, mostProcesses, mostThreads)
	}
	if bytes, files := diskUsage(e.room.path(roomOut), u.pids); bytes > mostDisk || files > mostFiles {
		return crashed("%d bytes in %d files, %d in %d allowed", bytes, files, mostDisk, mostFiles)
	}
	return nil
}

// diskUsage is what lies below dir, and what the processes keep open though its name is gone. It stops counting past the limits.
func diskUsage(dir string, pids []int) (bytes int64, files int) {
	within := func() bool { return bytes <= mostDisk && files <= mostFiles }
	count := func(info fs.FileInfo) bool {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			bytes += st.Blocks * 512
		}
		files++
		return within()
	}
	for dirs := []string{dir}; len(dirs) > 0 && within(); dirs = dirs[1:] {
		below, err := countIn(dirs[0], count)
		if errors.Is(err, syscall.ENAMETOOLONG) { // no decoder makes such a one; what is in there cannot be counted
			return bytes, mostFiles + 1
		}
		dirs = append(dirs, below...)
	}
	for _, pid := range pids {
		for _, info := range nameless(pid) {
			count(info)
		}
	}
	return bytes, files
}

// countIn counts what dir holds, a few entries at a time, for a directory that is being flooded has no end, and returns the directories
// in it, none when count has had enough. What went away while we looked takes no room.
func countIn(dir string, count func(fs.FileInfo) bool) (below []string, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(256)
		for _, entry := range entries {
			info, err := entry.Info()
			if errors.Is(err, syscall.ENAMETOOLONG) {
				return nil, err
			}
			if err != nil {
				continue
			}
			if !count(info) {
				return nil, nil
			}
			if info.IsDir() {
				below = append(below, filepath.Join(dir, entry.Name()))
			}
		}
		if err != nil {
			return below, nil // io.EOF, or gone
		}
	}
}

// nameless are the open files of a process that no directory holds any more.
func nameless(pid int) []fs.FileInfo {
	var found []fs.FileInfo
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	open, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, fd := range open {
		info, err := os.Stat(filepath.Join(dir, fd.Name()))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink == 0 {
			found = append(found, info)
		}
	}
	return found
}

// timeout is the result for a file that takes too long, by the clock or by the CPU.
func timeout(format string, args ...any) *pipeline.Error {
	return &pipeline.Error{
		Code: pipeline.CodeDecodeTimeout, Op: "engine", Err: fmt.Errorf(format, args...),
		Message: "decoding took too long; send a smaller or shorter file",
	}
}
