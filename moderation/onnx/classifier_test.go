package onnx

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/moderation/tfjs"
	"github.com/ninefold/ninefold/pipeline"
)

func mustOpen(t testing.TB, o Options) *Classifier {
	t.Helper()
	c, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestOwnModelsAnswerWhatTheirManifestSays(t *testing.T) {
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	unit := func(v float64) float64 { return (v/255 - 0.5) / 0.5 }
	r, g, b := 200.0, 90.0, 30.0
	nsfw, normal := 2*unit(r)+0.5*unit(g)-unit(b)+0.2, -unit(r)+0.1*unit(g)+unit(b)-0.3
	two := math.Exp(nsfw) / (math.Exp(nsfw) + math.Exp(normal))
	tests := []struct {
		name  string
		model own
		want  float64
	}{
		{"one output, sigmoid, NCHW, BGR, means of 0 to 255", sigmoidModel(), sigmoid(-0.01*(b-104) + 0.002*(g-117) + 0.03*(r-123) + 0.5)},
		{"two classes, logits, NCHW, mean and deviation", softmaxModel(), two},
		{"two classes, probabilities, NHWC", probabilityModel(), two},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustOpen(t, install(t, tt.model.graph(), tt.model.manifest()))
			raw, err := c.Classify(t.Context(), plain(40, 30, byte(r), byte(g), byte(b)))
			if err != nil {
				t.Fatal(err)
			}
			scores, err := c.Model().Scores(raw)
			if err != nil || math.Abs(scores.Explicit-tt.want) > 1e-5 {
				t.Errorf("explicit %v (%v), want %v", scores.Explicit, err, tt.want)
			}
		})
	}
}

func TestWrongModelsAreRefused(t *testing.T) {
	tests := []struct {
		name, want string
		model      own
		change     func(*moderation.Manifest)
	}{
		{"wrong file", "SHA-256", softmaxModel(), func(m *moderation.Manifest) { m.SHA256 = strings.Repeat("0", 64) }},
		{"wrong layout", "input.layout NHWC", softmaxModel(), func(m *moderation.Manifest) { m.Input.Layout = moderation.NHWC }},
		{"wrong size", "input.size 32", softmaxModel(), func(m *moderation.Manifest) { m.Input.Size = 32 }},
		{"wrong colour order", "input.color", sigmoidModel(), func(m *moderation.Manifest) { m.Input.Color = moderation.RGB }},
		{"wrong label order", "output.labels", softmaxModel(), func(m *moderation.Manifest) { m.Output.Labels = []string{"normal", "nsfw"} }},
		{"too many labels", "output.labels names 3", softmaxModel(), func(m *moderation.Manifest) {
			m.Output.Labels = append(m.Output.Labels, "third")
			m.SelfTest = nil
		}},
		{"logits called probabilities", "self-test", softmaxModel(), func(m *moderation.Manifest) { m.Output.Kind = moderation.Probabilities }},
		{"probabilities called logits", "self-test", probabilityModel(), func(m *moderation.Manifest) { m.Output.Kind = moderation.LogitsSoftmax }},
		{"wrong means", "self-test", sigmoidModel(), func(m *moderation.Manifest) { m.Input.Mean = nil }},
		{"wrong scale", "self-test", softmaxModel(), func(m *moderation.Manifest) { m.Input.Scale = 1 }},
		{"no self-test", "records no scores", softmaxModel(), func(m *moderation.Manifest) { m.SelfTest = nil }},
		{"unknown picture", "selftest[0].picture", softmaxModel(), func(m *moderation.Manifest) { m.SelfTest[0].Picture = "cat" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := install(t, tt.model.graph(), tt.model.manifest())
			mustOpen(t, o)
			edit(t, o, tt.change)
			c, err := Open(t.Context(), o)
			if err == nil {
				c.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestModelsThatAnswerNothingAreRefused(t *testing.T) {
	m := softmaxModel()
	o := install(t, m.graph(), m.manifest())
	recorded := mustOpen(t, o).Model().SelfTest
	m.bias = []float32{float32(math.NaN()), 0}
	data := m.graph().Encode()
	write(t, o, "model.onnx", data)
	edit(t, o, func(x *moderation.Manifest) { x.SHA256, x.SelfTest = digestOf(data), recorded })
	if c, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("opened %v with %v, want an error with NaN", c, err)
	}
}

func TestGarbageIsNoModel(t *testing.T) {
	m := softmaxModel()
	o := install(t, m.graph(), m.manifest())
	write(t, o, "model.onnx", []byte("not a model"))
	edit(t, o, func(x *moderation.Manifest) { x.SHA256 = digestOf([]byte("not a model")) })
	if c, err := Open(t.Context(), o); err == nil {
		c.Close()
		t.Error("opened")
	}
}

func TestClassifyRefusesWhatIsNoPicture(t *testing.T) {
	m := softmaxModel()
	c := mustOpen(t, install(t, m.graph(), m.manifest()))
	for _, r := range []moderation.Raster{{}, {Width: 2, Height: 2, Pix: make([]byte, 11)}, {Width: 1 << 20, Height: 1 << 20}, {Width: -1, Height: -1, Pix: make([]byte, 3)}} {
		_, err := c.Classify(t.Context(), r)
		if pipeline.AsError(err).Code != pipeline.CodeClassifierUnavailable {
			t.Errorf("%d x %d: got %v, want classifier_unavailable", r.Width, r.Height, err)
		}
	}
}

func TestManyCallersShareTheSlots(t *testing.T) {
	m := softmaxModel()
	c := mustOpen(t, install(t, m.graph(), m.manifest()))
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			shade := byte(i * 16)
			want, err := c.Classify(t.Context(), plain(8, 8, shade, 10, 20))
			for range 20 {
				got, again := c.Classify(t.Context(), plain(8, 8, shade, 10, 20))
				if err != nil || again != nil || got["nsfw"] != want["nsfw"] {
					t.Errorf("shade %d: %v and %v, errors %v and %v", shade, want, got, err, again)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestClosedClassifierFails(t *testing.T) {
	m := softmaxModel()
	c := mustOpen(t, install(t, m.graph(), m.manifest()))
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if _, err := c.Classify(t.Context(), plain(8, 8, 1, 2, 3)); err == nil {
		t.Error("a closed classifier answered")
	}
}

// heavy is a model of many convolutions: it runs for some tenths of a second.
func heavy() (*tfjs.Graph, moderation.Manifest) {
	o := softmaxModel()
	g, channels := o.graph(), 32
	head := g.Nodes
	g.Nodes = nil
	source, in := "up", 3
	g.Initializers = append(g.Initializers, tfjs.Initializer{Name: "zoom", Dims: []int64{4}, Floats: []float32{1, 1, 6, 6}})
	g.Nodes = append(g.Nodes, tfjs.Node{Op: "Resize", Inputs: []string{"pixels", "", "zoom"}, Outputs: []string{"up"}})
	conv := func(name string, out int) {
		weights := make([]float32, out*in*9)
		for i := range weights {
			weights[i] = float32(i%7-3) / float32(in*9)
		}
		g.Initializers = append(g.Initializers, tfjs.Initializer{Name: name + "w", Dims: []int64{int64(out), int64(in), 3, 3}, Floats: weights})
		g.Nodes = append(g.Nodes, tfjs.Node{
			Op: "Conv", Inputs: []string{source, name + "w"}, Outputs: []string{name},
			Attrs: []tfjs.Attr{{Name: "pads", Value: []int64{1, 1, 1, 1}}},
		})
		source, in = name, out
	}
	for i := range 80 {
		conv("c"+string(rune('A'+i%26))+string(rune('a'+i/26)), channels)
	}
	conv("last", 3)
	head[0].Inputs = []string{source}
	g.Nodes = append(g.Nodes, head...)
	return g, o.manifest()
}

func TestCancelEndsARun(t *testing.T) {
	g, m := heavy()
	o := install(t, g, m)
	o.Slots = 1
	c := mustOpen(t, o)
	whole, err := timed(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	least := time.Hour
	for range 3 { // the quickest of three: the machine may be busy
		ctx, cancel := context.WithTimeout(t.Context(), whole/10)
		took, err := timed(ctx, c)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a cancelled run ended with %v", err)
		}
		least = min(least, took)
	}
	if least > whole*2/3 {
		t.Errorf("a run of %v, cancelled after a tenth, ended after %v", whole, least)
	}
	if _, err := c.Classify(t.Context(), plain(8, 8, 1, 2, 3)); err != nil {
		t.Errorf("the slot of a cancelled run is broken: %v", err)
	}
	t.Logf("whole run %v, cancelled run %v", whole, least)
}

func timed(ctx context.Context, c *Classifier) (time.Duration, error) {
	start := time.Now()
	_, err := c.Classify(ctx, plain(8, 8, 1, 2, 3))
	return time.Since(start), err
}

func TestWaitingForASlotEndsWithTheContext(t *testing.T) {
	m := softmaxModel()
	c := mustOpen(t, install(t, m.graph(), m.manifest()))
	held := []*slot{<-c.slots, <-c.slots}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := c.Classify(ctx, plain(8, 8, 1, 2, 3)); done <- err }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	for _, s := range held {
		c.slots <- s
	}
}

func TestLibraryIsLookedForInOrder(t *testing.T) {
	dir := t.TempDir()
	if got := candidates("/set/by/hand.so", filepath.Join(dir, "model")); len(got) != 1 || got[0] != "/set/by/hand.so" {
		t.Errorf("a setting leads to %q", got)
	}
	got := candidates("", filepath.Join(dir, "model"))
	if got[len(got)-1] != LibraryName {
		t.Errorf("the loader's path is not the last: %q", got)
	}
	placed := filepath.Join(dir, LibraryName)
	if err := os.WriteFile(placed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := candidates("", filepath.Join(dir, "model")); got[0] != placed || got[len(got)-1] != LibraryName {
		t.Errorf("a library beside the models is not the first: %q", got)
	}
}

func TestASecondLibraryIsRefused(t *testing.T) {
	m := softmaxModel()
	o := install(t, m.graph(), m.manifest())
	o.Library = "/elsewhere/" + LibraryName
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "already loaded") {
		t.Errorf("got %v", err)
	}
}
