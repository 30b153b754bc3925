package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ninefold/ninefold/pipeline"
)

// engine is one child process. It serves one message and one request at a time, and is never asked again after a failure.
type engine struct {
	skill  skill
	reads  bool // it serves delivered files and never sees a source
	room   *room
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *tail
	done   chan struct{} // closed when the process is reaped
	state  error         // of cmd.Wait, after done
	ended  atomic.Bool   // by us
	base   uint64        // bytes of address space before the first file
	given  atomic.Bool   // up, by us: it took too much or too long, or nobody waits any more; whoever asked is told
	kill   func()
}

// start runs an engine program, confined to a room of its own, in its own process group.
func start(path string, can skill, scratch string, c *confinement) (*engine, error) {
	r, err := newRoom(scratch, c.users.take())
	if err != nil {
		return nil, err
	}
	e := &engine{skill: can, room: r, cmd: exec.Command(path), stderr: &tail{limit: 64 << 10}, done: make(chan struct{})}
	if err := e.start(c); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if err := r.user.do(func() error { return limit(e.cmd.Process.Pid) }); err != nil {
		e.kill()
		return nil, err
	}
	return e, nil
}

func (e *engine) start(c *confinement) error {
	e.cmd.Env = environment(e.room)
	e.cmd.Dir = e.room.Dir()
	e.cmd.Stderr = e.stderr
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	e.cmd.WaitDelay = time.Second
	in, err := e.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return errors.Join(err, in.Close())
	}
	e.in, e.out, e.kill = in, bufio.NewReader(out), sync.OnceFunc(e.killGroup)
	started := make(chan error)
	onThrowawayThread(func() { e.life(c, started) })
	if err := <-started; err != nil {
		return errors.Join(err, in.Close(), out.Close())
	}
	return nil
}

// onThrowawayThread runs f in a goroutine on a thread that ends with it: what the kernel is told about that thread hurts no other
// goroutine, and Go makes no thread as its copy. The process's first thread cannot end, so it is not used.
func onThrowawayThread(f func()) {
	go func() {
		runtime.LockOSThread() // and never unlocked
		if unix.Gettid() == unix.Getpid() {
			onThrowawayThread(f)
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
}

// life starts the process and waits for it on one thread, for two reasons: the process inherits that thread's confinement, and the
// kernel sends Pdeathsig when the *thread* that forked ends, not the process.
func (e *engine) life(c *confinement, started chan<- error) {
	err := c.enter(e.room)
	if err == nil {
		err = e.cmd.Start()
	}
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

// enginePath is where an engine looks for ffmpeg.
const enginePath = "/usr/local/bin:/usr/bin:/bin"

// environment is all the engine knows of the outside: no credentials, no settings.
func environment(r *room) []string {
	env := []string{
		"PATH=" + enginePath, "HOME=/nonexistent", "LANG=C.UTF-8", "TZ=UTC", "TMPDIR=" + r.path(roomOut),
		"VIPS_BLOCK_UNTRUSTED=1", // libvips starts before main: it must be there at exec
		"VIPS_WARNING=1", "VIPS_CONCURRENCY=1", "MALLOC_ARENA_MAX=2",
	}
	if len(moduleDirs()) > 0 { // else libvips looks for modules where its builder put them
		env = append(env, "VIPSHOME="+r.path(roomCodecs))
	}
	return env
}

// killGroup ends the engine and everything it started, and returns when they are reaped.
func (e *engine) killGroup() {
	if !e.dead() {
		e.ended.Store(true)
		_ = syscall.Kill(-e.cmd.Process.Pid, syscall.SIGKILL)
		<-e.done
	}
	_ = e.room.Close() // what cannot be removed now is swept at the next start
}

// peakAttr is the log attribute of the memory that an engine, or the largest of its children, held at its peak, bytes.
const peakAttr = "peak_rss"

// cost is what a dead engine has used, for the log.
func (e *engine) cost() []any {
	state := e.cmd.ProcessState
	if state == nil {
		return nil
	}
	peak := int64(0)
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		peak = u.Maxrss << 10
	}
	return []any{slog.String("program", filepath.Base(e.cmd.Path)), slog.Duration("cpu", state.UserTime()+state.SystemTime()), slog.Int64(peakAttr, peak)}
}

// freeze stops an engine with everything it started: between requests it is given no time to do anything. thaw undoes it.
func (e *engine) freeze() { _ = syscall.Kill(-e.cmd.Process.Pid, syscall.SIGSTOP) }

func (e *engine) thaw() { _ = syscall.Kill(-e.cmd.Process.Pid, syscall.SIGCONT) }

// call sends one request and waits for its answer. However it ends other than with a result, the engine is dead after it.
func (e *engine) call(ctx context.Context, req Request, limit time.Duration, progress func(float64)) (Response, error) {
	budget := req.class()
	known, _ := readProcess(e.cmd.Process.Pid)
	before := known.cpu
	if err := e.room.user.do(func() error { return grant(e.cmd.Process.Pid, budget, before, e.base) }); err != nil && !e.dead() {
		e.kill()
		return Response{}, pipeline.Trouble(pipeline.CodeInternal, "sandbox", err)
	}
	replies := make(chan reply, 1)
	go func() {
		resp, err := e.exchange(req, progress)
		replies <- reply{resp, err}
	}()
	waits := newPatience(limit)
	timer, watch := time.NewTimer(limit), time.NewTicker(watchEvery)
	defer timer.Stop()
	defer watch.Stop()
	for {
		select {
		case r := <-replies:
			if r.err != nil {
				return Response{}, e.crash(r.err)
			}
			return r.Response, nil
		case <-ctx.Done():
			return Response{}, e.giveUp(replies, ctx.Err())
		case now := <-timer.C:
			left := waits.left(now)
			if left <= 0 {
				return Response{}, e.giveUp(replies, waits.timeout(req.Op, limit))
			}
			timer.Reset(left)
		case now := <-watch.C:
			u := groupUsage(e.cmd.Process.Pid)
			waits.look(now, readShares(u.pids))
			if over := e.overdrawn(u, budget, before); over != nil {
				return Response{}, e.giveUp(replies, over)
			}
		}
	}
}

// reply is what an exchange came to.
type reply struct {
	Response
	err error
}

// giveUp ends an engine in the middle of an exchange, because of why.
func (e *engine) giveUp(replies <-chan reply, why error) error {
	e.given.Store(true)
	e.kill()
	<-replies
	return why
}

func (e *engine) exchange(req Request, progress func(float64)) (Response, error) {
	if err := writeFrame(e.in, req); err != nil {
		return Response{}, err
	}
	for said := 0; ; {
		var resp Response
		n, err := readFrame(e.out, &resp)
		if err != nil {
			return Response{}, err
		}
		if said += n; said > maxTalk {
			return Response{}, fmt.Errorf("sandbox: %d bytes in answer to one request, at most %d", said, maxTalk)
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
	if e.stderr.saysNoMemory() {
		return pipeline.OutOfMemory("engine", fmt.Errorf("%w: %s", cause, e.stderr.gist()))
	}
	if e.killed() {
		return fmt.Errorf("%w: %w", errKilled, crashed("%w: %s", cause, e.stderr.gist()))
	}
	return crashed("%w: %s", cause, e.stderr.gist())
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
