package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
	"github.com/ninefold/ninefold/transcode/sandbox"
)

// doctorCmd checks what a deployment needs.
type doctorCmd struct {
	JSON    bool          `help:"One JSON object a line."`
	Timeout time.Duration `help:"For each check." default:"20s"`

	QueueSettings  `embed:"" group:"queue"`
	StoreSettings  `embed:"" group:"store"`
	EngineSettings `embed:"" group:"engine"`
	ModelSettings  `embed:"" group:"models"`

	AudienceSettings `embed:"" group:"audience"`
	AuditSettings    `embed:"" group:"audience"`
}

// diagnosis is one line of doctor's.
type diagnosis struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`         // what was found, or which setting to change
	Warn   bool   `json:"warn,omitempty"` // it works, with less than it should have
}

// examinations is everything doctor looks at, in order.
func (c *doctorCmd) examinations() []func(context.Context, *app) []diagnosis {
	return []func(context.Context, *app) []diagnosis{c.engine, c.answers, c.classifier, c.policies, c.people, c.redis, c.stores, c.scratch}
}

func (c *doctorCmd) Run(a *app) error {
	failed := 0
	for _, examine := range c.examinations() {
		ctx, cancel := context.WithTimeout(a.ctx, c.Timeout)
		found := examine(ctx, a)
		cancel()
		for _, d := range found {
			if !d.OK {
				failed++
			}
			if err := c.print(a.stdout, d); err != nil {
				return err
			}
		}
	}
	if failed > 0 {
		return &exitError{exitTrouble, fmt.Errorf("doctor: %d of the checks failed", failed)}
	}
	return nil
}

func (c *doctorCmd) print(w io.Writer, d diagnosis) error {
	if c.JSON {
		return json.NewEncoder(w).Encode(d)
	}
	return d.write(w)
}

// write is the line for people.
func (d diagnosis) write(w io.Writer) error {
	state := "OK  "
	switch {
	case !d.OK:
		state = "FAIL"
	case d.Warn:
		state = "WARN"
	}
	_, err := fmt.Fprintf(w, "%s  %-22s %s\n", state, d.Name, d.Detail)
	return err
}

// outcome makes one line of a check that either works or names its setting.
func outcome(name, found string, err error, setting string) []diagnosis {
	if err != nil {
		return []diagnosis{{Name: name, Detail: fmt.Sprintf("%v; change %s", err, setting)}}
	}
	return []diagnosis{{Name: name, OK: true, Detail: found}}
}

func (c *doctorCmd) engine(ctx context.Context, _ *app) []diagnosis {
	pool, trouble := c.engines()
	if trouble != nil {
		return trouble
	}
	defer pool.Close()
	checks, err := pool.Inspect(ctx)
	if err != nil {
		return outcome("engine", "", err, "--engine or --scratch")
	}
	return append(outcome("engine", "starts and answers", nil, ""), diagnoses(checks)...)
}

// answers has the engines render media whose outcome is known. An engine that does not start has its line already.
func (c *doctorCmd) answers(ctx context.Context, _ *app) []diagnosis {
	pool, trouble := c.engines()
	if trouble != nil {
		return nil
	}
	defer pool.Close()
	return diagnoses(pool.Prove(ctx))
}

// engines opens a pool of engines; trouble is the line of one that does not open.
func (c *doctorCmd) engines() (pool *sandbox.Pool, trouble []diagnosis) {
	profile, err := c.profile()
	if err != nil {
		return nil, outcome("profile", "", err, "--profile")
	}
	settings := c.EngineSettings
	settings.EngineWarm, settings.credentials = 0, c.remote()
	pool, err = settings.pool(slog.New(slog.DiscardHandler), profile, nil) // what it warns of is a line below
	if err != nil {
		return nil, outcome("engine", "", err, "--engine, --scratch or --sandbox")
	}
	return pool, nil
}

func diagnoses(checks []sandbox.Check) []diagnosis {
	var out []diagnosis
	for _, ch := range checks {
		out = append(out, diagnosis(ch))
	}
	return out
}

func (c *doctorCmd) classifier(_ context.Context, a *app) []diagnosis {
	if c.Model == "none" {
		return outcome("classifier", "", fmt.Errorf("switched off: what is sent to protected recipients is withheld"), "--model")
	}
	start := time.Now()
	model, err := c.openModel(a)
	if err != nil {
		return outcome("classifier", "", err, "--models-dir, --model or --onnxruntime")
	}
	defer model.Close()
	ref := model.Model().Ref()
	found := fmt.Sprintf("%s (%.12s…) passed its self-test in %d ms", ref.ID, ref.SHA256, time.Since(start).Milliseconds())
	return outcome("classifier", found, nil, "")
}

func (c *doctorCmd) policies(context.Context, *app) []diagnosis {
	policy, err := c.policy()
	if err != nil {
		return outcome("policy", "", err, "--policy")
	}
	return outcome("policy", fmt.Sprintf("version %s (%.19s…)", policy.Ref().Version, policy.Ref().Digest), nil, "")
}

// people looks at the directory that tells who somebody is, and at the key that keeps who they are out of the audit.
func (c *doctorCmd) people(ctx context.Context, _ *app) []diagnosis {
	var deps pipeline.Deps
	if err := c.key(&deps); err != nil {
		return outcome("audit", "", err, "--audit-key")
	}
	out := outcome("audit", "ids are hashed with the operator's key", nil, "")
	if c.AuditKey == "" {
		out[0].Warn, out[0].Detail = true, "ids are hashed with a key that nobody keeps: records cannot be matched with people; set --audit-key"
	}
	if c.AudienceURL == "" {
		return out
	}
	d, err := c.open()
	if err == nil {
		err = d.Check(ctx)
	}
	return append(out, outcome("audience", "the directory answers", err, "--audience-url, --audience-secret or --audience-timeout")...)
}

func (c *doctorCmd) redis(ctx context.Context, _ *app) []diagnosis {
	return outcome("redis", "answers, keeps what it is given and takes writes", queue.Check(ctx, c.queueConfig()), "--redis-url")
}

func (c *doctorCmd) stores(ctx context.Context, _ *app) []diagnosis {
	defer forget(c.Store, c.Sources)()
	store, sources, err := c.openStores()
	if err != nil {
		return outcome("store", "", err, "--store or --sources")
	}
	out := outcome("store", "wrote, read and listed "+c.Store, store.Check(ctx), "--store or the --s3 settings")
	if sources != store {
		err := checkSources(ctx, store, sources)
		out = append(out, outcome("sources", "can be read: "+c.Sources, err, "--sources or the --s3 settings")...)
	}
	return out
}

// forget looks which of the store directories are not there yet and returns what removes them again, where they have stayed empty: a check
// leaves nothing behind.
func forget(dirs ...string) func() {
	var absent []string
	for _, dir := range dirs {
		if _, err := os.Stat(dir); dir != "" && errors.Is(err, fs.ErrNotExist) {
			absent = append(absent, dir)
		}
	}
	return func() {
		for _, dir := range absent {
			var made []string
			_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					made = append(made, path)
				}
				return nil
			})
			for _, path := range slices.Backward(made) {
				_ = os.Remove(path) // fails where something lies in it
			}
		}
	}
}

// minScratch is room for one message at its limits: nine videos with their renditions, bytes.
const minScratch = 2 << 30

func (c *doctorCmd) scratch(context.Context, *app) []diagnosis {
	free, err := freeSpace(c.Scratch)
	if err == nil && free < minScratch {
		err = fmt.Errorf("%s has %s free, one message may need %s", c.Scratch, bytesText(free), bytesText(minScratch))
	}
	return outcome("scratch", fmt.Sprintf("%s has %s free", c.Scratch, bytesText(free)), err, "--scratch")
}

func freeSpace(dir string) (int64, error) {
	ws, err := pipeline.NewWorkspace(dir)
	if err != nil {
		return 0, err
	}
	defer ws.Close()
	f, err := ws.Create("probe")
	if err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(ws.Dir(), &fs); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return int64(fs.Bavail) * fs.Bsize, nil
}
