package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// badEngine is the path of testdata/badengine, built once.
var badEngine = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "badengine-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, engineName)
	return path, build(path, "./testdata/badengine")
})

// build makes programs of the packages.
func build(target string, packages ...string) error {
	out, err := exec.Command("go", append([]string{"build", "-o", target}, packages...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, built := range []func() (string, error){badEngine, realEngine} {
		if path, err := built(); err == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
	}
	os.Exit(code)
}

// room is a pool with one open message.
type room struct {
	pool *Pool
	ws   *pipeline.Workspace
	proc pipeline.Processor
}

func newRoom(t *testing.T, change func(*Config)) *room {
	t.Helper()
	path, err := badEngine()
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Engine, cfg.Warm, cfg.Parallel, cfg.Log = path, 1, 2, slog.New(slog.DiscardHandler)
	if change != nil {
		change(&cfg)
	}
	pool, err := NewPool(cfg, transcode.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	ws, err := pipeline.NewWorkspace(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	proc, err := pool.Open(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(proc.Close(), pool.Close(), ws.Close()); err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t)
	})
	return &room{pool, ws, proc}
}

// render has the engine do what word says.
func (r *room) render(ctx context.Context, t *testing.T, n int, word string) (*pipeline.Rendered, error) {
	t.Helper()
	file, err := pipeline.StageFile(r.ws, fmt.Sprintf("in/%d", n), strings.NewReader(word), int64(len(word)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	plan := &transcode.Plan{Engine: transcode.EngineVersion, Photo: &transcode.PhotoPlan{}}
	return r.proc.Render(ctx, file, plan, nil)
}

func TestWhatAnEngineDoesToItselfIsAResult(t *testing.T) {
	r := newRoom(t, func(c *Config) { c.Limits.Photo = 5 * time.Second })
	for i, tc := range []struct {
		word string
		want pipeline.Code
	}{
		{"segv", pipeline.CodeEngineCrashed},
		{"abrt", pipeline.CodeEngineCrashed},
		{"exit", pipeline.CodeEngineCrashed},
		{"stderr", pipeline.CodeEngineCrashed},
		{"garbage", pipeline.CodeEngineCrashed},
		{"endless", pipeline.CodeEngineCrashed},
		{"plain", pipeline.CodeEngineCrashed},
		{"code", pipeline.CodeEngineCrashed},
		{"gate", pipeline.CodeEngineCrashed},
		{"corrupt", pipeline.CodeCorrupt},
		{"safe", pipeline.CodeEngineCrashed},
		{"passwd", pipeline.CodeEngineCrashed},
		{"outside", pipeline.CodeEngineCrashed},
		{"source", pipeline.CodeEngineCrashed},
		{"html", pipeline.CodeEngineCrashed},
		{"text", pipeline.CodeEngineCrashed},
		{"nothing", pipeline.CodeEngineCrashed},
	} {
		_, err := r.render(t.Context(), t, i, tc.word)
		if got := pipeline.AsError(err); got.Code != tc.want || got.Message == "" {
			t.Errorf("%s: %v, want %s with a message", tc.word, err, tc.want)
		}
		if pipeline.Retryable(err) {
			t.Errorf("%s: would be tried again", tc.word)
		}
	}
	if _, err := r.render(t.Context(), t, 99, "fine"); err != nil {
		t.Errorf("after all that an honest file gives %v", err)
	}
}

func TestACrashHurtsItsOwnItemOnly(t *testing.T) {
	r := newRoom(t, nil)
	words := []string{"fine", "segv", "fine", "exit", "fine", "abrt", "fine", "fine"}
	errs := make([]error, len(words))
	var all sync.WaitGroup
	for i, word := range words {
		all.Go(func() { _, errs[i] = r.render(t.Context(), t, i, word) })
	}
	all.Wait()
	for i, word := range words {
		if (errs[i] == nil) != (word == "fine") {
			t.Errorf("%d %s: %v", i, word, errs[i])
		}
	}
}

func TestTimeLimit(t *testing.T) {
	r := newRoom(t, func(c *Config) { c.Limits.Photo = 300 * time.Millisecond })
	_, err := r.render(t.Context(), t, 0, "hang")
	if got := pipeline.AsError(err).Code; got != pipeline.CodeDecodeTimeout {
		t.Errorf("%v, want decode_timeout", err)
	}
}

func TestAKillFromOutsideIsNotTheFilesFault(t *testing.T) {
	r := newRoom(t, nil)
	if _, err := r.render(t.Context(), t, 0, "killed once"); err != nil {
		t.Errorf("%v, want the second engine to do it", err)
	}
}

// cancelWithin is how soon a cancelled request must have ended, its processes included.
const cancelWithin = time.Second

func TestCancelKillsTheWholeGroup(t *testing.T) {
	r := newRoom(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := r.render(ctx, t, 0, "child")
		done <- err
	}()
	pid := r.childPID(t)
	start := time.Now()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want canceled", err)
	}
	waitGone(t, pid, start.Add(cancelWithin))
}

func TestCloseKillsTheWholeGroup(t *testing.T) {
	r := newRoom(t, nil)
	done := make(chan error, 1)
	go func() {
		_, err := r.render(t.Context(), t, 0, "child")
		done <- err
	}()
	pid := r.childPID(t)
	start := time.Now()
	if err := r.proc.Close(); err != nil {
		t.Error(err)
	}
	<-done
	waitGone(t, pid, start.Add(cancelWithin))
}

// childPID waits for the engine's child to have been started.
func (r *room) childPID(t *testing.T) int {
	t.Helper()
	path, err := r.ws.Abs("child")
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		data, err := os.ReadFile(path)
		if pid, _ := strconv.Atoi(string(data)); err == nil && pid > 0 {
			return pid
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatal("the engine's child did not start")
	return 0
}

func waitGone(t *testing.T, pid int, deadline time.Time) {
	t.Helper()
	for running(pid) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d still runs %s after the cancel", pid, cancelWithin)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// running reports whether a process is there and no zombie: an orphan may wait for its reaper.
func running(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

func TestVerdictsAreNotTheEnginesToGive(t *testing.T) {
	r := newRoom(t, nil)
	got, err := r.render(t.Context(), t, 0, "verdict")
	if err != nil {
		t.Fatal(err)
	}
	if p := got.Part; p.Moderation != nil || p.Status != "" || p.ItemID != "" {
		t.Errorf("the engine's own verdict came through: %+v", p)
	}
}

func TestEngineSeesNoCredentials(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "do-not-tell")
	r := newRoom(t, nil)
	checks, err := r.pool.Inspect(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if env := checks[0].Detail; strings.Contains(env, "do-not-tell") || !strings.Contains(env, "VIPS_BLOCK_UNTRUSTED=1") {
		t.Errorf("the engine's environment is %s", env)
	}
}

func TestFindEngine(t *testing.T) {
	if _, err := FindEngine(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "--engine") {
		t.Errorf("%v, want an error that names the setting", err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FindEngine(text); err == nil {
		t.Error("a file that cannot be run was taken for the engine")
	}
}

func TestConfigNamesEveryMistake(t *testing.T) {
	err := Config{Warm: -1}.Validate()
	for _, want := range []string{"warm", "parallel", "limits"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q named", err, want)
		}
	}
}

// TestLookIsChecked has an engine answer a look with a sample outside its directory.
func TestLookIsChecked(t *testing.T) {
	r := newRoom(t, nil)
	s, ok := r.proc.(*session)
	if !ok {
		t.Fatalf("a processor of type %T", r.proc)
	}
	file, err := pipeline.StageFile(r.ws, "in/0", strings.NewReader("fine"), 4, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if samples, err := s.Look(t.Context(), file, &transcode.Plan{Video: &transcode.VideoPlan{}}, nil); pipeline.AsError(err).Code != pipeline.CodeEngineCrashed {
		t.Errorf("%v, %v", samples, err)
	}
	if samples, err := s.Look(t.Context(), file, &transcode.Plan{Photo: &transcode.PhotoPlan{}}, nil); err != nil || samples != nil {
		t.Errorf("a photo: %v, %v", samples, err)
	}
}
