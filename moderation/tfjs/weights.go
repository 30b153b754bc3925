package tfjs

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// maxNumbers bounds one tensor and all tensors together; InceptionV3 has 22.4 million.
const maxNumbers = 1 << 28

// group is a set of shards and the tensors cut from their concatenation, in order.
type group struct {
	Paths   []string `json:"paths"`
	Weights []spec   `json:"weights"`
}

// spec describes one tensor.
type spec struct {
	Name         string        `json:"name"`
	Shape        []int         `json:"shape"`
	DType        string        `json:"dtype"`
	Quantization *quantization `json:"quantization"`
}

// quantization maps whole numbers back to floats: v*scale + min.
type quantization struct {
	Min   float64 `json:"min"`
	Scale float64 `json:"scale"`
	DType string  `json:"dtype"`
}

// weights are the tensors by name. The order of the manifest is not the order of the graph.
type weights struct {
	byName map[string]*tensor
}

// tensor is a block of numbers in row-major order.
type tensor struct {
	shape []int
	data  []float32
	used  bool
}

// readWeights cuts the tensors of all groups; shard returns the base64 text of one path.
func readWeights(groups []group, shard func(path string) (string, error)) (*weights, error) {
	w := &weights{byName: map[string]*tensor{}}
	total := 0
	for _, g := range groups {
		data, err := joinShards(g.Paths, shard)
		if err != nil {
			return nil, err
		}
		for _, s := range g.Weights {
			var t *tensor
			if t, data, err = s.cut(data); err != nil {
				return nil, fmt.Errorf("weight %q: %w", s.Name, err)
			}
			if _, twice := w.byName[s.Name]; twice {
				return nil, fmt.Errorf("weight %q: stands twice in the manifest", s.Name)
			}
			if total += len(t.data); total > maxNumbers {
				return nil, fmt.Errorf("more than %d weights", maxNumbers)
			}
			w.byName[s.Name] = t
		}
		if len(data) != 0 {
			return nil, fmt.Errorf("%d bytes of the shards belong to no weight", len(data))
		}
	}
	return w, nil
}

// joinShards concatenates before anything is cut: a tensor may lie across two shards.
func joinShards(paths []string, shard func(path string) (string, error)) ([]byte, error) {
	var all []byte
	for _, p := range paths {
		text, err := shard(p)
		if err != nil {
			return nil, err
		}
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("shard %q: %w", p, err)
		}
		all = append(all, data...)
	}
	return all, nil
}

// cut takes the tensor off the front of data and returns what is left.
func (s spec) cut(data []byte) (*tensor, []byte, error) {
	n, err := count(s.Shape)
	if err != nil {
		return nil, nil, err
	}
	if s.DType != "float32" {
		return nil, nil, fmt.Errorf("dtype %q is not supported: want float32", s.DType)
	}
	width, read, err := s.decoder()
	if err != nil {
		return nil, nil, err
	}
	if len(data) < n*width {
		return nil, nil, fmt.Errorf("the shards end %d bytes early", n*width-len(data))
	}
	t := &tensor{shape: s.Shape, data: make([]float32, n)}
	for i := range t.data {
		t.data[i] = read(data[i*width:])
		if v := float64(t.data[i]); math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, nil, errors.New("holds a number that is not finite")
		}
	}
	return t, data[n*width:], nil
}

// decoder returns how many bytes a number takes and how to read it. Dequantised values are computed in float64 and rounded once,
// as JavaScript does when it stores them.
func (s spec) decoder() (int, func([]byte) float32, error) {
	q := s.Quantization
	if q == nil {
		return 4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }, nil
	}
	switch q.DType {
	case "uint8":
		return 1, func(b []byte) float32 { return float32(float64(float64(b[0])*q.Scale) + q.Min) }, nil
	case "uint16":
		return 2, func(b []byte) float32 {
			return float32(float64(float64(binary.LittleEndian.Uint16(b))*q.Scale) + q.Min)
		}, nil
	}
	return 0, nil, fmt.Errorf("quantization %q is not supported: want uint8 or uint16", q.DType)
}

// count multiplies a shape out; a scalar has one number.
func count(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 1 || d > maxNumbers || n > maxNumbers/d {
			return 0, fmt.Errorf("shape %v is out of bounds", shape)
		}
		n *= d
	}
	return n, nil
}

// take returns a tensor for the one place that uses it and checks its rank.
func (w *weights) take(name string, rank int) (*tensor, error) {
	t, ok := w.byName[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("weight %q is missing", name)
	case t.used:
		return nil, fmt.Errorf("weight %q is used twice", name)
	case len(t.shape) != rank:
		return nil, fmt.Errorf("weight %q has shape %v: want %d axes", name, t.shape, rank)
	}
	t.used = true
	return t, nil
}

// unused reports a tensor that no layer took: the conversion would have lost it.
func (w *weights) unused() error {
	for name, t := range w.byName {
		if !t.used {
			return fmt.Errorf("weight %q is used by no layer", name)
		}
	}
	return nil
}
