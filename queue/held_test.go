package queue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/filestore"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/queue"
)

// held is a manifest that is not to be announced for a while.
func held(j pipeline.Job, wait time.Duration) pipeline.Manifest {
	m, due := rejected(j), time.Now().Add(wait).UTC()
	m.NotBefore = &due
	return m
}

// tick waits a moment before the next look.
func tick(t *testing.T) {
	t.Helper()
	select {
	case <-t.Context().Done():
		t.FailNow()
	case <-time.After(10 * time.Millisecond):
	}
}

// TestHeldIsNotEarly: until a message is announced, nothing says that it is done: no event, no status, no list, no receipt of a repeated
// submission. Then it is announced, once.
func TestHeldIsNotEarly(t *testing.T) {
	t.Parallel()
	embedded, stop, err := queue.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	for name, url := range map[string]string{"Redis": pipelinetest.StartRedis(t).URL(), "the embedded one": embedded} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(url)
			c := client(t, cfg)
			var m atomic.Pointer[pipeline.Manifest]
			start(t, cfg, runnerFunc(func(_ context.Context, j pipeline.Job, _ pipeline.RunOptions) (pipeline.Manifest, error) {
				made := held(j, 2*time.Second)
				m.Store(&made)
				return made, nil
			}))
			submit(t, c, job("j1", pipeline.KindPhoto))
			early := 0
			for {
				s, err := c.Status(t.Context(), "j1")
				if err != nil {
					t.Fatal(err)
				}
				list, err := c.Recent(t.Context(), 5)
				if err != nil || len(list) == 0 { // twice, where it ends between two looks
					t.Fatalf("%+v, %v", list, err)
				}
				again, known := submit(t, c, job("j1", pipeline.KindPhoto)), events(t, url)
				if m.Load() == nil {
					continue
				}
				if !m.Load().Held(time.Now()) {
					break
				}
				early++
				listed := slices.ContainsFunc(list, func(l queue.Summary) bool { return l.State == queue.Done || l.At != nil || l.Status != "" })
				if s.Terminal() || s.Manifest != nil || listed || again.State == queue.Done || len(known) > 0 {
					t.Errorf("before its time: status %+v, list %+v, receipt %+v, %d events", s, list, again, len(known))
				}
				tick(t)
			}
			if early < 3 {
				t.Fatalf("looked %d times while it was held", early)
			}
			if s := wait(t, c, "j1"); s.State != queue.Done || s.Manifest == nil {
				t.Errorf("%+v", s)
			}
			wantOneEvent(t, url, "j1")
			if list, err := c.Recent(t.Context(), 5); err != nil || list[0].State != queue.Done || list[0].At == nil {
				t.Errorf("%+v, %v", list, err)
			}
		})
	}
}

// TestARecoveryKeepsToTheTime: what Redis has forgotten of a held message is announced again, when it is due and no sooner; what it has not
// forgotten is not announced twice.
func TestARecoveryKeepsToTheTime(t *testing.T) {
	t.Parallel()
	url := pipelinetest.StartRedis(t).URL()
	cfg := config(url)
	c := client(t, cfg)
	start(t, cfg, runnerFunc(func(_ context.Context, j pipeline.Job, _ pipeline.RunOptions) (pipeline.Manifest, error) {
		return rejected(j), nil
	}))
	m := held(job("j1", pipeline.KindPhoto), 2*time.Second)
	for i, want := range []bool{true, false} {
		if did, err := c.AnnounceCommitted(t.Context(), m); err != nil || did != want {
			t.Errorf("call %d: %v, %v", i, did, err)
		}
	}
	for len(events(t, url)) == 0 {
		tick(t)
	}
	if early := time.Until(*m.NotBefore); early > 0 {
		t.Errorf("announced %v early", early)
	}
	wantOneEvent(t, url, "j1")
	known, err := c.Known(t.Context(), []string{"j1"})
	if err != nil || !known[0].Told {
		t.Errorf("%+v, %v", known, err)
	}
}

// holderEnv has the test's program be a worker that is killed: the address of its Redis, and the directory of its store.
const holderEnv = "NINEFOLD_TEST_HOLDER"

// committing is a Runner like the pipeline: it commits a manifest to a store, once, and returns what is committed there.
func committing(store pipeline.Store, wait time.Duration, then func()) runnerFunc {
	return func(ctx context.Context, j pipeline.Job, _ pipeline.RunOptions) (pipeline.Manifest, error) {
		data, err := json.Marshal(held(j, wait))
		if err != nil {
			return pipeline.Manifest{}, err
		}
		_, err = store.PutNew(ctx, pipeline.ManifestKey(j.JobID), bytes.NewReader(data), int64(len(data)), pipelinetest.Digest(data, "application/json"))
		if err != nil {
			return pipeline.Manifest{}, err
		}
		then()
		r, _, err := store.Get(ctx, pipeline.ManifestKey(j.JobID))
		if err != nil {
			return pipeline.Manifest{}, err
		}
		defer r.Close()
		data, err = io.ReadAll(r)
		var m pipeline.Manifest
		return m, errors.Join(err, json.Unmarshal(data, &m))
	}
}

// heldFor is how long the messages of the worker that is killed wait.
const heldFor = 4 * time.Second

// beHolder is that worker. It never returns.
func beHolder(url, dir string) {
	store, err := filestore.Open(dir)
	if err == nil {
		var s *queue.Server
		s, err = queue.NewServer(config(url), committing(store, heldFor, func() {
			if os.Getenv(holderEnv+"_STUCK") != "" {
				select {} // committed, and not announced
			}
		}))
		if err == nil {
			err = s.Run(context.Background())
		}
	}
	panic(err)
}

// TestAWorkerKilledWhileHolding: a worker is killed without a word while a message waits for its time, or between its commit and that. The next
// one announces it once, and no sooner.
func TestAWorkerKilledWhileHolding(t *testing.T) {
	t.Parallel()
	for _, stuck := range []string{"", "1"} {
		t.Run("stuck "+stuck, func(t *testing.T) {
			t.Parallel()
			url, dir := pipelinetest.StartRedis(t).URL(), t.TempDir()
			store, err := filestore.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = store.Close() })
			worker := exec.CommandContext(t.Context(), os.Args[0])
			worker.Env = append(os.Environ(), holderEnv+"="+url, holderEnv+"_STORE="+dir, holderEnv+"_STUCK="+stuck)
			if err := worker.Start(); err != nil {
				t.Fatal(err)
			}
			cfg := config(url)
			c := client(t, cfg)
			submit(t, c, job("j1", pipeline.KindPhoto))
			m, err := pipeline.Latest(t.Context(), store, "j1")
			for deadline := time.Now().Add(settle); err != nil && time.Now().Before(deadline); m, err = pipeline.Latest(t.Context(), store, "j1") {
				tick(t)
			}
			if err != nil {
				t.Fatal(err)
			}
			for told := false; stuck == "" && !told; tick(t) {
				known, err := c.Known(t.Context(), []string{"j1"})
				if err != nil {
					t.Fatal(err)
				}
				told = known[0].Told
			}
			_ = worker.Process.Kill()
			_ = worker.Wait()
			if !m.Held(time.Now()) {
				t.Skip("the machine was too slow: the message was due before its worker was killed")
			}
			start(t, cfg, committing(store, time.Hour, func() {})) // its own manifest comes too late to be committed
			for deadline := time.Now().Add(2 * settle); len(events(t, url)) == 0; tick(t) {
				if time.Now().After(deadline) {
					t.Fatal("the event is lost")
				}
			}
			if early := time.Until(*m.NotBefore); early > 0 {
				t.Errorf("announced %v early", early)
			}
			wait(t, c, "j1")
			wantOneEvent(t, url, "j1")
		})
	}
}
