package sandbox

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ninefold/ninefold/pipeline"
)

// What stops an attempt: the kernel's answer to the engine, or the end of the engine.
const (
	landlocked = "permission denied"       // EACCES, Landlock's
	filtered   = "operation not permitted" // EPERM, the filter's
	unknown    = "function not implemented"
	ended      = "ended: "
)

// attempt is one row of the campaign H6: what a program in the engine's place tries, and what must stop it.
type attempt struct {
	name string // of the attempt, in testdata/badengine/attempts.go
	what string
	arg  string
	stop string
	bare string // what stops it where there is no Landlock; "" = the same
}

// open says that a row is not stopped: without Landlock an engine reads what its user reads, and doctor says so.
const open = "SUCCEEDED"

// fills reports whether a row tries what the machine has, not its walls.
func (a attempt) fills() bool {
	return a.layer(0) == "watch" || a.layer(0) == "wall limit" || a.layer(0) == "rlimit"
}

// layer is the part of the sandbox that a row shows at work.
func (a attempt) layer(abi int) string {
	switch {
	case a.stop == open:
		return "nothing"
	case a.stop == landlocked && abi == 0:
		return "user, or worker hidden"
	case a.stop == landlocked:
		return "Landlock"
	case a.stop == filtered, a.stop == unknown:
		return "seccomp"
	case a.stop == ended+"no answer":
		return "wall limit"
	case strings.HasPrefix(a.stop, ended):
		return "watch"
	case a.stop == "none":
		return "start"
	}
	return "rlimit"
}

// world is what there is to be reached outside.
type world struct {
	neighbour string // another message's file
	own       string // this message's next item, not lent yet
	sockets   []net.Listener
	packets   net.PacketConn
}

func newWorld(t *testing.T, r *hall) *world {
	t.Helper()
	other, err := pipeline.NewWorkspace(r.pool.cfg.Scratch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	w := &world{neighbour: put(t, other, "in/0"), own: put(t, r.ws, "in/77")}
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		w.sockets = append(w.sockets, l)
	}
	if w.packets, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.packets.Close() })
	return w
}

func put(t *testing.T, ws *pipeline.Workspace, name string) string {
	t.Helper()
	if _, err := pipeline.StageFile(ws, name, strings.NewReader("private"), 7, 7); err != nil {
		t.Fatal(err)
	}
	path, err := ws.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (w *world) address(network string) string {
	at := slices.IndexFunc(w.sockets, func(l net.Listener) bool { return l.Addr().Network() == network })
	return w.sockets[at].Addr().String()
}

func (w *world) attempts(r *hall) []attempt {
	outside := filepath.Join(r.pool.cfg.Scratch, "escaped")
	ofRoot, ofUser := "", open // where there is no Landlock: what is root's, and what is the worker's
	if ids := r.pool.cell.users; ids.lack == nil {
		ofUser = ""
	} else if os.Getuid() == 0 {
		ofRoot = open
	}
	return []attempt{
		{"read", "read /etc/passwd", "/etc/passwd", landlocked, open},
		{"environment", "read the worker's environment", "", landlocked, ""},
		{"memory", "open the worker's memory", "", landlocked, ""},
		{"steal memory", "read the worker's memory", "", filtered, ""},
		{"credentials", "find credentials in its own environment", "", "none", ""},
		{"descriptors", "find descriptors of the worker's", "", "none", ""},
		{"read", "read another message's file", w.neighbour, landlocked, ofUser},
		{"list", "list the scratch directory", r.pool.cfg.Scratch, landlocked, ofUser},
		{"read", "read this message's other item", w.own, landlocked, ofUser},
		{"write", "write beside its room", outside, landlocked, ofUser},
		{"write", "write to another message", filepath.Join(filepath.Dir(w.neighbour), "new"), landlocked, ofUser},
		{"truncate", "truncate another message's file", w.neighbour, filtered, ""},
		{"symlink", "a symbolic link as output", "/etc/passwd", filtered, ""},
		{"hardlink", "a hard link to another message as output", w.neighbour, filtered, ""},
		{"device", "a device as output", "", filtered, ""},
		{"tcp", "connect by TCP", w.address("tcp"), filtered, ""},
		{"udp", "send by UDP", w.packets.LocalAddr().String(), filtered, ""},
		{"unix", "connect to a unix socket", w.address("unix"), filtered, ""},
		{"listen", "listen", "", filtered, ""},
		{"socket", "open a socket of any family", "", filtered, ""},
		{"ptrace", "ptrace the worker", "", filtered, ""},
		{"kill", "kill the worker", "", filtered, ""},
		{"kill thread", "kill the worker's first thread", "", filtered, ""},
		{"kill handle", "kill the worker by a handle", "", filtered, ""},
		{"kill all", "kill everything", "", filtered, ""},
		{"kill directory", "signal the worker by its directory", "", landlocked, filtered},
		{"kill path", "signal the worker by a path to it", "", filtered, ""},
		{"kill child", "kill a child by its handle", "", filtered, ""},
		{"queue", "queue a signal for the worker", "", filtered, ""},
		{"pipe's owner", "make the worker a pipe's owner", "", filtered, ""},
		{"pipe's owner, long", "the same by a number of 64 bits", "", filtered, ""},
		{"pipe's owning thread", "make a thread of the worker its owner", "", filtered, ""},
		{"pipe's signal", "choose the signal a pipe sends", "", filtered, ""},
		{"pipe that tells", "have a pipe send signals", "", filtered, ""},
		{"pipe by ioctl", "all that by ioctl", "", filtered, ""},
		{"lease", "lease a file", "", filtered, ""},
		{"notice", "be signalled of a directory", "", filtered, ""},
		{"timer", "a timer that signals a thread of the worker", "", filtered, ""},
		{"outlive", "outlive the worker", "", filtered, ""},
		{"last words", "choose the signal of the worker's end", "", filtered, ""},
		{"sibling", "start a process beside itself", "", filtered, ""},
		{"worker's files", "list the worker's open files", "", landlocked, ofRoot},
		{"out of memory", "have the kernel end the worker first", "", landlocked, ofRoot},
		{"kernel settings", "open a setting of the kernel", "", landlocked, ofRoot},
		{"fork", "fork a hundred processes", "", filtered, ""},
		{"children", "start a hundred children", "", ended + "processes", ""},
		{"session", "leave its session", "", filtered, ""},
		{"group", "leave its process group", "", filtered, ""},
		{"shell", "execute a shell", "", landlocked, open},
		{"own program", "execute a file it wrote", "", landlocked, open},
		{"namespace", "make a user namespace", "", filtered, ""},
		{"root", "change its root", "", filtered, ""},
		{"user", "become another user", "", filtered, ""},
		{"limits", "raise its limits", "", filtered, ""},
		{"file of 1 GiB", "write a file of 1 GiB", "", "file too large", ""},
		{"disk", "fill the disk", "", ended + "bytes", ""},
		{"hidden disk", "fill the disk with unlinked files", "", ended + "bytes", ""},
		{"reserve", "take disk without writing", "", unknown, ""},
		{"deep", "hide files too deep to be named", "", ended + "files", ""},
		{"files", "make a hundred thousand files", "", ended + "files", ""},
		{"64 GiB", "allocate 64 GiB", "", "cannot allocate", ""},
		{"3 GiB", "take 3 GiB", "", "cannot allocate", ""},
		{"spin", "spin for ever", "", ended + "no answer", ""},
		{"core", "dump core", "", "0 bytes", ""},
		{"io_uring", "io_uring", "", unknown, ""},
		{"bpf", "load a program into the kernel", "", filtered, ""},
		{"keyring", "use the kernel's keyring", "", filtered, ""},
	}
}

// TestEscapes is the campaign H6, on this kernel and as on older ones: 0 is none, or a container that blocks it, 3 the oldest that
// Required takes (Linux 6.2), 5 the last that holds no signals inside (6.10).
func TestEscapes(t *testing.T) {
	if lack := kernelSupport().lacks(); lack != nil {
		t.Skipf("this kernel cannot confine an engine: %v", lack)
	}
	// A descriptor that somebody in this process forgot to mark must not reach an engine.
	if _, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "do-not-tell")
	for _, abi := range []int{kernelSupport().landlock, 5, 3, 0} {
		t.Run(fmt.Sprintf("ABI %d", abi), func(t *testing.T) { escapes(t, abi) })
	}
}

// escapes tries everything under a Landlock of that ABI at most; what only fills the machine is tried on this kernel alone.
func escapes(t *testing.T, abi int) {
	mode := map[bool]Mode{true: Required, false: BestEffort}[abi >= minLandlock]
	r := newHall(t, func(c *Config) {
		c.Sandbox, c.Limits.Photo, c.kernel = mode, 15*time.Second, atMost(abi) // long enough to write a gigabyte on a busy disk
	})
	w := newWorld(t, r)
	var table strings.Builder
	tab := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "attempt\tstopped by\twith")
	for i, a := range w.attempts(r) {
		if a.fills() && abi != kernelSupport().landlock {
			continue
		}
		if a.bare != "" && abi == 0 {
			a.stop = a.bare
		}
		start := time.Now()
		verdict := r.try(t, i, a)
		fmt.Fprintf(tab, "%s\t%s\t%s\n", a.what, a.layer(abi), verdict)
		words := strings.Split(a.stop, ": ")
		if !strings.Contains(verdict, words[0]) || !strings.Contains(verdict, words[len(words)-1]) {
			t.Errorf("%s: %s, want %s", a.what, verdict, a.stop)
		}
		record(t, "H6", a.what, map[string]any{
			"abi": abi, "stopped_by": a.layer(abi), "with": verdict, "ms": time.Since(start).Milliseconds(), "ok": !t.Failed(),
		})
	}
	_ = tab.Flush()
	t.Logf("as user %d:\n%s", os.Getuid(), &table)
	if abi > 0 {
		w.untouched(t, r)
	}
}

// atMost is this kernel with an older Landlock.
func atMost(abi int) func() support {
	return func() support {
		s := kernelSupport()
		s.landlock = min(s.landlock, abi)
		return s
	}
}

// try returns what stopped an attempt.
func (r *hall) try(t *testing.T, n int, a attempt) string {
	t.Helper()
	_, err := r.render(t.Context(), t, n, "try|"+a.name+"|"+a.arg)
	e := pipeline.AsError(err)
	switch {
	case err == nil:
		return "SUCCEEDED"
	case e.Code == pipeline.CodeCorrupt:
		cause := e.Err.Error()
		return cause[strings.LastIndex(cause, ": ")+2:]
	case pipeline.Retryable(err):
		return "our own trouble: " + err.Error()
	}
	return ended + e.Err.Error()
}

// aMoment is enough for the kernel to hand over what has come already: a deadline in the past asks for nothing.
const aMoment = 20 * time.Millisecond

// untouched: nothing came through.
func (w *world) untouched(t *testing.T, r *hall) {
	t.Helper()
	for _, l := range w.sockets {
		if d, ok := l.(interface{ SetDeadline(time.Time) error }); ok {
			_ = d.SetDeadline(time.Now().Add(aMoment))
		}
		if conn, err := l.Accept(); err == nil {
			t.Errorf("%s was connected to from %s", l.Addr(), conn.RemoteAddr())
		}
	}
	_ = w.packets.SetReadDeadline(time.Now().Add(aMoment))
	if n, from, err := w.packets.ReadFrom(make([]byte, 8)); err == nil {
		t.Errorf("%d bytes came from %s", n, from)
	}
	if data, err := os.ReadFile(w.neighbour); err != nil || string(data) != "private" {
		t.Errorf("another message's file holds %q, %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(r.pool.cfg.Scratch, "escaped")); err == nil {
		t.Error("a file was written outside")
	}
}

// TestEscapesUnprivileged repeats the attempts as a user with no rights at all.
func TestEscapesUnprivileged(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("this user is one already: TestEscapes has shown it")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("setpriv of util-linux is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	engine, err := badEngine()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	for dir := home; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	scratch := filepath.Join(home, "scratch")
	for from, to := range map[string]string{self: "test", engine: engineName} {
		if out, err := exec.Command("install", "-m", "0755", from, filepath.Join(home, to)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if out, err := exec.Command("install", "-d", "-o", "65534", "-g", "65534", scratch).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", filepath.Join(home, "test"),
		"-test.run=^TestEscapes$", "-test.v", "-test.timeout=4m")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + scratch, badEngineVar + "=" + filepath.Join(home, engineName)}
	cmd.Dir = scratch
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "as user 65534") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
