package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Config says how engines are started and limited.
type Config struct {
	Engine   string // path of ninefold-engine; empty = beside this executable, then PATH. ninefold-voice-engine is looked for beside it
	Warm     int    // engines started ahead of need
	Parallel int    // engines of one message at work at the same time
	Scratch  string // directory for the engines' rooms, best on the file system of the messages' workspaces
	Sandbox  Mode   // what to do where the kernel lacks a piece of the sandbox
	Limits   Limits
	Log      *slog.Logger
	Observer Observer // nil = nobody is told

	// Credentials says that this process holds keys to a store elsewhere: without Landlock it must be asked for by name.
	Credentials bool

	kernel func() support // nil = this one; a test's may have less
}

// Limits is the wall time of one request, not counting what its engine waits for a core, and never more than four times that. A request that
// takes longer is decode_timeout and its engine is killed.
type Limits struct {
	Start    time.Duration // until a new engine has answered
	Identify time.Duration
	Photo    time.Duration
	Voice    time.Duration
	Video    time.Duration
	Verify   time.Duration
}

// DefaultConfig returns the limits of a worker; a video's is generous because a slow machine is no fault of the file.
func DefaultConfig() Config {
	return Config{
		Scratch: filepath.Join(os.TempDir(), "ninefold"), Sandbox: BestEffort,
		Warm: 2, Parallel: runtime.GOMAXPROCS(0), Log: slog.Default(),
		Limits: Limits{
			Start: 20 * time.Second, Identify: 20 * time.Second, Photo: 45 * time.Second, Voice: 60 * time.Second,
			Video: 10 * time.Minute, Verify: 30 * time.Second,
		},
	}
}

// Validate names every setting that cannot work.
func (c Config) Validate() error {
	var wrong []error
	if c.Warm < 0 || c.Warm > 64 {
		wrong = append(wrong, fmt.Errorf("engine warm: want 0 to 64, got %d", c.Warm))
	}
	if c.Parallel < 1 || c.Parallel > 64 {
		wrong = append(wrong, fmt.Errorf("engine parallel: want 1 to 64, got %d", c.Parallel))
	}
	if c.Scratch == "" {
		wrong = append(wrong, fmt.Errorf("scratch: want a directory for temporary files"))
	}
	if c.Sandbox != Required && c.Sandbox != BestEffort && c.Sandbox != NoLandlock {
		wrong = append(wrong, fmt.Errorf("sandbox: want %s, %s or %s, got %q", Required, BestEffort, NoLandlock, c.Sandbox))
	}
	l := c.Limits
	if min(l.Start, l.Identify, l.Photo, l.Voice, l.Video, l.Verify) <= 0 {
		wrong = append(wrong, fmt.Errorf("engine limits: want more than 0 for every request"))
	}
	return errors.Join(wrong...)
}

// allow decides what happens on this kernel.
func (c Config) allow(s support) error {
	lack := s.lacks()
	if lack == nil {
		return nil
	}
	if c.Sandbox == Required {
		return fmt.Errorf("this kernel lacks %w; run where it is there, or accept less with --sandbox %s", lack, c.less(s))
	}
	if c.less(s) == NoLandlock && c.Sandbox != NoLandlock {
		return fmt.Errorf("this kernel lacks %w; a worker that holds the keys of a store runs without it only with --sandbox %s", lack, NoLandlock)
	}
	c.Log.Warn("engines are not fully confined", slog.Any("missing", lack), slog.String("sandbox", string(c.Sandbox)))
	return nil
}

// less is the mode that accepts what this kernel has.
func (c Config) less(s support) Mode {
	if c.Credentials && s.landlock < minLandlock {
		return NoLandlock
	}
	return BestEffort
}

// offered is what the kernel offers.
func (c Config) offered() support {
	if c.kernel != nil {
		return c.kernel()
	}
	return kernelSupport()
}

// engineName is the program that is looked for.
const engineName = "ninefold-engine"

// FindEngine returns the engine's path: the setting, else beside this executable, else on the PATH.
func FindEngine(setting string) (string, error) {
	if setting != "" {
		return executable(setting)
	}
	if self, err := os.Executable(); err == nil {
		if path, err := executable(filepath.Join(filepath.Dir(self), engineName)); err == nil {
			return path, nil
		}
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if path, err := executable(filepath.Join(dir, engineName)); err == nil && dir != "" {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is neither beside this program nor on the PATH: build it with make build, or set --engine", engineName)
}

// voiceEngineName is the program that lies beside the engine and serves sound, without libvips.
const voiceEngineName = "ninefold-voice-engine"

// findVoiceEngine returns the path of the voice engine beside an engine, or the engine's own where there is none: it can do all.
func findVoiceEngine(engine string) string {
	if path, err := executable(filepath.Join(filepath.Dir(engine), voiceEngineName)); err == nil {
		return path
	}
	return engine
}

func executable(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("engine: %w; set --engine", err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return "", fmt.Errorf("engine: %s is not an executable file; set --engine", path)
	}
	return filepath.Abs(path)
}
