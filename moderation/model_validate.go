package moderation

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
)

// Validate reports every mistake at once, each naming the field to change.
func (m Manifest) Validate() error {
	err := errors.Join(m.validateHead(), m.Input.validate(), m.Output.validate(), m.validateCategories(), m.validateSelfTest())
	if err != nil {
		return fmt.Errorf("model manifest: %w", err)
	}
	return nil
}

var (
	modelIDPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	sha256Pattern  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func (m Manifest) validateHead() error {
	var errs []error
	if m.Schema != ModelSchema {
		errs = append(errs, fmt.Errorf("schema: want %q, got %q", ModelSchema, m.Schema))
	}
	if !modelIDPattern.MatchString(m.ID) {
		errs = append(errs, fmt.Errorf("id: want 1 to 64 of a-z 0-9 . _ -, got %q", m.ID))
	}
	if !sha256Pattern.MatchString(m.SHA256) {
		errs = append(errs, errors.New("sha256: want 64 lower-case hex digits"))
	}
	if m.Licence == "" {
		errs = append(errs, errors.New("licence: empty; say under which licence the weights are used"))
	}
	return errors.Join(errs...)
}

func (in Input) validate() error {
	var errs []error
	if in.Layout != NHWC && in.Layout != NCHW {
		errs = append(errs, fmt.Errorf("input.layout: want NHWC or NCHW, got %q", in.Layout))
	}
	if in.Color != RGB && in.Color != BGR {
		errs = append(errs, fmt.Errorf("input.color: want rgb or bgr, got %q", in.Color))
	}
	if in.Resize != BilinearAlignCorners && in.Resize != BilinearHalfPixel {
		errs = append(errs, fmt.Errorf("input.resize: want %s or %s, got %q", BilinearAlignCorners, BilinearHalfPixel, in.Resize))
	}
	if in.Size < 1 || in.Size > MaxInputSide {
		errs = append(errs, fmt.Errorf("input.size: want 1 to %d, got %d", MaxInputSide, in.Size))
	}
	if !(in.Scale > 0) || math.IsInf(in.Scale, 0) {
		errs = append(errs, fmt.Errorf("input.scale: want a positive number such as 255, got %v", in.Scale))
	}
	return errors.Join(append(errs, perChannel("input.mean", in.Mean, false), perChannel("input.std", in.Std, true))...)
}

func perChannel(field string, vs []float64, positive bool) error {
	if len(vs) != 0 && len(vs) != 3 {
		return fmt.Errorf("%s: want none or 3 numbers, got %d", field, len(vs))
	}
	for _, v := range vs {
		if math.IsNaN(v) || math.IsInf(v, 0) || (positive && v <= 0) {
			return fmt.Errorf("%s: %v cannot be used", field, v)
		}
	}
	return nil
}

func (o Output) validate() error {
	var errs []error
	if !slices.Contains([]OutputKind{Probabilities, LogitsSoftmax, LogitsSigmoid}, o.Kind) {
		errs = append(errs, fmt.Errorf("output.kind: want probabilities, logits-softmax or logits-sigmoid, got %q", o.Kind))
	}
	if len(o.Labels) < 1 || len(o.Labels) > MaxLabels {
		errs = append(errs, fmt.Errorf("output.labels: want 1 to %d, got %d", MaxLabels, len(o.Labels)))
	}
	if len(o.Labels) == 1 && o.Kind == LogitsSoftmax {
		errs = append(errs, errors.New("output.kind: the softmax of one number is always 1; want logits-sigmoid"))
	}
	seen := map[string]bool{}
	for i, l := range o.Labels {
		if l == "" || seen[l] {
			errs = append(errs, fmt.Errorf("output.labels[%d]: empty or used twice", i))
		}
		seen[l] = true
	}
	return errors.Join(errs...)
}

// named is a category with its bounds, for going through all three.
type named struct {
	name string
	Category
	Threshold
}

func (m Manifest) named() []named {
	return []named{
		{"explicit", m.Categories.Explicit, m.Thresholds.Explicit},
		{"drawn", m.Categories.Drawn, m.Thresholds.Drawn},
		{"suggestive", m.Categories.Suggestive, m.Thresholds.Suggestive},
	}
}

func (m Manifest) validateCategories() error {
	var errs []error
	if len(m.Categories.Explicit.Labels) == 0 {
		errs = append(errs, errors.New("categories.explicit.labels: empty; a model that cannot tell explicit media is of no use"))
	}
	for _, c := range m.named() {
		for _, l := range c.Labels {
			if !slices.Contains(m.Output.Labels, l) {
				errs = append(errs, fmt.Errorf("categories.%s.labels: %q is not among output.labels", c.name, l))
			}
		}
		if !slices.Contains([]Reduce{"", ReduceMax, ReduceSum, ReduceComplement}, c.Reduce) {
			errs = append(errs, fmt.Errorf("categories.%s.reduce: want max, sum or complement, got %q", c.name, c.Reduce))
		}
		if len(c.Labels) != 0 && !c.valid() {
			errs = append(errs, fmt.Errorf("thresholds.%s: want 0 < low <= high <= 1, got %v and %v", c.name, c.Low, c.High))
		}
	}
	return errors.Join(errs...)
}

func (m Manifest) validateSelfTest() error {
	var errs []error
	for i, t := range m.SelfTest {
		if _, err := TestPicture(t.Picture); err != nil {
			errs = append(errs, fmt.Errorf("selftest[%d].picture: %w", i, err))
		}
		if !(t.Tolerance > 0 && t.Tolerance <= 0.1) {
			errs = append(errs, fmt.Errorf("selftest[%d].tolerance: want more than 0 and at most 0.1, got %v", i, t.Tolerance))
		}
		if err := m.checkRaw(t.Scores); err != nil {
			errs = append(errs, fmt.Errorf("selftest[%d].scores: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// probabilitySlack forgives the last bits of a softmax in float32.
const probabilitySlack = 1e-5
