package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/cmd/ninefold/recovery"
	"github.com/ninefold/ninefold/cmd/ninefold/reprocess"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/filestore"
	"github.com/ninefold/ninefold/queue"
)

// otherBlur is a profile that differs from the default one in a single rendition of a photo.
const otherBlur = `{"photo": {"blur_out": 96}}`

// archive is a store of small messages and their originals.
type archive struct {
	scene
	store string
}

// newArchive stores messages j0 to j(n-1) of one photo each, all different.
func newArchive(t *testing.T, n int) archive {
	t.Helper()
	a := archive{scene{t.TempDir()}, t.TempDir()}
	a.write(t, "profile.json", []byte(otherBlur))
	for i := range n {
		name := fmt.Sprintf("p%d.jpg", i)
		a.write(t, name, encodeJPEG(t, quadrants(200+10*i, 160)))
		job := a.renamed(t, a.job(t, item("i1", "photo", name)), fmt.Sprintf("j%d", i))
		call(t.Context(), "process", "--job", job, "--out", a.store, "--json").want(t, exitOK)
	}
	if err := os.Remove(filepath.Join(a.store, "manifest.json")); err != nil {
		t.Fatal(err)
	}
	return a
}

// renamed gives a job file another id.
func (s scene) renamed(t *testing.T, job, id string) string {
	t.Helper()
	s.write(t, id+".json", bytes.ReplaceAll(s.read(t, filepath.Base(job)), []byte(`"j1"`), []byte(`"`+id+`"`)))
	return filepath.Join(s.dir, id+".json")
}

// again runs reprocess with another profile.
func (a archive) args(journal string, more ...string) []string {
	return append([]string{
		"reprocess", "--store", a.store, "--sources", a.dir, "--profile", filepath.Join(a.dir, "profile.json"), "--concurrency", "1",
		"--journal", filepath.Join(a.dir, journal), "--json",
	}, more...)
}

func (r result) report(t *testing.T) reprocess.Report {
	t.Helper()
	var report reprocess.Report
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		t.Fatalf("%v\n%s\n%s", err, r.stdout, r.stderr)
	}
	return report
}

// contents is the digest of every file below a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		sum := sha256.Sum256(data)
		found[path] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (a archive) current(t *testing.T, id string) pipeline.Manifest {
	t.Helper()
	store, err := filestore.Open(a.store)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	m, err := pipeline.Current(t.Context(), store, id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// entries reads the finished messages of a journal.
func (s scene) entries(t *testing.T, journal string) (found []reprocess.Entry) {
	t.Helper()
	for line := range bytes.Lines(s.read(t, journal)) {
		var e reprocess.Entry
		if json.Unmarshal(line, &e) == nil && e.JobID != "" {
			found = append(found, e)
		}
	}
	return found
}

// A dry run writes nothing and foretells what the real run does, though that one is killed in the middle, by the real signal, and goes on.
func TestReprocessKilledGoesOnAsForetold(t *testing.T) {
	scratch := setUp(t)
	const messages = 6
	a := newArchive(t, messages)
	if err := os.Remove(filepath.Join(a.dir, "p2.jpg")); err != nil { // j2 cannot be made again
		t.Fatal(err)
	}
	before := contents(t, a.store)
	foretold := call(t.Context(), a.args("dry", "--dry-run")...).want(t, exitPartial).report(t)
	if after := contents(t, a.store); !maps.Equal(before, after) {
		t.Fatal("the dry run changed the store")
	}
	leavesNothing(t, scratch)
	if !foretold.DryRun || foretold.Outcomes[pipeline.OutcomeUpdated] != messages-1 || foretold.Codes[pipeline.CodeSourceMissing] != 1 {
		t.Fatalf("foretold: %+v", foretold)
	}

	a.killInTheMiddle(t, messages)
	done := len(a.entries(t, "run"))
	r := call(t.Context(), a.args("run", "--local")...).want(t, exitPartial)
	if !strings.Contains(r.stderr, fmt.Sprintf("goes on: %d messages are done", done)) {
		t.Errorf("stderr: %s", r.stderr)
	}
	got := r.report(t)
	if !got.Complete || got.Messages != messages || got.Renditions != foretold.Renditions || !maps.Equal(got.Outcomes, foretold.Outcomes) ||
		!maps.Equal(got.Codes, foretold.Codes) || !maps.Equal(got.Verdicts, foretold.Verdicts) {
		t.Errorf("done:     %+v\nforetold: %+v", got, foretold)
	}
	a.heldOnce(t, messages, before)
	if got.Unused == nil || got.Unused.Count != got.Renditions.Dropped {
		t.Errorf("unused: %+v of %d dropped", got.Unused, got.Renditions.Dropped)
	}
	if again := call(t.Context(), a.args("again", "--local", "--kind", "photo")...).want(t, exitPartial).report(t); again.Outcomes[pipeline.OutcomeUnchanged] != messages-1 {
		t.Errorf("once more: %+v", again)
	}
}

// killInTheMiddle runs the real program and kills it once it has done some messages.
func (a archive) killInTheMiddle(t *testing.T, messages int) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, a.args("run", "--local", "--rate", "4")...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(jobWithin); ; {
		if _, err := os.Stat(filepath.Join(a.dir, "run")); err == nil && len(a.entries(t, "run")) >= 2 {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("it ended by itself: %v\n%s", err, said.String())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("no message was done")
		}
	}
	_ = cmd.Process.Kill()
	<-ended
	if n := len(a.entries(t, "run")); n >= messages {
		t.Fatalf("all %d messages were done before the kill", n)
	}
}

// heldOnce checks that every message was done once, and that nothing old is gone.
func (a archive) heldOnce(t *testing.T, messages int, before map[string]string) {
	t.Helper()
	var ids []string
	for _, e := range a.entries(t, "run") {
		ids = append(ids, e.JobID)
	}
	slices.Sort(ids)
	if want := []string{"j0", "j1", "j2", "j3", "j4", "j5"}; !slices.Equal(ids, want) {
		t.Errorf("the journal has %v, want %v", ids, want)
	}
	after := contents(t, a.store)
	revisions := 0
	for path := range after {
		if strings.Contains(path, "/revisions/") {
			revisions++
		}
	}
	if revisions != messages-1 {
		t.Errorf("%d revisions, want %d", revisions, messages-1)
	}
	for path, sum := range before {
		if after[path] != sum && !strings.Contains(path, "/records/") {
			t.Errorf("%s was changed or removed", path)
		}
	}
	for i := range messages {
		m := a.current(t, fmt.Sprintf("j%d", i))
		for _, r := range m.Parts[0].Renditions {
			if after[filepath.Join(a.store, r.Key)] != r.SHA256 {
				t.Errorf("%s: %s is not in the store", m.JobID, r.Name)
			}
		}
		if kept := m.Number() == 1; kept != (i == 2) || m.Status != pipeline.StatusReady {
			t.Errorf("%s: manifest %d, %s", m.JobID, m.Number(), m.Status)
		}
	}
}

func TestReprocessOnTheBulkQueue(t *testing.T) {
	d := deploy(t)
	s := newScene(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*jobWithin)
	defer cancel()
	events := d.events(t)
	stop := d.work(t)
	for i, name := range []string{"a.jpg", "b.jpg"} {
		s.write(t, name, encodeJPEG(t, quadrants(240+20*i, 180)))
		if err := uploadFile(ctx, d.uploads, name, filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
		job := s.renamed(t, s.job(t, item("i1", "photo", name)), fmt.Sprintf("j-%d", i))
		call(ctx, "submit", job, "--wait", "--json").want(t, exitOK)
	}
	stop()
	media := listed(t, d.parts, "media/")
	t.Setenv("NINEFOLD_MODEL", "nsfwjs-mobilenet-v2-mid")
	stop = d.work(t)
	journal := filepath.Join(t.TempDir(), "journal")
	args := []string{"reprocess", "--only", "moderation", "--scored-by", "nsfwjs-mobilenet-v2", "--journal", journal, "--json"}
	r := call(ctx, args...).want(t, exitOK).report(t)
	if r.Messages != 2 || r.Outcomes[pipeline.OutcomeUpdated] != 2 || r.Renditions.Added+r.Renditions.Dropped != 0 {
		t.Errorf("%+v", r)
	}
	for i := range 2 {
		m, err := pipeline.Current(ctx, d.parts, fmt.Sprintf("j-%d", i))
		if err != nil || m.Number() != 2 || m.Parts[0].Moderation.Model.ID != "nsfwjs-mobilenet-v2-mid" {
			t.Errorf("%v, %+v", err, m)
		}
		if err := fitsSchema(mustJSON(t, m)); err != nil {
			t.Error(err)
		}
	}
	if after := listed(t, d.parts, "media/"); !slices.Equal(media, after) {
		t.Errorf("renditions %v, were %v", after, media)
	}
	waitFor(t, "two updates", func() bool { return len(events()) >= 4 })
	again := call(ctx, append(args[:3:3], "--journal", journal+"2", "--json")...).want(t, exitOK).report(t)
	if again.Outcomes[pipeline.OutcomeUnchanged] != 2 {
		t.Errorf("once more: %+v", again)
	}
	stop()
	d.oneEventEach(t, events())
}

// oneEventEach: one event of the first manifest and one of the second, of each job.
func (d deployment) oneEventEach(t *testing.T, events []queue.Event) {
	t.Helper()
	seen := map[string]int{}
	for _, e := range events {
		seen[e.Type+" "+e.ID]++
	}
	want := map[string]int{
		queue.EventType + " parts:j-0": 1, queue.EventType + " parts:j-1": 1,
		queue.UpdateType + " parts:j-0~r2": 1, queue.UpdateType + " parts:j-1~r2": 1,
	}
	if !maps.Equal(seen, want) {
		t.Errorf("events %v, want %v", seen, want)
	}
}

func listed(t *testing.T, s pipeline.Store, prefix string) (keys []string) {
	t.Helper()
	err := s.List(t.Context(), prefix, func(o pipeline.Object) error {
		keys = append(keys, fmt.Sprintf("%s %d %s", o.Key, o.Size, o.Modified))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestReprocessUsage(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"bad time":         {[]string{"--since", "yesterday"}, "2026-01-31"},
		"bad kind":         {[]string{"--kind", "film"}, "voice"},
		"bad scope":        {[]string{"--only", "renditions"}, "moderation"},
		"no list":          {[]string{"--ids", "/nowhere"}, "/nowhere"},
		"announce, queue":  {[]string{"--announce"}, "--local"},
		"announce, dry":    {[]string{"--announce", "--local", "--dry-run"}, "--dry-run"},
		"no such endpoint": {[]string{"--store", "s3://"}, "s3://BUCKET"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"reprocess", "--store", t.TempDir(), "--journal", filepath.Join(t.TempDir(), "j")}, tt.args...)
			if r := call(t.Context(), args...).want(t, exitUsage); !strings.Contains(r.stderr, tt.says) {
				t.Errorf("stderr %q, want %q in it", r.stderr, tt.says)
			}
		})
	}
	if r := call(t.Context(), "reprocess", "--help").want(t, exitOK); !strings.Contains(r.stdout, "goes on where it stopped") || !strings.Contains(r.stdout, "Which messages:") {
		t.Errorf("help:\n%s", r.stdout)
	}
}

func TestBulkLinesTellTheTimeLeft(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	lines := &bulkLines{w: io.Writer(&out), now: func() time.Time { return now }}
	look := reprocess.Look{Total: 100, Seen: 40}
	lines.look(look)
	for range 20 {
		now = now.Add(time.Second)
		look.Seen++
		look.Entry = reprocess.Entry{JobID: "j", Outcome: pipeline.OutcomeUpdated}
		lines.look(look)
	}
	if got, want := out.String(), "looked at 41 of 100 messages, about 59s left\nlooked at 51 of 100 messages, about 49s left\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A store that is not there, or has nothing, or nothing that is meant, is said, and nothing is left behind.
func TestReprocessOfNothing(t *testing.T) {
	setUp(t)
	dir := t.TempDir()
	t.Chdir(dir)
	absent := filepath.Join(dir, "absent")
	for _, command := range []string{"reprocess", "recover"} {
		if r := call(t.Context(), command, "--store", absent).want(t, exitUsage); !strings.Contains(r.stderr, "--store") {
			t.Errorf("%s: %s", command, r.stderr)
		}
	}
	if _, err := os.Stat(absent); err == nil {
		t.Error("the wrong directory was made")
	}
	empty := t.TempDir()
	r := call(t.Context(), "reprocess", "--local", "--store", empty, "--prefix", "m_").want(t, exitOK)
	if !strings.Contains(r.stdout, `nothing was found: no message is stored in `+empty+` under the prefix "m_"`) {
		t.Errorf("empty: %s", r.stdout)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What was rejected stays so, and the report says how many and what to do; a dry run leaves no journal.
func TestReprocessLeavesRejected(t *testing.T) {
	setUp(t)
	a := newArchive(t, 1)
	bad := a.renamed(t, a.job(t, item("i1", "photo", "p0.jpg")+","+item("i2", "photo", "profile.json")), "half")
	call(t.Context(), "process", "--job", bad, "--out", a.store, "--json").want(t, exitPartial)
	work := t.TempDir()
	t.Chdir(work)
	args := []string{"reprocess", "--store", a.store, "--sources", a.dir, "--dry-run"}
	r := call(t.Context(), args...).want(t, exitOK)
	if !strings.Contains(r.stdout, "left rejected") || !strings.Contains(r.stdout, "1; do them again with --rejected") ||
		!strings.Contains(r.stdout, "2 of 2 looked at") || strings.Contains(r.stderr, "journal") {
		t.Errorf("%s\n%s", r.stdout, r.stderr)
	}
	if left, err := os.ReadDir(work); err != nil || len(left) != 0 {
		t.Errorf("the dry run left %v, %v", left, err)
	}
	if report := call(t.Context(), append(args, "--rejected", "--json")...).want(t, exitOK).report(t); report.Rejected != 0 || report.LookedAt != 2 {
		t.Errorf("with --rejected: %+v", report)
	}
	r = call(t.Context(), append(args, "--kind", "voice")...).want(t, exitOK)
	if !strings.Contains(r.stdout, "nothing was selected: 2 messages were looked at") {
		t.Errorf("of no kind: %s", r.stdout)
	}
}

// What a store holds and Redis does not know is announced, once; a bucket that is not there is an error with advice.
func TestRecover(t *testing.T) {
	d := deploy(t)
	a := newArchive(t, 2)
	foretold := call(t.Context(), "recover", "--store", a.store, "--dry-run").want(t, exitOK)
	if !strings.Contains(foretold.stdout, "to be announced now") {
		t.Errorf("%s", foretold.stdout)
	}
	for _, want := range []recovery.Report{{Messages: 2, Announced: 2}, {Messages: 2, Told: 2}} {
		var got recovery.Report
		r := call(t.Context(), "recover", "--store", a.store, "--json").want(t, exitOK)
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Messages != want.Messages || got.Announced != want.Announced || got.Told != want.Told {
			t.Errorf("%v: %s, want %+v", err, r.stdout, want)
		}
	}
	if r := call(t.Context(), "recover").want(t, exitOK); !strings.Contains(r.stdout, "nothing was found") {
		t.Errorf("empty bucket: %s", r.stdout)
	}
	for _, command := range []string{"recover", "reprocess"} {
		r := call(t.Context(), command, "--store", "s3://missing").want(t, exitTrouble)
		if !strings.Contains(r.stderr, `bucket "missing"`) || !strings.Contains(r.stderr, "--store") {
			t.Errorf("%s: %s", command, r.stderr)
		}
	}
	if n := len(listed(t, d.parts, "")); n != 0 {
		t.Errorf("%d objects were left in the bucket", n)
	}
}
