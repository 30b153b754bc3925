package chaos

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// TestMain lets more of the short forms run at once than there are cores: what they do most is wait for leases, outages and restarts.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	// What a killed worker leaves behind becomes a child of this process, where the audit finds it.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// long says that the long forms are asked for: one after the other, with the machine to themselves.
var long = os.Getenv("NINEFOLD_CHAOS") == "long"

// share is the part of the long forms' counts that is done, in per cent: NINEFOLD_CHAOS_SHARE, 100 without it. No count falls below the short
// form's; the rows say what was done.
func share(t *testing.T) int {
	t.Helper()
	text := os.Getenv("NINEFOLD_CHAOS_SHARE")
	if text == "" {
		return 100
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 100 {
		t.Fatalf("NINEFOLD_CHAOS_SHARE: want 1 to 100 per cent, got %q", text)
	}
	return n
}

// form returns the short or the long figure. Short forms mostly wait: they run side by side.
func form(t *testing.T, short, longForm int) int {
	t.Helper()
	if testing.Short() {
		t.Skip("campaigns take a minute")
	}
	if long {
		return max(short, longForm*share(t)/100)
	}
	return short
}

func parallel(t *testing.T) {
	t.Helper()
	if !long {
		t.Parallel()
	}
}

// distinct is how many different contents so many jobs have: the others are forwards, which are recalled, as most of a messenger's are.
func distinct(jobs int) int { return jobs / 10 }

// workers of a deployment.
const workers = 2

// begin uploads, listens, submits and starts the workers.
func (w *world) begin(jobs int) time.Time {
	w.t.Helper()
	w.originals(distinct(jobs))
	w.listen()
	began := time.Now()
	for slot := range workers {
		w.ready(w.start(slot))
	}
	submitted := make(chan struct{})
	go func() {
		defer close(submitted)
		w.submit(jobs)
	}()
	w.t.Cleanup(func() { <-submitted })
	return began
}

// through calls fault n times, in equal steps of the work.
func (w *world) through(jobs, n int, fault func(i int)) {
	w.t.Helper()
	for i := range n {
		w.untilHeard((i + 1) * jobs / (n + 2))
		fault(i)
	}
	w.untilHeard(jobs)
}

// C1: random workers are killed; what they had in work is done by others, once, soon.
func TestC1KillWorker(t *testing.T) {
	parallel(t)
	jobs, kills := form(t, 300, 3000), form(t, 5, 30)
	w := newWorld(t)
	w.plainTiming() // even timing would hold back what is recovered
	began := w.begin(jobs)
	hit, times := map[string]time.Time{}, map[string]int{}
	w.through(jobs, kills, func(int) {
		slot := rand.IntN(workers)
		var ids []string
		var at time.Time
		// What is in work at three deaths of its worker is taken for their cause. On a slow machine one job could be, by chance.
		w.until("nothing is in work that was hit twice", func() bool {
			ids, at = w.hit()
			return !slices.ContainsFunc(ids, func(id string) bool { return times[id] >= 2 })
		})
		<-w.signal(slot, syscall.SIGKILL).done
		for _, id := range ids {
			if times[id]++; times[id] == 1 {
				hit[id] = at
			}
		}
		w.start(slot)
	})
	w.stopAll()
	r := w.audit("C1", "kill -9 of a worker", kills, began)
	r.RecoveryP99S = w.recovery(hit)
	w.report(r)
	if r.RecoveryP99S > 130 {
		t.Errorf("recovery p99 %.0f s, want at most 130", r.RecoveryP99S)
	}
}

// C2: Redis is killed and comes back a second later with what its log holds.
func TestC2KillRedis(t *testing.T) {
	parallel(t)
	for _, fsync := range []string{"everysec", "always"} {
		t.Run(fsync, func(t *testing.T) {
			parallel(t)
			jobs, kills := form(t, 150, 3000), form(t, 1, 10)
			w := newWorld(t, "--appendfsync", fsync)
			began := w.begin(jobs)
			w.through(jobs, kills, func(int) {
				w.redis.Kill()
				<-time.After(time.Second)
				if err := w.redis.Start(); err != nil {
					t.Fatal(err)
				}
			})
			w.stopAll()
			w.report(w.audit("C2", "kill -9 of Redis, appendfsync "+fsync, kills, began))
		})
	}
}

// C3: the connection to Redis breaks at the worst moment of each exchange: an acknowledgement that never leaves, and goes on doing so for six
// seconds; a job that was queued and whose submitter is not told; a job that was taken and whose worker is not told.
func TestC3Connections(t *testing.T) {
	parallel(t)
	for _, c := range []struct {
		variant string
		rule    *rule
	}{
		{"acknowledgement cut for 6 s", &rule{words: []string{"evalsha", ":completed"}, cut: true}},
		{"enqueue's reply dropped", &rule{words: []string{"evalsha", ":t:j", ":pending"}, reply: func(reply []byte) bool { return bytes.HasPrefix(reply, []byte(":1")) }}},
		{"dequeue's reply dropped", &rule{words: []string{"evalsha", ":paused"}, reply: func(reply []byte) bool { return len(reply) > 20 }}},
	} {
		t.Run(c.variant, func(t *testing.T) {
			parallel(t)
			faults := form(t, 20, 200)
			w := newWorld(t)
			proxy := newRedisProxy(t, w.redis.Addr)
			w.redisURL = proxy.url()
			proxy.add(c.rule, faults)
			if c.rule.cut { // everything that is acknowledged within six seconds of the first, and at least so many
				window := time.AfterFunc(time.Hour, func() { c.rule.left.Store(0) })
				defer window.Stop()
				go func() {
					for c.rule.done.Load() == 0 && t.Context().Err() == nil {
						<-time.After(10 * time.Millisecond)
					}
					window.Reset(6 * time.Second)
				}()
			}
			jobs := max(30, faults*3/2)
			began := w.begin(jobs)
			w.untilHeard(jobs)
			w.untilIdle()
			w.stopAll()
			w.report(w.audit("C3", c.variant, int(c.rule.done.Load()), began))
			if c.rule.done.Load() == 0 {
				t.Error("nothing was broken")
			}
		})
	}
}

// untilIdle waits until every job is acknowledged.
func (w *world) untilIdle() {
	w.t.Helper()
	w.until("every job is acknowledged", func() bool {
		ids, _ := w.hit()
		return len(ids) == 0
	})
}

// C4: the S3 server is killed, answers 503 for ten seconds, breaks off in the middle of a body, or delivers another byte than was stored.
func TestC4Store(t *testing.T) {
	parallel(t)
	for _, c := range []struct {
		variant string
		fault   func(w *world, p *s3Proxy)
	}{
		{"server killed", func(w *world, _ *s3Proxy) {
			w.s3.Kill()
			<-time.After(time.Second)
			if err := w.s3.Start(); err != nil {
				w.t.Fatal(err)
			}
		}},
		{"503 for 10 s", func(_ *world, p *s3Proxy) {
			p.unavailable()
			<-time.After(forAWhile)
			p.heal()
		}},
		{"cut at byte k", nil},
		{"a byte changed", nil},
	} {
		t.Run(c.variant, func(t *testing.T) {
			parallel(t)
			faults := form(t, 20, 200)
			w := newWorld(t)
			proxy := newS3Proxy(t, w.s3.Endpoint)
			w.s3URL = proxy.url()
			jobs := faults * 2
			switch c.variant {
			case "cut at byte k":
				proxy.cutEvery(9)
			case "a byte changed":
				proxy.flipEvery(9)
			}
			w.originals(jobs / 2) // most is new: bodies must pass
			w.listen()
			began := time.Now()
			proxy2 := proxy.broken.Swap(nil) // a worker starts only on a store that works
			body := proxy.body.Swap(nil)
			w.ready(w.start(0))
			proxy.broken.Store(proxy2)
			proxy.body.Store(body)
			w.submit(jobs)
			if c.fault != nil {
				w.through(jobs, form(t, 1, 10), func(int) { c.fault(w, proxy) })
			}
			w.untilHeard(jobs)
			proxy.heal()
			w.stopAll()
			r := w.audit("C4", c.variant, int(proxy.faults.Load()), began)
			w.report(r)
			if r.Faults == 0 {
				t.Error("nothing was broken")
			}
		})
	}
}

// C5: workers are replaced one by one while they work: nothing is done twice.
func TestC5RollingRestart(t *testing.T) {
	parallel(t)
	jobs, restarts := form(t, 300, 3000), form(t, 5, 30)
	w := newWorld(t)
	began := w.begin(jobs)
	w.through(jobs, restarts, func(i int) {
		one := w.signal(i%workers, syscall.SIGTERM)
		select {
		case <-one.done:
		case <-time.After(settle):
			t.Fatalf("the worker does not end:\n%s", one.log)
		}
		if !one.cmd.ProcessState.Success() {
			t.Errorf("the worker ended with %v", one.cmd.ProcessState)
		}
		w.ready(w.start(i % workers))
	})
	w.stopAll()
	r := w.audit("C5", "rolling SIGTERM", restarts, began)
	w.report(r)
	if r.Repeated != 0 {
		t.Errorf("%d attempts beyond one a job, want 0", r.Repeated)
		for _, id := range r.again {
			t.Logf("what was said of %s:\n%s", id, w.saidOf(id))
		}
	}
}

// C6: a worker is stopped at the moment in which it publishes. Another does the job; when the first goes on, its publish is refused.
func TestC6StoppedWorker(t *testing.T) {
	parallel(t)
	stops := form(t, 1, 20)
	w := newWorld(t)
	w.originals(10)
	w.listen()
	began := time.Now()
	direct := w.redisURL
	proxy := newRedisProxy(t, w.redis.Addr)
	w.redisURL = proxy.url()
	refused, stopped := 0, make(chan struct{})
	resume := make(chan struct{})
	answers := make(chan string, 4)
	publish := proxy.add(&rule{
		words:  []string{":outbox", ":run:"},
		before: func([]byte) { w.signal(0, syscall.SIGSTOP); stopped <- struct{}{}; <-resume },
		reply:  func(reply []byte) bool { answers <- strings.TrimSpace(string(reply)); return false },
	}, 0)
	client, err := queue.NewClient(w.config())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	held := 18 // seconds; a worker is taken for dead after twelve, by us, and after thirty by asynq
	if long {
		held = 90
	}
	for i := range stops {
		w.redisURL = proxy.url()
		w.ready(w.start(0))
		w.send(client, pipeline.KindVoice, w.contents[pipeline.KindVoice][i%len(w.contents[pipeline.KindVoice])]) // the scripts are loaded
		w.untilHeard(2*i + 1)
		publish.left.Store(1)
		w.send(client, pipeline.KindPhoto, w.contents[pipeline.KindPhoto][i%len(w.contents[pipeline.KindPhoto])])
		<-stopped
		publish.left.Store(0)
		over := time.After(time.Duration(held) * time.Second)
		w.redisURL = direct
		w.ready(w.start(1))
		w.untilHeard(2*i + 2)
		<-over
		w.signal(0, syscall.SIGCONT)
		resume <- struct{}{}
		select {
		case answer := <-answers:
			if answer == ":-2" {
				refused++
			} else {
				t.Errorf("the stale publish was answered %q, want :-2", answer)
			}
		case <-time.After(settle):
			t.Fatal("the stale publish was never answered")
		}
		w.drainAll()
	}
	w.redisURL = direct
	w.stopAll()
	w.report(w.audit("C6", fmt.Sprintf("SIGSTOP for %d s at publish, %d of %d stale publishes refused", held, refused, stops), stops, began))
}

// C8: the scratch disk fills up, or turns read-only, under a working worker: the job waits, nothing is published, and it is done when there is
// room again.
func TestC8Disk(t *testing.T) {
	parallel(t)
	for _, c := range []struct {
		variant     string
		fill, clear func(t *testing.T, dir string)
	}{
		{"scratch full", fill, func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
				t.Fatal(err)
			}
		}},
		{
			"scratch read-only", func(t *testing.T, dir string) { run(t, "mount", "-t", "tmpfs", "-o", "ro", "ninefold-test", dir) },
			func(t *testing.T, dir string) { run(t, "umount", dir) },
		},
	} {
		t.Run(c.variant, func(t *testing.T) {
			parallel(t)
			rounds := form(t, 1, 10)
			w := newWorld(t)
			if err := os.Mkdir(w.scratch, 0o700); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64m", "ninefold-test", w.scratch).CombinedOutput(); err != nil {
				t.Skipf("a small file system cannot be mounted here: %v %s", err, out)
			}
			t.Cleanup(func() { _ = exec.Command("umount", "-l", w.scratch).Run() })
			w.originals(40) // at least ten of each kind: nothing comes twice
			w.listen()
			began := time.Now()
			one := w.start(0)
			w.ready(one)
			client, err := queue.NewClient(w.config())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			for i := range rounds {
				c.fill(t, w.scratch)
				kind := []pipeline.Kind{pipeline.KindVoice, pipeline.KindPhoto}[i%2]
				id := w.send(client, kind, w.contents[kind][i])
				w.until("the job is turned away", func() bool {
					s, err := client.Status(t.Context(), id)
					return err == nil && s.State == queue.Retrying && s.Attempt == 1
				})
				if w.heard() != i {
					t.Error("something was published from a full disk")
				}
				c.clear(t, w.scratch)
				w.untilHeard(i + 1)
			}
			w.stopAll()
			w.report(w.audit("C8", c.variant, rounds, began))
		})
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", name, err, out)
	}
}

// fill writes until nothing more fits.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); err == nil; {
		_, err = f.Write(block)
	}
	for block := make([]byte, 512); ; {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}

// A worker that is told to stop in the middle of a long video hands it back within --drain, and leaves no process and no file.
func TestDrainLeavesNothing(t *testing.T) {
	parallel(t)
	if testing.Short() {
		t.Skip("runs a worker")
	}
	w := newWorld(t)
	w.put(pipeline.KindVideo, video(t, "testsrc2=size=1920x1080:rate=30:duration=8"))
	w.listen()
	client, err := queue.NewClient(w.config())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	one := w.start(0, "--drain", "1s")
	w.ready(one)
	id := w.send(client, pipeline.KindVideo, w.contents[pipeline.KindVideo][0])
	w.until("the video is rendered", func() bool {
		s, err := client.Status(t.Context(), id)
		return err == nil && len(s.Items) > 0 && s.Items[0].Stage == "render" && len(w.processes()) > 2
	})
	told := time.Now()
	w.signal(0, syscall.SIGTERM)
	select {
	case <-one.done:
	case <-time.After(settle):
		t.Fatalf("the worker does not end:\n%s", one.log)
	}
	if took := time.Since(told); took > 15*time.Second {
		t.Errorf("ended after %v, want about a second", took)
	}
	if p, n := w.processes(), w.left(); len(p) != 0 || n != 0 {
		t.Errorf("left behind: processes %q, %d files", p, n)
	}
	if s, err := client.Status(t.Context(), id); err != nil || s.State != queue.Retrying || s.Attempt != 1 {
		t.Errorf("after the drain: %+v, %v; want it handed back, uncounted", s, err)
	}
	w.ready(w.start(0))
	w.untilHeard(1)
	w.stopAll()
	w.report(w.audit("drain", "SIGTERM during a video", 1, told))
}
