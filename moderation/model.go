package moderation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

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
