package pipelinetest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// startWithin bounds how long a server may take until it answers.
const startWithin = 20 * time.Second

// Server is a real server process on a loopback port, ended by its pid when the test ends.
type Server struct {
	Addr string // "127.0.0.1:port"

	argv  []string
	env   []string
	hello string
	log   Log // for the message of a failed start
	cmd   *exec.Cmd
	done  chan struct{}
}

// StartRedis starts redis-server with an empty directory and maxmemory-policy noeviction; args are added to its command line,
// such as "--appendonly", "yes". The test is skipped where redis-server is not installed, and fails with CI=true.
func StartRedis(t testing.TB, args ...string) *Server {
	t.Helper()
	s := prepareRedis(t, args...)
	s.startFor(t)
	return s
}

func prepareRedis(t testing.TB, args ...string) *Server {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		missing(t, "redis-server is not installed; on Debian: apt-get install redis-server")
	}
	addr := FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	s := &Server{Addr: addr, hello: "PING\r\n"}
	s.argv = append([]string{
		binary, "--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir(), "--save", "", "--daemonize", "no",
		"--maxmemory-policy", "noeviction",
	}, args...)
	return s
}

// StartRedisTLS starts a Redis that speaks TLS only, with this certificate, and takes clients that show it too.
func StartRedisTLS(t testing.TB, cert, key string, args ...string) *Server {
	t.Helper()
	plain := FreeAddr(t) // its own port is closed below: it must be free nevertheless
	_, port, _ := net.SplitHostPort(plain)
	secure := []string{"--port", "0", "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert}
	s := prepareRedis(t, append(secure, args...)...)
	s.Addr, s.hello = plain, ""
	s.startFor(t)
	return s
}

// StartSentinel starts a Redis Sentinel with a configuration file of its own, which it writes to.
func StartSentinel(t testing.TB, conf string) *Server {
	t.Helper()
	s := prepareRedis(t)
	_, port, _ := net.SplitHostPort(s.Addr)
	s.argv = []string{s.argv[0], conf, "--sentinel", "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir()}
	s.startFor(t)
	return s
}

// URL returns the server's redis:// URL.
func (s *Server) URL() string { return "redis://" + s.Addr + "/0" }

// S3 is a running versitygw.
type S3 struct {
	*Server
	Endpoint, AccessKey, SecretKey, Region string
	Dir                                    string // what it serves: a directory a bucket
}

// StartS3 starts versitygw over an empty directory. The binary is NINEFOLD_VERSITYGW, or bin/tools/versitygw of the repository;
// the test is skipped where there is none, and fails with CI=true.
func StartS3(t testing.TB) *S3 {
	t.Helper()
	binary := versitygw()
	if binary == "" {
		missing(t, "versitygw is not there; build it into bin/tools/versitygw, or set NINEFOLD_VERSITYGW to its path")
	}
	addr, dir := FreeAddr(t), t.TempDir()
	s := &S3{Endpoint: "http://" + addr, AccessKey: "ninefold-test", SecretKey: "ninefold-test-secret", Region: "us-east-1", Dir: dir}
	s.Server = &Server{
		Addr: addr, hello: "GET / HTTP/1.0\r\n\r\n",
		argv: []string{binary, "--port", addr, "--region", s.Region, "--quiet", "posix", dir},
		env:  []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey},
	}
	s.startFor(t)
	return s
}

// MakeBucket makes a bucket, as a directory of what is served.
func (s *S3) MakeBucket(t testing.TB, name string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(s.Dir, name), 0o755); err != nil {
		t.Fatal(err)
	}
}

func versitygw() string {
	_, here, _, _ := runtime.Caller(0)
	repo := filepath.Join(filepath.Dir(here), "..", "..")
	for _, p := range []string{os.Getenv("NINEFOLD_VERSITYGW"), filepath.Join(repo, "bin", "tools", "versitygw")} {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			return p
		}
	}
	return ""
}

// missing skips a test whose server is not installed. Where everything must run, it fails.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func (s *Server) startFor(t testing.TB) {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
}

// Start starts the server again after Kill, on the same address and directory, and waits until it answers.
func (s *Server) Start() error {
	s.cmd, s.done = exec.Command(s.argv[0], s.argv[1:]...), make(chan struct{})
	s.cmd.Env = append(os.Environ(), s.env...)
	s.log.Most = 1 << 16
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // not even a killed test leaves it behind
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait()
	}()
	if err := s.waitReady(); err != nil {
		s.Kill()
		return fmt.Errorf("%s: %w\n%s", filepath.Base(s.argv[0]), err, s.log.String())
	}
	return nil
}

// waitReady asks until the server answers: neither of the two says when it listens.
func (s *Server) waitReady() error {
	tick, late := time.NewTicker(20*time.Millisecond), time.After(startWithin)
	defer tick.Stop()
	for {
		answered := s.answers()
		select {
		case <-s.done: // before answered counts: it may have been another program on our port
			return errors.New("ended at its start")
		default:
		}
		if answered {
			return nil
		}
		select {
		case <-s.done: // said above
		case <-late:
			return fmt.Errorf("no answer within %v", startWithin)
		case <-tick.C:
		}
	}
}

// answers asks each server in its own protocol; any byte of an answer will do.
func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if s.hello == "" {
		return true // TLS: that it listens must do
	}
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write([]byte(s.hello))
	n, err := conn.Read(make([]byte, 16))
	return err == nil && n > 0
}

// Pid returns the server's process id.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Kill ends the server at once, as a power cut would, and waits until it is gone.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}
