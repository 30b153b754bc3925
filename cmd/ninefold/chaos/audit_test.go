package chaos

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// row is one line of a campaign's result: what was done to a deployment, and what the audit found.
type row struct {
	Campaign     string  `json:"campaign"`
	Variant      string  `json:"variant,omitempty"`
	Jobs         int     `json:"jobs"`
	Faults       int     `json:"faults"`
	Lost         int     `json:"lost"`           // jobs without a manifest or without an event
	Surplus      int     `json:"surplus"`        // manifests and revisions of no job, events of no job
	Differs      int     `json:"differs"`        // events whose manifest is not the one that the store holds
	NotReady     int     `json:"not_ready"`      // jobs whose manifest is not ready: a fault must not reject a good file
	Doubled      int     `json:"doubled"`        // events put into the outbox beyond one a job
	Redelivered  int     `json:"redelivered"`    // deliveries of an event that the listener had had: its own acknowledgement was lost
	Repeated     int     `json:"repeated"`       // attempts beyond one a job
	Wrong        int     `json:"wrong"`          // renditions that are not there, or are not what their manifest says
	Renditions   int     `json:"renditions"`     // looked at
	Leases       int     `json:"leases"`         // tasks left active, leased, waiting or put aside
	Outbox       int     `json:"outbox"`         // events left in the outbox, or read from it and never acknowledged
	Orphans      int     `json:"orphans"`        // processes left
	Scratch      int     `json:"scratch"`        // files left
	RecoveryP99S float64 `json:"recovery_p99_s"` // from a kill to the events of the jobs it hit
	Seconds      float64 `json:"seconds"`

	again []string // the jobs that were attempted more than once
}

// audit looks at everything after the workers have ended.
func (w *world) audit(campaign, variant string, faults int, began time.Time) row {
	w.t.Helper()
	r := row{Campaign: campaign, Variant: variant, Jobs: len(w.jobs), Faults: faults}
	w.auditQueue(&r)
	w.auditEvents(&r)
	w.auditJobs(&r)
	w.auditStore(&r)
	r.Orphans, r.Scratch = len(w.orphans()), w.left()
	r.Seconds = time.Since(began).Round(100 * time.Millisecond).Seconds()
	return r
}

func (w *world) auditQueue(r *row) {
	w.t.Helper()
	ctx := w.t.Context()
	added := 0
	for _, class := range queue.Classes() {
		q := "asynq:{" + string(class) + "}:"
		for _, list := range []string{"active", "pending"} {
			r.Leases += int(w.rdb.LLen(ctx, q+list).Val())
		}
		for _, set := range []string{"lease", "retry", "archived"} {
			r.Leases += int(w.rdb.ZCard(ctx, q+set).Val())
		}
		outbox := "ninefold:{" + string(class) + "}:outbox"
		if info, err := w.rdb.XInfoStream(ctx, outbox).Result(); err == nil {
			added += int(info.EntriesAdded)
			r.Outbox += int(info.Length)
		}
		if pending, err := w.rdb.XPending(ctx, outbox, "announcers").Result(); err == nil {
			r.Outbox += int(pending.Count)
		}
		for _, id := range w.jobs {
			if n, err := w.rdb.HGet(ctx, "ninefold:{"+string(class)+"}:run:"+id, "fence").Int(); err == nil {
				r.Repeated += n - 1
				if n > 1 {
					r.again = append(r.again, id)
				}
			}
		}
	}
	r.Doubled = max(0, added-len(w.jobs))
}

// auditEvents looks at the tasks on the parts queue, where every job has exactly one, by its id, and nothing else is.
func (w *world) auditEvents(r *row) {
	w.t.Helper()
	ctx := w.t.Context()
	want := map[string]bool{}
	for _, id := range w.jobs {
		want[queue.EventID(id)] = true
	}
	const tasks = "asynq:{" + queue.EventQueue + "}:t:"
	found := w.rdb.Scan(ctx, 0, tasks+"*", 1000).Iterator()
	for found.Next(ctx) {
		if id := strings.TrimPrefix(found.Val(), tasks); !want[id] {
			r.Surplus++
			w.t.Logf("surplus event %s", id)
		}
		delete(want, strings.TrimPrefix(found.Val(), tasks))
	}
	if err := found.Err(); err != nil {
		w.t.Error(err)
	}
	for id := range want { // it may have been heard of: the queue has lost it
		w.t.Logf("no task is kept of event %s", id)
	}
}

// auditStore counts what the store holds beyond one manifest a job.
func (w *world) auditStore(r *row) {
	w.t.Helper()
	want := map[string]bool{}
	for _, id := range w.jobs {
		want[pipeline.ManifestKey(id)] = true
	}
	for _, prefix := range []string{"manifests/", "revisions/"} {
		err := w.parts.List(w.t.Context(), prefix, func(o pipeline.Object) error {
			if !want[o.Key] {
				r.Surplus++
				w.t.Logf("surplus manifest %s", o.Key)
			}
			return nil
		})
		if err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) auditJobs(r *row) {
	w.t.Helper()
	seen := map[string]error{}
	for _, id := range w.jobs {
		arrivals := len(w.events[id])
		m, err := w.manifest(id)
		if err != nil || arrivals == 0 {
			r.Lost++
			w.t.Logf("lost %s: %d events, manifest: %v", id, arrivals, err)
			continue
		}
		r.Redelivered += arrivals - 1
		if digest, err := digestOf(m); err != nil || len(w.digests[id]) != 1 || !w.digests[id][digest] {
			r.Differs++
			w.t.Logf("%s: %d different manifests were delivered, the store's among them: %v, %v", id, len(w.digests[id]), w.digests[id][digest], err)
		}
		if m.Status != pipeline.StatusReady {
			r.NotReady++
			w.t.Logf("not ready %s: %s", id, whyNot(m))
		}
		for _, p := range m.Parts {
			for _, rend := range p.Renditions {
				if _, ok := seen[rend.Key]; !ok {
					seen[rend.Key] = w.check(rend)
				}
			}
		}
	}
	for key, err := range seen {
		if r.Renditions++; err != nil {
			r.Wrong++
			w.t.Logf("wrong %s: %v", key, err)
		}
	}
}

func (w *world) manifest(id string) (m pipeline.Manifest, err error) {
	data, err := readAll(w.t.Context(), w.parts, pipeline.ManifestKey(id))
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, errors.Join(err, m.Validate())
}

func (w *world) check(rend pipeline.Rendition) error {
	data, err := readAll(context.Background(), w.parts, rend.Key)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != rend.SHA256 || int64(len(data)) != rend.Size {
		return fmt.Errorf("%d bytes with another digest, the manifest says %d", len(data), rend.Size)
	}
	return nil
}

// whyNot says what is wrong with a message and its parts.
func whyNot(m pipeline.Manifest) string {
	var why []string
	for _, f := range append([]*pipeline.Failure{m.Error}, failures(m.Parts)...) {
		if f != nil {
			why = append(why, fmt.Sprintf("%s (%s)", f.Code, f.Message))
		}
	}
	return strings.Join(why, ", ")
}

func failures(parts []pipeline.Part) (all []*pipeline.Failure) {
	for _, p := range parts {
		all = append(all, p.Error)
	}
	return all
}

// digestOf tells manifests apart.
func digestOf(m pipeline.Manifest) (string, error) {
	data, err := json.Marshal(m)
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), err
}

// orphans are the processes that are left when the workers have ended: those of this world's own, and whatever the kernel has given to this
// process because its parent is gone (see TestMain). One that is just dying is given a moment.
func (w *world) orphans() (found []string) {
	for deadline := time.Now().Add(orphansWithin); ; <-time.After(50 * time.Millisecond) {
		found = append(w.processes(), adopted()...)
		if len(found) == 0 || time.Now().After(deadline) {
			break
		}
	}
	for _, p := range found {
		w.t.Logf("orphan: %s", p)
	}
	return found
}

// orphansWithin is far beyond what a killed process takes to go.
const orphansWithin = 5 * time.Second

// adopted are children of this process that it did not start as such: engines and what they run, each engine in a process group of its own.
// What makes the clip of another campaign is in this process's.
func adopted() (found []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		stat, _ := os.ReadFile(dir + "/stat")
		name, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 3 || fields[0] == "Z" || fields[1] != strconv.Itoa(os.Getpid()) || fields[2] == strconv.Itoa(syscall.Getpgrp()) {
			continue
		}
		_, name, _ = strings.Cut(name, "(")
		for _, ours := range []string{"ninefold-engine", "ninefold-voice", "ffmpeg", "ffprobe"} {
			if strings.HasPrefix(name, ours) {
				found = append(found, filepath.Base(dir)+" "+name)
			}
		}
	}
	return found
}

// processes are those that run a program of this world, in its scratch, or with a path of it on their command line.
func (w *world) processes() (found []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if pid, _ := strconv.Atoi(filepath.Base(dir)); pid == os.Getpid() {
			continue
		}
		exe, _ := os.Readlink(dir + "/exe")
		cwd, _ := os.Readlink(dir + "/cwd")
		line, _ := os.ReadFile(dir + "/cmdline")
		if strings.HasPrefix(exe, w.dir) || strings.HasPrefix(cwd, w.scratch) || strings.Contains(string(line), w.scratch) {
			found = append(found, filepath.Base(dir)+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// left is how many files and directories lie in the scratch directory.
func (w *world) left() (n int) {
	_ = filepath.WalkDir(w.scratch, func(path string, _ os.DirEntry, err error) error {
		if err == nil && path != w.scratch {
			n++
		}
		return nil
	})
	return n
}

// report prints the row and fails the test where something does not hold.
func (w *world) report(r row) {
	w.t.Helper()
	line, err := json.Marshal(r)
	if err != nil {
		w.t.Fatal(err)
	}
	fmt.Println(string(line))
	for what, n := range map[string]int{
		"jobs lost": r.Lost, "manifests and events of no job": r.Surplus, "events unlike the stored manifest": r.Differs, "jobs not ready": r.NotReady, "events doubled": r.Doubled, "renditions wrong": r.Wrong, "leases left": r.Leases,
		"events left in the outbox": r.Outbox, "orphan processes": r.Orphans, "scratch files left": r.Scratch,
	} {
		if n != 0 {
			w.t.Errorf("%s: %d, want 0", what, n)
		}
	}
}

// hit notes which jobs are in work, and when.
func (w *world) hit() (ids []string, at time.Time) {
	for _, class := range queue.Classes() {
		ids = append(ids, w.rdb.LRange(w.t.Context(), "asynq:{"+string(class)+"}:active", 0, -1).Val()...)
	}
	return ids, time.Now()
}

// recovery is the 99th percentile of the seconds from a kill to the event of a job that the kill had made run again.
func (w *world) recovery(kills map[string]time.Time) float64 {
	var took []float64
	for id, at := range kills {
		for _, class := range queue.Classes() {
			n, err := w.rdb.HGet(w.t.Context(), "ninefold:{"+string(class)+"}:run:"+id, "fence").Int()
			if err == nil && n > 1 && len(w.events[id]) > 0 {
				took = append(took, w.events[id][0].Sub(at).Seconds())
			}
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return float64(int(took[len(took)*99/100]*10)) / 10
}

// The audit sees what a killed parent leaves behind: a process whose parent is gone is this one's.
func TestAuditSeesOrphans(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.Symlink(sleep, name); err != nil {
		t.Fatal(err)
	}
	shell := exec.Command("sh", "-c", `"$0" 600 >/dev/null 2>&1 & echo $!`, name)
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := shell.Output() // the shell ends and leaves it
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	if found := fmt.Sprint(adopted()); !strings.Contains(found, fmt.Sprint(pid)) {
		t.Errorf("process %d is not among the adopted: %s", pid, found)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
		t.Error(err)
	}
}
