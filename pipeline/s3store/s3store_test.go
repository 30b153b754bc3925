package s3store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/pipeline/s3store"
)

func config(s3 *pipelinetest.S3, bucket string) s3store.Config {
	cfg := s3store.DefaultConfig()
	cfg.Endpoint, cfg.Region, cfg.Bucket = s3.Endpoint, s3.Region, bucket
	cfg.AccessKey, cfg.SecretKey = s3.AccessKey, s3.SecretKey
	return cfg
}

func open(t *testing.T, cfg s3store.Config) *s3store.Store {
	t.Helper()
	s, err := s3store.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *s3store.Store, key, content string) {
	t.Helper()
	opts := pipelinetest.Digest([]byte(content), "text/plain")
	if err := s.Put(t.Context(), key, strings.NewReader(content), int64(len(content)), opts); err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	s3, buckets := pipelinetest.StartS3(t), 0
	for _, prefix := range []string{"", "some/prefix/"} {
		t.Run("prefix "+prefix, func(t *testing.T) {
			pipelinetest.TestStore(t, func(t *testing.T) pipeline.Store {
				buckets++
				bucket := fmt.Sprintf("bucket-%d", buckets)
				s3.MakeBucket(t, bucket)
				cfg := config(s3, bucket)
				cfg.Prefix, cfg.Scratch = prefix, t.TempDir()
				t.Cleanup(func() {
					if left, _ := os.ReadDir(cfg.Scratch); len(left) != 0 {
						t.Errorf("%d files are left in scratch", len(left))
					}
				})
				return open(t, cfg)
			})
		})
	}
}

// proxied returns a store that reaches versitygw through handle; without it the request goes on unchanged.
func proxied(t *testing.T, s3 *pipelinetest.S3, bucket string, handle func(http.ResponseWriter, *http.Request, http.Handler)) *s3store.Store {
	t.Helper()
	target, err := url.Parse(s3.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	next := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host // it is signed
	}, ErrorLog: nil}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, next) }))
	t.Cleanup(proxy.Close)
	cfg := config(s3, bucket)
	cfg.Endpoint, cfg.Patience = proxy.URL, 2*time.Second
	return open(t, cfg)
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if code := pipeline.AsError(err).Code; err == nil || code != pipeline.CodeStorageUnavailable || !pipeline.Retryable(err) {
		t.Errorf("got %v, want a retryable %s", err, pipeline.CodeStorageUnavailable)
	}
}

// What was changed behind the server's back is noticed before the reader ends.
func TestCorruptObjectIsNotRead(t *testing.T) {
	s3 := pipelinetest.StartS3(t)
	s3.MakeBucket(t, "corrupt")
	s := open(t, config(s3, "corrupt"))
	put(t, s, "media/a.jpg", "the true content")
	if err := os.WriteFile(filepath.Join(s3.Dir, "corrupt", "media", "a.jpg"), []byte("the trUe content"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, _, err := s.Get(t.Context(), "media/a.jpg")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if len(got) != 16 {
		t.Errorf("read %d bytes", len(got))
	}
	wantUnavailable(t, err)
}

// An original that somebody uploaded without our metadata is still read.
func TestForeignObject(t *testing.T) {
	s3 := pipelinetest.StartS3(t)
	s3.MakeBucket(t, "uploads")
	if err := os.WriteFile(filepath.Join(s3.Dir, "uploads", "i1"), []byte("an upload"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, size, err := open(t, config(s3, "uploads")).Open(t.Context(), "i1")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "an upload" || size != 9 {
		t.Errorf("%q of %d, %v", got, size, err)
	}
}

// Two failures of the server are ridden out with the whole content sent again; a server that stays down is given up.
func TestRetries(t *testing.T) {
	s3 := pipelinetest.StartS3(t)
	s3.MakeBucket(t, "retries")
	var refuse, seen atomic.Int32
	s := proxied(t, s3, "retries", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		seen.Add(1)
		if refuse.Add(-1) >= 0 {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
	content := bytes.Repeat([]byte("photo"), 1<<18)
	for name, r := range map[string]io.Reader{"seekable": bytes.NewReader(content), "stream": io.MultiReader(bytes.NewReader(content))} {
		refuse.Store(2)
		if err := s.Put(t.Context(), name, r, int64(len(content)), pipelinetest.Digest(content, "")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	refuse.Store(1 << 30)
	seen.Store(0)
	_, err := s.Stat(t.Context(), "stream")
	wantUnavailable(t, err)
	if n := seen.Load(); n != 4 {
		t.Errorf("tried %d times, want 4", n)
	}
}

// A transfer that is changed or cut on the way is refused by the server on the way in and by us on the way out.
func TestDamagedTransfer(t *testing.T) {
	s3 := pipelinetest.StartS3(t)
	s3.MakeBucket(t, "damaged")
	content := bytes.Repeat([]byte("0123456789"), 20_000)
	straight := open(t, config(s3, "damaged"))
	put(t, straight, "good", string(content))

	flip := proxied(t, s3, "damaged", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("X"), io.LimitReader(skip(r.Body, 1), r.ContentLength)))
		}
		next.ServeHTTP(w, r)
	})
	wantUnavailable(t, flip.Put(t.Context(), "flipped", bytes.NewReader(content), int64(len(content)), pipelinetest.Digest(content, "")))
	if _, err := straight.Stat(t.Context(), "flipped"); !errors.Is(err, pipeline.ErrNotExist) {
		t.Errorf("the damaged object is there: %v", err)
	}

	cut := proxied(t, s3, "damaged", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&cutWriter{ResponseWriter: w, left: 70_000}, r)
	})
	r, _, err := cut.Get(t.Context(), "good")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	wantUnavailable(t, err)
	if len(got) >= len(content) {
		t.Errorf("nothing was cut: %d bytes", len(got))
	}
}

func skip(r io.Reader, n int64) io.Reader {
	_, _ = io.CopyN(io.Discard, r, n)
	return r
}

// cutWriter drops the connection after so many bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(p)
}

// A server that takes the connection and says nothing costs Patience per call, and an ended context costs nothing.
func TestSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := s3store.DefaultConfig()
	cfg.Endpoint, cfg.Bucket, cfg.AccessKey, cfg.SecretKey = "http://"+l.Addr().String(), "silent", "a", "b"
	cfg.Patience = time.Second
	s := open(t, cfg)
	start := time.Now()
	_, err = s.Stat(t.Context(), "key")
	wantUnavailable(t, err)
	if errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "within 1s") {
		t.Errorf("%v: want it to say that the server was silent", err)
	}
	wantUnavailable(t, s.Put(t.Context(), "key", strings.NewReader("x"), 1, pipelinetest.Digest([]byte("x"), "")))
	wantUnavailable(t, s.List(t.Context(), "", func(pipeline.Object) error { return nil }))
	if took := time.Since(start); took > 4*cfg.Patience {
		t.Errorf("three calls took %v", took)
	}
}

func TestCheckNamesTheSetting(t *testing.T) {
	s3 := pipelinetest.StartS3(t)
	s3.MakeBucket(t, "check")
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	cases := []struct {
		name   string
		change func(*s3store.Config)
		want   string
	}{
		{"bucket", func(c *s3store.Config) { c.Bucket = "another" }, "bucket"},
		{"secret", func(c *s3store.Config) { c.SecretKey = "wrong" }, "secret_key"},
		{"access key", func(c *s3store.Config) { c.AccessKey = "wrong" }, "access_key"},
		{"endpoint", func(c *s3store.Config) { c.Endpoint = closed.URL }, "endpoint"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(s3, "check")
			c.change(&cfg)
			s := open(t, cfg)
			for name, check := range map[string]func(context.Context) error{"Check": s.Check, "CheckSource": s.CheckSource} {
				if err := check(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v, want it to name %s", name, err, c.want)
				}
			}
		})
	}
	if err := open(t, config(s3, "check")).CheckSource(t.Context()); err != nil {
		t.Errorf("CheckSource: %v", err)
	}
}

// What a client of the bucket sees: no shared cache keeps media. Written with the credentials of the environment.
func TestHeadersAndEnvironment(t *testing.T) {
	s3 := pipelinetest.StartS3(t)
	s3.MakeBucket(t, "headers")
	t.Setenv("AWS_ACCESS_KEY_ID", s3.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3.SecretKey)
	cfg := config(s3, "headers")
	cfg.AccessKey, cfg.SecretKey = "", ""
	var header http.Header
	s := proxied(t, s3, "headers", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		header = w.Header().Clone()
	})
	put(t, open(t, cfg), "media/x.jpg", "x")
	if _, err := s.Stat(t.Context(), "media/x.jpg"); err != nil {
		t.Fatal(err)
	}
	if got := header.Get("Cache-Control"); !strings.HasPrefix(got, "private, max-age=") {
		t.Errorf("Cache-Control %q", got)
	}
	if got := header.Get("Content-Type"); got != "text/plain" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestConfigValidate(t *testing.T) {
	good := s3store.DefaultConfig()
	good.Endpoint, good.Bucket = "https://s3.example.com", "media"
	if err := good.Validate(); err != nil {
		t.Fatalf("a good configuration: %v", err)
	}
	cases := map[string]func(*s3store.Config){
		"endpoint":   func(c *s3store.Config) { c.Endpoint = "s3.example.com" },
		"bucket":     func(c *s3store.Config) { c.Bucket = "../media" },
		"region":     func(c *s3store.Config) { c.Region = "" },
		"prefix":     func(c *s3store.Config) { c.Prefix = "../up/" },
		"access_key": func(c *s3store.Config) { c.AccessKey = "only one" },
		"patience":   func(c *s3store.Config) { c.Patience = 0 },
		"tries":      func(c *s3store.Config) { c.Tries = 0 },
	}
	for setting, breakIt := range cases {
		cfg := good
		breakIt(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%s: %v", setting, err)
		}
		if _, err := s3store.New(cfg); err == nil {
			t.Errorf("%s: New took it", setting)
		}
	}
}
