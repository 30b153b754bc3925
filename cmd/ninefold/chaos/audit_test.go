package chaos

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	NotReady     int     `json:"not_ready"`      // jobs whose manifest is not ready: a fault must not reject a good file
	Doubled      int     `json:"doubled"`        // events put into the outbox beyond one a job
	Redelivered  int     `json:"redelivered"`    // deliveries of an event that the listener had had: its own acknowledgement was lost
	Repeated     int     `json:"repeated"`       // attempts beyond one a job
	Wrong        int     `json:"wrong"`          // renditions that are not there, or are not what their manifest says
	Renditions   int     `json:"renditions"`     // looked at
	Leases       int     `json:"leases"`         // tasks left active, leased, waiting or put aside
	Outbox       int     `json:"outbox"`         // events left in the outbox
	Orphans      int     `json:"orphans"`        // processes left
	Scratch      int     `json:"scratch"`        // files left
	RecoveryP99S float64 `json:"recovery_p99_s"` // from a kill to the events of the jobs it hit
	Seconds      float64 `json:"seconds"`
}

// audit looks at everything after the workers have ended.
func (w *world) audit(campaign, variant string, faults int, began time.Time) row {
	w.t.Helper()
	r := row{Campaign: campaign, Variant: variant, Jobs: len(w.jobs), Faults: faults}
	w.auditQueue(&r)
	w.auditJobs(&r)
	r.Orphans, r.Scratch = len(w.processes()), w.left()
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
		for _, id := range w.jobs {
			if n, err := w.rdb.HGet(ctx, "ninefold:{"+string(class)+"}:run:"+id, "fence").Int(); err == nil {
				r.Repeated += n - 1
			}
		}
	}
	r.Doubled = max(0, added-len(w.jobs))
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
		if m.Status != pipeline.StatusReady {
			r.NotReady++
			w.t.Logf("not ready %s: %+v", id, m.Error)
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
		"jobs lost": r.Lost, "jobs not ready": r.NotReady, "events doubled": r.Doubled, "renditions wrong": r.Wrong, "leases left": r.Leases,
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
