package onnx

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ninefold/ninefold/moderation"
)

// The files of a model's directory.
const (
	modelName    = "model.onnx"
	manifestName = "manifest.json"
)

// maxModelBytes bounds model.onnx; it is read into memory once, so that what was checked is what is loaded.
const maxModelBytes = 1 << 30

// load reads manifest.json and model.onnx and holds the second against the digest in the first.
func load(dir string) (moderation.Manifest, []byte, error) {
	f, err := os.Open(filepath.Join(dir, manifestName))
	if err != nil {
		return moderation.Manifest{}, nil, fmt.Errorf("no model; run \"ninefold models fetch\": %w", err)
	}
	defer f.Close()
	m, err := moderation.DecodeManifest(f)
	if err != nil {
		return m, nil, err
	}
	data, err := readModel(filepath.Join(dir, modelName))
	if err != nil {
		return m, nil, err
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != m.SHA256 {
		return m, nil, fmt.Errorf("model %s is refused: model.onnx has SHA-256 %s, the manifest says %s; fetch it again", m.ID, got, m.SHA256)
	}
	return m, data, nil
}

func readModel(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxModelBytes {
		return nil, fmt.Errorf("%s: no file, or larger than %d bytes", modelName, maxModelBytes)
	}
	return os.ReadFile(path)
}

// shapes names a model's input and output and gives their sizes for one picture.
type shapes struct {
	inName, outName string
	in, out         ort.Shape
}

// inspect holds the model's input and output against the manifest. A size the model leaves open takes the manifest's.
func inspect(m moderation.Manifest, dir string) (shapes, error) {
	in, out, err := readInfo(filepath.Join(dir, modelName))
	if err != nil {
		return shapes{}, err
	}
	if len(in) != 1 || len(out) != 1 {
		return shapes{}, fmt.Errorf("the model has %d inputs and %d outputs: want 1 and 1", len(in), len(out))
	}
	if in[0].DataType != ort.TensorElementDataTypeFloat || out[0].DataType != ort.TensorElementDataTypeFloat {
		return shapes{}, errors.New("the model's input or output is not float32")
	}
	s := shapes{inName: in[0].Name, outName: out[0].Name, in: inputShape(m.Input)}
	if !fits(in[0].Dimensions, s.in) {
		return shapes{}, fmt.Errorf("the model takes %v, but input.layout %s and input.size %d make %v", in[0].Dimensions, m.Input.Layout, m.Input.Size, s.in)
	}
	if s.out = outputShape(out[0].Dimensions, len(m.Output.Labels)); s.out == nil {
		return shapes{}, fmt.Errorf("the model answers %v, but output.labels names %d", out[0].Dimensions, len(m.Output.Labels))
	}
	return s, nil
}

// readInfo opens a session for a moment, which is the only way the binding offers, and the cheapest one: no optimisation, one thread.
func readInfo(path string) (in, out []ort.InputOutputInfo, err error) {
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, nil, err
	}
	defer o.Destroy()
	err = errors.Join(o.SetIntraOpNumThreads(1), o.SetInterOpNumThreads(1), o.SetCpuMemArena(false),
		o.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll))
	if err != nil {
		return nil, nil, err
	}
	return ort.GetInputOutputInfoWithOptions(path, o)
}

func inputShape(in moderation.Input) ort.Shape {
	side := int64(in.Size)
	if in.Layout == moderation.NCHW {
		return ort.NewShape(1, 3, side, side)
	}
	return ort.NewShape(1, side, side, 3)
}

// fits reports whether want is one of the shapes that declared, with -1 for an open size, allows.
func fits(declared, want ort.Shape) bool {
	return slices.EqualFunc(declared, want, func(d, w int64) bool { return d == w || d < 0 })
}

// outputShape fills the open sizes of declared so that it holds n numbers, or returns nil: an open first axis is the batch, an open
// last axis the labels.
func outputShape(declared ort.Shape, n int) ort.Shape {
	s := declared.Clone()
	if len(s) == 0 {
		return nil
	}
	for i := range s {
		if s[i] < 0 && i == len(s)-1 {
			s[i] = int64(n)
		} else if s[i] < 0 {
			s[i] = 1
		}
	}
	total := int64(1)
	for _, d := range s {
		if d < 1 || d > moderation.MaxLabels || total > moderation.MaxLabels {
			return nil
		}
		total *= d
	}
	if total != int64(n) {
		return nil
	}
	return s
}

// newSession loads the model for use by many threads at once, each running alone.
func newSession(data []byte, s shapes) (*ort.DynamicAdvancedSession, error) {
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer o.Destroy()
	err = errors.Join(
		o.SetIntraOpNumThreads(1),
		o.SetInterOpNumThreads(1),
		o.SetExecutionMode(ort.ExecutionModeSequential),
		o.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll),
		o.SetCpuMemArena(true),
		o.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		o.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
	)
	if err != nil {
		return nil, err
	}
	return ort.NewDynamicAdvancedSessionWithONNXData(data, []string{s.inName}, []string{s.outName}, o)
}
