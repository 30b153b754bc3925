package onnx

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/moderation/tfjs"
)

// fetched returns the directory of the fetched models.
func fetched(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("NINEFOLD_MODELS")
	if dir == "" {
		dir = filepath.Join("..", "..", "bin", "models")
	}
	if _, err := os.Stat(filepath.Join(dir, LibraryName)); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no models: run make setup")
		}
		t.Skip("no models: run make setup")
	}
	return dir
}

// own describes a small model in the manner of somebody's own: the mean of each channel, times weights.
type own struct {
	layout  moderation.Layout
	color   moderation.Color
	scale   float64
	mean    []float64
	std     []float64
	kind    moderation.OutputKind
	labels  []string
	weights []float32 // 3 × labels
	bias    []float32 // labels
	softmax bool      // inside the model
}

const ownSide = 16

// graph writes the model down.
func (o own) graph() *tfjs.Graph {
	n := int64(len(o.labels))
	g := &tfjs.Graph{
		Name:   "own",
		Input:  tfjs.ValueInfo{Name: "pixels", Dims: []int64{1, 3, ownSide, ownSide}},
		Output: tfjs.ValueInfo{Name: "answer", Dims: []int64{1, n}},
		Initializers: []tfjs.Initializer{
			{Name: "w", Dims: []int64{3, n}, Floats: o.weights}, {Name: "b", Dims: []int64{n}, Floats: o.bias},
		},
	}
	source := "pixels"
	if o.layout == moderation.NHWC {
		g.Input.Dims = []int64{1, ownSide, ownSide, 3}
		g.Nodes = append(g.Nodes, tfjs.Node{
			Op: "Transpose", Inputs: []string{"pixels"}, Outputs: []string{"nchw"},
			Attrs: []tfjs.Attr{{Name: "perm", Value: []int64{0, 3, 1, 2}}},
		})
		source = "nchw"
	}
	last := "answer"
	if o.softmax {
		last = "logits"
	}
	g.Nodes = append(g.Nodes,
		tfjs.Node{Op: "GlobalAveragePool", Inputs: []string{source}, Outputs: []string{"mean"}},
		tfjs.Node{Op: "Flatten", Inputs: []string{"mean"}, Outputs: []string{"flat"}},
		tfjs.Node{Op: "Gemm", Inputs: []string{"flat", "w", "b"}, Outputs: []string{last}})
	if o.softmax {
		g.Nodes = append(g.Nodes, tfjs.Node{Op: "Softmax", Inputs: []string{"logits"}, Outputs: []string{"answer"}})
	}
	return g
}

func (o own) manifest() moderation.Manifest {
	bound := moderation.Threshold{Low: 0.3, High: 0.5}
	return moderation.Manifest{
		Schema: moderation.ModelSchema, ID: "own", Licence: "CC0-1.0",
		Input: moderation.Input{
			Layout: o.layout, Size: ownSide, Color: o.color, Resize: moderation.BilinearHalfPixel, Scale: o.scale,
			Mean: o.mean, Std: o.std,
		},
		Output:     moderation.Output{Kind: o.kind, Labels: o.labels},
		Categories: moderation.Categories{Explicit: moderation.Category{Labels: []string{"nsfw"}}},
		Thresholds: moderation.Thresholds{Explicit: bound},
	}
}

// install writes a model and its manifest into a directory, with the self-test that ONNX Runtime answers for it as it is.
func install(t testing.TB, g *tfjs.Graph, m moderation.Manifest) Options {
	t.Helper()
	o := Options{ModelDir: t.TempDir(), Library: filepath.Join(fetched(t), LibraryName), Slots: 2}
	data := g.Encode()
	sum := sha256.Sum256(data)
	m.SHA256 = hex.EncodeToString(sum[:])
	write(t, o, "model.onnx", data)
	writeManifest(t, o, m)
	tests, err := SelfTest(t.Context(), o, 1e-3)
	if err != nil {
		t.Fatal(err)
	}
	m.SelfTest = tests
	writeManifest(t, o, m)
	return o
}

func writeManifest(t testing.TB, o Options, m moderation.Manifest) {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	write(t, o, "manifest.json", data)
}

// edit changes an installed manifest.
func edit(t testing.TB, o Options, change func(*moderation.Manifest)) {
	t.Helper()
	f, err := os.Open(filepath.Join(o.ModelDir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := moderation.DecodeManifest(f)
	if err != nil {
		t.Fatal(err)
	}
	change(&m)
	writeManifest(t, o, m)
}

func write(t testing.TB, o Options, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(o.ModelDir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// plain returns a picture of one colour.
func plain(width, height int, r, g, b byte) moderation.Raster {
	p := moderation.Raster{Width: width, Height: height, Pix: make([]byte, 0, width*height*3)}
	for range width * height {
		p.Pix = append(p.Pix, r, g, b)
	}
	return p
}

// sigmoidModel is a one-output model with NCHW, BGR and means in 0..255.
func sigmoidModel() own {
	return own{
		layout: moderation.NCHW, color: moderation.BGR, scale: 1, mean: []float64{104, 117, 123}, kind: moderation.LogitsSigmoid,
		labels: []string{"nsfw"}, weights: []float32{-0.01, 0.002, 0.03}, bias: []float32{0.5},
	}
}

// softmaxModel is a two-class model with logits, mean and deviation 0.5, the bad label first.
func softmaxModel() own {
	return own{
		layout: moderation.NCHW, color: moderation.RGB, scale: 255, mean: []float64{0.5, 0.5, 0.5}, std: []float64{0.5, 0.5, 0.5},
		kind: moderation.LogitsSoftmax, labels: []string{"nsfw", "normal"}, weights: []float32{2, -1, 0.5, 0.1, -1, 1}, bias: []float32{0.2, -0.3},
	}
}

// probabilityModel has its softmax inside and takes NHWC.
func probabilityModel() own {
	m := softmaxModel()
	m.layout, m.kind, m.softmax = moderation.NHWC, moderation.Probabilities, true
	return m
}
