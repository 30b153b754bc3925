package moderation

import "testing"

// TestRefTellsEveryUse: whatever changes a score or its meaning changes the reference, so that facts found before it are found again.
func TestRefTellsEveryUse(t *testing.T) {
	model := func() Manifest { return (&markClassifier{}).Model() }
	seen := map[any]string{model().Ref(): "the model"}
	for name, change := range map[string]func(*Manifest){
		"another file":       func(m *Manifest) { m.SHA256 = "b" + m.SHA256[1:] },
		"another size":       func(m *Manifest) { m.Input.Size++ },
		"another layout":     func(m *Manifest) { m.Input.Layout = NCHW },
		"another colour":     func(m *Manifest) { m.Input.Color = BGR },
		"another resize":     func(m *Manifest) { m.Input.Resize = BilinearHalfPixel },
		"another mean":       func(m *Manifest) { m.Input.Mean = []float64{1, 2, 3} },
		"another scale":      func(m *Manifest) { m.Input.Scale = 255 },
		"another order":      func(m *Manifest) { m.Output.Labels = []string{"hentai", "porn", "sexy"} },
		"another category":   func(m *Manifest) { m.Categories.Explicit.Labels = []string{"porn", "hentai"} },
		"another reduction":  func(m *Manifest) { m.Categories.Explicit.Reduce = ReduceSum },
		"another threshold":  func(m *Manifest) { m.Thresholds.Explicit.Low /= 2 },
		"another kind of it": func(m *Manifest) { m.Output.Kind = LogitsSoftmax },
	} {
		m := model()
		change(&m)
		if other, taken := seen[m.Ref()]; taken {
			t.Errorf("%s reads like %s: %+v", name, other, m.Ref())
		}
		seen[m.Ref()] = name
	}
	if again := model().Ref(); seen[again] != "the model" {
		t.Errorf("the same model has another reference: %+v", again)
	}
}
