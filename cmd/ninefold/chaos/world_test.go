package chaos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/pipeline/s3store"
	"github.com/ninefold/ninefold/queue"
)

// settle bounds every wait: asynq alone would need two minutes for what a dead worker held.
const settle = 300 * time.Second

// drain is how long a worker that is told to stop may finish what it has: longer than any job of a campaign beside seven others takes, for
// a job that is handed back is an attempt more, and rightly so.
const drain = "240s"

// world is one deployment: servers, workers, and everything that was sent through them.
type world struct {
	t        *testing.T
	redis    *pipelinetest.Server
	s3       *pipelinetest.S3
	redisURL string // as workers and clients reach it: perhaps through something that breaks
	s3URL    string
	dir      string // programs and scratch: what runs from here is ours
	policy   string // file of the policy; empty = the default
	scratch  string
	rdb      *redis.Client // straight to the server, for the audit
	uploads  *s3store.Store
	parts    *s3store.Store
	contents map[pipeline.Kind][]string // source keys

	mu      sync.Mutex
	workers map[int]*worker // by slot
	started []*worker       // every one, for what it logged
	jobs    []string
	events  map[string][]time.Time     // arrivals, by job
	digests map[string]map[string]bool // of the manifests that arrived, by job
	arrived chan struct{}              // told of every event
}

// worker is a real worker process.
type worker struct {
	cmd  *exec.Cmd
	log  *pipelinetest.Log
	done chan struct{}
}

// repository is where the programs were built to.
func repository() string {
	dir, _ := filepath.Abs("../../..")
	return dir
}

// newWorld starts the servers. redisArgs are the campaign's own.
func newWorld(t *testing.T, redisArgs ...string) *world {
	t.Helper()
	bin := filepath.Join(repository(), "bin")
	w := &world{
		t: t, dir: t.TempDir(), workers: map[int]*worker{}, contents: map[pipeline.Kind][]string{}, events: map[string][]time.Time{},
		digests: map[string]map[string]bool{}, arrived: make(chan struct{}, 1),
	}
	w.scratch = filepath.Join(w.dir, "scratch")
	for _, name := range []string{"ninefold", "ninefold-engine", "ninefold-voice-engine"} {
		err := bring(filepath.Join(bin, name), filepath.Join(w.dir, name))
		if errors.Is(err, os.ErrNotExist) && name == "ninefold-voice-engine" {
			continue // the other engine serves voice, too
		}
		if errors.Is(err, os.ErrNotExist) && os.Getenv("CI") != "true" {
			t.Skip("bin/" + name + " is not built: run make build")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.redis = pipelinetest.StartRedis(t, append([]string{"--appendonly", "yes", "--appendfsync", "everysec"}, redisArgs...)...)
	w.redisURL = w.redis.URL()
	w.s3 = pipelinetest.StartS3(t)
	w.s3URL = w.s3.Endpoint
	w.s3.MakeBucket(t, "uploads")
	w.s3.MakeBucket(t, "parts")
	w.uploads, w.parts = w.bucket("uploads"), w.bucket("parts")
	opts, err := redis.ParseURL(w.redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	w.rdb = redis.NewClient(opts)
	t.Cleanup(func() {
		w.killAll()
		w.rdb.Close()
	})
	return w
}

// bring gives a program a path of its own, by which its processes are known.
func bring(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	data, err := os.ReadFile(from) // another file system
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

func (w *world) bucket(name string) *s3store.Store {
	cfg := s3store.DefaultConfig()
	cfg.Endpoint, cfg.Region, cfg.AccessKey, cfg.SecretKey, cfg.Bucket = w.s3.Endpoint, w.s3.Region, w.s3.AccessKey, w.s3.SecretKey, name
	store, err := s3store.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return store
}

func (w *world) config() queue.Config {
	cfg := queue.DefaultConfig()
	cfg.RedisURL, cfg.Log = w.redisURL, slog.New(slog.DiscardHandler)
	return cfg
}

// start starts the worker of a slot; extra are more flags.
func (w *world) start(slot int, extra ...string) *worker {
	w.t.Helper()
	one := &worker{log: &pipelinetest.Log{}, done: make(chan struct{})}
	args := append([]string{
		"worker", "--redis-url", w.redisURL, "--store", "s3://parts", "--sources", "s3://uploads", "--s3-endpoint", w.s3URL,
		"--scratch", w.scratch, "--models-dir", filepath.Join(repository(), "bin", "models"), "--engine-warm", "1", "--drain", drain,
		"--log-level", "debug", "--admin-addr", "", "--policy", w.policy,
	}, extra...)
	one.cmd = exec.Command(filepath.Join(w.dir, "ninefold"), args...)
	one.cmd.Env = append(os.Environ(), "NINEFOLD_S3_ACCESS_KEY="+w.s3.AccessKey, "NINEFOLD_S3_SECRET_KEY="+w.s3.SecretKey)
	one.cmd.Stdout, one.cmd.Stderr = one.log, one.log
	one.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := one.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(one.done)
		_ = one.cmd.Wait()
	}()
	w.mu.Lock()
	w.workers[slot] = one
	w.started = append(w.started, one)
	w.mu.Unlock()
	return one
}

// plainTiming has every message announced as soon as it is ready.
func (w *world) plainTiming() {
	w.t.Helper()
	w.policy = filepath.Join(w.dir, "policy.yaml")
	if err := os.WriteFile(w.policy, []byte("schema: ninefold.policy/1\nversion: plain\ntiming: plain\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// ready waits until the worker takes jobs.
func (w *world) ready(one *worker) {
	w.t.Helper()
	w.until("worker takes jobs", func() bool {
		select {
		case <-one.done:
			w.t.Fatalf("the worker ended:\n%s", one.log)
		default:
		}
		return strings.Contains(one.log.String(), "worker is known as")
	})
}

// signal sends a signal to the worker of a slot and returns it.
func (w *world) signal(slot int, sig syscall.Signal) *worker {
	w.t.Helper()
	w.mu.Lock()
	one := w.workers[slot]
	w.mu.Unlock()
	if err := one.cmd.Process.Signal(sig); err != nil {
		w.t.Fatalf("worker %d: %v\n%s", slot, err, one.log)
	}
	return one
}

// saidOf is what every worker logged of a job.
func (w *world) saidOf(id string) string {
	var b strings.Builder
	for i, one := range w.started {
		for line := range strings.Lines(one.log.String()) {
			if strings.Contains(line, id) {
				fmt.Fprintf(&b, "worker %d: %s", i, line)
			}
		}
	}
	return b.String()
}

func (w *world) killAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for slot, one := range w.workers {
		_ = one.cmd.Process.Kill()
		<-one.done
		delete(w.workers, slot)
	}
}

// stopAll waits until the outbox is empty, which takes a moment where a worker died between publishing and taking note of it; drains every
// worker; and has a last one sweep what the killed ones left in scratch.
func (w *world) stopAll() {
	w.t.Helper()
	w.until("the outbox is empty", func() bool {
		n := int64(0)
		for _, class := range queue.Classes() {
			n += w.rdb.XLen(w.t.Context(), "ninefold:{"+string(class)+"}:outbox").Val()
		}
		return n == 0
	})
	w.drainAll()
	w.ready(w.start(0))
	w.drainAll()
}

func (w *world) drainAll() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for slot, one := range w.workers {
		_ = one.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-one.done:
		case <-time.After(settle):
			w.t.Fatalf("worker %d does not end:\n%s", slot, one.log)
		}
		delete(w.workers, slot)
	}
}

// until waits for a condition.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(settle); !ok(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not within %v", what, settle)
		}
	}
}

// listen collects events, as the messaging product would.
func (w *world) listen() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	cfg := w.config()
	cfg.RedisURL = w.redis.URL()
	go func() {
		ended <- queue.Subscribe(ctx, cfg, func(_ context.Context, e queue.Event) error {
			w.heardOf(e.Manifest)
			select {
			case w.arrived <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) heardOf(m pipeline.Manifest) {
	digest, _ := digestOf(m) // it came as JSON
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events[m.JobID] = append(w.events[m.JobID], time.Now())
	if w.digests[m.JobID] == nil {
		w.digests[m.JobID] = map[string]bool{}
	}
	w.digests[m.JobID][digest] = true
}

// heard is how many jobs have had their event.
func (w *world) heard() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.events)
}

// untilHeard waits until so many jobs have had their event.
func (w *world) untilHeard(n int) {
	w.t.Helper()
	limit := time.NewTimer(settle + time.Duration(n)*time.Second)
	defer limit.Stop()
	for w.heard() < n {
		select {
		case <-w.arrived:
		case <-limit.C:
			w.t.Fatalf("%d of %d jobs have had their event; %s", w.heard(), n, w.missing())
		}
	}
}

func (w *world) missing() string {
	client, err := queue.NewClient(w.config())
	if err != nil {
		return err.Error()
	}
	defer client.Close()
	for _, id := range w.jobs {
		if _, ok := w.events[id]; !ok {
			s, err := client.Status(context.Background(), id)
			return fmt.Sprintf("the first without: %s: %s, attempt %d, %q, %v", id, s.State, s.Attempt, s.LastError, err)
		}
	}
	return "none is without"
}

// put uploads one original.
func (w *world) put(kind pipeline.Kind, data []byte) {
	w.t.Helper()
	key := fmt.Sprintf("%s/%d", kind, len(w.contents[kind]))
	sum := sha256.Sum256(data)
	opts := pipeline.PutOptions{ContentType: "application/octet-stream", SHA256: hex.EncodeToString(sum[:])}
	if err := w.uploads.Put(w.t.Context(), key, bytes.NewReader(data), int64(len(data)), opts); err != nil {
		w.t.Fatal(err)
	}
	w.contents[kind] = append(w.contents[kind], key)
}

// originals uploads n different media: six in ten voice notes, three photos, one video.
func (w *world) originals(n int) {
	w.t.Helper()
	clip, err := smallClip()
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range max(n, 10) {
		switch {
		case i%10 == 0:
			w.put(pipeline.KindVideo, append(bytes.Clone(clip), freeBox(i)...))
		case i%10 < 4:
			w.put(pipeline.KindPhoto, photo(w.t, i))
		default:
			w.put(pipeline.KindVoice, voice(i))
		}
	}
}

// voice is a second of a tone as WAV, a different one for every seed.
func voice(seed int) []byte {
	const rate = 16000
	var pcm bytes.Buffer
	noise := rand.New(rand.NewPCG(uint64(seed), 1))
	for i := range rate {
		tone := 8000 * (i / (20 + seed%40) % 2)
		_ = binary.Write(&pcm, binary.LittleEndian, int16(tone-4000+noise.IntN(200)))
	}
	var wav bytes.Buffer
	wav.WriteString("RIFF")
	_ = binary.Write(&wav, binary.LittleEndian, uint32(36+pcm.Len()))
	wav.WriteString("WAVEfmt ")
	for _, v := range []any{uint32(16), uint16(1), uint16(1), uint32(rate), uint32(rate * 2), uint16(2), uint16(16)} {
		_ = binary.Write(&wav, binary.LittleEndian, v)
	}
	wav.WriteString("data")
	_ = binary.Write(&wav, binary.LittleEndian, uint32(pcm.Len()))
	wav.Write(pcm.Bytes())
	return wav.Bytes()
}

func photo(t *testing.T, seed int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 320, 240))
	for y := range 240 {
		for x := range 320 {
			img.Set(x, y, color.RGBA{uint8(x + seed), uint8(y * (seed%7 + 1)), uint8(seed * 13), 255})
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// smallClip is a second of a test picture with a tone, made once for all campaigns.
var smallClip = sync.OnceValues(func() ([]byte, error) { return clipOf("testsrc=size=160x120:rate=10:duration=1") })

// video is a clip of a picture of ffmpeg's, as long as that, with a tone.
func video(t *testing.T, picture string) []byte {
	t.Helper()
	data, err := clipOf(picture)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func clipOf(picture string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "ninefold-chaos-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "clip.mp4")
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine", "-shortest",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(path)
}

// freeBox makes another file of the same video.
func freeBox(seed int) []byte {
	box := make([]byte, 16)
	binary.BigEndian.PutUint32(box, 16)
	copy(box[4:], "free")
	binary.BigEndian.PutUint64(box[8:], uint64(seed))
	return box
}

// submit queues n jobs in the mixture of originals, repeating what fails as an API would. New content comes in equal steps among
// forwards of what was sent before.
func (w *world) submit(n int) {
	w.t.Helper()
	client, err := queue.NewClient(w.config())
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	for i := range n {
		kind := pipeline.KindVoice
		if i%10 == 0 {
			kind = pipeline.KindVideo
		} else if i%10 < 4 {
			kind = pipeline.KindPhoto
		}
		keys := w.contents[kind]
		w.send(client, kind, keys[(i/10)%len(keys)])
	}
}

func (w *world) send(client *queue.Client, kind pipeline.Kind, key string) string {
	w.t.Helper()
	id := fmt.Sprintf("j%05d", len(w.jobs))
	w.mu.Lock()
	w.jobs = append(w.jobs, id)
	w.mu.Unlock()
	job := pipeline.Job{
		Schema: pipeline.JobSchema, JobID: id, MessageID: "m_" + id, Conversation: pipeline.Conversation{ID: "c", Kind: pipeline.Direct},
		Sender:     pipeline.Sender{ID: "s", AgeBand: pipeline.Adult},
		Recipients: []pipeline.Recipient{{ID: "r", AgeBand: pipeline.Adult, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterBlur}},
		Items:      []pipeline.Item{{ID: "i", Kind: kind, Source: pipeline.Source{Key: key}}},
	}
	for deadline := time.Now().Add(settle); ; <-time.After(50 * time.Millisecond) {
		_, err := client.Submit(w.t.Context(), job)
		if err == nil {
			return id
		}
		if !pipeline.Retryable(err) || time.Now().After(deadline) {
			w.t.Fatalf("submit %s: %v", id, err)
		}
	}
}

// readAll reads an object to its end.
func readAll(ctx context.Context, store *s3store.Store, key string) ([]byte, error) {
	r, _, err := store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
