package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Where the worker may, each engine has a user of its own, whom no file, no process and no other engine belongs to: what Landlock keeps from
// it where it is there, ordinary permissions keep from it everywhere. The ids are of the range that systemd reserves for users without an
// account; each engine gets the next one, beginning at one that depends on the worker's process id.
const (
	firstUser, users = 61184, 65520 - 61184
	perWorker        = 64 // ids between the first ones of two workers
)

// mayNeed are the capabilities that a worker needs for engines of another user, with what for.
var mayNeed = []struct {
	capability uint
	name       string
}{
	{unix.CAP_SETUID, "CAP_SETUID"}, {unix.CAP_SETGID, "CAP_SETGID"}, // to become the user
	{unix.CAP_CHOWN, "CAP_CHOWN"}, {unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"}, {unix.CAP_FOWNER, "CAP_FOWNER"}, // to hand files in and out
	{unix.CAP_KILL, "CAP_KILL"}, {unix.CAP_SYS_NICE, "CAP_SYS_NICE"}, // to end and order it
	{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"}, // to count what it keeps open
}

// identities hands out users. Its lack says why there are none: then engines run as the worker's user.
type identities struct {
	lack error
	next atomic.Uint32
}

// user is who an engine runs as; 0 is the worker's own.
type user int

func newIdentities(scratch string, programs []string) *identities {
	ids := &identities{lack: capabilities()}
	if ids.lack == nil { // else the scratch directory stays closed
		ids.lack = openTo(scratch)
	}
	if ids.lack == nil {
		ids.lack = try(scratch, programs)
	}
	return ids
}

func (ids *identities) take() user {
	if ids.lack != nil {
		return 0
	}
	return user(firstUser + (uint32(os.Getpid())*perWorker+ids.next.Add(1))%users)
}

// capabilities says which of those needed are missing.
func capabilities() error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var has [2]unix.CapUserData
	if err := unix.Capget(&head, &has[0]); err != nil {
		return err
	}
	var missing []string
	for _, n := range mayNeed {
		if has[n.capability/32].Effective&(1<<(n.capability%32)) == 0 {
			missing = append(missing, n.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("this process lacks %s", strings.Join(missing, ", "))
	}
	return nil
}

// openTo lets every user pass through the scratch directory, into what is its own there.
func openTo(scratch string) error {
	if err := os.MkdirAll(scratch, 0o711); err != nil {
		return err
	}
	info, err := os.Stat(scratch)
	if err != nil {
		return err
	}
	if info.Mode()&0o001 == 0 {
		if err := os.Chmod(scratch, info.Mode()|0o011); err != nil {
			return err
		}
	}
	return nil
}

// try becomes a user, whom a container may not know, and looks whether it can pass into the scratch directory and run the programs.
func try(scratch string, programs []string) error {
	return user(firstUser).do(func() error {
		err := reach(scratch, unix.X_OK)
		for _, p := range programs {
			err = errors.Join(err, reach(p, unix.R_OK|unix.X_OK))
		}
		return err
	})
}

// reach reports whether the calling thread's user may do something with a path.
func reach(path string, what uint32) error {
	if err := unix.Faccessat(unix.AT_FDCWD, path, what, 0); err != nil {
		return fmt.Errorf("%s is closed to other users: %w", path, err)
	}
	return nil
}

// become makes the calling thread, not its process, another user's. The thread must be good for nothing else.
func (u user) become() error {
	if u == 0 {
		return nil
	}
	id := uintptr(u)
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); e != 0 {
		return fmt.Errorf("leave all groups: %w", e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, id, id, id); e != 0 {
		return fmt.Errorf("become group %d: %w", u, e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, id, id, id); e != 0 {
		return fmt.Errorf("become user %d: %w", u, e)
	}
	return nil
}

// do runs f as the user: what the kernel lets only the same user do, as setting a process's limits, or what is to be tried as it.
func (u user) do(f func() error) error {
	if u == 0 {
		return f()
	}
	done := make(chan error)
	onThrowawayThread(func() {
		err := u.become()
		if err == nil {
			err = f()
		}
		done <- err
	})
	return <-done
}

// check is doctor's line.
func (ids *identities) check() Check {
	c := Check{Name: "sandbox: user", OK: true, Detail: fmt.Sprintf("each engine has a user of its own, %d to %d", firstUser, firstUser+users-1)}
	if ids.lack != nil {
		c.Detail = fmt.Sprintf("engines run as the worker's user, %d: %s", os.Getuid(), strings.ReplaceAll(ids.lack.Error(), "\n", "; "))
		c.Warn = os.Getuid() == 0
	}
	return c
}
