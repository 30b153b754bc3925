package reprocess

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/filestore"
	"github.com/ninefold/ninefold/pipeline/memstore"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/pipeline/s3store"
)

var day = time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)

// stored is a manifest of one part.
func stored(id string, change func(*pipeline.Manifest)) pipeline.Manifest {
	m := pipeline.Manifest{
		Schema: pipeline.ManifestSchema, JobID: id, MessageID: "m", Status: pipeline.StatusReady, CreatedAt: day, FinishedAt: day,
		Pipeline: pipeline.Version{Version: "1.0"},
		Parts: []pipeline.Part{{
			ItemID: "i", Kind: pipeline.KindPhoto, Status: pipeline.StatusReady,
			Moderation: &pipeline.Facts{Status: pipeline.Scored, Model: &pipeline.ModelRef{ID: "old", SHA256: "11"}},
			Renditions: []pipeline.Rendition{{Name: "display", Class: pipeline.ClassFull, Key: "media/" + strings.ReplaceAll(id, ":", "-"), Size: 1, SHA256: strings.Repeat("0", 64), Default: true}},
		}},
	}
	if change != nil {
		change(&m)
	}
	return m
}

// judged gives m's part facts by that judge of one rendition.
func judged(m *pipeline.Manifest, judge, sum string) {
	f := m.Parts[0].Moderation
	f.Scores, f.Level, f.Coverage = &pipeline.Scores{}, pipeline.LevelClear, 1
	f.Evidence = &pipeline.Evidence{Renditions: []string{sum}, Judge: judge, Frames: 1, Scored: 1}
	f.Model = &pipeline.ModelRef{ID: "judged", SHA256: "33"}
}

func put(t testing.TB, s pipeline.Store, key string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	if err := s.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)), pipeline.PutOptions{SHA256: hex.EncodeToString(sum[:])}); err != nil {
		t.Fatal(err)
	}
}

// fill stores n messages j0000 and on.
func fill(t testing.TB, s pipeline.Store, n int) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("j%04d", i)
		put(t, s, pipeline.ManifestKey(id), stored(id, nil))
	}
}

// counter counts what is done again.
type counter struct {
	mu    sync.Mutex
	times map[string]int
	order []string
}

func (c *counter) redo(_ context.Context, o pipeline.RedoOrder) (pipeline.Redone, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times == nil {
		c.times = map[string]int{}
	}
	c.times[o.JobID]++
	c.order = append(c.order, o.JobID)
	return pipeline.Redone{Outcome: pipeline.OutcomeUpdated, Number: 2}, nil
}

func journal(t testing.TB, path string, s Selection) *Journal {
	t.Helper()
	j, err := OpenJournal(path, Header{Schema: JournalSchema, Run: "run-" + filepath.Base(t.TempDir()), Selection: s}, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func config(store pipeline.Store, j *Journal, redo func(context.Context, pipeline.RedoOrder) (pipeline.Redone, error)) Config {
	return Config{Store: store, Journal: j, Redo: redo, Concurrency: 3, Now: time.Now}
}

func TestSelection(t *testing.T) {
	store := memstore.New()
	for _, m := range []pipeline.Manifest{
		stored("a1", nil),
		stored("a2", func(m *pipeline.Manifest) {
			m.Parts[0].Kind, m.Parts[0].Moderation = pipeline.KindVoice, &pipeline.Facts{Status: pipeline.Skipped}
		}),
		stored("b1", func(m *pipeline.Manifest) { m.CreatedAt = day.AddDate(0, 0, 1) }),
		stored("b2", func(m *pipeline.Manifest) { m.Pipeline.Version = "2.0" }),
		stored("c1", func(m *pipeline.Manifest) { m.Parts[0].Moderation.Model = &pipeline.ModelRef{ID: "new", SHA256: "22"} }),
		stored("c2", func(m *pipeline.Manifest) { m.Parts[0].Moderation = &pipeline.Facts{Status: pipeline.Unavailable} }),
		stored("d1", func(m *pipeline.Manifest) { judged(m, "0", strings.Repeat("0", 64)) }),
		stored("d2", func(m *pipeline.Manifest) { judged(m, pipeline.JudgeVersion, strings.Repeat("1", 64)) }),
		stored("d3", func(m *pipeline.Manifest) { judged(m, pipeline.JudgeVersion, strings.Repeat("0", 64)) }),
		stored("c:3", nil), // the original: what counts is the manifest in force, below
	} {
		put(t, store, pipeline.ManifestKey(m.JobID), m)
	}
	put(t, store, pipeline.RevisionKey("c:3", 2), stored("c:3", func(m *pipeline.Manifest) {
		m.Pipeline.Version, m.Revision = "3.0", &pipeline.Revision{Number: 2, Run: "r"}
	}))
	put(t, store, "jobs/a1.json", "not a manifest")
	list := "c2\n# a comment\n\na1\nabsent\n"
	next := day.AddDate(0, 0, 1)
	for _, tt := range []struct {
		name string
		s    Selection
		ids  string
		want string
	}{
		{"everything", Selection{}, "", "a1 a2 b1 b2 c1 c2 c:3 d1 d2 d3"},
		{"an older judge, and other files", Selection{Outdated: true}, "", "d1 d2"},
		{"prefix", Selection{Prefix: "b"}, "", "b1 b2"},
		{"prefix with a colon", Selection{Prefix: "c:"}, "", "c:3"},
		{"no such prefix", Selection{Prefix: "zz"}, "", ""},
		{"since", Selection{Since: &next}, "", "b1"},
		{"until", Selection{Until: &next}, "", "a1 a2 b2 c1 c2 c:3 d1 d2 d3"},
		{"since is inclusive, until is not", Selection{Since: &day, Until: &day}, "", ""},
		{"kind", Selection{Kinds: []pipeline.Kind{pipeline.KindVoice}}, "", "a2"},
		{"two kinds", Selection{Kinds: []pipeline.Kind{pipeline.KindVoice, pipeline.KindPhoto}}, "", "a1 a2 b1 b2 c1 c2 c:3 d1 d2 d3"},
		{"version", Selection{Versions: []string{"2.0"}}, "", "b2"},
		{"version of the manifest in force", Selection{Versions: []string{"3.0"}}, "", "c:3"},
		{"model by id", Selection{Models: []string{"new"}}, "", "c1"},
		{"model by digest", Selection{Models: []string{"22"}}, "", "c1"},
		{"no model, voice not among them", Selection{Models: []string{"none"}}, "", "c2"},
		{"all must hold", Selection{Prefix: "a", Kinds: []pipeline.Kind{pipeline.KindPhoto}}, "", "a1"},
		{"ids, in their order", Selection{}, list, "c2 a1 absent"},
		{"ids and prefix", Selection{Prefix: "a"}, list, "a1 absent"},
		{"ids and model", Selection{Models: []string{"old"}}, list, "a1 absent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c counter
			cfg := config(store, journal(t, filepath.Join(t.TempDir(), "j"), tt.s), c.redo)
			cfg.Concurrency = 1
			if tt.ids != "" {
				ids, digest, err := NewIDList(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(tt.ids)), nil })
				if err != nil || len(digest) != 64 {
					t.Fatal(digest, err)
				}
				cfg.IDs = &ids
			}
			if err := Run(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(c.order, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if _, _, err := NewIDList(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("a\n../b\n")), nil }); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a bad id: %v", err)
	}
}

// Interrupted again and again, each time with a torn last line, the run does every message, and none that is in the journal twice.
func TestInterruptedRunGoesOn(t *testing.T) {
	store, path := memstore.New(), filepath.Join(t.TempDir(), "j")
	fill(t, store, 200)
	var c counter
	runs := 0
	for finished := false; !finished; runs++ {
		ctx, stop := context.WithCancel(t.Context())
		j := journal(t, path, Selection{})
		cfg := config(store, j, c.redo)
		begun := j.Done()
		cfg.Look = func(l Look) {
			if l.Done >= begun+23 {
				stop()
			}
		}
		err := Run(ctx, cfg)
		if finished = err == nil; !finished && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		stop()
		_ = j.Close()
		if !finished {
			tear(t, path)
		}
	}
	if len(c.times) != 200 || runs < 5 {
		t.Errorf("%d messages in %d runs", len(c.times), runs)
	}
	done := linesOf(t, path)
	if len(done) != 200 {
		t.Errorf("the journal has %d messages", len(done))
	}
	for id, n := range done {
		if n != 1 {
			t.Errorf("%s stands %d times in the journal", id, n)
		}
	}
	for id, n := range c.times { // done, and interrupted before it was written down: Redo finds that out
		if n > runs {
			t.Errorf("%s was done %d times", id, n)
		}
	}
}

func tear(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(`{"position":"manifests/j01`); err != nil {
		t.Fatal(err)
	}
}

func linesOf(t *testing.T, path string) map[string]int {
	t.Helper()
	j := journalAt(t, path)
	lines := map[string]int{}
	if err := j.each(func(e Entry) error {
		lines[e.JobID]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return lines
}

// journalAt reads a journal without taking it.
func journalAt(t *testing.T, path string) *Journal {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &Journal{file: f}
}

// A manifest that cannot be read costs its own message.
func TestDamagedManifest(t *testing.T) {
	store := memstore.New()
	fill(t, store, 3)
	put(t, store, pipeline.ManifestKey("j0001"), "damaged")
	var c counter
	j := journal(t, filepath.Join(t.TempDir(), "j"), Selection{Versions: []string{"1.0"}})
	if err := Run(t.Context(), config(store, j, c.redo)); err != nil {
		t.Fatal(err)
	}
	r, err := NewReport(j, 0)
	if err != nil || len(c.times) != 2 || r.Outcomes[OutcomeFailed] != 1 || r.Problems[0].JobID != "j0001" {
		t.Errorf("%v, %+v, %v", err, r, c.times)
	}
}

// A message that ends late holds the floor back: those after it are remembered one by one until it does.
func TestFloorWaitsForTheSlowest(t *testing.T) {
	store, path := memstore.New(), filepath.Join(t.TempDir(), "j")
	fill(t, store, 60)
	var c counter
	late := make(chan struct{})
	j := journal(t, path, Selection{})
	cfg := config(store, j, func(ctx context.Context, o pipeline.RedoOrder) (pipeline.Redone, error) {
		if o.JobID == "j0000" {
			<-late
		}
		return c.redo(ctx, o)
	})
	cfg.Look = func(l Look) {
		if l.Done == 59 {
			if floor := j.floor; floor != "" {
				t.Errorf("the floor is at %q while the first message is in work", floor)
			}
			close(late)
		}
	}
	if err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if len(c.times) != 60 {
		t.Errorf("%d messages", len(c.times))
	}
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	h := Header{Schema: JournalSchema, Run: "one", Selection: Selection{Prefix: "a"}}
	j, err := OpenJournal(path, h, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(path, h, true); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second process: %v", err)
	}
	_ = j.Close()
	other := h
	other.Run, other.Selection.Prefix = "two", "b"
	if _, err := OpenJournal(path, other, true); err == nil || !strings.Contains(err.Error(), "--journal") {
		t.Errorf("another selection: %v", err)
	}
	h.Run = "three"
	if j, err = OpenJournal(path, h, true); err != nil || j.Header.Run != "one" {
		t.Fatalf("the same selection: %v, %+v", err, j)
	}
	if err := j.finish(day); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	if j, err = OpenJournal(path, h, true); err != nil || j.Header.Run != "three" {
		t.Fatalf("after the end: %v, %+v", err, j)
	}
	_ = j.Close()
	if _, err := os.Stat(path + ".one"); err != nil {
		t.Errorf("the ended run's journal: %v", err)
	}
	h.Run = "four"
	if j, err = OpenJournal(path, h, false); err != nil || j.Header.Run != "four" {
		t.Fatalf("begun anew: %v, %+v", err, j)
	}
	_ = j.Close()
	if err := os.WriteFile(path, []byte("{\"schema\":\"else\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(path, h, true); err == nil {
		t.Error("a file that is no journal is taken")
	}
	if text, _ := os.ReadFile(path); !strings.Contains(string(text), "else") {
		t.Error("a file that is no journal was changed")
	}
}

// An error of one message is its outcome; the store's is the run's.
func TestErrors(t *testing.T) {
	store := memstore.New()
	fill(t, store, 3)
	j := journal(t, filepath.Join(t.TempDir(), "j"), Selection{})
	err := Run(t.Context(), config(store, j, func(_ context.Context, o pipeline.RedoOrder) (pipeline.Redone, error) {
		switch o.JobID {
		case "j0000":
			return pipeline.Redone{}, pipeline.Trouble(pipeline.CodeClassifierUnavailable, "x", errors.New("away"))
		case "j0001":
			return pipeline.Redone{}, pipeline.ErrNotExist
		}
		return pipeline.Redone{Outcome: pipeline.OutcomeKept, Code: pipeline.CodeSourceMissing}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReport(j, 0)
	if err != nil || !r.Complete || r.Whole() || r.Messages != 3 || len(r.Problems) != 3 {
		t.Errorf("%v, %+v", err, r)
	}
	if r.Outcomes[OutcomeFailed] != 1 || r.Outcomes[pipeline.OutcomeSkipped] != 1 || r.Outcomes[pipeline.OutcomeKept] != 1 || r.Codes[pipeline.CodeSourceMissing] != 1 {
		t.Errorf("%+v", r)
	}
}

func TestReportAndUnused(t *testing.T) {
	store := memstore.New()
	fill(t, store, 3) // each names media/ID
	j := journal(t, filepath.Join(t.TempDir(), "j"), Selection{})
	err := Run(t.Context(), config(store, j, func(_ context.Context, o pipeline.RedoOrder) (pipeline.Redone, error) {
		return pipeline.Redone{Outcome: pipeline.OutcomeUpdated, Number: 2, Change: pipeline.Change{
			Added: []string{"media/new"}, BytesAdded: 10, Dropped: []string{"media/" + o.JobID, "media/gone-" + o.JobID}, BytesDropped: 7,
			Verdicts:  []pipeline.VerdictChange{{ItemID: "i", From: pipeline.LevelClear, To: pipeline.LevelExplicit}},
			Decisions: []pipeline.DecisionChange{{RecipientID: "r", ItemID: "i", From: pipeline.Deliver, To: pipeline.Blur}, {RecipientID: "s", ItemID: "i", From: pipeline.Withhold, To: pipeline.Deliver}},
		}}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReport(j, 0)
	if err != nil || !r.Whole() || r.Renditions.Added != 3 || r.Renditions.BytesAdded != 30 || r.Renditions.Dropped != 6 || r.Renditions.BytesDropped != 21 ||
		r.Verdicts["clear -> explicit"] != 3 || r.Decisions["deliver -> blur"] != 3 || r.Stricter != 3 || r.Milder != 3 {
		t.Errorf("%v, %+v", err, r)
	}
	u, err := FindUnused(t.Context(), store, j)
	if want := []string{"media/gone-j0000", "media/gone-j0001", "media/gone-j0002"}; err != nil || u.Count != 3 || !slices.Equal(u.Keys, want) {
		t.Errorf("%v, %+v, want %v: what a manifest in force names is used", err, u, want)
	}
}

// The rate is held by a clock that the test turns: n messages at 5 a second need (n-1)/5 seconds, one being free at the start.
func TestRate(t *testing.T) {
	store := memstore.New()
	fill(t, store, 31)
	var c counter
	limiter, now, waited := rate.NewLimiter(5, 1), day, time.Duration(0)
	cfg := config(store, journal(t, filepath.Join(t.TempDir(), "j"), Selection{}), c.redo)
	cfg.Concurrency = 1
	cfg.Pace = func(context.Context) error {
		d := limiter.ReserveN(now, 1).DelayFrom(now)
		now, waited = now.Add(d), waited+d
		return nil
	}
	if err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if len(c.times) != 31 || waited.Round(time.Millisecond) != 6*time.Second {
		t.Errorf("%d messages in %v", len(c.times), waited)
	}
	const many, few = 20, 50 * time.Millisecond // the real wait, in short: 20 messages at 400 a second are 47.5 ms apart at least
	pace, began := Pace(400), time.Now()
	for range many {
		if err := pace(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < few-5*time.Millisecond {
		t.Errorf("%d messages at 400 a second took %v", many, took)
	}
	if Pace(0) != nil {
		t.Error("no rate has a wait")
	}
}

// hundredThousand is a store of that many manifests, none of which is in memory.
type hundredThousand struct {
	pipeline.Store
	peak uint64
}

const manyMessages = 100_000

func (h *hundredThousand) List(ctx context.Context, prefix string, fn func(pipeline.Object) error) error {
	for i := range manyMessages {
		if i%5000 == 0 {
			h.measure()
		}
		if err := errors.Join(ctx.Err(), fn(pipeline.Object{Key: fmt.Sprintf("%sj%06d.json", prefix, i), Size: 1})); err != nil {
			return err
		}
	}
	return nil
}

func (h *hundredThousand) measure() {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	h.peak = max(h.peak, m.HeapAlloc)
}

// heapGrowth is what a run over 100,000 messages may add to the heap, bytes: the ids alone would be 10 MB in a map.
const heapGrowth = 4 << 20

func TestAHundredThousandMessagesInBoundedMemory(t *testing.T) {
	var store hundredThousand
	store.measure()
	before := store.peak
	j := &Journal{Header: Header{Run: "r"}, file: memoryFile(t), ahead: map[string]bool{}}
	n := 0
	var mu sync.Mutex
	cfg := config(&store, j, func(context.Context, pipeline.RedoOrder) (pipeline.Redone, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		return pipeline.Redone{Outcome: pipeline.OutcomeUnchanged, Number: 1}, nil
	})
	if err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if n != manyMessages || store.peak-before > heapGrowth {
		t.Errorf("%d messages, the heap grew by %d bytes, at most %d", n, store.peak-before, heapGrowth)
	}
	t.Logf("heap grew by %d bytes", store.peak-before)
}

// memoryFile takes at once what would take a disk a minute to keep. It is no part of the heap.
func memoryFile(t *testing.T) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("journal", 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "journal")
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// More real objects than a page of S3 has come in pages, each once and in order.
func TestRealStoresInPages(t *testing.T) {
	const messages = 1200
	for name, open := range map[string]func(*testing.T) pipeline.Store{
		"filestore": func(t *testing.T) pipeline.Store {
			s, err := filestore.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		"s3store": func(t *testing.T) pipeline.Store {
			server := pipelinetest.StartS3(t)
			server.MakeBucket(t, "parts")
			cfg := s3store.DefaultConfig()
			cfg.Endpoint, cfg.Region, cfg.AccessKey, cfg.SecretKey, cfg.Bucket = server.Endpoint, server.Region, server.AccessKey, server.SecretKey, "parts"
			s, err := s3store.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			fill(t, store, messages)
			var c counter
			cfg := config(store, journal(t, filepath.Join(t.TempDir(), "j"), Selection{}), c.redo)
			cfg.Concurrency = 1
			if err := Run(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			if len(c.times) != messages || !slices.IsSorted(c.order) || len(c.order) != messages {
				t.Errorf("%d messages, %d times", len(c.times), len(c.order))
			}
		})
	}
}
