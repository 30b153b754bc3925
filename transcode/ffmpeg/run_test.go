package ffmpeg

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// script is a program for Run to start in place of ffmpeg: it does what no ffmpeg can be made to do on demand.
func script(t *testing.T, body string) Tools {
	t.Helper()
	name := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return Tools{FFmpeg: name, FFprobe: name}
}

func codeOf(err error) pipeline.Code {
	if err == nil {
		return ""
	}
	return pipeline.AsError(err).Code
}

func TestRunCodesEveryWayToEnd(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		failed pipeline.Code
		want   pipeline.Code
	}{
		"success":          {"exit 0", "", ""},
		"error":            {"echo broken >&2; exit 1", "", pipeline.CodeCorrupt},
		"error of a step":  {"exit 1", pipeline.CodeEncodeFailed, pipeline.CodeEncodeFailed},
		"too many errors":  {"exit 69", "", pipeline.CodeCorrupt},
		"encoder":          {"echo 'Error while opening encoder for output stream #0:0' >&2; exit 1", "", pipeline.CodeEncodeFailed},
		"disk full":        {"echo 'av_interleaved_write_frame(): No space left on device' >&2; exit 1", "", pipeline.CodeInternal},
		"segmentation":     {"kill -SEGV $$", "", pipeline.CodeEngineCrashed},
		"abort":            {"kill -ABRT $$", "", pipeline.CodeEngineCrashed},
		"trap":             {"kill -TRAP $$", "", pipeline.CodeEngineCrashed},
		"system call":      {"kill -SYS $$", "", pipeline.CodeEngineCrashed},
		"killed by others": {"kill -KILL $$", "", pipeline.CodeEngineCrashed},
		"processor limit":  {"kill -XCPU $$", "", pipeline.CodeDecodeTimeout},
		"signal caught":    {"exit 255", "", pipeline.CodeDecodeTimeout},
		"file size limit":  {"kill -XFSZ $$", "", pipeline.CodeEncodeFailed},
	} {
		t.Run(name, func(t *testing.T) {
			err := script(t, c.body).Run(t.Context(), Run{Dir: t.TempDir(), Failed: c.failed})
			if got := codeOf(err); got != c.want {
				t.Errorf("%s: %v", got, err)
			}
		})
	}
}

func TestRunReportsAMissingProgramAsOurTrouble(t *testing.T) {
	err := Tools{FFmpeg: "/nonexistent/ffmpeg"}.Run(t.Context(), Run{})
	if codeOf(err) != pipeline.CodeInternal || !pipeline.Retryable(err) {
		t.Error(err)
	}
}

func TestFindToolsNamesWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := FindTools(); err == nil || !strings.Contains(err.Error(), "install the ffmpeg package") {
		t.Error(err)
	}
}

func TestRunGivesACleanEnvironment(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
	t.Setenv("FFREPORT", "file=/tmp/report.log")
	var log []byte
	err := script(t, "env >&2").Run(t.Context(), Run{Dir: t.TempDir(), Log: &log})
	if err != nil || strings.Contains(string(log), "s3cr3t") || strings.Contains(string(log), "FFREPORT") {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestRunKeepsTheLogWithinItsCap(t *testing.T) {
	var log []byte
	err := script(t, "head -c 5000000 /dev/zero | tr '\\0' x >&2").Run(t.Context(), Run{Dir: t.TempDir(), Log: &log})
	if err != nil || len(log) != stderrCap {
		t.Errorf("%v, %d bytes", err, len(log))
	}
}

func TestRunReportsProgress(t *testing.T) {
	var got []int64
	body := `while [ "$1" != -progress ]; do shift; done; fd=${2#pipe:}; printf 'out_time_us=N/A\nout_time_us=1500000\nspeed=2x\nout_time_us=3000000\nprogress=end\n' >&$fd`
	err := script(t, body).Run(t.Context(), Run{Dir: t.TempDir(), Progress: func(ms int64) { got = append(got, ms) }})
	if err != nil || len(got) != 2 || got[0] != 1500 || got[1] != 3000 {
		t.Errorf("%v %v", err, got)
	}
}

// lasting starts a program that does not end and returns its pid once it runs.
func lasting(ctx context.Context, t *testing.T) (pid int, ended <-chan error) {
	t.Helper()
	dir := t.TempDir()
	fifo := filepath.Join(dir, "ready")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	tools := script(t, `echo $$ > ready; exec sleep 600`)
	done := make(chan error, 1)
	go func() { done <- tools.Run(ctx, Run{Dir: dir}) }()
	line, err := os.ReadFile(fifo) // returns when the program has written and closed it
	if err != nil {
		t.Fatal(err)
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(string(line))); err != nil {
		t.Fatal(err)
	}
	return pid, done
}

// A program stays in its caller's process group: what ends an engine's group ends it.
func TestRunKillsItsProgram(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	pid, done := lasting(ctx, t)
	if group, err := syscall.Getpgid(pid); err != nil || group != syscall.Getpgrp() {
		t.Errorf("it is in group %d, this process in %d (%v)", group, syscall.Getpgrp(), err)
	}
	begin := time.Now()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("cancelling took %v", took)
	}
	waitGone(t, pid)
}

// waitGone waits until a killed process is no more than a zombie of its reaper.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	deadline, look := time.After(time.Second), time.NewTicker(time.Millisecond)
	defer look.Stop()
	for alive(pid) {
		select {
		case <-deadline:
			t.Fatalf("process %d lives on", pid)
		case <-look.C:
		}
	}
}

func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	after := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return len(after) > 0 && after[0] != "Z" && after[0] != "X"
}

func TestRunEndsWithItsDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := script(t, "exec sleep 600").Run(ctx, Run{Dir: t.TempDir()})
	if codeOf(err) != pipeline.CodeDecodeTimeout {
		t.Error(err)
	}
}

func TestCheckFindsAllThatIsNeeded(t *testing.T) {
	k := newVideoKit(t)
	parts, err := k.tools.Check(t.Context())
	if err != nil || len(parts) < 40 {
		t.Fatal(err, len(parts))
	}
	for _, p := range parts {
		if !p.OK {
			t.Errorf("%s: %s is missing", p.Kind, p.Name)
		}
	}
	if v, err := k.tools.Version(t.Context()); err != nil || v == "" || v[0] < '4' {
		t.Error(v, err)
	}
	bare := script(t, "echo ' A..... aac AAC'")
	parts, err = bare.Check(t.Context())
	if err != nil || parts[0].OK || !parts[1].OK {
		t.Error("a bare ffmpeg passes", parts[:2], err)
	}
}

// TestRunLeavesLibrariesOutOfTheLog has a library complain about the sandbox: a copy whose log is empty is a good one, and must stay so.
func TestRunLeavesLibrariesOutOfTheLog(t *testing.T) {
	var log []byte
	err := script(t, "echo 'Warning: using insecure memory!' >&2; [ -z \"$1\" ] || echo real >&2").Run(t.Context(), Run{Dir: t.TempDir(), Log: &log})
	if err != nil || string(log) != "real\n" {
		t.Errorf("%v, %q", err, log)
	}
}
