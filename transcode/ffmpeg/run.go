package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
)

const (
	// stderrCap is how much of a program's log is kept, bytes: hostile files can cause megabytes of warnings.
	stderrCap = 64 << 10
	// maxAlloc is the largest single block ffmpeg may allocate, bytes.
	maxAlloc = 536_870_912
	// waitDelay is how long pipes may stay open after the process is dead.
	waitDelay = 2 * time.Second
	// exitSignalled is how ffmpeg leaves when it caught a signal, which includes the CPU limit's SIGXCPU.
	exitSignalled = 255
)

// Tools names the two programs.
type Tools struct {
	FFmpeg  string // path
	FFprobe string // path
	order   string // LD_PRELOAD of both, "" = none
}

// FindTools looks both programs up on PATH.
func FindTools() (Tools, error) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		return Tools{}, fmt.Errorf("ffmpeg is not on PATH; install the ffmpeg package: %w", err)
	}
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		return Tools{}, fmt.Errorf("ffprobe is not on PATH; install the ffmpeg package: %w", err)
	}
	return Tools{FFmpeg: ffmpeg, FFprobe: ffprobe, order: linkOrder(ffmpeg)}, nil
}

// Run is one ffmpeg process.
type Run struct {
	// Args come from BuildArgs: inputs, filters, outputs. Output names are relative to Dir.
	Args []string
	// Dir is the working directory: the workspace.
	Dir string
	// Progress is called with the output's time in milliseconds, about twice a second, from one goroutine. Nil = not asked for.
	Progress func(outMS int64)
	// Stdin and Stdout are pipe:0 and pipe:1; nil = closed.
	Stdin  io.Reader
	Stdout io.Writer
	// ExtraFiles are the child's pipe:3, pipe:4 and so on.
	ExtraFiles []*os.File
	// Log receives the program's messages, at most 64 KiB, when it has ended. Nil = not wanted. A run may succeed and still have
	// logged errors: a damaged packet was skipped.
	Log *[]byte
	// LogLevel is ffmpeg's -loglevel, "" = error.
	LogLevel string
	// Failed is the code of an exit with an error that the log does not explain, "" = corrupt. Runs that read only what we
	// made ourselves set encode_failed.
	Failed pipeline.Code
}

// BuildArgs asks ffmpeg-go for the arguments of the graph that ends in outputs. A graph that cannot be built is a bug of ours
// and comes back as an error, not as the library's panic.
func BuildArgs(outputs ...*ff.Stream) (args []string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.BuildArgs", fmt.Errorf("%v", r))
		}
	}()
	if len(outputs) == 1 {
		return outputs[0].GetArgs(), nil
	}
	return ff.MergeOutputs(outputs...).GetArgs(), nil
}

// Run starts ffmpeg with a clean environment and waits for it.
//
//  1. When ctx ends it is killed; it starts no process of its own. A deadline is CodeDecodeTimeout; a cancelled ctx returns its own error.
//  2. An exit with an error is r.Failed (corrupt), CodeEncodeFailed when the log says that the encoder or the muxer failed.
//  3. A crash or a kill by another is CodeEngineCrashed; the CPU limit is CodeDecodeTimeout.
//  4. A full disk or a program that cannot be started is our own trouble.
func (t Tools) Run(ctx context.Context, r Run) error {
	level := r.LogLevel
	if level == "" {
		level = "error"
	}
	head := []string{"-hide_banner", "-nostdin", "-y", "-loglevel", level, "-max_alloc", fmt.Sprint(maxAlloc)}
	p := process{name: t.FFmpeg, order: t.order, run: r}
	if r.Progress == nil {
		p.args = append(append(head, "-nostats"), r.Args...)
		return p.start(ctx)
	}
	rd, wr, err := os.Pipe()
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Run", err)
	}
	fd := 3 + len(r.ExtraFiles)
	p.args = append(append(head, "-nostats", "-progress", fmt.Sprintf("pipe:%d", fd)), r.Args...)
	p.progress = wr
	done := make(chan struct{})
	go func() {
		defer close(done)
		readProgress(rd, r.Progress)
	}()
	err = p.start(ctx)
	wr.Close()
	<-done
	rd.Close()
	return err
}

// process is one program about to run.
type process struct {
	name     string
	order    string // LD_PRELOAD, "" = none
	args     []string
	run      Run
	progress *os.File // the child's end, closed by start once the child has it
	probes   bool     // every stream's decoder is on the list, or the file is refused
}

func (p process) start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return ended(err)
	}
	stderr := &capped{left: stderrCap}
	cmd := exec.CommandContext(ctx, p.name, p.args...)
	cmd.Dir, cmd.Env = p.run.Dir, environment(p.run.Dir)
	if p.order != "" {
		cmd.Env = append(cmd.Env, "LD_PRELOAD="+p.order)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.run.Stdin, p.run.Stdout, stderr
	cmd.ExtraFiles = p.run.ExtraFiles
	if p.progress != nil {
		cmd.ExtraFiles = append(append([]*os.File{}, p.run.ExtraFiles...), p.progress)
	}
	// It stays in the engine's process group, which the worker kills as a whole.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = waitDelay

	end, err := startOnThread(cmd)
	defer end()
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Run", err)
	}
	if p.progress != nil {
		p.progress.Close()
	}
	err = cmd.Wait()
	if p.run.Log != nil {
		*p.run.Log = withoutNoise(stderr.buf.Bytes())
	}
	return p.outcome(ctx, err, stderr.buf.String())
}

// startOnThread starts cmd on a thread of its own. end ends that thread, and with it, by Pdeathsig, the child: the engine's seal leaves no
// other way to kill (transcode/sandbox/seal.go), since whoever may signal a child by its handle may signal the worker.
func startOnThread(cmd *exec.Cmd) (end func(), err error) {
	over, started := make(chan struct{}), make(chan error)
	end = sync.OnceFunc(func() { close(over) })
	cmd.Cancel = func() error { end(); return nil }
	onOwnThread(func() {
		started <- cmd.Start()
		<-over
	})
	return end, <-started
}

// onOwnThread runs f on a thread that ends with it. The process's first thread cannot end, so it is not used.
func onOwnThread(f func()) {
	go func() {
		runtime.LockOSThread() // and never unlocked
		if syscall.Gettid() == syscall.Getpid() {
			onOwnThread(f)
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
}

// libraryNoise is what a library that ffmpeg links says in a sandbox and that is not about the file: libgcrypt, which may lock no memory there.
var libraryNoise = []byte("Warning: using insecure memory!\n")

func withoutNoise(log []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(bytes.ReplaceAll(log, libraryNoise, nil)) {
		if !emptyStills(line) {
			kept = append(kept, line...)
		}
	}
	return kept
}

// emptyStills tells what ffmpeg says since 7.0, and fails for, when no picture passed on its way to an output of stills: all were black, for
// example. The other outputs are whole, and whoever reads the stills counts them.
func emptyStills(line []byte) bool {
	said := []string{"Could not open encoder before EOF", "Task finished with error code: -22 ", "Terminating thread with return code -22 "}
	return bytes.Contains(line, []byte("/image2 @")) && bytes.Contains(line, []byte("Nothing was written into output file")) ||
		bytes.HasPrefix(line, []byte("[vost#")) && bytes.Contains(line, []byte("/rawvideo @")) && containsAny(string(line), said)
}

// environment is all a child gets to see: no credentials, no FFREPORT, no user's locale.
func environment(dir string) []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "HOME=/nonexistent", "TMPDIR=" + dir, "AV_LOG_FORCE_NOCOLOR=1"}
}

// outcome gives an ended process its code.
func (p process) outcome(ctx context.Context, err error, log string) error {
	if err == nil {
		return nil
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		return ended(ctxErr)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return p.copyFailed(err)
	}
	status, _ := exit.Sys().(syscall.WaitStatus)
	cause := fmt.Errorf("%w: %s", err, lastLine(log))
	if status.Signaled() {
		return signalled(status.Signal(), cause)
	}
	if status.Exited() && strings.Contains(log, "/image2 @") && len(withoutNoise([]byte(log))) == 0 {
		return nil
	}
	if status.ExitStatus() == exitSignalled {
		return signalled(syscall.SIGXCPU, cause)
	}
	return p.exited(cause, log)
}

// copyFailed is for an error of our side of a pipe: a coded one came from the reader or writer itself.
func (p process) copyFailed(err error) error {
	var coded *pipeline.Error
	if errors.As(err, &coded) {
		return coded
	}
	return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Run", err)
}

func ended(ctxErr error) error {
	if errors.Is(ctxErr, context.DeadlineExceeded) {
		return refuse(pipeline.CodeDecodeTimeout, ctxErr)
	}
	return ctxErr
}

func signalled(sig syscall.Signal, cause error) error {
	switch sig {
	case syscall.SIGXCPU:
		return refuse(pipeline.CodeDecodeTimeout, cause)
	case syscall.SIGXFSZ, syscall.SIGPIPE:
		return refuse(pipeline.CodeEncodeFailed, cause)
	}
	return refuse(pipeline.CodeEngineCrashed, cause)
}

// diskTroubles are messages of our own disk, not of the file.
var diskTroubles = []string{"No space left on device", "Disk quota exceeded", "Read-only file system"}

// encodeTroubles are messages of an encoder, a muxer or the file they write to.
var encodeTroubles = []string{
	"Error while opening encoder", "Unknown encoder", "Could not write header", "Error initializing output stream",
	"Error initializing the muxer", "encoding failed", "for encoding", "Error writing trailer", "File too large",
}

// notAllowed is what a decoder outside of the list says.
const notAllowed = "not on whitelist"

func (p process) exited(cause error, log string) error {
	switch {
	case containsAny(log, diskTroubles):
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Run", cause)
	case containsAny(log, encodeTroubles):
		return refuse(pipeline.CodeEncodeFailed, cause)
	case p.probes && strings.Contains(log, notAllowed):
		return refuse(pipeline.CodeUnsupportedType, cause)
	case p.run.Failed != "":
		return refuse(p.run.Failed, cause)
	}
	return refuse(pipeline.CodeCorrupt, cause)
}

// refusals are what the sender reads.
var refusals = map[pipeline.Code]string{
	pipeline.CodeCorrupt:         "the file is damaged or cut short; send it again",
	pipeline.CodeEncodeFailed:    "the file could not be converted; send it in another format",
	pipeline.CodeDecodeTimeout:   "the file took too long to decode; send a shorter or simpler one",
	pipeline.CodeUnsupportedType: "the file holds a format that is not taken; send it in another one",
	pipeline.CodeEngineCrashed:   "the file cannot be decoded safely; send it in another format",
}

func refuse(code pipeline.Code, cause error) error {
	e := pipeline.Refuse(code, "%s", refusals[code]).In("ffmpeg.Run")
	e.Err = cause
	return e
}

func containsAny(s string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

// lastLine is for our log: ffmpeg says the cause last.
func lastLine(log string) string {
	log = strings.TrimSpace(log)
	return log[strings.LastIndexByte(log, '\n')+1:]
}

// capped keeps the first bytes written to it and swallows the rest, so that the writer never blocks or fails.
type capped struct {
	buf  bytes.Buffer
	left int
}

func (c *capped) Write(p []byte) (int, error) {
	keep := min(len(p), c.left)
	c.buf.Write(p[:keep])
	c.left -= keep
	return len(p), nil
}
