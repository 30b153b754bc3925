package onnx

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/moderation"
)

// parityTolerance is what the reference's scores may be missed by. Seen: 2e-6.
const parityTolerance = 1e-3

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// reference holds the scores of the reference implementation by file and model.
type reference map[string]map[string]json.RawMessage

func readReference(t *testing.T) (reference, string) {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "fixtures", "classifier")
	data, err := os.ReadFile(filepath.Join(dir, "reference.json"))
	if err != nil {
		t.Skipf("no reference scores: %v", err)
	}
	var r reference
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r, dir
}

func TestScoresAreTheReferences(t *testing.T) {
	ref, dir := readReference(t)
	models, found := fetched(t), 0
	for id, name := range map[string]string{"nsfwjs-mobilenet-v2": "MobileNetV2", "nsfwjs-mobilenet-v2-mid": "MobileNetV2Mid", "nsfwjs-inception-v3": "InceptionV3"} {
		modelDir := filepath.Join(models, id)
		if _, err := os.Stat(modelDir); err != nil {
			continue
		}
		found++
		t.Run(name, func(t *testing.T) {
			c := mustOpen(t, Options{ModelDir: modelDir, Library: filepath.Join(models, LibraryName)})
			most := 0.0
			for file, scores := range ref {
				most = max(most, parity(t, c, filepath.Join(dir, file), scores[name]))
			}
			t.Logf("largest difference %.1e over %d pictures", most, len(ref))
		})
	}
	if found == 0 {
		t.Fatal("no converted model: run make setup")
	}
}

// parity returns the largest difference for one picture.
func parity(t *testing.T, c *Classifier, file string, scores json.RawMessage) float64 {
	t.Helper()
	var want map[string]float64
	if err := json.Unmarshal(scores, &want); err != nil || len(want) != 5 {
		t.Fatalf("reference of %s: %v", filepath.Base(file), err)
	}
	got, err := c.Classify(t.Context(), readPNG(t, file))
	if err != nil {
		t.Fatal(err)
	}
	most := 0.0
	for label, w := range want {
		off := math.Abs(got[label] - w)
		if off > parityTolerance {
			t.Errorf("%s: %s is %.6f, the reference's %.6f", filepath.Base(file), label, got[label], w)
		}
		most = max(most, off)
	}
	return most
}

// readPNG returns the picture's own RGB: not multiplied with its alpha, a palette looked up.
func readPNG(t *testing.T, file string) moderation.Raster {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return rasterOf(img)
}

func rasterOf(img image.Image) moderation.Raster {
	b := img.Bounds()
	r := moderation.Raster{Width: b.Dx(), Height: b.Dy()}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			r.Pix = append(r.Pix, c.R, c.G, c.B)
		}
	}
	return r
}

// TestRealModelsAreSensitive shows that the recorded self-tests notice every wrong step of the preprocessing.
func TestRealModelsAreSensitive(t *testing.T) {
	models := fetched(t)
	for _, id := range []string{"nsfwjs-mobilenet-v2", "nsfwjs-mobilenet-v2-mid"} {
		data, err := os.ReadFile(filepath.Join(models, id, "model.onnx"))
		if err != nil {
			continue
		}
		manifest, err := os.ReadFile(filepath.Join(models, id, "manifest.json"))
		if err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func(*moderation.Manifest){
			"colour": func(m *moderation.Manifest) { m.Input.Color = moderation.BGR },
			"labels": func(m *moderation.Manifest) {
				m.Output.Labels[0], m.Output.Labels[3] = m.Output.Labels[3], m.Output.Labels[0]
			},
			"scale":  func(m *moderation.Manifest) { m.Input.Scale = 256 },
			"resize": func(m *moderation.Manifest) { m.Input.Resize = moderation.BilinearHalfPixel },
		} {
			t.Run(id+"/"+name, func(t *testing.T) {
				o := Options{ModelDir: t.TempDir(), Library: filepath.Join(models, LibraryName), Slots: 1}
				write(t, o, "model.onnx", data)
				write(t, o, "manifest.json", manifest)
				edit(t, o, change)
				c, err := Open(t.Context(), o)
				if err == nil {
					c.Close()
					t.Fatal("the self-test notices nothing")
				}
				t.Log(err)
			})
		}
	}
}

// BenchmarkClassify measures preprocessing and model together; BenchmarkRun the model alone, on a ready tensor.
func BenchmarkClassify(b *testing.B) {
	c := benchmarkModel(b)
	r := plain(448, 597, 120, 90, 60)
	for b.Loop() {
		if _, err := c.Classify(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	c := benchmarkModel(b)
	s := <-c.slots
	defer func() { c.slots <- s }()
	for b.Loop() {
		if err := s.runWithin(b.Context(), c.session); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkModel(b *testing.B) *Classifier {
	b.Helper()
	models := fetched(b)
	return mustOpen(b, Options{ModelDir: filepath.Join(models, "nsfwjs-mobilenet-v2"), Library: filepath.Join(models, LibraryName), Slots: 1})
}
