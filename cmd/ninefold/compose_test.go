package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/queue"
)

// composed is the compose file's deployment, started piece by piece from this machine's own programs: commands, environments and health
// checks are the file's. Only what a container engine would give is put in their place: names become loopback addresses, volumes directories.
type composed struct {
	file  document
	image map[string]string // the image's own environment
	place *strings.Replacer // what is the container's, and where it is here
	said  map[string]string // ${…} that the operator has exported
	redis string            // address
	s3    string
}

func compose(t *testing.T) composed {
	t.Helper()
	c := composed{
		file: documents(t, "compose.yaml")[""], image: imageEnv(t), redis: pipelinetest.FreeAddr(t), s3: pipelinetest.FreeAddr(t),
		said: map[string]string{"S3_SECRET_KEY": rand.Text(), "ADMIN_TOKEN": rand.Text()},
	}
	c.place = strings.NewReplacer("redis:6379", c.redis, "s3:7070", c.s3, ":7070", c.s3, ":9090", pipelinetest.FreeAddr(t),
		"/data", t.TempDir(), "/var/lib/ninefold/scratch", t.TempDir())
	return c
}

// imageEnv is what the Dockerfile's last stage sets.
func imageEnv(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("../../docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, last, ok := strings.Cut(string(data), "COPY --from=build")
	env := regexp.MustCompile(`(?s)\nENV (.*?[^\\])\n`).FindStringSubmatch(last)
	if !ok || env == nil {
		t.Fatal("the Dockerfile has no last stage with an environment")
	}
	found := map[string]string{}
	for _, pair := range strings.Fields(strings.ReplaceAll(env[1], "\\\n", " ")) {
		name, value, _ := strings.Cut(pair, "=")
		found[name] = value
	}
	return found
}

var exported = regexp.MustCompile(`^\$\{(\w+):\?.*\}$`)

// env is a service's environment: nothing of this process's comes along but where the programs are.
func (c composed) env(t *testing.T, service string) []string {
	t.Helper()
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + bin + ":" + filepath.Join(bin, "tools") + ":" + os.Getenv("PATH")}
	add := func(values map[string]string) {
		for name, value := range values {
			if m := exported.FindStringSubmatch(value); m != nil {
				value = c.said[m[1]]
			}
			if name != "PATH" {
				env = append(env, name+"="+c.place.Replace(value))
			}
		}
	}
	s, _ := c.file.at(t, "services", service).(map[string]any)
	if s["build"] != nil {
		add(c.image)
	}
	if s["environment"] != nil {
		add(stringsOf(t, s["environment"]))
	}
	return env
}

// list is a list of words of the file, in its place here.
func (c composed) list(t *testing.T, path ...any) (words []string) {
	t.Helper()
	for _, w := range c.file.at(t, path...).([]any) { //nolint:forcetypeassert // a file of another shape fails here
		words = append(words, c.place.Replace(w.(string))) //nolint:forcetypeassert // as above
	}
	return words
}

// program runs argv, given as it stands in a container, with a service's environment.
func (c composed) program(t *testing.T, service string, argv ...string) *exec.Cmd {
	t.Helper()
	env := c.env(t, service)
	path := argv[0]
	for _, dir := range filepath.SplitList(strings.TrimPrefix(env[0], "PATH=")) {
		if _, err := os.Stat(filepath.Join(dir, path)); err == nil && !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
	}
	cmd := exec.CommandContext(t.Context(), path, argv[1:]...)
	cmd.Env, cmd.Dir = env, t.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// piece is a service that runs.
type piece struct {
	cmd  *exec.Cmd
	log  bytes.Buffer // to be read when it has ended
	done chan error
}

// start starts a service; it is stopped by its pid, and must end well, when the test ends.
func (c composed) start(t *testing.T, service string, argv ...string) *piece {
	t.Helper()
	p := &piece{cmd: c.program(t, service, argv...), done: make(chan error, 1)}
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = jobWithin
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	t.Logf("%s: %s", service, strings.Join(p.cmd.Args, " "))
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", service, err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	return p
}

// stop tells a piece to end, as a container engine does, and returns how it did.
func (p *piece) stop(t *testing.T) error {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return <-p.done
}

// healthy waits until a service's health check passes; more are arguments that say where its port is here.
func (c composed) healthy(t *testing.T, service string, p *piece, more ...string) {
	t.Helper()
	check := c.list(t, "services", service, "healthcheck", "test")
	for deadline := time.Now().Add(jobWithin); ; <-time.After(50 * time.Millisecond) {
		out, err := c.program(t, service, append(append([]string{check[1]}, more...), check[2:]...)...).CombinedOutput()
		if err == nil {
			t.Logf("%s is healthy:\n%s", service, out)
			return
		}
		select {
		case ended := <-p.done:
			t.Fatalf("%s ended: %v\n%s", service, ended, p.log.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not healthy: %v\n%s", service, err, out)
		}
	}
}

// TestComposeByPieces starts Redis, the S3 server and the worker as compose.yaml would, in its order, sends one message through them and
// stops them.
func TestComposeByPieces(t *testing.T) {
	setUp(t)
	for _, program := range []string{"ninefold", "ninefold-engine", "tools/versitygw"} {
		if _, err := os.Stat("../../bin/" + program); err != nil && os.Getenv("CI") != "true" {
			t.Skipf("bin/%s is not built: run make build tools", program)
		}
	}
	c := compose(t)
	host, port, err := net.SplitHostPort(c.redis)
	if err != nil {
		t.Fatal(err)
	}
	here := []string{"--bind", host, "--port", port} // a container has addresses of its own
	redis := c.start(t, "redis", append(c.list(t, "services", "redis", "command"), here...)...)
	s3 := c.start(t, "s3", c.list(t, "services", "s3", "entrypoint")...)
	c.healthy(t, "redis", redis, "-p", port)
	waitFor(t, "answer of the S3 server", func() bool {
		conn, err := net.DialTimeout("tcp", c.s3, time.Second)
		return err == nil && conn.Close() == nil
	})
	worker := c.start(t, "worker", "ninefold", "worker") // the image's entry point and command
	c.healthy(t, "worker", worker)
	c.sends(t)
	for name, p := range map[string]*piece{"worker": worker, "redis": redis, "s3": s3} {
		var exit *exec.ExitError
		if err := p.stop(t); errors.As(err, &exit) || err != nil {
			t.Errorf("%s ended with %v\n%s", name, err, p.log.String())
		}
	}
	if log := worker.log.String(); !strings.Contains(log, `"msg":"job done"`) {
		t.Errorf("the worker does not log as the image has it:\n%s", log)
	}
}

// sends has one message go through: what an upload API does, with the names and keys that the worker's environment has.
func (c composed) sends(t *testing.T) {
	t.Helper()
	for _, pair := range c.env(t, "worker")[1:] {
		if name, value, _ := strings.Cut(pair, "="); name != "NINEFOLD_LOG_LEVEL" {
			t.Setenv(name, value)
		}
	}
	settings := workerWith(t, nil)
	store, _, err := settings.openStores()
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(t)
	if err := uploadFile(t.Context(), store, "photo.jpg", filepath.Join(s.dir, "photo.jpg")); err != nil {
		t.Fatal(err)
	}
	events := subscribed(t, settings.RedisURL)
	m := call(t.Context(), "submit", s.job(t, item("a", "photo", "photo.jpg")), "--wait", "--json").want(t, exitOK).manifest(t)
	waitFor(t, "event", func() bool { return len(events()) == 1 })
	e := events()[0]
	t.Logf("event %s: %s, %d parts", e.ID, e.Manifest.Status, len(e.Manifest.Parts))
	if e.Manifest.JobID != "j1" || e.Manifest.Status != pipeline.StatusReady || e.ID != queue.EventID("j1") {
		t.Errorf("event %+v", e)
	}
	for _, r := range m.Parts[0].Renditions {
		if o, err := store.Stat(t.Context(), r.Key); err != nil || o.Size != r.Size {
			t.Errorf("%s: %v", r.Key, err)
		}
	}
}

// TestImage holds what the Dockerfile sets to the settings there are: its health check asks the pages that its environment opens.
func TestImage(t *testing.T) {
	env := imageEnv(t)
	delete(env, "PATH")
	c := workerWith(t, env)
	if c.AdminAddr == "" {
		t.Error("the image's worker has no pages that its health check could ask")
	}
	data, err := os.ReadFile("../../docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	check := regexp.MustCompile(`\nHEALTHCHECK .* CMD \["ninefold", "(\w+)"\]\n`).FindStringSubmatch(string(data))
	if check == nil || leaf(t, parserOf(t, &cli{}), check[1]).Name != "ready" {
		t.Errorf("the image's health check is %q, want ninefold ready: it asks the worker that runs", check)
	}
	if _, port, err := net.SplitHostPort(c.AdminAddr); err != nil || !strings.Contains(string(data), "\nEXPOSE "+port+"\n") {
		t.Errorf("the worker's pages are at %s, which is not exposed", c.AdminAddr)
	}
}
