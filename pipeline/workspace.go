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

// workspacePrefix marks the directories that Sweep may remove.
const workspacePrefix = "ninefold-"

// Workspace is the private scratch directory of one message. Every file made for the message lies in it, and Close removes it
// on every path. A directory whose owner died is found by its released lock: see Sweep.
type Workspace struct {
	dir  string
	lock *os.File
}

// NewWorkspace makes an empty directory with mode 0700 under root, which is made too.
func NewWorkspace(root string) (*Workspace, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, Trouble(CodeInternal, "scratch", err)
	}
	dir, err := os.MkdirTemp(root, workspacePrefix)
	if err != nil {
		return nil, Trouble(CodeInternal, "scratch", err)
	}
	lock, err := lockFile(dir+".lock", true)
	if err != nil {
		return nil, Trouble(CodeInternal, "scratch", errors.Join(err, os.RemoveAll(dir)))
	}
	return &Workspace{dir: dir, lock: lock}, nil
}

// lockFile takes an exclusive lock that the kernel releases when this process ends, however it ends.
func lockFile(path string, create bool) (*os.File, error) {
	flags := os.O_RDWR | syscall.O_NOFOLLOW
	if create {
		flags |= os.O_CREATE | os.O_EXCL
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
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

// Create makes a new file for writing; its directory is made too.
func (w *Workspace) Create(name string) (*os.File, error) {
	path, err := w.Abs(name)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
}

// Open opens a file that an engine says it wrote. The engine is not believed: no path component may be a link, the file
// must be regular, have one name and no more than limit bytes.
func (w *Workspace) Open(name string, limit int64) (*os.File, int64, error) {
	root, err := os.OpenRoot(w.dir)
	if err != nil {
		return nil, 0, err
	}
	defer root.Close()
	if !filepath.IsLocal(name) {
		return nil, 0, fmt.Errorf("workspace: %q is not a local name", name)
	}
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	size, err := plainFile(f, limit)
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
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

// Close removes the directory and everything in it.
func (w *Workspace) Close() error {
	err := os.RemoveAll(w.dir)
	return errors.Join(err, os.Remove(w.lock.Name()), w.lock.Close())
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
		if !strings.HasPrefix(e.Name(), workspacePrefix) || !strings.HasSuffix(e.Name(), ".lock") {
			continue
		}
		done, err := sweepOne(filepath.Join(root, e.Name()))
		all = errors.Join(all, err)
		swept += done
	}
	return swept, all
}

func sweepOne(lockPath string) (int, error) {
	lock, err := lockFile(lockPath, false)
	if err != nil {
		return 0, nil // its owner lives, or another sweep has it
	}
	w := &Workspace{dir: strings.TrimSuffix(lockPath, ".lock"), lock: lock}
	return 1, w.Close()
}
