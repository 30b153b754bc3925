package queue_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/queue"
)

// roundTrip sends a job of every class through a Redis: submitted twice, run once, announced once.
func roundTrip(t *testing.T, cfg queue.Config) {
	t.Helper()
	if err := queue.Check(t.Context(), cfg); err != nil {
		t.Fatalf("Check: %v", err)
	}
	c := client(t, cfg)
	var runs atomic.Int32
	stop := start(t, cfg, counted(&runs))
	got := make(chan queue.Event, 10)
	subscribe(t, cfg, func(_ context.Context, e queue.Event) error { got <- e; return nil })
	kinds := []pipeline.Kind{pipeline.KindVoice, pipeline.KindPhoto, pipeline.KindVideo}
	for i, kind := range kinds {
		j := job(fmt.Sprintf("j%d", i), kind)
		submit(t, c, j)
		submit(t, c, j)
	}
	ids := map[string]bool{}
	for i := range kinds {
		if s := wait(t, c, fmt.Sprintf("j%d", i)); s.State != queue.Done || s.Manifest == nil {
			t.Errorf("job %d: %+v", i, s)
		}
		ids[received(t, got).ID] = true
	}
	if len(ids) != len(kinds) || int(runs.Load()) != len(kinds) {
		t.Errorf("%d runs, events %v", runs.Load(), ids)
	}
	if listed, err := c.Recent(t.Context(), 10); err != nil || len(listed) != len(kinds) {
		t.Errorf("Recent: %d jobs, %v", len(listed), err)
	}
	stop()
}

// certificate makes a self-signed one for 127.0.0.1 and returns the paths of its two files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis of a test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "EC PRIVATE KEY", secret)
}

// A Redis that speaks TLS only, asks for our certificate, and knows us as an ACL user who may touch nothing but our keys and asynq's.
func TestRedisTLSAndACL(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	secure := pipelinetest.StartRedisTLS(t, cert, key, "--user", "worker", "on", ">s3cret", "~asynq:*", "~ninefold:*", "&asynq:*", "+@all", "-@dangerous", "+info",
		"--user", "default", "off")
	cfg := config("rediss://worker:s3cret@" + secure.Addr + "/0?ca_file=" + cert + "&cert_file=" + cert + "&key_file=" + key)
	roundTrip(t, cfg)
	for name, url := range map[string]string{
		"unknown authority": "rediss://worker:s3cret@" + secure.Addr,
		"no certificate":    "rediss://worker:s3cret@" + secure.Addr + "?ca_file=" + cert,
		"no TLS":            "redis://worker:s3cret@" + secure.Addr,
		"wrong password":    "rediss://worker:wrong@" + secure.Addr + "/0?ca_file=" + cert + "&cert_file=" + cert + "&key_file=" + key,
	} {
		if err := queue.Check(t.Context(), config(url)); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Sentinels name the server; when it dies they name another, and work goes on.
func TestRedisSentinel(t *testing.T) {
	t.Parallel()
	master := pipelinetest.StartRedis(t, "--appendonly", "yes")
	host, port, _ := net.SplitHostPort(master.Addr)
	replica := pipelinetest.StartRedis(t, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor media %s %s 1\nsentinel down-after-milliseconds media 1000\nsentinel failover-timeout media 5000\n", host, port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := pipelinetest.StartSentinel(t, conf)
	cfg := config("redis-sentinel://" + sentinel.Addr + ",127.0.0.1:1/0?master=media")
	roundTrip(t, cfg)

	redisCLI(t, "until the replica is in step", replica.Addr, "master_link_status:up", "INFO", "replication")
	redisCLI(t, "until the sentinel knows the replica", sentinel.Addr, replica.Addr, "SENTINEL", "REPLICAS", "media")
	c := client(t, cfg)
	master.Kill()
	redisCLI(t, "until the replica leads", sentinel.Addr, replica.Addr, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "media")
	var runs atomic.Int32
	start(t, cfg, counted(&runs))
	submitPatiently(t, c, job("after", pipeline.KindPhoto))
	if s := wait(t, c, "after"); s.State != queue.Done {
		t.Errorf("after the failover: %+v", s)
	}
}

// submitPatiently repeats the call, as its caller should, while Redis is between two servers.
func submitPatiently(t *testing.T, c *queue.Client, j pipeline.Job) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), settle)
	defer cancel()
	for {
		_, err := c.Submit(ctx, j)
		if err == nil {
			return
		}
		if !pipeline.Retryable(err) || ctx.Err() != nil {
			t.Fatal(err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// redisCLI asks until the answer holds want.
func redisCLI(t *testing.T, what, addr, want string, args ...string) {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	wantHost, wantPort, err := net.SplitHostPort(want)
	for deadline := time.Now().Add(settle); ; <-time.After(50 * time.Millisecond) {
		out, _ := exec.CommandContext(t.Context(), "redis-cli", append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
		if strings.Contains(string(out), want) || (err == nil && strings.Contains(string(out), wantHost) && strings.Contains(string(out), wantPort)) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v; the last answer: %s", what, settle, out)
		}
	}
}

// On a cluster of three nodes everything that one script touches lies in one slot.
func TestRedisCluster(t *testing.T) {
	t.Parallel()
	var addrs []string
	for range 3 {
		addrs = append(addrs, pipelinetest.StartRedis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "15000").Addr)
	}
	create := append([]string{"--cluster", "create"}, addrs...)
	if out, err := exec.CommandContext(t.Context(), "redis-cli", append(create, "--cluster-yes")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, addr := range addrs {
		redisCLI(t, "until the cluster stands", addr, "cluster_state:ok", "CLUSTER", "INFO")
	}
	cfg := config("redis-cluster://" + addrs[0] + "," + addrs[1])
	for deadline := time.Now().Add(settle); queue.Check(t.Context(), cfg) != nil && time.Now().Before(deadline); { // every node has its own opinion
		<-time.After(50 * time.Millisecond)
	}
	roundTrip(t, cfg)
}

func TestRedisURLs(t *testing.T) {
	for _, good := range []string{
		"redis://h:1/2", "rediss://u:p@h:1/2", "unix:///run/r.sock?db=1", "redis-sentinel://a:1,b:2,c:3/1?master=m", "redis-cluster://u:p@a:1,b:2",
		"rediss-cluster://a:1", "rediss-sentinel://u:p@a:1?master=m&sentinel_username=s&sentinel_password=t", "redis://h:1/0?read_timeout=5s",
	} {
		cfg := queue.DefaultConfig()
		if cfg.RedisURL = good; cfg.Validate() != nil {
			t.Errorf("%s: %v", good, cfg.Validate())
		}
	}
	for _, bad := range []string{
		"", "host:6379", "http://h", "redis://a:1,b:2", "redis-sentinel://u:topsecret@a:1", "redis-cluster://a:1/3", "redis-cluster://a:1?what=1",
		"redis://h?ca_file=/x", "rediss://h?ca_file=/nowhere", "redis-sentinel://a:1/x?master=m", "redis://u:topsecret@h:port",
	} {
		cfg := queue.DefaultConfig()
		cfg.RedisURL = bad
		if err := cfg.Validate(); err == nil || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Whoever cannot be reached is named, without what may be secret.
func TestUnreachableIsNamed(t *testing.T) {
	for url, want := range map[string]string{
		"redis://u:hunter2@127.0.0.1:1/0":                                   "redis://127.0.0.1:1/0 ",
		"rediss://:hunter2@127.0.0.1:1/2?read_timeout=1s":                   "rediss://127.0.0.1:1/2 ",
		"redis-cluster://u:hunter2@127.0.0.1:1,127.0.0.1:2":                 "redis-cluster://127.0.0.1:1,127.0.0.1:2 ",
		"redis-sentinel://127.0.0.1:1/0?master=m&sentinel_password=hunter2": "redis-sentinel://127.0.0.1:1/0 ",
		"unix:///nowhere/redis.sock?db=1":                                   "unix:///nowhere/redis.sock ",
	} {
		cfg := queue.DefaultConfig()
		cfg.RedisURL = url
		client, err := queue.NewClient(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/5) // a cluster's nodes are tried for long
		defer cancel()
		for _, err := range []error{client.Ping(ctx), client.Check(ctx)} {
			if err == nil || !strings.Contains(err.Error(), "redis at "+want+"does not answer") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want %q in it", err, want)
			}
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A password that is not the right one is no outage.
func TestRefusedIsToldFromAway(t *testing.T) {
	redis := pipelinetest.StartRedis(t, "--requirepass", "right-one")
	for _, secret := range []string{"", ":wrong-one@"} {
		cfg := queue.DefaultConfig()
		cfg.RedisURL = "redis://" + secret + redis.Addr + "/0"
		if err := queue.Check(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "refuses us") || strings.Contains(err.Error(), "wrong-one") {
			t.Errorf("with %q: %v", secret, err)
		}
	}
}
