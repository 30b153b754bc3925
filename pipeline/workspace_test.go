package pipeline_test

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

func newWorkspace(t *testing.T) *pipeline.Workspace {
	t.Helper()
	ws, err := pipeline.NewWorkspace(filepath.Join(t.TempDir(), "scratch"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	return ws
}

func create(t *testing.T, ws *pipeline.Workspace, name, text string) {
	t.Helper()
	f, err := ws.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range found {
		names = append(names, e.Name())
	}
	return names
}

func TestWorkspaceLife(t *testing.T) {
	ws := newWorkspace(t)
	info, err := os.Stat(ws.Dir())
	if err != nil || info.Mode().Perm() != 0o700 || !filepath.IsAbs(ws.Dir()) {
		t.Fatalf("%s: %v %v", ws.Dir(), info, err)
	}
	create(t, ws, "in/0", "hello")
	if _, err := ws.Create("in/0"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file was written twice: %v", err)
	}
	f, size, err := ws.Open("in/0", 5)
	if err != nil || size != 5 {
		t.Fatalf("%d bytes, %v", size, err)
	}
	if text, err := io.ReadAll(f); err != nil || string(text) != "hello" {
		t.Errorf("read %q %v", text, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := ws.Close(); err != nil {
		t.Error(err)
	}
	if left := entries(t, filepath.Dir(ws.Dir())); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
}

func TestWorkspaceRelativeRoot(t *testing.T) {
	t.Chdir(t.TempDir())
	ws, err := pipeline.NewWorkspace("scratch")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(os.TempDir())
	create(t, ws, "x", "1")
	if err := ws.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(ws.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", ws.Dir(), err)
	}
}

func TestWorkspaceReadFull(t *testing.T) {
	ws := newWorkspace(t)
	create(t, ws, "x", "0123456789")
	p := make([]byte, 4)
	if err := ws.ReadFull("x", 3, p, 10); err != nil || string(p) != "3456" {
		t.Errorf("%q %v", p, err)
	}
	for _, offset := range []int64{-1, 7, 10, 1 << 62} {
		if err := ws.ReadFull("x", offset, p, 10); err == nil {
			t.Errorf("offset %d: %q", offset, p)
		}
	}
	if err := ws.ReadFull("x", 0, p, 9); err == nil {
		t.Error("a file above its limit was read")
	}
}

// TestWorkspaceOpenRefuses: what a hijacked engine might leave in place of its output.
func TestWorkspaceOpenRefuses(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("credentials"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := func(target string) func(string) error { return func(at string) error { return os.Symlink(target, at) } }
	tests := []struct {
		name, open string
		plant      func(at string) error
	}{
		{"a link to the outside", "out/x", link(secret)},
		{"a link to the inside", "out/x", link("../in/0")},
		{"a dangling link", "out/x", link("nothing")},
		{"a link to itself", "out/x", link("x")},
		{"a directory that is a link to the outside", "out/x/secret", link(filepath.Dir(secret))},
		{"a directory that is a link to the inside", "out/x/0", link("../in")},
		{"a hard link", "out/x", func(at string) error { return os.Link(secret, at) }},
		{"a FIFO", "out/x", func(at string) error { return syscall.Mkfifo(at, 0o600) }},
		{"a directory", "out/x", func(at string) error { return os.Mkdir(at, 0o700) }},
		{"a socket", "out/x", func(at string) error { return syscall.Mknod(at, syscall.S_IFSOCK|0o600, 0) }},
		{"nothing", "out/x", func(string) error { return nil }},
		{"a file above its limit", "out/x", func(at string) error { return os.WriteFile(at, make([]byte, 101), 0o600) }},
		{"a sparse file above its limit", "out/x", func(at string) error {
			return errors.Join(os.WriteFile(at, nil, 0o600), os.Truncate(at, 1<<40))
		}},
		{"a name that climbs", "out/../../x", func(string) error { return nil }},
		{"an absolute name", secret, func(string) error { return nil }},
		{"no name", "", func(string) error { return nil }},
		{"the workspace itself", ".", func(string) error { return nil }},
		{"a name with a zero", "out/x\x00", func(at string) error { return os.WriteFile(at, nil, 0o600) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ws := newWorkspace(t)
			create(t, ws, "in/0", "original")
			create(t, ws, "out/fine", "rendition")
			if err := tt.plant(filepath.Join(ws.Dir(), "out", "x")); err != nil {
				t.Fatal(err)
			}
			if f, _, err := ws.Open(tt.open, 100); err == nil {
				text, _ := io.ReadAll(f)
				t.Errorf("it was opened and reads %q", text)
			}
			if _, _, err := ws.Open("out/fine", 100); err != nil {
				t.Errorf("the file beside it: %v", err)
			}
		})
	}
}

// TestWorkspaceCreateStaysInside: a directory that the engine replaced by a link does not move the worker's own writes.
func TestWorkspaceCreateStaysInside(t *testing.T) {
	ws, outside := newWorkspace(t), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(ws.Dir(), "in")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "y"), filepath.Join(ws.Dir(), "y")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"in/0", "in/deep/0", "y", "../x", "/x", ""} {
		if _, err := ws.Create(name); err == nil {
			t.Errorf("%q was created", name)
		}
	}
	if left := entries(t, outside); len(left) != 0 {
		t.Errorf("%v were written outside", left)
	}
	if _, err := ws.Abs("../x"); err == nil {
		t.Error("a name that climbs has a path")
	}
}

// TestWorkspaceCloseStubborn: directories that an engine made unreadable go too.
func TestWorkspaceCloseStubborn(t *testing.T) {
	ws := newWorkspace(t)
	create(t, ws, "a/b/c", "x")
	for _, dir := range []string{"a/b", "a"} {
		if err := os.Chmod(filepath.Join(ws.Dir(), dir), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := ws.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(ws.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", ws.Dir(), err)
	}
}

// sweepOwner, set in a child of this test, is the root in which the child makes a workspace and waits to be killed.
const sweepOwner = "NINEFOLD_TEST_SWEEP_OWNER"

func TestSweepOwnerProcess(t *testing.T) {
	root := os.Getenv(sweepOwner)
	if root == "" {
		t.Skip("runs as the child of TestSweep only")
	}
	ws, err := pipeline.NewWorkspace(root)
	if err != nil {
		t.Fatal(err)
	}
	create(t, ws, "in/0", "half a video")
	_, _ = os.Stdout.WriteString(ws.Dir() + "\n")
	_, _ = io.Copy(io.Discard, os.Stdin) // until killed, or until the parent is gone
	_ = ws.Close()
}

// startOwner starts a process that owns a workspace under root and returns it with the workspace's directory.
func startOwner(t *testing.T, root string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSweepOwnerProcess$")
	cmd.Env = append(os.Environ(), sweepOwner+"="+root)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = in.Close(), cmd.Wait() })
	dir, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, strings.TrimSpace(dir)
}

func TestSweep(t *testing.T) {
	root := t.TempDir()
	dead, deadDir := startOwner(t, root)
	_, livingDir := startOwner(t, root)
	own, err := pipeline.NewWorkspace(root)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	for _, foreign := range []string{"ninefold-of-somebody-else", "other"} {
		if err := os.Mkdir(filepath.Join(root, foreign), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := pipeline.Sweep(root); n != 0 || err != nil {
		t.Fatalf("%d swept while all live, %v", n, err)
	}
	if err := dead.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = dead.Wait() // says "killed"
	if _, err := os.Stat(deadDir); err != nil {
		t.Fatalf("the dead left nothing to sweep: %v", err)
	}
	if n, err := pipeline.Sweep(root); n != 1 || err != nil {
		t.Errorf("%d swept, %v; want the dead one's", n, err)
	}
	for dir, want := range map[string]bool{deadDir: false, deadDir + ".lock": false, livingDir: true, own.Dir(): true, filepath.Join(root, "other"): true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s: stands %v, want %v", dir, err == nil, want)
		}
	}
	if n, err := pipeline.Sweep(root); n != 0 || err != nil {
		t.Errorf("%d swept the second time, %v", n, err)
	}
	if n, err := pipeline.Sweep(filepath.Join(root, "absent")); n != 0 || err != nil {
		t.Errorf("an absent root: %d, %v", n, err)
	}
}

// TestSweepRace: workspaces that come and go while others sweep are neither lost nor left.
func TestSweepRace(t *testing.T) {
	root := t.TempDir()
	done := make(chan struct{})
	var sweepers, owners sync.WaitGroup
	for range 2 {
		sweepers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := pipeline.Sweep(root); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 4 {
		owners.Go(func() {
			for range 50 {
				ws, err := pipeline.NewWorkspace(root)
				if err != nil {
					t.Error(err)
					return
				}
				f, err := ws.Create("in/0")
				if err != nil {
					t.Errorf("swept while it lived: %v", err)
					return
				}
				if err := errors.Join(f.Close(), ws.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	owners.Wait()
	close(done)
	sweepers.Wait()
	if left := entries(t, root); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
}
