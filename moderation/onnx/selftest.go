package onnx

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ninefold/ninefold/moderation"
)

// selfTest scores the generated pictures and holds the scores against those the manifest records.
func (c *Classifier) selfTest(ctx context.Context) error {
	if len(c.manifest.SelfTest) == 0 {
		return errors.New("self-test: the manifest records no scores; record them with SelfTest")
	}
	for _, t := range c.manifest.SelfTest {
		if err := c.check(ctx, t); err != nil {
			return fmt.Errorf("self-test on picture %q: %w", t.Picture, err)
		}
	}
	return nil
}

func (c *Classifier) check(ctx context.Context, t moderation.SelfTest) error {
	r, err := moderation.TestPicture(t.Picture)
	if err != nil {
		return err
	}
	got, err := c.classify(ctx, r)
	if err != nil {
		return err
	}
	label, off := farthest(got, t.Scores)
	if off <= t.Tolerance {
		return nil
	}
	err = fmt.Errorf("the score of %q is %.6f, recorded %.6f ± %g", label, got[label], t.Scores[label], t.Tolerance)
	if hint := c.hint(ctx, r, got, t); hint != "" {
		return fmt.Errorf("%w; %s", err, hint)
	}
	return err
}

// farthest returns the label whose score is farthest from the wanted one, and how far. A NaN is infinitely far.
func farthest(got, want map[string]float64) (string, float64) {
	label, most := "", -1.0
	for l, w := range want {
		d := math.Abs(got[l] - w)
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		if d > most || (d == most && l < label) {
			label, most = l, d
		}
	}
	return label, most
}

// hint tries the usual mistakes and names the one that would explain the scores.
func (c *Classifier) hint(ctx context.Context, r moderation.Raster, got map[string]float64, t moderation.SelfTest) string {
	if permuted(got, t.Scores, t.Tolerance) {
		return "the same scores in another order: output.labels are not in the model's order"
	}
	if swapped, err := c.classify(ctx, swapChannels(r)); err == nil {
		if _, off := farthest(swapped, t.Scores); off <= t.Tolerance {
			return "they fit with red and blue exchanged: input.color is the wrong one"
		}
	}
	return ""
}

// permuted reports whether both hold the same numbers under other labels.
func permuted(a, b map[string]float64, tolerance float64) bool {
	x, y := sorted(a), sorted(b)
	return slices.EqualFunc(x, y, func(p, q float64) bool { return math.Abs(p-q) <= tolerance })
}

func sorted(m map[string]float64) []float64 {
	out := make([]float64, 0, len(m))
	for _, v := range m {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

func swapChannels(r moderation.Raster) moderation.Raster {
	pix := slices.Clone(r.Pix)
	for i := 0; i < len(pix); i += 3 {
		pix[i], pix[i+2] = pix[i+2], pix[i]
	}
	r.Pix = pix
	return r
}

// SelfTest scores the generated pictures and returns what the manifest is to record. It is for those who bring their own model: run it
// once where the model is known to be right.
func SelfTest(ctx context.Context, o Options, tolerance float64) ([]moderation.SelfTest, error) {
	c, err := open(o)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var out []moderation.SelfTest
	for _, name := range moderation.TestPictures() {
		r, err := moderation.TestPicture(name)
		if err != nil {
			return nil, err
		}
		scores, err := c.classify(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("picture %q: %w", name, err)
		}
		out = append(out, moderation.SelfTest{Picture: name, Scores: scores, Tolerance: tolerance})
	}
	return out, nil
}
