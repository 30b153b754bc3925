package moderation

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/ninefold/ninefold/moderation/screen"
	"github.com/ninefold/ninefold/pipeline"
)

// The bounds of what is read for one item. The engine that wrote it is not believed.
const (
	MaxSamples         = 4096    // screen.Budget and its reserve, and the stills of an item
	MaxSamplePixels    = 1 << 24 // 50 MB of raster: the longest panorama at the largest base raster
	maxSampleFileBytes = 1 << 30 // samples in one file
)

// ScreenConfig is what may be tuned about a Screener.
type ScreenConfig struct {
	Concurrency int              `json:"concurrency" yaml:"concurrency"` // pictures in the classifier at once, of all messages; 1 to 256
	Timeout     time.Duration    `json:"timeout" yaml:"timeout"`         // for one picture
	Wait        time.Duration    `json:"wait" yaml:"wait"`               // for one picture's turn
	Thresholds  PolicyThresholds // in place of the model's own
	Reference   bool             // pictures are reduced as the reference implementation does, in one piece: for comparing with it, never for judging
}

// DefaultScreenConfig returns one picture per core. The largest model needs 0.1 s for one, so the timeout means that it hangs.
func DefaultScreenConfig() ScreenConfig {
	return ScreenConfig{Concurrency: runtime.GOMAXPROCS(0), Timeout: 10 * time.Second, Wait: time.Minute}
}

// Validate names every setting that cannot be used, all in one error.
func (c ScreenConfig) Validate() error {
	var wrong []error
	if c.Concurrency < 1 || c.Concurrency > 256 {
		wrong = append(wrong, fmt.Errorf("screen: concurrency: want 1 to 256, got %d", c.Concurrency))
	}
	if c.Timeout <= 0 {
		wrong = append(wrong, fmt.Errorf("screen: timeout: want more than 0, got %s", c.Timeout))
	}
	if c.Wait <= 0 {
		wrong = append(wrong, fmt.Errorf("screen: wait: want more than 0, got %s", c.Wait))
	}
	return errors.Join(wrong...)
}

// Screener finds the facts of an item by a Classifier. It is safe for concurrent use and shared by all messages.
//
//  1. It fails closed: when a sample cannot be read, or the classifier fails, hangs, panics or answers nonsense, the facts are
//     unavailable and unknown and the error has pipeline.CodeClassifierUnavailable. Only a finding that is explicit already stays.
//  2. It never waits longer than its settings say, even for a classifier that ignores its context. Such a call keeps its place
//     until it returns, so that hanging calls cannot pile up.
//  3. It holds at most Concurrency rasters in memory.
type Screener struct {
	classifier Classifier
	manifest   Manifest
	config     ScreenConfig
	slots      chan struct{}
	rasters    sync.Pool // *[]byte, of pictures that have been scored
}

var _ pipeline.Moderator = (*Screener)(nil)

// NewScreener returns a Screener over c, which stays the caller's to close.
func NewScreener(c Classifier, config ScreenConfig) (*Screener, error) {
	if c == nil {
		return nil, errors.New("screen: no classifier; use Off to run without one")
	}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	manifest := c.Model()
	manifest.Thresholds = config.Thresholds.Over(manifest.Thresholds)
	if !manifest.Thresholds.Explicit.valid() {
		return nil, fmt.Errorf("screen: model %q: thresholds.explicit: want 0 < low <= high <= 1", manifest.ID)
	}
	return &Screener{classifier: c, manifest: manifest, config: config, slots: make(chan struct{}, config.Concurrency)}, nil
}

// Model names the classifier's model.
func (s *Screener) Model() pipeline.ModelRef { return s.manifest.Ref() }

// Side is the side of the model's input, pixels.
func (s *Screener) Side() int { return s.manifest.Input.Size }

// paceTries is how many pictures are scored to find out how long one takes. The first one of a model takes longer.
const paceTries = 4

// Pace scores some pictures and returns how long one of many takes at most: the slowest of them, on as many cores as are used at once.
func (s *Screener) Pace(ctx context.Context) (time.Duration, error) {
	picture, err := TestPicture("noise")
	slowest := time.Duration(0)
	for range paceTries {
		if err != nil {
			break
		}
		begun := time.Now()
		_, err = s.classifier.Classify(ctx, Raster{Width: picture.Width, Height: picture.Height, Pix: picture.Pix, Averaged: true})
		slowest = max(slowest, time.Since(begun))
	}
	return 2 * slowest / time.Duration(min(s.config.Concurrency, runtime.GOMAXPROCS(0))), err
}

// Pictures counts what is scored of every sample.
func (s *Screener) Pictures(in pipeline.ScreenInput) int {
	pictures := 0
	for _, sample := range in.Samples {
		pictures += len(s.parts(sample))
	}
	return pictures
}

// Most sums up what a part's full files may need.
func (s *Screener) Most(p pipeline.Part) int {
	most := 0
	for _, r := range p.Renditions {
		if r.Class == pipeline.ClassFull {
			most += s.mostOf(r)
		}
	}
	return most
}

// spriteCell is the smallest area that one cell of a scrub sprite is taken to have, pixels.
const spriteCell = 96 * 54

func (s *Screener) mostOf(r pipeline.Rendition) int {
	switch {
	case r.MIME == "video/mp4":
		return screen.MostOfVideo(r.Width, r.Height, r.FramesAtMost(), s.Side())
	case !strings.HasPrefix(r.MIME, "image/"):
		return 0
	case r.Name == "sprite":
		return screen.MostOfStill(r.Width, r.Height, s.Side()) + 3*(r.Width*r.Height/spriteCell)
	}
	return screen.MostOfStill(r.Width, r.Height, s.Side())
}

// Screen scores every region of every sample and sums the scores up.
func (s *Screener) Screen(ctx context.Context, ws *pipeline.Workspace, in pipeline.ScreenInput) (pipeline.Facts, error) {
	model := s.Model()
	frames, err := s.frames(ctx, ws, in.Samples)
	facts := Aggregate(frames, in, s.manifest.Thresholds)
	facts.Model = &model
	if err == nil {
		return facts, nil
	}
	if facts.Level != pipeline.LevelExplicit {
		return unavailable(&model), unavailableError(err)
	}
	facts.Status = pipeline.PartScored
	return facts, unavailableError(err)
}

func unavailableError(err error) error {
	return pipeline.Trouble(pipeline.CodeClassifierUnavailable, "moderation.Screen", err)
}

func checkSamples(samples []pipeline.Sample) error {
	if len(samples) == 0 || len(samples) > MaxSamples {
		return fmt.Errorf("want 1 to %d samples, got %d", MaxSamples, len(samples))
	}
	for i, sm := range samples {
		if sm.Width < 1 || sm.Height < 1 || sm.Width > MaxRasterSide || sm.Height > MaxRasterSide || sm.Width*sm.Height > MaxSamplePixels {
			return fmt.Errorf("sample %d: %d x %d pixels: want sides of 1 to %d and at most %d pixels", i, sm.Width, sm.Height, MaxRasterSide, MaxSamplePixels)
		}
		if sm.Offset < 0 || sm.Offset > maxSampleFileBytes || sm.AtMS < 0 {
			return fmt.Errorf("sample %d: offset %d, at %d ms: want neither below 0", i, sm.Offset, sm.AtMS)
		}
	}
	return nil
}

// frames scores the samples by a few workers and keeps their order. The first failure stops them all; what was scored by then is
// returned with it.
func (s *Screener) frames(ctx context.Context, ws *pipeline.Workspace, samples []pipeline.Sample) ([]Frame, error) {
	if err := checkSamples(samples); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next, done := make(chan int), make([]*Frame, len(samples))
	var workers sync.WaitGroup
	for range min(s.config.Concurrency, len(samples)) {
		workers.Go(func() {
			for i := range next {
				frame, err := s.frame(ctx, ws, samples[i])
				if err != nil {
					stop(err)
					return
				}
				done[i] = &frame
			}
		})
	}
	feed(ctx, next, len(samples))
	workers.Wait()
	frames := make([]Frame, 0, len(samples))
	for _, f := range done {
		if f != nil {
			frames = append(frames, *f)
		}
	}
	if len(frames) < len(samples) {
		return frames, context.Cause(ctx)
	}
	return frames, nil
}

func feed(ctx context.Context, next chan<- int, n int) {
	defer close(next)
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			return
		}
	}
}

// frame scores one sample. It takes a place first, so that rasters in memory are bounded too, and gives it back when the classifier
// has returned, which may be after this call has.
func (s *Screener) frame(ctx context.Context, ws *pipeline.Workspace, sample pipeline.Sample) (Frame, error) {
	if err := s.turn(ctx); err != nil {
		return Frame{}, err
	}
	limit := s.config.Timeout * time.Duration(len(screen.Regions(sample.Width, sample.Height)))
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	answer := make(chan result, 1)
	go func() {
		defer func() { <-s.slots }()
		defer cancel()
		answer <- s.classify(ctx, ws, sample)
	}()
	select {
	case r := <-answer:
		return r.frame, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-answer: // it had returned, and its own cancel woke us
		return r.frame, r.err
	default:
		return Frame{}, context.Cause(ctx)
	}
}

// turn waits for a place.
func (s *Screener) turn(ctx context.Context) error {
	patience := time.NewTimer(s.config.Wait)
	defer patience.Stop()
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-patience.C:
		return fmt.Errorf("all %d places were taken for %s", s.config.Concurrency, s.config.Wait)
	}
}

type result struct {
	frame Frame
	err   error
}

// classify reads and scores one sample. A panic is an error: it costs the scan, not the worker.
func (s *Screener) classify(ctx context.Context, ws *pipeline.Workspace, sample pipeline.Sample) (r result) {
	defer func() {
		if v := recover(); v != nil {
			r = result{err: fmt.Errorf("panic: %v\n%s", v, debug.Stack())}
		}
	}()
	pix := s.pixels(sample.Width * sample.Height * 3)
	defer s.rasters.Put(pix)
	base := screen.Pixels{W: sample.Width, H: sample.Height, Pix: *pix}
	if err := ws.ReadFull(sample.Path, sample.Offset, base.Pix, maxSampleFileBytes); err != nil {
		return result{err: fmt.Errorf("sample at %d ms: %w", sample.AtMS, err)}
	}
	frame, err := s.regions(ctx, base, s.parts(sample))
	frame.AtMS = sample.AtMS
	return result{frame: frame, err: err}
}

// regions scores parts of a base raster, the whole first. The highest score of each category counts.
func (s *Screener) regions(ctx context.Context, base screen.Pixels, parts []screen.Rect) (Frame, error) {
	var frames []Frame
	for i, part := range parts {
		p := base
		if i > 0 { // the first one is the whole
			p = base.Crop(part)
		}
		raw, err := s.classifier.Classify(ctx, Raster{Width: p.W, Height: p.H, Pix: p.Pix, Averaged: !s.config.Reference})
		if err != nil {
			return Frame{}, err
		}
		scores, err := s.manifest.Scores(raw)
		if err == nil && !scores.Valid() {
			err = fmt.Errorf("scores %+v are no probabilities", scores)
		}
		if err != nil {
			return Frame{}, err
		}
		frames = append(frames, Frame{Scores: scores, Raw: raw})
	}
	return Frame{Scores: *maxima(frames), Raw: worstFrame(frames, s.manifest.Thresholds).Raw}, nil
}

// parts are the regions of a sample that are scored.
func (s *Screener) parts(sample pipeline.Sample) []screen.Rect {
	all := screen.Regions(sample.Width, sample.Height)
	if sample.Whole || s.config.Reference {
		return all[:1]
	}
	return all
}

// pixels are n bytes of a picture that was scored before, where one was as large: fresh megabytes for every frame cost a tenth of its scoring.
func (s *Screener) pixels(n int) *[]byte {
	if used, ok := s.rasters.Get().(*[]byte); ok && cap(*used) >= n {
		*used = (*used)[:n]
		return used
	}
	fresh := make([]byte, n)
	return &fresh
}

// Unavailable is the Moderator of a worker without a classifier: every scan is unavailable, so every decision takes the cautious row.
type Unavailable struct{ reason error }

var _ pipeline.Moderator = (*Unavailable)(nil)

// NewUnavailable returns a Moderator that answers every scan with reason, such as a model that did not load.
func NewUnavailable(reason error) *Unavailable {
	if reason == nil {
		reason = errors.New("no classifier is configured")
	}
	return &Unavailable{reason: reason}
}

// Screen finds nothing out.
func (u *Unavailable) Screen(context.Context, *pipeline.Workspace, pipeline.ScreenInput) (pipeline.Facts, error) {
	return unavailable(nil), unavailableError(u.reason)
}

// Side is 0: nothing is scored.
func (u *Unavailable) Side() int { return 0 }

// Pictures is 0.
func (u *Unavailable) Pictures(pipeline.ScreenInput) int { return 0 }

// Most is 0.
func (u *Unavailable) Most(pipeline.Part) int { return 0 }

// Model is the zero ModelRef.
func (u *Unavailable) Model() pipeline.ModelRef { return pipeline.ModelRef{} }

// Off is a Moderator where classifying is switched off: nothing is scored, nothing is waited for, and everything is of unknown level.
type Off struct{}

var _ pipeline.Moderator = Off{}

// Screen skips.
func (Off) Screen(context.Context, *pipeline.Workspace, pipeline.ScreenInput) (pipeline.Facts, error) {
	return pipeline.Facts{Status: pipeline.Skipped, Level: pipeline.LevelUnknown}, nil
}

// Side is 0: nothing is scored.
func (Off) Side() int { return 0 }

// Pictures is 0.
func (Off) Pictures(pipeline.ScreenInput) int { return 0 }

// Most is 0.
func (Off) Most(pipeline.Part) int { return 0 }

// Model is the zero ModelRef.
func (Off) Model() pipeline.ModelRef { return pipeline.ModelRef{} }
