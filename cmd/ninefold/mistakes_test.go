package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// What is wrong with a setting ends with 2 and names the setting; 1 is for what may pass by itself.
func TestWrongSettings(t *testing.T) {
	setUp(t)
	s := newScene(t)
	photo, dir := filepath.Join(s.dir, "photo.jpg"), t.TempDir()
	s.write(t, "empty.yaml", nil)
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	worker := func(flags ...string) []string {
		return append([]string{"worker", "--model", "none", "--store", dir}, flags...)
	}
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"no engine there":       {[]string{"process", photo, "--out", dir, "--engine", "/nowhere/ninefold-engine"}, "--engine"},
		"no scratch":            {[]string{"process", photo, "--out", dir, "--scratch", "/proc/x"}, "--scratch /proc/x"},
		"no place for parts":    {[]string{"process", photo, "--out", "/proc/x"}, "--out /proc/x"},
		"no store":              {[]string{"worker", "--store", "/proc/x"}, "--store /proc/x"},
		"no bucket":             {[]string{"worker", "--store", "s3://"}, "--store"},
		"a bucket mistyped":     {[]string{"worker", "--store", "s3:/parts"}, "s3://BUCKET/PREFIX"},
		"a cloud unknown":       {[]string{"worker", "--store", dir, "--sources", "gs://uploads"}, "--sources"},
		"no S3 server named":    {[]string{"worker", "--store", "s3://parts"}, "--s3 settings"},
		"nothing to do":         {worker("--concurrency-voice=0", "--concurrency-photo=0", "--concurrency-video=0", "--concurrency-bulk=0"), "--concurrency-voice"},
		"no address":            {worker("--admin-addr", "nonsense"), "--admin-addr nonsense"},
		"a port that is taken":  {worker("--admin-addr", taken.Addr().String()), "another program has this port"},
		"dev's port is taken":   {[]string{"dev", "--model", "none", "--store", dir, "--addr", taken.Addr().String()}, "--addr " + taken.Addr().String()},
		"a short token":         {worker("--admin-token", "short"), "at least 16 characters"},
		"dev's token is short":  {[]string{"dev", "--model", "none", "--store", dir, "--addr", "127.0.0.1:0", "--token", "short"}, "--token"},
		"an empty policy":       {[]string{"policy", "show", "--policy", filepath.Join(s.dir, "empty.yaml")}, "the file is empty"},
		"a wrong configuration": {[]string{"config", "--config", configFile(t, "coress: 3\n")}, `did you mean "cores"?`},
	} {
		t.Run(name, func(t *testing.T) {
			r := call(t.Context(), tc.args...)
			if r.code != exitUsage || !strings.Contains(r.stderr, tc.says) {
				t.Errorf("exit %d, want %d with %q: %s", r.code, exitUsage, tc.says, r.stderr)
			}
			if strings.Contains(r.stderr, "send the message again") {
				t.Errorf("an operator is told what a sender may do: %s", r.stderr)
			}
		})
	}
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	s := scene{t.TempDir()}
	s.write(t, "ninefold.yaml", []byte(text))
	return filepath.Join(s.dir, "ninefold.yaml")
}

// A bucket that is not there and keys that are refused are settings; a server that is away is trouble.
func TestWrongKeys(t *testing.T) {
	setUp(t)
	s3 := pipelinetest.StartS3(t)
	s3.MakeBucket(t, "parts")
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"} {
		t.Setenv(name, "")
	}
	for name, tc := range map[string]struct {
		flags []string
		code  int
		says  string
	}{
		"wrong keys": {[]string{"--store", "s3://parts", "--s3-endpoint", s3.Endpoint, "--s3-access-key", "x", "--s3-secret-key", "wrong-secret"}, exitUsage, "refuses the credentials"},
		"no bucket": {
			[]string{"--store", "s3://absent", "--s3-endpoint", s3.Endpoint, "--s3-access-key", s3.AccessKey, "--s3-secret-key", s3.SecretKey}, exitUsage, "make it",
		},
		"no server": {
			[]string{"--store", "s3://parts", "--s3-endpoint", "http://127.0.0.1:1", "--s3-access-key", "x", "--s3-secret-key", "wrong-secret"}, exitTrouble, "does not answer",
		},
	} {
		r := call(t.Context(), append([]string{"worker", "--model", "none", "--engine-warm", "0"}, tc.flags...)...)
		if r.code != tc.code || !strings.Contains(r.stderr, tc.says) || !strings.Contains(r.stderr, "--s3 settings") {
			t.Errorf("%s: exit %d, want %d with %q: %s", name, r.code, tc.code, tc.says, r.stderr)
		}
	}
}

// Without Redis every command says where it looked, without the password, and what to do.
func TestRedisAway(t *testing.T) {
	setUp(t)
	s := newScene(t)
	job := s.job(t, item("a", "photo", "photo.jpg"))
	for _, args := range [][]string{
		{"submit", job},
		{"status", "j1"},
		{"quarantine", "list"},
		{"quarantine", "release", "x"},
		{"reprocess", "--store", t.TempDir()},
		{"worker", "--model", "none", "--engine-warm", "0", "--store", t.TempDir()},
	} {
		r := call(t.Context(), append(args, "--redis-url", "redis://somebody:hunter2@127.0.0.1:1/0")...).want(t, exitTrouble)
		if !strings.Contains(r.stderr, "redis at redis://127.0.0.1:1/0 does not answer") || !strings.Contains(r.stderr, "start the server or change redis_url") {
			t.Errorf("%v: %s", args, r.stderr)
		}
		if strings.Contains(r.stderr, "hunter2") {
			t.Errorf("%v tells the password", args)
		}
	}
}

// A variable that looks like a setting and is none is told of; what Kubernetes adds is not.
func TestMistypedVariable(t *testing.T) {
	t.Setenv("NINEFOLD_COREZ", "1")
	t.Setenv("NINEFOLD_NOTHING_LIKE_IT", "1")
	t.Setenv("NINEFOLD_PORT_9090_TCP_ADDR", "10.0.0.1")
	t.Setenv("NINEFOLD_SERVICE_HOST", "10.0.0.1")
	t.Setenv("NINEFOLD_CONCURRENCY_VOICE", "1")
	r := call(t.Context(), "models", "list").want(t, exitOK)
	if !strings.Contains(r.stderr, "name=NINEFOLD_COREZ nearest=NINEFOLD_CORES") || !strings.Contains(r.stderr, "name=NINEFOLD_NOTHING_LIKE_IT\n") {
		t.Errorf("the mistyped names are not told: %s", r.stderr)
	}
	for _, right := range []string{"TCP_ADDR", "SERVICE_HOST", "CONCURRENCY_VOICE"} {
		if strings.Contains(r.stderr, right) {
			t.Errorf("%s is told of: %s", right, r.stderr)
		}
	}
}

// Ctrl-C is answered in a word, and a worker says that it stops and that it has stopped.
func TestInterrupted(t *testing.T) {
	redis := pipelinetest.StartRedis(t)
	setUp(t)
	t.Setenv("NINEFOLD_REDIS_URL", redis.URL())
	s := newScene(t)
	job := s.job(t, item("a", "photo", "photo.jpg"))
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan result, 1)
	go func() { waiting <- call(ctx, "submit", job, "--wait") }()
	waitFor(t, "job on the queue", func() bool { return call(t.Context(), "status", "j1").code == exitOK })
	cancel()
	if r := <-waiting; r.code != exitTrouble || !strings.HasSuffix(r.stderr, "ninefold: interrupted\n") || strings.Contains(r.stderr, "context canceled") {
		t.Errorf("submit --wait, interrupted: exit %d, %q", r.code, r.stderr)
	}

	for _, word := range []string{"worker starts", "job done"} {
		ctx, cancel := context.WithCancel(t.Context())
		log := &heardOf{word: word, then: cancel}
		code := run(ctx, []string{"worker", "--model", "none", "--store", s.dir}, log, log)
		text := log.text.String()
		_, after, said := strings.Cut(text, "worker stops")
		if code != exitOK || !said || !strings.Contains(after, "worker stopped") || strings.Contains(after, "WARN") || strings.Contains(after, "canceled") {
			t.Errorf("a worker, interrupted after %q: exit %d\n%s", word, code, text)
		}
	}
}

// heardOf does something when a word is written.
type heardOf struct {
	word string
	then func()

	mu   sync.Mutex
	text strings.Builder
}

func (h *heardOf) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Write(p)
	if strings.Contains(h.text.String(), h.word) {
		h.then()
	}
	return len(p), nil
}
