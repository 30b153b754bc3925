package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/pipeline/s3store"
	"github.com/ninefold/ninefold/queue"
)

// deployment is a Redis and an S3 server with two buckets, and the settings for them.
type deployment struct {
	redis   *pipelinetest.Server
	uploads *s3store.Store
	parts   *s3store.Store
	scratch string
}

func deploy(t *testing.T) deployment {
	t.Helper()
	d := deployment{scratch: setUp(t), redis: pipelinetest.StartRedis(t)}
	s3 := pipelinetest.StartS3(t)
	for _, bucket := range []string{"uploads", "parts"} {
		s3.MakeBucket(t, bucket)
	}
	d.uploads, d.parts = bucketOf(t, s3, "uploads"), bucketOf(t, s3, "parts")
	for name, value := range map[string]string{
		"NINEFOLD_REDIS_URL": d.redis.URL(), "NINEFOLD_STORE": "s3://parts", "NINEFOLD_SOURCES": "s3://uploads", "NINEFOLD_S3_ENDPOINT": s3.Endpoint,
		"NINEFOLD_S3_REGION": s3.Region, "NINEFOLD_S3_ACCESS_KEY": s3.AccessKey, "NINEFOLD_S3_SECRET_KEY": s3.SecretKey,
	} {
		t.Setenv(name, value)
	}
	return d
}

func bucketOf(t *testing.T, s3 *pipelinetest.S3, bucket string) *s3store.Store {
	t.Helper()
	cfg := s3store.DefaultConfig()
	cfg.Endpoint, cfg.Region, cfg.AccessKey, cfg.SecretKey, cfg.Bucket = s3.Endpoint, s3.Region, s3.AccessKey, s3.SecretKey, bucket
	store, err := s3store.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// work runs a worker until the test ends, or stop is called, which waits for it.
func (d deployment) work(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan result, 1)
	go func() { ended <- call(ctx, "worker") }()
	stop = sync.OnceFunc(func() {
		cancel()
		if r := <-ended; r.code != exitOK {
			t.Errorf("the worker ended with %d: %s", r.code, r.stderr)
		}
	})
	t.Cleanup(stop)
	return stop
}

// events collects what a messaging product would receive.
func (d deployment) events(t *testing.T) func() []queue.Event { return subscribed(t, d.redis.URL()) }

// subscribed collects the events of a Redis until the test ends.
func subscribed(t *testing.T, redisURL string) func() []queue.Event {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var got []queue.Event
	cfg := queue.DefaultConfig()
	cfg.RedisURL = redisURL
	ended := make(chan error, 1)
	go func() {
		ended <- queue.Subscribe(ctx, cfg, func(_ context.Context, e queue.Event) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, e)
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func() []queue.Event {
		mu.Lock()
		defer mu.Unlock()
		return append([]queue.Event(nil), got...)
	}
}

// jobWithin bounds a small job on a busy machine.
const jobWithin = 2 * time.Minute

// eventWithin is how soon the event of a finished job must have arrived.
const eventWithin = 20 * time.Second

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(eventWithin); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %s", what, eventWithin)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestWorkerRedisS3(t *testing.T) {
	d := deploy(t)
	s := newScene(t)
	for _, name := range []string{"photo.jpg", "alpha.png", "text.jpg"} {
		if err := uploadFile(t.Context(), d.uploads, name, filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	job := s.job(t, item("a", "photo", "photo.jpg")+","+item("b", "auto", "alpha.png")+","+item("c", "photo", "text.jpg"))
	events := d.events(t)
	stop := d.work(t)

	ctx, cancel := context.WithTimeout(t.Context(), jobWithin)
	defer cancel()
	m := call(ctx, "submit", job, "--wait", "--json").want(t, exitPartial).manifest(t)
	for _, r := range m.Parts[0].Renditions {
		if o, err := d.parts.Stat(t.Context(), r.Key); err != nil || o.Size != r.Size {
			t.Errorf("%s: %v, %d bytes, recorded %d", r.Key, err, o.Size, r.Size)
		}
	}
	if _, err := d.parts.Stat(t.Context(), pipeline.ManifestKey("j1")); err != nil {
		t.Errorf("the manifest is not in the store: %v", err)
	}
	waitFor(t, "event", func() bool { return len(events()) > 0 })
	if e := events()[0]; e.Manifest.JobID != "j1" || e.Subject != "m1" {
		t.Errorf("event %+v", e)
	}

	again := call(t.Context(), "submit", job, "--json").want(t, exitOK)
	var receipt queue.Receipt
	if err := json.Unmarshal([]byte(again.stdout), &receipt); err != nil || !receipt.Existed || receipt.State != queue.Done {
		t.Errorf("second submit: %v, %+v", err, receipt)
	}
	if unknown := call(t.Context(), "status", "nobody").want(t, exitUsage); !strings.Contains(unknown.stderr, "ninefold parts") {
		t.Errorf("of a job it does not know, status says %q", unknown.stderr)
	}
	status := call(t.Context(), "status", "j1").want(t, exitOK)
	if !strings.Contains(status.stdout, "done") {
		t.Errorf("status: %s", status.stdout)
	}
	call(ctx, "submit", job, "--wait", "--json").want(t, exitPartial)
	stop()
	if n := len(events()); n != 1 {
		t.Errorf("%d events for one job", n)
	}
	leavesNothing(t, d.scratch)
}

func TestSubmitRefusesAWrongJob(t *testing.T) {
	s := newScene(t)
	job := s.job(t, item("a", "photo", "../../etc/passwd"))
	r := call(t.Context(), "submit", job, "--redis-url", "redis://127.0.0.1:1/0").want(t, exitRejected)
	if !strings.Contains(r.stderr, "invalid_job") || !strings.Contains(r.stderr, "source.key") {
		t.Errorf("stderr: %s", r.stderr)
	}
}

func TestDoctor(t *testing.T) {
	deploy(t)
	r := call(t.Context(), "doctor").want(t, exitOK)
	for _, name := range []string{
		"engine", "libvips", "ffmpeg", "fonts", "voice engine", "sandbox: landlock", "sandbox: seccomp", "sandbox: privileges", "sandbox: limits",
		"sandbox: inside", "known answers: voice", "known answers: photo", "known answers: video", "classifier", "redis", "store", "sources", "scratch",
	} {
		if !strings.Contains(r.stdout, "OK    "+name) {
			t.Errorf("no OK for %s:\n%s", name, r.stdout)
		}
	}
	r = call(t.Context(), "doctor", "--redis-url", "redis://127.0.0.1:1/0", "--model", "absent", "--engine", "/nowhere", "--store", "s3://missing")
	r.want(t, exitTrouble)
	for name, setting := range map[string]string{"redis": "--redis-url", "classifier": "--model", "engine": "--engine", "store": "--store"} {
		line := lineOf(r.stdout, name)
		if !strings.HasPrefix(line, "FAIL") || !strings.Contains(line, setting) {
			t.Errorf("%s: %q, want FAIL with %s", name, line, setting)
		}
	}
}

// A check makes nothing that stays: not the store's directory either.
func TestDoctorLeavesNothing(t *testing.T) {
	setUp(t)
	dir := t.TempDir()
	store, kept := filepath.Join(dir, "new"), filepath.Join(dir, "kept")
	if err := os.MkdirAll(filepath.Join(kept, "media"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{store, kept} {
		r := call(t.Context(), "doctor", "--redis-url", "redis://127.0.0.1:1/0", "--store", where)
		if !strings.Contains(r.stdout, "OK    store") {
			t.Errorf("%s", r.stdout)
		}
	}
	if _, err := os.Stat(store); err == nil {
		t.Errorf("%s was left", store)
	}
	if _, err := os.Stat(filepath.Join(kept, "media")); err != nil {
		t.Errorf("what was there is gone: %v", err)
	}
	if _, err := os.Stat(filepath.Join(kept, "ninefold-check")); err == nil {
		t.Error("the probe was left")
	}
}

func lineOf(text, name string) string {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == name {
			return line
		}
	}
	return ""
}

func TestConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ninefold.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("redis:\n  url: redis://user:hunter2@example:6379/1\nparallel: 3\nlog:\n  level: error\n")
	t.Setenv("NINEFOLD_S3_REGION", "eu-1")
	r := call(t.Context(), "config", "--config", file, "--model", "none").want(t, exitOK)
	for _, want := range []string{"parallel: 3", "s3-region: eu-1", "model: none", "# redis-url is set and not shown", "attempts: 10", "log-level: error"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("config lacks %q:\n%s", want, r.stdout)
		}
	}
	if strings.Contains(r.stdout, "hunter2") {
		t.Error("config prints a password")
	}
	write("parallel: 4\n")
	t.Setenv("NINEFOLD_PARALLEL", "5")
	if r := call(t.Context(), "config", "--config", file).want(t, exitOK); !strings.Contains(r.stdout, "parallel: 5") {
		t.Errorf("the file beats the environment:\n%s", r.stdout)
	}
	if err := os.WriteFile(file, []byte(r.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := call(t.Context(), "config", "--config", file).want(t, exitOK); !strings.Contains(again.stdout, "attempts: 10") {
		t.Errorf("what config prints is no configuration file:\n%s", again.stdout)
	}
	for name, text := range map[string]string{"twice": "parallel: 3\n---\nparallel: 4\n", "both ways": "s3-region: a\ns3: {region: b}\n"} {
		write(text)
		if r := call(t.Context(), "config", "--config", file).want(t, exitUsage); !strings.Contains(r.stderr, "configuration:") {
			t.Errorf("%s: %s", name, r.stderr)
		}
	}
	write("parallle: 3\n")
	r = call(t.Context(), "config", "--config", file).want(t, exitUsage)
	if !strings.Contains(r.stderr, "parallle") {
		t.Errorf("an unknown setting is not named: %s", r.stderr)
	}
	write("drain: 5\n")
	if r := call(t.Context(), "config", "--config", file).want(t, exitUsage); !strings.Contains(r.stderr, "drain: want a duration with its unit") {
		t.Errorf("a duration without a unit: %s", r.stderr)
	}
	write("engine-warm: many\n")
	r = call(t.Context(), "config", "--config", file).want(t, exitUsage)
	if !strings.Contains(r.stderr, "engine-warm") {
		t.Errorf("a wrong value does not name its setting: %s", r.stderr)
	}
}

func TestProfile(t *testing.T) {
	setUp(t)
	s := newScene(t)
	s.write(t, "profile.json", []byte(`{"photo": {"display_bites": 1}}`))
	photo := filepath.Join(s.dir, "photo.jpg")
	r := call(t.Context(), "process", photo, "--out", t.TempDir(), "--profile", filepath.Join(s.dir, "profile.json")).want(t, exitUsage)
	if !strings.Contains(r.stderr, "display_bites") {
		t.Errorf("an unknown key is not named: %s", r.stderr)
	}
	s.write(t, "profile.json", []byte(`{"photo": {"max_pixels": 1000}}`))
	m := call(t.Context(), "process", photo, "--out", t.TempDir(), "--json", "--profile", filepath.Join(s.dir, "profile.json"))
	if got := m.want(t, exitRejected).manifest(t).Parts[0].Error.Code; got != pipeline.CodeTooManyPixels {
		t.Errorf("code %s, want too_many_pixels", got)
	}
}

// Whoever waits for a job that nobody will take is told so; quarantine says what is in it and lets it go.
func TestSubmitUnheardAndQuarantine(t *testing.T) {
	redis := pipelinetest.StartRedis(t)
	t.Setenv("NINEFOLD_REDIS_URL", redis.URL())
	s := newScene(t)
	job := s.job(t, item("a", "photo", "photo.jpg"))
	ctx, cancel := context.WithTimeout(t.Context(), unheard+2*time.Second)
	defer cancel()
	if r := call(ctx, "submit", job, "--wait"); !strings.Contains(r.stderr, "no worker listens") {
		t.Errorf("nobody says that nobody listens: %s", r.stderr)
	}

	cfg := queue.DefaultConfig()
	cfg.RedisURL = redis.URL()
	suspects, err := queue.NewSuspects(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer suspects.Close()
	if r := call(t.Context(), "quarantine", "list").want(t, exitOK); !strings.Contains(r.stdout, "nothing") {
		t.Errorf("list of nothing: %s", r.stdout)
	}
	for range cfg.Crashes {
		if err := suspects.Crashed(t.Context(), "00ff", pipeline.CodeEngineCrashed); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"show", "00ff"}, {"show", "00ff", "--json"}} {
		r := call(t.Context(), append([]string{"quarantine"}, args...)...).want(t, exitOK)
		if !strings.Contains(r.stdout, "00ff") || !strings.Contains(r.stdout, "content") {
			t.Errorf("%v: %s", args, r.stdout)
		}
	}
	call(t.Context(), "quarantine", "release", "00ff", "--json").want(t, exitOK)
	if barred, err := suspects.Barred(t.Context(), "00ff"); barred || err != nil {
		t.Errorf("after its release: %v, %v", barred, err)
	}
	for _, verb := range []string{"show", "release", "drop"} {
		if r := call(t.Context(), "quarantine", verb, "00ff").want(t, exitUsage); !strings.Contains(r.stderr, "quarantine list") {
			t.Errorf("%s of nothing: %s", verb, r.stderr)
		}
	}
}
