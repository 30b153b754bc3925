// Package onnx runs image classifiers on ONNX Runtime. It is the only importer of its binding.
//
// One session serves all calls, with one thread per call and no spinning: parallelism comes from calls, so that the number of slots is
// what bounds processor and memory. A model is used only after it passed its self-test.
package onnx

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
)

// Options says which model to open and how.
type Options struct {
	ModelDir string // holds model.onnx and manifest.json
	Library  string // path of ONNX Runtime's shared library; "" = look for it
	Slots    int    // pictures classified at one time; 0 = GOMAXPROCS
}

// Classifier is a model that passed its self-test.
type Classifier struct {
	manifest moderation.Manifest
	session  *ort.DynamicAdvancedSession
	slots    chan *slot // those that are free
	count    int
	closing  sync.Once
	closed   chan struct{}
}

var _ moderation.Classifier = (*Classifier)(nil)

// Open loads a model and tests it. The error says which check it failed:
//
//  1. the manifest, 2. the digest of model.onnx, 3. the runtime library, 4. the shapes of input and output, 5. the self-test.
func Open(ctx context.Context, o Options) (*Classifier, error) {
	c, err := open(o)
	if err != nil {
		return nil, err
	}
	if err := c.selfTest(ctx); err != nil {
		return nil, fmt.Errorf("model %s is refused: %w", c.manifest.ID, errors.Join(err, c.Close()))
	}
	return c, nil
}

// open loads a model without testing it.
func open(o Options) (*Classifier, error) {
	manifest, data, err := load(o.ModelDir)
	if err != nil {
		return nil, err
	}
	if err := loadRuntime(o.Library, o.ModelDir); err != nil {
		return nil, err
	}
	shapes, err := inspect(manifest, o.ModelDir)
	if err != nil {
		return nil, fmt.Errorf("model %s is refused: %w", manifest.ID, err)
	}
	session, err := newSession(data, shapes)
	if err != nil {
		return nil, fmt.Errorf("model %s cannot be loaded: %w", manifest.ID, err)
	}
	n := o.Slots
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	c := &Classifier{manifest: manifest, session: session, slots: make(chan *slot, n), closed: make(chan struct{})}
	for range n {
		s, err := newSlot(manifest, shapes)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.slots <- s
		c.count++
	}
	return c, nil
}

// Model returns the manifest.
func (c *Classifier) Model() moderation.Manifest { return c.manifest }

// Classify scores one raster. It waits for a free slot.
func (c *Classifier) Classify(ctx context.Context, r moderation.Raster) (map[string]float64, error) {
	scores, err := c.classify(ctx, r)
	if err != nil {
		return nil, pipeline.Trouble(pipeline.CodeClassifierUnavailable, "onnx.Classify", err)
	}
	return scores, nil
}

func (c *Classifier) classify(ctx context.Context, r moderation.Raster) (map[string]float64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-c.closed:
		return nil, errors.New("the classifier is closed")
	case <-ctx.Done():
		return nil, ctx.Err()
	case s := <-c.slots:
		defer func() { c.slots <- s }()
		return c.run(ctx, s, r)
	}
}

func (c *Classifier) run(ctx context.Context, s *slot, r moderation.Raster) (map[string]float64, error) {
	if err := s.pre.Fill(s.in.GetData(), r); err != nil {
		return nil, err
	}
	// A run that answers without writing must not pass off the last picture's scores as this one's.
	for i := range s.out.GetData() {
		s.out.GetData()[i] = float32(math.NaN())
	}
	if err := s.runWithin(ctx, c.session); err != nil {
		return nil, err
	}
	return c.scores(s.out.GetData())
}

// scores makes probabilities of the model's numbers and refuses what are none.
func (c *Classifier) scores(out []float32) (map[string]float64, error) {
	values := probabilities(c.manifest.Output.Kind, out)
	raw := make(map[string]float64, len(values))
	sum := 0.0
	for i, v := range values {
		raw[c.manifest.Output.Labels[i]] = v
		sum += v
	}
	if _, err := c.manifest.Scores(raw); err != nil {
		return nil, err
	}
	if c.manifest.Output.Kind != moderation.LogitsSigmoid && len(values) > 1 && math.Abs(sum-1) > sumTolerance {
		return nil, fmt.Errorf("the scores sum to %.4f, not to 1: output.kind is probably not %s", sum, c.manifest.Output.Kind)
	}
	return raw, nil
}

// sumTolerance is how far the sum of a float32 softmax may be from 1.
const sumTolerance = 1e-3

func probabilities(kind moderation.OutputKind, out []float32) []float64 {
	values := make([]float64, len(out))
	for i, v := range out {
		values[i] = float64(v)
	}
	switch kind {
	case moderation.LogitsSigmoid:
		for i, v := range values {
			values[i] = 1 / (1 + math.Exp(-v))
		}
	case moderation.LogitsSoftmax:
		softmax(values)
	}
	return values
}

func softmax(values []float64) {
	most, sum := math.Inf(-1), 0.0
	for _, v := range values {
		most = math.Max(most, v) // NaN stays NaN
	}
	for i, v := range values {
		values[i] = math.Exp(v - most)
		sum += values[i]
	}
	for i := range values {
		values[i] /= sum
	}
}

// Close waits for the running calls and frees the model. It may be called more than once.
func (c *Classifier) Close() error {
	var errs []error
	c.closing.Do(func() {
		close(c.closed)
		for range c.count {
			errs = append(errs, (<-c.slots).destroy())
		}
		errs = append(errs, c.session.Destroy())
	})
	return errors.Join(errs...)
}
