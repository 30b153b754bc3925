package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/pipeline/tracetest"
)

// within bounds each wait: a healthy run needs a fraction of it.
const within = 90 * time.Second

const people = `{
	"u_1": {"age_band": "adult", "nudity_filter": "off"},
	"u_2": {"age_band": "adult", "nudity_filter": "off", "contacts": ["u_1"]},
	"u_3": {"age_band": "adult", "nudity_filter": "blur", "contacts": ["u_1"]},
	"u_4": {"age_band": "16_17", "nudity_filter": "off", "contacts": ["u_1"]},
	"u_5": {"age_band": "adult", "nudity_filter": "off", "contacts": ["u_1"], "blocked": ["u_1"]},
	"u_9": {"age_band": "adult", "nudity_filter": "off"}
}`

// product is the example running beside a real worker, Redis and S3 server.
type product struct {
	t   *testing.T
	url string
	s3  *pipelinetest.S3
	log *watched
}

func startProduct(t *testing.T) product {
	t.Helper()
	redis, s3 := pipelinetest.StartRedis(t), pipelinetest.StartS3(t)
	s3.MakeBucket(t, "uploads")
	s3.MakeBucket(t, "parts")
	t.Setenv("AWS_ACCESS_KEY_ID", s3.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3.SecretKey)
	startWorker(t, redis.URL(), s3)
	file := filepath.Join(t.TempDir(), "people.json")
	if err := os.WriteFile(file, []byte(people), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	log := newWatched()
	ended := make(chan error, 1)
	go func() {
		s := settings{addr: "127.0.0.1:0", redis: redis.URL(), s3: s3.Endpoint, uploads: "uploads", parts: "parts", people: file}
		ended <- run(ctx, s, slog.New(slog.NewTextHandler(log, nil)))
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	line := log.wait(t, "listening")
	_, addr, _ := strings.Cut(line, "addr=")
	return product{t: t, url: "http://" + strings.TrimSpace(addr), s3: s3, log: log}
}

// startWorker builds both programs and runs a worker whose classifier takes every picture for explicit.
func startWorker(t *testing.T, redis string, s3 *pipelinetest.S3) {
	t.Helper()
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "../ninefold", "../ninefold-engine").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	models, err := filepath.Abs("../../bin/models")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, "ninefold"), "worker", "--redis-url", redis, "--store", "s3://parts", "--sources", "s3://uploads",
		"--s3-endpoint", s3.Endpoint, "--models-dir", pipelinetest.StrictModels(t, models), "--scratch", t.TempDir())
	log := newWatched()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the worker: %v\n%s", err, log)
		}
	})
	log.wait(t, "worker starts")
}

// send posts a message with its files, given as they are.
func (p product) send(user, message string, files ...[]byte) (int, string) {
	p.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("message", message); err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		field, err := form.CreateFormFile("file", "any name")
		if err != nil {
			p.t.Fatal(err)
		}
		if _, err := field.Write(f); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		p.t.Fatal(err)
	}
	return p.do(user, http.MethodPost, "/messages", form.FormDataContentType(), &body)
}

func (p product) do(user, method, path, contentType string, body io.Reader) (int, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("X-User", user)
	r.Header.Set("traceparent", "00-"+requestTrace+"-"+requestSpan+"-01")
	r.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func (p product) view(user, message string) (int, signed) {
	p.t.Helper()
	code, body := p.do(user, http.MethodGet, "/messages/"+message, "", nil)
	var v signed
	if code == http.StatusOK {
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			p.t.Fatalf("%v: %s", err, body)
		}
	}
	return code, v
}

func photo(t *testing.T) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, 320, 240))
	for i := range 320 * 240 {
		img.SetNRGBA(i%320, i/320, color.NRGBA{uint8(i % 320), uint8(i / 320), 90, 255})
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func note(t *testing.T) []byte {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=2", "-c:a", "libopus", "-f", "ogg", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const album = `{"id": "m1", "to": ["u_2", "u_3", "u_4", "u_5"], "caption": "hi", "files": [
	{"kind": "photo", "edits": [{"op": "rotate", "degrees": 90}]}, {"kind": "voice"}]}`

// A message goes from a form through the worker to its recipients, each of whom can open what is theirs and nothing else.
func TestUploadToDelivery(t *testing.T) {
	spans := tracetest.Start(t)
	p := startProduct(t)
	files := [][]byte{photo(t), note(t)}
	if code, body := p.send("u_1", album, files...); code != http.StatusAccepted || !strings.Contains(body, `"repeated":false`) {
		t.Fatalf("%d %s", code, body)
	}
	rung := p.log.wait(t, "msg=ring recipient=u_4") // the event has come
	t.Run("trace", func(t *testing.T) { holdsTrace(t, spans, rung) })

	code, open := p.view("u_2", "u_1:m1")
	if code != 200 || len(open.Parts) != 2 || open.Parts[0].Height != 320 || open.Parts[0].Action != pipeline.Deliver {
		t.Fatalf("an adult: %d %+v", code, open)
	}
	for _, part := range open.Parts {
		for _, r := range part.Renditions {
			checkFile(t, open.URLs[r.SHA256], r)
		}
	}
	if code, v := p.view("u_3", "u_1:m1"); code != 200 || v.Parts[0].Action != pipeline.BlurReveal || len(v.URLs) != len(open.URLs) {
		t.Errorf("an adult with a filter: %d %+v", code, v)
	}
	code, teen := p.view("u_4", "u_1:m1")
	if code != 200 || teen.Parts[0].Action != pipeline.Withhold || len(teen.Parts[0].Renditions) != 0 || len(teen.URLs) != len(teen.Parts[1].Renditions) {
		t.Errorf("somebody of 16: %d %+v", code, teen)
	}
	for _, stranger := range []string{"u_5", "u_9"} { // who blocked the sender, and whom it was not for
		if code, _ := p.view(stranger, "u_1:m1"); code != http.StatusNotFound {
			t.Errorf("%s: %d", stranger, code)
		}
	}
	if code, body := p.do("u_1", http.MethodGet, "/messages/u_1:m1", "", nil); code != 200 || strings.Contains(body, "u_4") || !strings.Contains(body, "not_delivered") {
		t.Errorf("the sender is told: %d %s", code, body)
	}
	if code, body := p.send("u_1", album, files...); code != http.StatusAccepted || !strings.Contains(body, `"repeated":true`) {
		t.Errorf("the same request again: %d %s", code, body)
	}
	p.refuses(files)
	p.stricter("u_1:m1", "u_2", "u_3", "u_4")
}

// stricter takes the message back by a manifest that stands in the first one's place: nobody is given an address of it any more.
func (p product) stricter(message string, readers ...string) {
	p.t.Helper()
	parts, err := bucket(settings{s3: p.s3.Endpoint}, "parts")
	if err != nil {
		p.t.Fatal(err)
	}
	m, err := pipeline.Current(p.t.Context(), parts, message)
	if err != nil {
		p.t.Fatal(err)
	}
	m.Status, m.Error, m.Parts, m.Deliveries = pipeline.StatusRejected, &pipeline.Failure{Code: pipeline.CodeNotDeliverable, Message: "taken back"}, []pipeline.Part{}, nil
	m.Revision = &pipeline.Revision{Number: m.Number() + 1, Run: "test"}
	data, err := json.Marshal(m)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := parts.Put(p.t.Context(), pipeline.RevisionKey(message, m.Number()), bytes.NewReader(data), int64(len(data)), pipelinetest.Digest(data, "")); err != nil {
		p.t.Fatal(err)
	}
	for _, reader := range readers {
		if code, v := p.view(reader, message); code != http.StatusNotFound || len(v.URLs) > 0 {
			p.t.Errorf("%s, after a stricter manifest: %d, %d addresses", reader, code, len(v.URLs))
		}
	}
}

// checkFile opens an address as a client would, without any key.
func checkFile(t *testing.T, url string, r pipeline.Rendition) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	if resp.StatusCode != 200 || hex.EncodeToString(sum[:]) != r.SHA256 || resp.Header.Get("Content-Type") != r.MIME {
		t.Errorf("%s: %d, %d bytes of %s, want %d of %s", r.Name, resp.StatusCode, len(data), resp.Header.Get("Content-Type"), r.Size, r.MIME)
	}
}

// refuses holds what is not taken to its answers, and to leaving nothing in the store.
func (p product) refuses(files [][]byte) {
	p.t.Helper()
	one := `{"id": "m2", "to": ["u_2"], "files": [{"kind": "voice"}]}`
	for name, tc := range map[string]struct {
		user, message string
		files         [][]byte
		code          int
		says          string
	}{
		"a stranger":         {"u_77", one, files[:1], 401, "log in"},
		"too large":          {"u_1", one, [][]byte{make([]byte, 16<<20+1)}, 413, "too_large"},
		"empty":              {"u_1", one, [][]byte{nil}, 422, "corrupt"},
		"a file short":       {"u_1", one, nil, 422, "missing"},
		"a file too many":    {"u_1", one, files, 422, "more files"},
		"an age from there":  {"u_1", `{"id": "m2", "to": ["u_4"], "age_band": "adult"}`, nil, 422, "age_band"},
		"another's place":    {"u_1", `{"id": "../u_2/m1", "to": ["u_2"], "files": [{"kind": "voice"}]}`, files[:1], 422, "invalid_job"},
		"the id used before": {"u_1", `{"id": "m1", "to": ["u_2"], "files": [{"kind": "photo"}]}`, files[:1], 422, "another message"},
	} {
		if code, body := p.send(tc.user, tc.message, tc.files...); code != tc.code || !strings.Contains(body, tc.says) {
			p.t.Errorf("%s: %d %s, want %d %q", name, code, body, tc.code, tc.says)
		}
	}
	if code, _ := p.view("u_2", "u_1:m2"); code != http.StatusNotFound {
		p.t.Errorf("a refused message is there: %d", code)
	}
}

// watched is a log whose lines can be waited for.
type watched struct {
	mu    sync.Mutex
	all   bytes.Buffer
	grown chan struct{}
}

func newWatched() *watched { return &watched{grown: make(chan struct{}, 1)} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all.Write(p)
	select {
	case w.grown <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

// wait returns the first line that holds what.
func (w *watched) wait(t *testing.T, what string) string {
	t.Helper()
	late := time.After(within)
	for {
		lines := bufio.NewScanner(strings.NewReader(w.String()))
		for lines.Scan() {
			if strings.Contains(lines.Text(), what) {
				return lines.Text()
			}
		}
		select {
		case <-w.grown:
		case <-late:
			t.Fatalf("no %q within %s in\n%s", what, within, w)
		}
	}
}
