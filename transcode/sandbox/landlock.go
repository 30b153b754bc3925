package sandbox

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Landlock is spoken to directly, not through go-landlock: that library restricts every thread of a process, and the worker wants to
// restrict the one thread that is about to start an engine. A domain is inherited by all that is started in it and cannot be left.

// The rights that rules are made of.
const (
	rightsRead    = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	rightsExecute = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE
	rightsDevice  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	// No link, device, socket or pipe is among what may be made.
	rightsWrite = rightsRead | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR
	// rightsOfFile are those that a rule for a file may name; the others are a directory's.
	rightsOfFile = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE
)

// pathRule allows rights at a path and below it.
type pathRule struct {
	path   string
	rights uint64
}

// systemPaths are what programs and decoders read of the system. Paths that a system does not have are left out.
var systemPaths = []pathRule{
	{"/lib", rightsRead},
	{"/lib64", rightsRead},
	{"/usr/lib", rightsRead},
	{"/usr/lib64", rightsRead}, // shared libraries, codecs
	{"/usr/local/lib", rightsRead},
	{"/usr/local/lib64", rightsRead},
	{"/etc/ld.so.cache", rightsRead}, // where the dynamic linker finds them
	{"/usr/share/fonts", rightsRead},
	{"/usr/local/share/fonts", rightsRead}, // captions
	{"/sys/devices/system/cpu", rightsRead},
	{"/proc/cpuinfo", rightsRead}, // how many threads a codec starts
	{"/dev/null", rightsDevice},
	{"/dev/zero", rightsRead},
	{"/dev/urandom", rightsRead}, // standard input of ffmpeg; seeds
}

// programRules allow the programs, and what the kernel loads them with, to be executed: nothing else is.
func programRules(programs []string) ([]pathRule, error) {
	var rules []pathRule
	for _, name := range programs {
		path, err := filepath.EvalSymlinks(name)
		if err != nil {
			return nil, err
		}
		rules = append(rules, pathRule{path, rightsExecute})
		if loader := interpreter(path); loader != "" {
			rules = append(rules, pathRule{loader, rightsExecute})
		}
	}
	slices.SortFunc(rules, func(a, b pathRule) int { return strings.Compare(a.path, b.path) })
	return slices.Compact(rules), nil
}

// interpreter returns the dynamic linker that an ELF program asks for, "" where it asks for none.
func interpreter(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	section := f.Section(".interp")
	if section == nil {
		return ""
	}
	data, err := section.Data()
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(data), "\x00")
}

// landlockABI returns the version the kernel offers, 0 for none.
func landlockABI() int {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(abi)
}

// ruleset is everything that a domain of this ABI can deny; what rules do not allow is denied.
func ruleset(abi int) unix.LandlockRulesetAttr {
	var r unix.LandlockRulesetAttr
	r.Handled_access_fs = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1 // all of ABI 1
	for _, later := range []struct {
		abi   int
		right uint64
	}{{2, unix.LANDLOCK_ACCESS_FS_REFER}, {3, unix.LANDLOCK_ACCESS_FS_TRUNCATE}, {5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV}} {
		if abi >= later.abi {
			r.Handled_access_fs |= later.right
		}
	}
	if abi >= 4 {
		r.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 6 {
		r.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return r
}

// enterLandlock puts the calling thread into a domain where only what the rules allow is allowed. It needs no_new_privs.
func enterLandlock(abi int, rules []pathRule) error {
	attr := ruleset(abi)
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), rulesetSize, 0)
	if errno != 0 {
		return fmt.Errorf("landlock: make a ruleset: %w", errno)
	}
	defer unix.Close(int(fd))
	for _, rule := range rules {
		if err := addRule(int(fd), rule, attr.Handled_access_fs); err != nil {
			return fmt.Errorf("landlock: allow %s: %w", rule.path, err)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: enter: %w", errno)
	}
	return nil
}

// rulesetSize ends before what is for audit only. A kernel takes fields that it does not know as long as they are zero.
const rulesetSize = unsafe.Offsetof(unix.LandlockRulesetAttr{}.Quiet_access_fs)

func addRule(domain int, rule pathRule, known uint64) error {
	fd, err := unix.Open(rule.path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	rights := rule.rights & known
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= rightsOfFile
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(domain), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("landlock_add_rule", errno)
	}
	return nil
}
