package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/memstore"
	"github.com/ninefold/ninefold/transcode"
)

// The campaigns that concern hostile files run here, through the whole pipeline and the real engine: in their
// short form with every go test, in their long form with make hostile, which prints one JSON line per row.

// rig is a worker without a queue: pipeline, engines and a store.
type rig struct {
	pool  *Pool
	store *memstore.Store
	*pipeline.Pipeline
	peaks *peaks
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	path, err := realEngine()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{store: memstore.New(), peaks: &peaks{}}
	cfg := DefaultConfig()
	cfg.Engine, cfg.Warm, cfg.Parallel, cfg.Scratch, cfg.Log = path, 2, 2, passableDir(t), slog.New(r.peaks)
	if change != nil {
		change(&cfg)
	}
	profile := transcode.DefaultProfile()
	if r.pool, err = NewPool(cfg, profile); err != nil {
		t.Fatal(err)
	}
	policy, err := moderation.NewPolicy(moderation.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	r.Pipeline, err = pipeline.New(pipeline.Config{
		Scratch: cfg.Scratch, ItemsAtOnce: 2, Version: "test", Profile: profile.Digest(), Engine: transcode.EngineVersion,
		MaxBytes: pipeline.ByteCaps{Voice: profile.Voice.MaxBytes, Photo: profile.Photo.MaxBytes, Video: profile.Video.MaxBytes},
	}, pipeline.Deps{
		Sources: r.store, Store: r.store, Processors: r.pool, Policy: policy, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Moderator: moderation.NewUnavailable(errors.New("these campaigns are about decoders")),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.pool.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(cfg.Scratch); err != nil || len(left) > 0 {
			t.Errorf("scratch holds %v (%v), want nothing", left, err)
		}
	})
	return r
}

// outcome is how one input ended.
type outcome struct {
	name   string
	part   pipeline.Part
	err    error // our own trouble
	took   time.Duration
	memory int64 // bytes, the largest engine's peak
}

// code is the part's code, "ready" or "ready, truncated".
func (o outcome) code() string {
	switch {
	case o.err != nil:
		return "trouble: " + o.err.Error()
	case o.part.Error != nil:
		return string(o.part.Error.Code)
	case o.truncated():
		return "ready, truncated"
	}
	return "ready"
}

func (o outcome) truncated() bool {
	return slices.ContainsFunc(o.part.Warnings, func(w string) bool { return strings.HasPrefix(w, "truncated:") })
}

// send takes one file through the pipeline as a message of its own.
func (r *rig) send(t *testing.T, name string, data []byte) outcome {
	t.Helper()
	key, o := "uploads/"+digest([]byte(name+t.Name())), outcome{name: name}
	if err := r.store.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)), pipeline.PutOptions{SHA256: digest(data)}); err != nil {
		t.Fatal(err)
	}
	job := pipeline.Job{
		Schema: pipeline.JobSchema, JobID: digest([]byte(key))[:26], MessageID: "m", Conversation: pipeline.Conversation{ID: "c", Kind: pipeline.Direct},
		Sender: pipeline.Sender{ID: "s", AgeBand: pipeline.Adult},
		Recipients: []pipeline.Recipient{{
			ID: "r", AgeBand: pipeline.Adult, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterOff,
		}},
		Items: []pipeline.Item{{ID: "i", Kind: pipeline.KindAuto, Source: pipeline.Source{Key: key}}},
	}
	start := time.Now()
	m, err := r.Run(t.Context(), job, pipeline.RunOptions{})
	o.took, o.err = time.Since(start), err
	if len(m.Parts) == 1 {
		o.part = m.Parts[0]
	} else if err == nil {
		o.err = fmt.Errorf("%d parts, manifest %+v", len(m.Parts), m.Error)
	}
	return o
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// tally counts how the inputs of a campaign ended and holds them to what every campaign wants: each a code, none a timeout, none our
// own trouble.
type tally struct {
	mu      sync.Mutex
	counts  map[string]int
	slowest time.Duration
}

func (c *tally) add(t *testing.T, campaign string, o outcome) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	code := o.code()
	c.counts[code]++
	c.slowest = max(c.slowest, o.took)
	bad := o.err != nil || o.part.Error != nil && (o.part.Error.Code.Trouble() || o.part.Error.Code == pipeline.CodeDecodeTimeout)
	if bad {
		t.Errorf("%s: %s", o.name, code)
	}
	record(t, campaign, o.name, map[string]any{"code": code, "ms": o.took.Milliseconds(), "ok": !bad})
}

// report is the campaign's last line.
func (c *tally) report(t *testing.T, campaign string) {
	t.Helper()
	t.Logf("%s: %v, slowest %v", campaign, c.counts, c.slowest)
	record(t, campaign, "all", map[string]any{"counts": c.counts, "slowest_ms": c.slowest.Milliseconds(), "ok": !t.Failed()})
}

// sendAll sends inputs two at a time.
func (r *rig) sendAll(t *testing.T, campaign string, inputs []input, each func(outcome)) {
	t.Helper()
	var all sync.WaitGroup
	var count tally
	next := make(chan input)
	for range 2 {
		all.Go(func() {
			for in := range next {
				o := r.send(t, in.name, in.data)
				count.add(t, campaign, o)
				if each != nil {
					each(o)
				}
			}
		})
	}
	for _, in := range inputs {
		next <- in
	}
	close(next)
	all.Wait()
	count.report(t, campaign)
}

// input is one file of a campaign.
type input struct {
	name string
	data []byte
}

// peaks is a log handler that remembers the largest engine, as Pool logs it.
type peaks struct {
	mu  sync.Mutex
	max int64
}

func (p *peaks) Enabled(context.Context, slog.Level) bool { return true }
func (p *peaks) WithAttrs([]slog.Attr) slog.Handler       { return p }
func (p *peaks) WithGroup(string) slog.Handler            { return p }

func (p *peaks) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == peakAttr {
			p.mu.Lock()
			p.max = max(p.max, a.Value.Int64())
			p.mu.Unlock()
		}
		return true
	})
	return nil
}

// take returns the peak since the last call.
func (p *peaks) take() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.max
	p.max = 0
	return was
}

// object returns what was published under a key.
func (r *rig) object(t *testing.T, key string) []byte {
	t.Helper()
	f, _, err := r.store.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// made runs a tool that writes the file name in dir and returns its bytes.
func made(t *testing.T, dir, name string, tool string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(tool, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", tool, args, err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// fixtureFiles reads a folder of the fixtures, nil where they are absent.
func fixtureFiles(t *testing.T, folder string) []input {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("../../../shared/fixtures", folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []input
	for _, name := range names {
		if strings.HasSuffix(name, ".tsv") {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, input{filepath.Base(name), data})
	}
	return all
}
