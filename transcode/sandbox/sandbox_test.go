package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/transcode"
)

// badEngineVar names an engine that was built before, for a test that runs where nothing can be built.
const badEngineVar = "NINEFOLD_TEST_BADENGINE"

// badEngine is the path of testdata/badengine, built once.
var badEngine = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(badEngineVar); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "badengine-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, engineName)
	return path, errors.Join(build(path, "./testdata/badengine"), os.Chmod(dir, 0o755))
})

// passableDir is a new directory that other users may pass through, as engines with users of their own do.
func passableDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o711)); err != nil {
		t.Fatal(err)
	}
	return dir
}

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

// hall is a pool with one open message.
type hall struct {
	pool *Pool
	ws   *pipeline.Workspace
	proc pipeline.Processor
}

func newHall(t *testing.T, change func(*Config)) *hall {
	t.Helper()
	path, err := badEngine()
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Engine, cfg.Warm, cfg.Parallel, cfg.Log, cfg.Scratch = path, 1, 2, slog.New(slog.DiscardHandler), passableDir(t)
	if change != nil {
		change(&cfg)
	}
	pool, err := NewPool(cfg, transcode.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	ws, err := pipeline.NewWorkspace(cfg.Scratch)
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
	return &hall{pool, ws, proc}
}

// render has the engine do what word says.
func (r *hall) render(ctx context.Context, t *testing.T, n int, word string) (*pipeline.Rendered, error) {
	t.Helper()
	file, plan := r.stage(t, n, word)
	return r.proc.Render(ctx, file, plan, nil)
}

func (r *hall) stage(t *testing.T, n int, word string) (pipeline.File, *transcode.Plan) {
	t.Helper()
	file, err := pipeline.StageFile(r.ws, fmt.Sprintf("in/%d", n), strings.NewReader(word), int64(len(word)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return file, &transcode.Plan{Engine: transcode.EngineVersion, Photo: &transcode.PhotoPlan{}}
}

func TestWhatAnEngineDoesToItselfIsAResult(t *testing.T) {
	r := newHall(t, func(c *Config) { c.Limits.Photo = 5 * time.Second })
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
		{"link", pipeline.CodeEngineCrashed},
		{"missing", pipeline.CodeEngineCrashed},
		{"directory", pipeline.CodeEngineCrashed},
		{"note", pipeline.CodeEngineCrashed},
		{"film", pipeline.CodeEngineCrashed},
		{"voice", pipeline.CodeEngineCrashed},
		{"sound in a photo", pipeline.CodeEngineCrashed},
		{"matrix", pipeline.CodeEngineCrashed},
		{"playback", pipeline.CodeEngineCrashed},
		{"webp", pipeline.CodeEngineCrashed},
		{"index", pipeline.CodeEngineCrashed},
		{"sharp", pipeline.CodeEngineCrashed},
		{"another file", pipeline.CodeEngineCrashed},
		{"safe display", pipeline.CodeEngineCrashed},
		{"codecs", pipeline.CodeEngineCrashed},
		{"color", pipeline.CodeEngineCrashed},
		{"presentation", pipeline.CodeEngineCrashed},
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
	r := newHall(t, nil)
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

// A crash is told in one line, by its signal's name; the stack is for whoever asks for everything.
func TestACrashIsOneLine(t *testing.T) {
	var all, warned pipelinetest.Log
	r := newHall(t, func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(io.MultiWriter(&all, onlyWarnings{&warned}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	_, err := r.render(t.Context(), t, 0, "segv")
	if text := err.Error(); strings.Contains(text, "\n") || strings.Contains(text, "goroutine") || !strings.Contains(text, "SIGSEGV") {
		t.Errorf("the error is not one line with the signal's name:\n%s", text)
	}
	if text := warned.String(); strings.Contains(text, "goroutine") || !strings.Contains(text, "SIGSEGV") {
		t.Errorf("the warning holds a stack, or not the signal's name:\n%s", text)
	}
	if !strings.Contains(all.String(), "goroutine") {
		t.Errorf("at debug level there is no stack:\n%s", all.String())
	}
}

// onlyWarnings lets through what an operator sees at the usual level.
type onlyWarnings struct{ to io.Writer }

func (w onlyWarnings) Write(p []byte) (int, error) {
	if !bytes.Contains(p, []byte("level=WARN")) {
		return len(p), nil
	}
	return w.to.Write(p)
}

// What an engine says last, in one line.
func TestGist(t *testing.T) {
	const dump = "fatal error: unexpected signal during runtime execution\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]\n\n" +
		"goroutine 1 [running]:\nmain.main()\n\t/x/main.go:7 +0x1d\n"
	for said, want := range map[string]string{
		dump: "SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1",
		"SIGABRT: abort\nPC=0x7f m=0 sigcode=18446744073709551610\nsignal arrived during cgo execution\n\ngoroutine 1": "SIGABRT: abort",
		"warning\npanic: no\n\ngoroutine 1 [running]:":                                                                 "panic: no",
		"one\nlibvips: bad seek\n": "libvips: bad seek",
		"":                         "",
	} {
		if got := (&tail{data: []byte(said)}).gist(); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

func TestTimeLimit(t *testing.T) {
	r := newHall(t, func(c *Config) { c.Limits.Photo = 300 * time.Millisecond })
	_, err := r.render(t.Context(), t, 0, "hang")
	if got := pipeline.AsError(err).Code; got != pipeline.CodeDecodeTimeout {
		t.Errorf("%v, want decode_timeout", err)
	}
}

func TestAKillFromOutsideIsNotTheFilesFault(t *testing.T) {
	r := newHall(t, nil)
	file, plan := r.stage(t, 0, "slow")
	kill := sync.OnceFunc(func() {
		if err := syscall.Kill(r.first(t).cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
	if _, err := r.proc.Render(t.Context(), file, plan, func(float64) { kill() }); err != nil {
		t.Errorf("%v, want the second engine to do it", err)
	}
}

// first is the message's first engine.
func (r *hall) first(t *testing.T) *engine {
	t.Helper()
	s, ok := r.proc.(*session)
	if !ok {
		t.Fatalf("a processor of type %T", r.proc)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		return nil
	}
	return s.all[0]
}

// cancelWithin is how soon a cancelled request must have ended, its processes included.
const cancelWithin = time.Second

func TestCancelKillsTheWholeGroup(t *testing.T) {
	r := newHall(t, nil)
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
	r := newHall(t, nil)
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
func (r *hall) childPID(t *testing.T) int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		e := r.first(t)
		if e == nil {
			continue
		}
		for _, pid := range groupUsage(e.cmd.Process.Pid).pids {
			if pid != e.cmd.Process.Pid && program(pid) == "ffmpeg" {
				return pid
			}
		}
	}
	t.Fatal("the engine's child did not start")
	return 0
}

// program is the name of what a process executes.
func program(pid int) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return filepath.Base(path)
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
	r := newHall(t, nil)
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
	r := newHall(t, nil)
	checks, err := r.pool.Inspect(t.Context())
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

// TestKeyFramesAreChecked has an engine answer a look with a sample outside its directory.
func TestKeyFramesAreChecked(t *testing.T) {
	r := newHall(t, nil)
	s, ok := r.proc.(*session)
	if !ok {
		t.Fatalf("a processor of type %T", r.proc)
	}
	file, err := pipeline.StageFile(r.ws, "in/0", strings.NewReader("fine"), 4, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if samples, err := s.KeyFrames(t.Context(), file, &transcode.Plan{Video: &transcode.VideoPlan{}}); pipeline.AsError(err).Code != pipeline.CodeEngineCrashed {
		t.Errorf("%v, %v", samples, err)
	}
	if samples, err := s.KeyFrames(t.Context(), file, &transcode.Plan{Photo: &transcode.PhotoPlan{}}); err != nil || samples != nil {
		t.Errorf("a photo: %v, %v", samples, err)
	}
}
