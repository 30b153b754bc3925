package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// engine is one child process. It serves one message and one request at a time, and is never asked again after a failure.
type engine struct {
	skill  skill
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *tail
	done   chan struct{} // closed when the process is reaped
	state  error         // of cmd.Wait, after done
	ended  atomic.Bool   // by us
	kill   func()
}

// start runs an engine program in its own process group. The goroutine that starts it stays on its thread until the child ends,
// because the kernel sends Pdeathsig when the *thread* that forked ends, not the process.
func start(path string, can skill) (*engine, error) {
	e := &engine{skill: can, cmd: exec.Command(path), stderr: &tail{limit: 64 << 10}, done: make(chan struct{})}
	e.cmd.Env = environment()
	e.cmd.Dir = os.TempDir()
	e.cmd.Stderr = e.stderr
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	e.cmd.WaitDelay = time.Second
	var err error
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.out = bufio.NewReader(stdout)
	e.kill = sync.OnceFunc(e.killGroup)
	started := make(chan error)
	go e.life(started)
	return e, <-started
}

func (e *engine) life(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := e.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	e.state = e.cmd.Wait()
	// What the engine started must not outlive it, however it ended.
	_ = syscall.Kill(-e.cmd.Process.Pid, syscall.SIGKILL)
	close(e.done)
}

// dead reports whether the process is gone.
func (e *engine) dead() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// environment is all the engine knows of the outside: no credentials, no settings.
func environment() []string {
	return []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent", "LANG=C.UTF-8", "TZ=UTC",
		"VIPS_BLOCK_UNTRUSTED=1", // libvips starts before main: it must be there at exec
		"VIPS_WARNING=1", "VIPS_CONCURRENCY=1", "MALLOC_ARENA_MAX=2",
	}
}

// killGroup ends the engine and everything it started, and returns when they are reaped.
func (e *engine) killGroup() {
	if !e.dead() {
		e.ended.Store(true)
		_ = syscall.Kill(-e.cmd.Process.Pid, syscall.SIGKILL)
		<-e.done
	}
}

// call sends one request and waits for its answer. However it ends other than with a result, the engine is dead after it.
func (e *engine) call(ctx context.Context, req Request, limit time.Duration, progress func(float64)) (Response, error) {
	type reply struct {
		Response
		err error
	}
	replies := make(chan reply, 1)
	go func() {
		resp, err := e.exchange(req, progress)
		replies <- reply{resp, err}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case r := <-replies:
		if r.err != nil {
			return Response{}, e.crash(r.err)
		}
		return r.Response, nil
	case <-ctx.Done():
		e.kill()
		<-replies
		return Response{}, ctx.Err()
	case <-timer.C:
		e.kill()
		<-replies
		return Response{}, &pipeline.Error{
			Code: pipeline.CodeDecodeTimeout, Op: string(req.Op), Err: fmt.Errorf("no answer in %s", limit),
			Message: "decoding took too long; send a smaller or shorter file",
		}
	}
}

func (e *engine) exchange(req Request, progress func(float64)) (Response, error) {
	if err := writeFrame(e.in, req); err != nil {
		return Response{}, err
	}
	for {
		var resp Response
		if err := readFrame(e.out, &resp); err != nil {
			return Response{}, err
		}
		if resp.Done {
			return resp, nil
		}
		if progress != nil {
			progress(min(100, max(0, resp.Progress)))
		}
	}
}

// crash explains an engine that stopped answering, or answered nonsense.
func (e *engine) crash(cause error) error {
	if errors.Is(cause, io.EOF) || errors.Is(cause, io.ErrUnexpectedEOF) || errors.Is(cause, syscall.EPIPE) {
		e.reaped(reapWithin) // it is on its way out: how it went tells more than our own kill would
	}
	e.kill()
	var exit *exec.ExitError
	if errors.As(e.state, &exit) {
		cause = fmt.Errorf("%w: %s", cause, exit.ProcessState)
	}
	if e.killed() {
		return fmt.Errorf("%w: %w", errKilled, crashed("%w: %s", cause, e.stderr))
	}
	return crashed("%w: %s", cause, e.stderr)
}

// reapWithin is how long a process whose output has ended is given to be gone.
const reapWithin = time.Second

func (e *engine) reaped(within time.Duration) {
	select {
	case <-e.done:
	case <-time.After(within):
	}
}

// errKilled marks an engine that somebody else killed, the kernel short of memory for one: the file may not be to blame.
var errKilled = errors.New("the engine was killed from outside")

func (e *engine) killed() bool {
	status, ok := e.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL && !e.ended.Load()
}

// tail keeps the last bytes written to it.
type tail struct {
	mu    sync.Mutex
	data  []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if over := len(t.data) - t.limit; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(p), nil
}

// String returns the last few lines' worth, for a log.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.data[max(0, len(t.data)-4<<10):])
}
