package tfjs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/moderation/onnx"
)

// scoreTolerance is how far ONNX Runtime in float32 may be from the evaluator in float64. Converting wrongly costs far more: see the
// mutants.
const scoreTolerance = 2e-5

// mutantLeast is what the mildest of the mutants must be off by: a hundred times the tolerance.
const mutantLeast = 2e-3

func topologies() map[string]func() *synthetic {
	return map[string]func() *synthetic{"MobileNetV2": mobileNetV2, "MobileNetV2Mid": mobileNetV2Mid, "InceptionV3": inceptionV3}
}

func TestConvertedModelsAnswerAsTheOriginals(t *testing.T) {
	for name, build := range topologies() {
		t.Run(name, func(t *testing.T) {
			s := build()
			g, err := Convert(t.Context(), s.write(t))
			if err != nil {
				t.Fatal(err)
			}
			if off := s.difference(t, g, labels()); off > scoreTolerance {
				t.Errorf("the converted model is off by %g, want at most %g", off, scoreTolerance)
			} else {
				t.Logf("off by %.1e", off)
			}
		})
	}
}

// TestMutantsAreFound breaks the conversion in the ways it has been seen to break; each must show in the comparison above.
func TestMutantsAreFound(t *testing.T) {
	mutants := []struct {
		name, topology string
		mutate         func(*Graph)
	}{
		{"symmetric zero padding", "MobileNetV2", symmetricPad},
		{"symmetric SAME", "MobileNetV2Mid", symmetricConv},
		{"symmetric SAME on an odd side", "InceptionV3", lateConv},
		{"epsilon of ONNX", "MobileNetV2", setAttr("BatchNormalization", "epsilon", float32(1e-5))},
		{"epsilon of ONNX", "InceptionV3", setAttr("BatchNormalization", "epsilon", float32(1e-5))},
		{"double softmax", "MobileNetV2", doubleSoftmax},
		{"double softmax", "MobileNetV2Mid", doubleSoftmax},
		{"padding counts in the mean", "InceptionV3", setAttr("AveragePool", "count_include_pad", int64(1))},
		{"flattened as NCHW", "MobileNetV2", dropSecondTranspose},
	}
	for _, m := range mutants {
		t.Run(m.name+"/"+m.topology, func(t *testing.T) {
			s := topologies()[m.topology]()
			g, err := Convert(t.Context(), s.write(t))
			if err != nil {
				t.Fatal(err)
			}
			before := sha256.Sum256(g.Encode())
			m.mutate(g)
			if sha256.Sum256(g.Encode()) == before {
				t.Fatal("the mutant changes nothing")
			}
			if off := s.difference(t, g, labels()); off < mutantLeast {
				t.Errorf("the mutant is off by only %g", off)
			}
		})
	}
}

func TestAnotherClassOrderIsFound(t *testing.T) {
	s := mobileNetV2()
	g, err := Convert(t.Context(), s.write(t))
	if err != nil {
		t.Fatal(err)
	}
	if off := s.difference(t, g, []string{"hentai", "drawing", "neutral", "porn", "sexy"}); off < mutantLeast {
		t.Errorf("another order is off by only %g", off)
	}
}

// convertedDigest is of what version 1 of the converter makes of the synthetic models.
const convertedDigest = "261ec7df93b9628346f986a22c099b28f30ef011d2fea9dbb1a3606dfd7247ca"

// TestAnotherConverterHasAnotherVersion: fetched models are kept until converterVersion in moderation/models says that they would come out
// differently now. Where this fails on purpose, raise that and put the new digest here.
func TestAnotherConverterHasAnotherVersion(t *testing.T) {
	all := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(topologies())) {
		g, err := Convert(t.Context(), topologies()[name]().write(t))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(g.Encode())
	}
	if got := hex.EncodeToString(all.Sum(nil)); got != convertedDigest {
		t.Errorf("the converter makes other files (%s): raise converterVersion in moderation/models/index.go", got)
	}
}

func TestConversionIsReproducible(t *testing.T) {
	dir := inceptionV3().write(t)
	a, err := Convert(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Convert(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Encode(), b.Encode()) {
		t.Error("the same model converted twice gave two files")
	}
}

func labels() []string { return []string{"drawing", "hentai", "neutral", "porn", "sexy"} }

// difference returns the largest difference between the evaluator and g on ONNX Runtime, over random pictures. answers names g's outputs.
func (s *synthetic) difference(t *testing.T, g *Graph, answers []string) float64 {
	t.Helper()
	side := int(g.Input.Dims[1])
	in := moderation.Input{Layout: moderation.NHWC, Size: side, Color: moderation.RGB, Resize: moderation.BilinearAlignCorners, Scale: 255}
	rng := rand.New(rand.NewPCG(3, 4))
	most := 0.0
	for range 4 {
		r := moderation.Raster{Width: side, Height: side, Pix: make([]byte, side*side*3)}
		for i := range r.Pix {
			r.Pix[i] = byte(rng.IntN(256))
		}
		tensor := make([]float32, len(r.Pix))
		if err := moderation.NewPreprocessor(in).Fill(tensor, r); err != nil {
			t.Fatal(err)
		}
		p := newPicture(side, side, 3)
		for i, v := range tensor {
			p.d[i] = float64(v)
		}
		want, got := s.evaluate(t, p), classify(t, g, in, answers, r)
		for i, l := range labels() {
			most = math.Max(most, math.Abs(want[i]-got[l]))
		}
	}
	return most
}

// classify runs g on ONNX Runtime. The self-test it must pass is its own answer: it is the evaluator that judges here.
func classify(t *testing.T, g *Graph, in moderation.Input, answers []string, r moderation.Raster) map[string]float64 {
	t.Helper()
	dir, data := t.TempDir(), g.Encode()
	sum := sha256.Sum256(data)
	bound := moderation.Threshold{Low: 0.3, High: 0.5}
	m := moderation.Manifest{
		Schema: moderation.ModelSchema, ID: "synthetic", Licence: "MIT", SHA256: hex.EncodeToString(sum[:]), Input: in,
		Output:     moderation.Output{Kind: moderation.Probabilities, Labels: answers},
		Categories: moderation.Categories{Explicit: moderation.Category{Labels: []string{"porn"}}},
		Thresholds: moderation.Thresholds{Explicit: bound},
	}
	o := onnx.Options{ModelDir: dir, Library: library(t), Slots: 1}
	writeModel(t, dir, data, m)
	var err error
	if m.SelfTest, err = onnx.SelfTest(context.Background(), o, 1e-6); err != nil {
		t.Fatal(err)
	}
	writeModel(t, dir, data, m)
	c, err := onnx.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Classify(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func writeModel(t *testing.T, dir string, data []byte, m moderation.Manifest) {
	t.Helper()
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"model.onnx": data, "manifest.json": manifest} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// library returns the path of ONNX Runtime's library in the fetched models.
func library(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("NINEFOLD_MODELS")
	if dir == "" {
		dir = filepath.Join("..", "..", "bin", "models")
	}
	path := filepath.Join(dir, onnx.LibraryName)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no models: run make setup")
		}
		t.Skip("no models: run make setup")
	}
	return path
}

func setAttr(op, name string, v any) func(*Graph) {
	return func(g *Graph) {
		for i := range g.Nodes {
			for j := range g.Nodes[i].Attrs {
				if a := &g.Nodes[i].Attrs[j]; g.Nodes[i].Op == op && a.Name == name {
					a.Value = v
				}
			}
		}
	}
}

// symmetricPad moves the zeros of explicit paddings from the end to the beginning.
func symmetricPad(g *Graph) {
	for i := range g.Initializers {
		if g.Initializers[i].Ints != nil {
			g.Initializers[i].Ints = []int64{0, 0, 1, 1, 0, 0, 0, 0}
		}
	}
}

// symmetricConv pads (1, 1) where TensorFlow pads (0, 1): the sizes stay the same.
func symmetricConv(g *Graph) { movePads(g, []int64{0, 0, 1, 1}, []int64{1, 1, 1, 1}) }

// lateConv begins one pixel late.
func lateConv(g *Graph) { movePads(g, []int64{1, 1, 1, 1}, []int64{0, 0, 2, 2}) }

func movePads(g *Graph, from, to []int64) {
	for i := range g.Nodes {
		for j := range g.Nodes[i].Attrs {
			if a := &g.Nodes[i].Attrs[j]; g.Nodes[i].Op == "Conv" && a.Name == "pads" && equal(a.Value.([]int64), from) {
				a.Value = to
			}
		}
	}
}

func equal(a, b []int64) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func doubleSoftmax(g *Graph) {
	last := &g.Nodes[len(g.Nodes)-1]
	extra := Node{Op: "Softmax", Inputs: last.Inputs, Outputs: []string{"again"}, Attrs: []Attr{{"axis", int64(1)}}}
	last.Inputs = []string{"again"}
	g.Nodes = append(g.Nodes[:len(g.Nodes)-1], extra, *last)
}

// dropSecondTranspose flattens in ONNX's order instead of TensorFlow's.
func dropSecondTranspose(g *Graph) {
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Op == "Transpose" && n.Inputs[0] != inputName {
			n.Op, n.Attrs = "Identity", nil
		}
	}
}

func TestWhatCannotBeConvertedIsRefused(t *testing.T) {
	tests := []struct {
		name, want string
		topology   string
		change     func(doc string) string
	}{
		{"unknown layer", `class "Conv3D" is not supported`, "MobileNetV2", replace(`"Conv2D"`, `"Conv3D"`)},
		{"channels first", "data format", "MobileNetV2", replace(`channels_last`, `channels_first`)},
		{"unknown activation", `activation "swish" is not supported`, "InceptionV3", replace(`"activation":"relu"`, `"activation":"swish"`)},
		{"unknown operator", "is not supported", "MobileNetV2Mid", replace(`"AvgPool"`, `"MaxPool9"`)},
		{"missing weight", "is missing", "MobileNetV2", replace(`"Conv1/kernel"`, `"Conv9/kernel"`)},
		{"unused weight", "used by no layer", "MobileNetV2", replace(`"use_bias":true`, `"use_bias":false`)},
		{"bytes left over", "belong to no weight", "MobileNetV2Mid", replace(`"shape":[3,3,3,8]`, `"shape":[3,3,3,7]`)},
		{"shards too short", "end", "MobileNetV2Mid", replace(`"shape":[3,3,3,8]`, `"shape":[3,3,3,9]`)},
		{"huge shape", "out of bounds", "MobileNetV2Mid", replace(`"shape":[3,3,3,8]`, `"shape":[99999999,99999999,9,9]`)},
		{"negative shape", "out of bounds", "MobileNetV2Mid", replace(`"shape":[3,3,3,8]`, `"shape":[-3,-3,3,8]`)},
		{"cycle", "cycle", "MobileNetV2", replace(`"inbound_nodes":[[["Conv1",0,0,{}]]]`, `"inbound_nodes":[[["bn_Conv1",0,0,{}]]]`)},
		{"path in a shard's name", "not a plain name", "MobileNetV2", replace(`"group1-shard1of2"`, `"../../etc/passwd"`)},
		{"no topology", "no topology", "MobileNetV2", func(string) string { return `{"weightsManifest":[]}` }},
		{"zero stride", "out of bounds", "MobileNetV2", replace(`"strides":[2,2]`, `"strides":[0,0]`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := topologies()[tt.topology]()
			dir := s.write(t)
			doc, _ := s.document(t)
			changed := tt.change(string(doc))
			if changed == string(doc) {
				t.Fatal("the change changes nothing")
			}
			if err := os.WriteFile(filepath.Join(dir, "model.min.js"), []byte(bundle("model", minify(changed))), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Convert(t.Context(), dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func replace(from, to string) func(string) string {
	return func(doc string) string { return strings.ReplaceAll(doc, from, to) }
}
