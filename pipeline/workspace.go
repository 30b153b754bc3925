package pipeline

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// workspacePrefix marks the directories that Sweep may remove; the lock of each lies beside it.
const (
	workspacePrefix = "ninefold-"
	lockSuffix      = ".lock"
)

// Workspace is the private scratch directory of one message. Every file made for the message lies in it, and Close removes it
// on every path. A directory whose owner died is found by its released lock: see Sweep.
type Workspace struct {
	dir  string
	lock *os.File
}

// NewWorkspace makes an empty directory with mode 0700 under root, which is made too.
func NewWorkspace(root string) (*Workspace, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, Trouble(CodeInternal, "scratch", err)
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, Trouble(CodeInternal, "scratch", err)
	}
	lock, err := newLock(root)
	if err != nil {
		return nil, Trouble(CodeInternal, "scratch", err)
	}
	w := &Workspace{dir: strings.TrimSuffix(lock.Name(), lockSuffix), lock: lock}
	if err := os.Mkdir(w.dir, 0o700); err != nil {
		return nil, Trouble(CodeInternal, "scratch", errors.Join(err, os.Remove(lock.Name()), lock.Close()))
	}
	return w, nil
}

// newLock makes a locked file with a new name. It comes before its directory, so that no directory is ever without one. A Sweep
// may take the file in the moment before it is locked; then another is made.
func newLock(root string) (*os.File, error) {
	for {
		f, err := os.CreateTemp(root, workspacePrefix+"*"+lockSuffix)
		if err != nil {
			return nil, err
		}
		err = lockFile(f)
		if err == nil && stands(f) {
			return f, nil
		}
		_ = f.Close()
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(err, os.Remove(f.Name()))
		}
	}
}

// lockFile takes an exclusive lock that the kernel releases when this process ends, however it ends.
func lockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// stands reports whether f is still the file that its name names.
func stands(f *os.File) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(open, named)
}

// Dir returns the directory's absolute path.
func (w *Workspace) Dir() string { return w.dir }

// Abs returns the absolute path of a name inside the workspace. It refuses names that would leave it.
func (w *Workspace) Abs(name string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("workspace: %q is not a local name", name)
	}
	return filepath.Join(w.dir, name), nil
}

// Create makes a new file for writing; its directory is made too. It follows no link out of the workspace.
func (w *Workspace) Create(name string) (*os.File, error) {
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("workspace: %q is not a local name", name)
	}
	root, err := os.OpenRoot(w.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := root.MkdirAll(filepath.Dir(filepath.FromSlash(name)), 0o700); err != nil {
		return nil, err
	}
	return root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// Open opens a file that an engine says it wrote. The engine is not believed: no path component may be a link, the file
// must be regular, have one name and no more than limit bytes.
func (w *Workspace) Open(name string, limit int64) (*os.File, int64, error) {
	if !filepath.IsLocal(name) {
		return nil, 0, fmt.Errorf("workspace: %q is not a local name", name)
	}
	root, err := os.OpenRoot(w.dir)
	if err != nil {
		return nil, 0, err
	}
	defer root.Close()
	if err := refuseLinks(root, filepath.Clean(filepath.FromSlash(name))); err != nil {
		return nil, 0, err
	}
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	size, err := plainFile(f, limit)
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

// refuseLinks refuses a name that goes through a link. An engine that swaps one in afterwards gains nothing: root keeps every
// name inside the workspace.
func refuseLinks(root *os.Root, name string) error {
	for at := name; at != "."; at = filepath.Dir(at) {
		info, err := root.Lstat(at)
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("workspace: %s is a link", info.Name())
		}
	}
	return nil
}

func plainFile(f *os.File, limit int64) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("workspace: %s is not a regular file", info.Name())
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink != 1 {
		return 0, fmt.Errorf("workspace: %s has %d names", info.Name(), st.Nlink)
	}
	if info.Size() > limit {
		return 0, fmt.Errorf("workspace: %s has %d bytes, more than %d", info.Name(), info.Size(), limit)
	}
	return info.Size(), nil
}

// ReadFull fills p from name at offset.
func (w *Workspace) ReadFull(name string, offset int64, p []byte, limit int64) error {
	f, _, err := w.Open(name, limit)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.ReadFull(io.NewSectionReader(f, offset, int64(len(p))), p)
	return err
}

// Remove removes a file or a directory with everything in it, links themselves and not what they point to. Nothing there is fine.
func (w *Workspace) Remove(name string) error {
	root, err := os.OpenRoot(w.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return root.RemoveAll(filepath.FromSlash(name))
}

// Close removes the directory and everything in it.
func (w *Workspace) Close() error {
	err := removeTree(w.dir)
	return errors.Join(err, ignoreAbsent(os.Remove(w.lock.Name())), w.lock.Close())
}

// removeTree removes dir, directories that an engine made unreadable included.
func removeTree(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) // RemoveAll below says what is left
		}
		return nil
	})
	return os.RemoveAll(dir)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Sweep removes the workspaces under root whose owners are dead and returns how many. It is called once at start; those of
// living processes, this one included, are left alone.
func Sweep(root string) (int, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("sweep %s: %w", root, err)
	}
	swept, all := 0, error(nil)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), workspacePrefix) || !strings.HasSuffix(e.Name(), lockSuffix) {
			continue
		}
		done, err := sweepOne(filepath.Join(root, e.Name()))
		all = errors.Join(all, err)
		swept += done
	}
	return swept, all
}

func sweepOne(lockPath string) (int, error) {
	lock, err := os.OpenFile(lockPath, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return 0, ignoreAbsent(err)
	}
	if lockFile(lock) != nil || !stands(lock) {
		return 0, lock.Close() // its owner lives, or another sweep was first
	}
	w := &Workspace{dir: strings.TrimSuffix(lockPath, lockSuffix), lock: lock}
	return 1, w.Close()
}
