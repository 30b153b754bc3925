package moderation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

// ModelSchema is the schema name every model manifest carries.
const ModelSchema = "ninefold.model/1"

// The limits of a manifest. They are far above any image classifier and keep a wrong number from becoming a large allocation.
const (
	MaxManifestBytes = 1 << 20
	MaxInputSide     = 1024 // pixels
	MaxLabels        = 1000
)

// Manifest describes a classification model: how a picture goes in, what comes out, and what that means for moderation.
// It lies beside the model as manifest.json; bringing your own model is writing one.
//
// Traps it can say, met in public models: BGR with means in 0..255 (open_nsfw: color bgr, scale 1, mean 104, 117, 123); logits instead of
// probabilities and mean and deviation 0.5 (Falconsai); labels in an unexpected order (Marqo: nsfw first); a "not neutral" score made of
// the complement of one label (Freepik: reduce complement).
type Manifest struct {
	Schema     string     `json:"schema"`
	ID         string     `json:"id"`
	SHA256     string     `json:"sha256"`  // of model.onnx, lower-case hex
	Licence    string     `json:"licence"` // SPDX
	Input      Input      `json:"input"`
	Output     Output     `json:"output"`
	Categories Categories `json:"categories"`
	Thresholds Thresholds `json:"thresholds"`
	SelfTest   []SelfTest `json:"selftest"` // run whenever the model is opened, which fails without one
}

// Layout is the order of the input tensor's axes.
type Layout string

// The layouts: batch, height, width, channel or batch, channel, height, width.
const (
	NHWC Layout = "NHWC"
	NCHW Layout = "NCHW"
)

// Color is the order of the channels.
type Color string

// The channel orders.
const (
	RGB Color = "rgb"
	BGR Color = "bgr"
)

// Resize names how a raster is stretched to the input square. Both are bilinear, without antialiasing.
type Resize string

// The ways to resize: corner pixels map to corner pixels (TensorFlow.js with alignCorners), or pixel centres map to pixel centres.
const (
	BilinearAlignCorners Resize = "bilinear-align-corners"
	BilinearHalfPixel    Resize = "bilinear-half-pixel"
)

// Input says how a picture becomes the model's input tensor: float32((v/scale - mean) / std) of every resized channel value v 0..255.
type Input struct {
	Layout Layout    `json:"layout"`
	Size   int       `json:"size"` // side of the square, pixels
	Color  Color     `json:"color"`
	Resize Resize    `json:"resize"`
	Mean   []float64 `json:"mean"`  // per channel in the order of Color; empty = 0
	Std    []float64 `json:"std"`   // per channel in the order of Color; empty = 1
	Scale  float64   `json:"scale"` // what channel values are divided by first: 255 for 0..1, 1 for 0..255
}

// OutputKind says what the model's numbers are.
type OutputKind string

// The kinds of output.
const (
	Probabilities OutputKind = "probabilities"  // softmax already applied: they sum to 1
	LogitsSoftmax OutputKind = "logits-softmax" // we apply the softmax
	LogitsSigmoid OutputKind = "logits-sigmoid" // we apply a sigmoid to each
)

// Output says what the model answers. Labels stand in the order of the output tensor.
type Output struct {
	Kind   OutputKind `json:"kind"`
	Labels []string   `json:"labels"`
}

// Reduce says how the scores of several labels become one.
type Reduce string

// The reductions.
const (
	ReduceMax        Reduce = "max"
	ReduceSum        Reduce = "sum"        // at most 1
	ReduceComplement Reduce = "complement" // 1 - sum: everything but these labels
)

// Category is the labels that count towards one of our categories.
type Category struct {
	Labels []string `json:"labels"` // empty: the model cannot tell, the score is 0
	Reduce Reduce   `json:"reduce"` // "" = max
}

// Categories maps the model's labels to ours. Explicit must have labels.
type Categories struct {
	Explicit   Category `json:"explicit"`
	Drawn      Category `json:"drawn"`
	Suggestive Category `json:"suggestive"`
}

// Threshold holds two bounds of a score: at High one frame suffices, from Low on a second look or a second frame is asked for.
type Threshold struct {
	Low  float64 `json:"low"`  // 0 < Low <= High
	High float64 `json:"high"` // <= 1
}

// Thresholds holds the bounds of each category.
type Thresholds struct {
	Explicit   Threshold `json:"explicit"`
	Drawn      Threshold `json:"drawn"`
	Suggestive Threshold `json:"suggestive"`
}

// String writes the bounds as facts carry them: "explicit=0.3:0.5 drawn=0.3:0.5", without the categories that the model cannot tell.
func (t Thresholds) String() string {
	var out []string
	for _, c := range t.categories() {
		if c.valid() {
			out = append(out, fmt.Sprintf("%s=%v:%v", c.level, c.Low, c.High))
		}
	}
	return strings.Join(out, " ")
}

// ParseThresholds reads what String writes. A category it does not name has no bounds.
func ParseThresholds(text string) (Thresholds, error) {
	var t Thresholds
	places := map[string]*Threshold{"explicit": &t.Explicit, "drawn": &t.Drawn, "suggestive": &t.Suggestive}
	for _, field := range strings.Fields(text) {
		name, bounds, _ := strings.Cut(field, "=")
		low, high, _ := strings.Cut(bounds, ":")
		place := places[name]
		if place == nil {
			return Thresholds{}, fmt.Errorf("thresholds: unknown category %q", name)
		}
		var lowErr, highErr error
		place.Low, lowErr = strconv.ParseFloat(low, 64)
		place.High, highErr = strconv.ParseFloat(high, 64)
		if lowErr != nil || highErr != nil || !place.valid() {
			return Thresholds{}, fmt.Errorf("thresholds: %s: want LOW:HIGH", name)
		}
	}
	return t, nil
}

// SelfTest is a picture made in code and the scores the model must give for it.
type SelfTest struct {
	Picture   string             `json:"picture"`   // a name TestPicture knows
	Scores    map[string]float64 `json:"scores"`    // every label
	Tolerance float64            `json:"tolerance"` // largest absolute difference, 0 < Tolerance <= 0.1
}

// DecodeManifest reads one manifest, strictly: an unknown field or a second document is an error. The manifest it returns is valid.
func DecodeManifest(r io.Reader) (Manifest, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxManifestBytes+1))
	if err != nil {
		return Manifest{}, err
	}
	if len(data) > MaxManifestBytes {
		return Manifest{}, fmt.Errorf("model manifest: larger than %d bytes", MaxManifestBytes)
	}
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("model manifest: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return Manifest{}, errors.New("model manifest: something follows the closing brace")
	}
	return m, m.Validate()
}

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

func (t Threshold) valid() bool { return t.Low > 0 && t.Low <= t.High && t.High <= 1 }

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

// Scores turns the model's own scores into ours. A label that is missing or unknown and a score that is not finite or not within 0..1
// is an error: it must never read as "nothing seen".
func (m Manifest) Scores(raw map[string]float64) (pipeline.Scores, error) {
	if err := m.checkRaw(raw); err != nil {
		return pipeline.Scores{}, err
	}
	return pipeline.Scores{
		Explicit:   m.Categories.Explicit.score(raw),
		Drawn:      m.Categories.Drawn.score(raw),
		Suggestive: m.Categories.Suggestive.score(raw),
	}, nil
}

func (m Manifest) checkRaw(raw map[string]float64) error {
	for _, l := range m.Output.Labels {
		v, ok := raw[l]
		if !ok {
			return fmt.Errorf("no score for label %q", l)
		}
		if math.IsNaN(v) || v < -probabilitySlack || v > 1+probabilitySlack {
			return fmt.Errorf("score %v for label %q: want 0 to 1", v, l)
		}
	}
	if len(raw) != len(m.Output.Labels) {
		return fmt.Errorf("%d scores for %d labels", len(raw), len(m.Output.Labels))
	}
	return nil
}

func (c Category) score(raw map[string]float64) float64 {
	if len(c.Labels) == 0 {
		return 0
	}
	sum, most := 0.0, 0.0
	for _, l := range c.Labels {
		sum += raw[l]
		most = max(most, raw[l])
	}
	switch c.Reduce {
	case ReduceSum:
		most = sum
	case ReduceComplement:
		most = 1 - sum
	}
	return min(max(most, 0), 1)
}
