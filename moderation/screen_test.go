package moderation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// markClassifier reads its verdict from the first pixel: red/255 is explicit, green drawn, blue suggestive.
type markClassifier struct {
	before func(ctx context.Context, r Raster) (map[string]float64, error) // answers instead, when it gives anything
	calls  atomic.Int64
}

func (c *markClassifier) Classify(ctx context.Context, r Raster) (map[string]float64, error) {
	c.calls.Add(1)
	if c.before != nil {
		if raw, err := c.before(ctx, r); raw != nil || err != nil {
			return raw, err
		}
	}
	return map[string]float64{"porn": float64(r.Pix[0]) / 255, "hentai": float64(r.Pix[1]) / 255, "sexy": float64(r.Pix[2]) / 255}, nil
}

func (c *markClassifier) Model() Manifest {
	return Manifest{
		ID: "mark", SHA256: strings.Repeat("a", 64), Input: Input{Size: side}, Output: Output{Labels: []string{"porn", "hentai", "sexy"}}, Thresholds: testThresholds,
		Categories: Categories{Explicit: Category{Labels: []string{"porn"}}, Drawn: Category{Labels: []string{"hentai"}}, Suggestive: Category{Labels: []string{"sexy"}}},
	}
}

func (c *markClassifier) Close() error { return nil }

const side = 4 // of the test's rasters, pixels

// samplesOf writes one raster per red value into one file of a new workspace, a second apart.
func samplesOf(t *testing.T, reds ...byte) (*pipeline.Workspace, []pipeline.Sample) {
	t.Helper()
	ws, err := pipeline.NewWorkspace(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	f, err := ws.Create("samples.rgb")
	if err != nil {
		t.Fatal(err)
	}
	var samples []pipeline.Sample
	for i, red := range reds {
		pix := make([]byte, side*side*3)
		pix[0] = red
		if _, err := f.Write(pix); err != nil {
			t.Fatal(err)
		}
		samples = append(samples, pipeline.Sample{Path: "samples.rgb", Offset: int64(i * len(pix)), Width: side, Height: side, AtMS: int64(i) * 1000})
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return ws, samples
}

func newScreener(t *testing.T, c Classifier, change func(*ScreenConfig)) *Screener {
	t.Helper()
	config := DefaultScreenConfig()
	if change != nil {
		change(&config)
	}
	s, err := NewScreener(c, config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScreen(t *testing.T) {
	tests := []struct {
		name    string
		reds    []byte
		planned int
		status  pipeline.FactsStatus
		level   pipeline.Level
	}{
		{"a clear photo", []byte{10}, 1, pipeline.Scored, pipeline.LevelClear},
		{"an explicit photo", []byte{250}, 1, pipeline.Scored, pipeline.LevelExplicit},
		{"a clip with one explicit frame", []byte{0, 0, 0, 0, 250, 0, 0, 0}, 8, pipeline.Scored, pipeline.LevelExplicit},
		{"a black clip is looked at, frame by frame", []byte{0, 0, 0, 0}, 4, pipeline.Scored, pipeline.LevelClear},
		{"half the frames came", []byte{0, 0, 0, 0}, 8, pipeline.PartScored, pipeline.LevelUnknown},
		{"half the frames came, one explicit", []byte{0, 250, 0, 0}, 8, pipeline.PartScored, pipeline.LevelExplicit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ws, samples := samplesOf(t, tt.reds...)
			c := &markClassifier{}
			got, err := newScreener(t, c, nil).Screen(t.Context(), ws, seen(samples, tt.planned))
			if err != nil || got.Status != tt.status || got.Level != tt.level {
				t.Fatalf("got %s %s %v, want %s %s", got.Status, got.Level, err, tt.status, tt.level)
			}
			if int(c.calls.Load()) != len(samples) {
				t.Errorf("%d of %d samples were classified", c.calls.Load(), len(samples))
			}
			if got.Model == nil || *got.Model != c.Model().Ref() || got.Model.Thresholds != "explicit=0.4:0.8 drawn=0.5:0.7 suggestive=0.6:0.9" {
				t.Errorf("model %+v", got.Model)
			}
			if (got.Frames == nil) != (tt.planned == 1) {
				t.Errorf("frames %+v", got.Frames)
			}
		})
	}
}

// wantUnavailable holds everything a failed scan must be.
func wantUnavailable(t *testing.T, got pipeline.Facts, err error) {
	t.Helper()
	if got.Status != pipeline.Unavailable || got.Level != pipeline.LevelUnknown || got.Scores != nil {
		t.Errorf("facts %+v, want unavailable and unknown", got)
	}
	if code := pipeline.AsError(err).Code; err == nil || code != pipeline.CodeClassifierUnavailable {
		t.Errorf("error %v, want code classifier_unavailable", err)
	}
	if !pipeline.Retryable(err) {
		t.Errorf("%v is not tried again", err)
	}
}

func TestScreenFailures(t *testing.T) {
	answer := func(raw map[string]float64, err error) func(context.Context, Raster) (map[string]float64, error) {
		return func(context.Context, Raster) (map[string]float64, error) { return raw, err }
	}
	tests := []struct {
		name   string
		before func(context.Context, Raster) (map[string]float64, error)
	}{
		{"fails", answer(nil, errors.New("out of memory"))},
		{"panics", func(context.Context, Raster) (map[string]float64, error) { panic("index out of range") }},
		{"answers NaN", answer(map[string]float64{"porn": math.NaN(), "hentai": 0, "sexy": 0}, nil)},
		{"answers infinity", answer(map[string]float64{"porn": math.Inf(1), "hentai": 0, "sexy": 0}, nil)},
		{"answers 17", answer(map[string]float64{"porn": 17, "hentai": 0, "sexy": 0}, nil)},
		{"answers one label only", answer(map[string]float64{"porn": 0}, nil)},
		{"answers nothing", answer(map[string]float64{}, nil)},
		{"answers other labels", answer(map[string]float64{"a": 0, "b": 0, "c": 0}, nil)},
		{"hangs until its context ends", func(ctx context.Context, _ Raster) (map[string]float64, error) { <-ctx.Done(); return nil, ctx.Err() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ws, samples := samplesOf(t, 0, 0, 0)
			s := newScreener(t, &markClassifier{before: tt.before}, func(c *ScreenConfig) { c.Timeout = 50 * time.Millisecond })
			got, err := s.Screen(t.Context(), ws, seen(samples, len(samples)))
			wantUnavailable(t, got, err)
		})
	}
}

// TestScreenHangs: a classifier that never returns and ignores its context costs its places and never the caller's time.
func TestScreenHangs(t *testing.T) {
	release := make(chan struct{})
	var running atomic.Int64
	c := &markClassifier{before: func(context.Context, Raster) (map[string]float64, error) {
		running.Add(1)
		<-release
		return nil, nil
	}}
	s := newScreener(t, c, func(c *ScreenConfig) { c.Concurrency, c.Timeout, c.Wait = 2, 20*time.Millisecond, 20*time.Millisecond })
	ws, samples := samplesOf(t, 0, 0, 0, 0)
	for range 5 {
		got, err := s.Screen(t.Context(), ws, seen(samples, len(samples)))
		wantUnavailable(t, got, err)
	}
	if n := running.Load(); n != 2 {
		t.Errorf("%d calls hang, want the 2 that there are places for", n)
	}
	close(release) // the classifier comes back, and with it the places
	for range 2 {
		s.slots <- struct{}{}
	}
	for range 2 {
		<-s.slots
	}
	if got, err := s.Screen(t.Context(), ws, seen(samples, len(samples))); err != nil || got.Level != pipeline.LevelClear {
		t.Errorf("healed: got %+v %v", got, err)
	}
}

// TestScreenFailureAfterFinding: what is explicit already stays explicit, and the failure is still told.
func TestScreenFailureAfterFinding(t *testing.T) {
	ws, samples := samplesOf(t, 250, 1)
	c := &markClassifier{before: func(_ context.Context, r Raster) (map[string]float64, error) {
		if r.Pix[0] == 1 {
			return nil, errors.New("broken")
		}
		return nil, nil
	}}
	got, err := newScreener(t, c, func(c *ScreenConfig) { c.Concurrency = 1 }).Screen(t.Context(), ws, seen(samples, 2))
	if got.Status != pipeline.PartScored || got.Level != pipeline.LevelExplicit || LevelOf(got) != pipeline.LevelExplicit {
		t.Errorf("got %+v", got)
	}
	if err == nil || pipeline.AsError(err).Code != pipeline.CodeClassifierUnavailable {
		t.Errorf("error %v", err)
	}
}

func TestScreenSamples(t *testing.T) {
	ws, good := samplesOf(t, 0)
	tests := []struct {
		name   string
		change func(*pipeline.Sample)
	}{
		{"no width", func(s *pipeline.Sample) { s.Width = 0 }},
		{"negative height", func(s *pipeline.Sample) { s.Height = -4 }},
		{"a side too long", func(s *pipeline.Sample) { s.Width, s.Height = MaxRasterSide+1, 1 }},
		{"too many pixels", func(s *pipeline.Sample) { s.Width, s.Height = MaxRasterSide, MaxRasterSide }},
		{"sides that overflow", func(s *pipeline.Sample) { s.Width, s.Height = math.MaxInt, math.MaxInt }},
		{"negative offset", func(s *pipeline.Sample) { s.Offset = -1 }},
		{"offset behind the end", func(s *pipeline.Sample) { s.Offset = 1 }},
		{"huge offset", func(s *pipeline.Sample) { s.Offset = math.MaxInt64 }},
		{"negative time", func(s *pipeline.Sample) { s.AtMS = -1 }},
		{"absent file", func(s *pipeline.Sample) { s.Path = "other.rgb" }},
		{"a file outside", func(s *pipeline.Sample) { s.Path = "../../etc/passwd" }},
		{"an absolute path", func(s *pipeline.Sample) { s.Path = "/dev/zero" }},
		{"no path", func(s *pipeline.Sample) { s.Path = "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad := good[0]
			tt.change(&bad)
			c := &markClassifier{}
			got, err := newScreener(t, c, nil).Screen(t.Context(), ws, seen([]pipeline.Sample{bad}, 1))
			wantUnavailable(t, got, err)
			if c.calls.Load() != 0 {
				t.Error("it was classified")
			}
			if oversized := bad.Width > side; oversized && !strings.Contains(err.Error(), "at most") {
				t.Errorf("%v: it was refused only after its memory was taken", err)
			}
		})
	}
	for _, n := range []int{0, MaxSamples + 1} {
		t.Run(fmt.Sprint(n, " samples"), func(t *testing.T) {
			got, err := newScreener(t, &markClassifier{}, nil).Screen(t.Context(), ws, seen(make([]pipeline.Sample, n), n))
			wantUnavailable(t, got, err)
		})
	}
}

func TestScreenBound(t *testing.T) {
	var mu sync.Mutex
	var now, most int
	both := make(chan struct{})
	c := &markClassifier{before: func(context.Context, Raster) (map[string]float64, error) {
		mu.Lock()
		now++
		if now > most {
			if most = now; most == 2 {
				close(both)
			}
		}
		mu.Unlock()
		<-both // each waits until two run at once: with one place the test would time out
		mu.Lock()
		now--
		mu.Unlock()
		return nil, nil
	}}
	s := newScreener(t, c, func(c *ScreenConfig) { c.Concurrency = 2 })
	ws, samples := samplesOf(t, make([]byte, 20)...)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := s.Screen(t.Context(), ws, seen(samples, len(samples))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most != 2 {
		t.Errorf("%d pictures at once, want 2", most)
	}
}

func TestScreenCancelled(t *testing.T) {
	ws, samples := samplesOf(t, 0, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := newScreener(t, &markClassifier{}, nil).Screen(ctx, ws, seen(samples, 2))
	wantUnavailable(t, got, err)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not say that the run was cancelled", err)
	}
}

func TestNewScreener(t *testing.T) {
	if _, err := NewScreener(nil, DefaultScreenConfig()); err == nil {
		t.Error("no classifier was taken")
	}
	_, err := NewScreener(&markClassifier{}, ScreenConfig{})
	for _, setting := range []string{"concurrency", "timeout", "wait"} {
		if err == nil || !strings.Contains(err.Error(), "screen: "+setting) {
			t.Errorf("%v does not name %s", err, setting)
		}
	}
	if _, err := NewScreener(unbounded{}, DefaultScreenConfig()); err == nil {
		t.Error("a model without a threshold for explicit was taken")
	}
}

// unbounded is a model that could never find anything explicit.
type unbounded struct{ Classifier }

func (unbounded) Model() Manifest { return Manifest{ID: "unbounded"} }

func TestUnavailable(t *testing.T) {
	ws, samples := samplesOf(t, 0)
	reason := errors.New("model.onnx: no such file")
	got, err := NewUnavailable(reason).Screen(t.Context(), ws, seen(samples, 1))
	wantUnavailable(t, got, err)
	if !errors.Is(err, reason) {
		t.Errorf("%v does not give the reason", err)
	}
	got, err = NewUnavailable(nil).Screen(t.Context(), nil, seen(nil, 0))
	wantUnavailable(t, got, err)
}

// Switched off is not broken: nothing is waited for, and unknown is still never clear.
func TestOffSkipsAndKnowsNothing(t *testing.T) {
	facts, err := Off{}.Screen(t.Context(), nil, pipeline.ScreenInput{})
	if err != nil || facts.Status != pipeline.Skipped {
		t.Errorf("%+v, %v", facts, err)
	}
	policy, err := NewPolicy(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	teen := pipeline.Recipient{ID: "r", AgeBand: pipeline.Teen, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterOff}
	if d := policy.Decide(facts, pipeline.KindPhoto, pipeline.Sender{ID: "s", AgeBand: pipeline.Adult}, teen); d.Action != pipeline.Withhold {
		t.Errorf("unscanned, a teenager gets it: %+v", d)
	}
}

func TestScreenerKeepsTheContract(t *testing.T) {
	s, err := NewScreener(&markClassifier{}, DefaultScreenConfig())
	if err != nil {
		t.Fatal(err)
	}
	pipelinetest.TestModerator(t, s)
}

// seen is a look at samples, all of which are delivered frames, of as many as said.
func seen(samples []pipeline.Sample, delivered int) pipeline.ScreenInput {
	n := len(samples)
	return pipeline.ScreenInput{Samples: samples, Frames: max(delivered, n), Scored: n, Covered: n}
}
