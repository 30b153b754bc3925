package moderation

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ninefold/ninefold/pipeline"
)

func validManifest() Manifest {
	t := Threshold{Low: 0.3, High: 0.5}
	return Manifest{
		Schema: ModelSchema, ID: "m-1", SHA256: strings.Repeat("ab", 32), Licence: "MIT",
		Input:  nsfwInput(224),
		Output: Output{Kind: Probabilities, Labels: []string{"drawing", "hentai", "neutral", "porn", "sexy"}},
		Categories: Categories{
			Explicit: Category{Labels: []string{"porn"}}, Drawn: Category{Labels: []string{"hentai"}, Reduce: ReduceMax},
			Suggestive: Category{Labels: []string{"sexy"}, Reduce: ReduceSum},
		},
		Thresholds: Thresholds{Explicit: t, Drawn: t, Suggestive: t},
		SelfTest:   []SelfTest{{Picture: "ramps", Scores: raw(0.2, 0.2, 0.2, 0.2, 0.2), Tolerance: 1e-4}},
	}
}

func raw(drawing, hentai, neutral, porn, sexy float64) map[string]float64 {
	return map[string]float64{"drawing": drawing, "hentai": hentai, "neutral": neutral, "porn": porn, "sexy": sexy}
}

func TestManifestSurvivesJSON(t *testing.T) {
	m := validManifest()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeManifest(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeManifestIsStrict(t *testing.T) {
	data, err := json.Marshal(validManifest())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"unknown field": `{"threshold":1,` + string(data[1:]), "two documents": string(data) + "{}", "empty": "", "huge": strings.Repeat(" ", MaxManifestBytes+1),
	} {
		if _, err := DecodeManifest(strings.NewReader(text)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestManifestMistakesNameTheField(t *testing.T) {
	tests := map[string]func(*Manifest){
		"schema":                       func(m *Manifest) { m.Schema = "x" },
		"id":                           func(m *Manifest) { m.ID = "../up" },
		"sha256":                       func(m *Manifest) { m.SHA256 = "AB" },
		"licence":                      func(m *Manifest) { m.Licence = "" },
		"input.layout":                 func(m *Manifest) { m.Input.Layout = "CHWN" },
		"input.color":                  func(m *Manifest) { m.Input.Color = "grey" },
		"input.resize":                 func(m *Manifest) { m.Input.Resize = "nearest" },
		"input.size":                   func(m *Manifest) { m.Input.Size = MaxInputSide + 1 },
		"input.scale":                  func(m *Manifest) { m.Input.Scale = 0 },
		"input.mean":                   func(m *Manifest) { m.Input.Mean = []float64{math.NaN(), 0, 0} },
		"input.std":                    func(m *Manifest) { m.Input.Std = []float64{1, 0, 1} },
		"output.kind":                  func(m *Manifest) { m.Output.Kind = "logits" },
		"output.labels":                func(m *Manifest) { m.Output.Labels = nil },
		"output.labels[4]":             func(m *Manifest) { m.Output.Labels = []string{"drawing", "hentai", "porn", "sexy", "porn"} },
		"categories.explicit.labels":   func(m *Manifest) { m.Categories.Explicit.Labels = nil },
		"categories.drawn.labels":      func(m *Manifest) { m.Categories.Drawn.Labels = []string{"cartoon"} },
		"categories.suggestive.reduce": func(m *Manifest) { m.Categories.Suggestive.Reduce = "mean" },
		"thresholds.explicit":          func(m *Manifest) { m.Thresholds.Explicit = Threshold{Low: 0.6, High: 0.5} },
		"thresholds.drawn":             func(m *Manifest) { m.Thresholds.Drawn = Threshold{High: math.NaN(), Low: 0.1} },
		"thresholds.suggestive":        func(m *Manifest) { m.Thresholds.Suggestive = Threshold{} },
		"selftest[0].picture":          func(m *Manifest) { m.SelfTest[0].Picture = "cat" },
		"selftest[0].tolerance":        func(m *Manifest) { m.SelfTest[0].Tolerance = 0.5 },
		"selftest[0].scores":           func(m *Manifest) { m.SelfTest[0].Scores = raw(2, 0, 0, 0, 0) },
	}
	if err := validManifest().Validate(); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range tests {
		m := validManifest()
		spoil(&m)
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func TestScoresByCategory(t *testing.T) {
	m := validManifest()
	m.Categories.Explicit = Category{Labels: []string{"porn", "hentai"}, Reduce: ReduceMax}
	m.Categories.Drawn = Category{Labels: []string{"hentai", "drawing"}, Reduce: ReduceSum}
	m.Categories.Suggestive = Category{Labels: []string{"neutral"}, Reduce: ReduceComplement}
	got, err := m.Scores(raw(0.1, 0.2, 0.3, 0.35, 0.05))
	want := pipeline.Scores{Explicit: 0.35, Drawn: 0.3, Suggestive: 0.7}
	if err != nil || math.Abs(got.Explicit-want.Explicit)+math.Abs(got.Drawn-want.Drawn)+math.Abs(got.Suggestive-want.Suggestive) > 1e-12 {
		t.Errorf("got %+v (%v), want %+v", got, err, want)
	}
	m.Categories.Drawn = Category{}
	if got, err = m.Scores(raw(0.1, 0.2, 0.3, 0.35, 0.05)); err != nil || got.Drawn != 0 {
		t.Errorf("a model that cannot tell: drawn %v (%v)", got.Drawn, err)
	}
}

func TestScoresStayInRange(t *testing.T) {
	m := validManifest()
	m.Categories.Explicit = Category{Labels: []string{"porn", "sexy"}, Reduce: ReduceSum}
	got, err := m.Scores(raw(0, -1e-7, 0, 0.9, 0.8))
	if err != nil || !got.Valid() || got.Explicit != 1 || got.Drawn != 0 {
		t.Errorf("got %+v (%v)", got, err)
	}
}

func TestBrokenScoresAreNoScores(t *testing.T) {
	missing, extra := raw(1, 0, 0, 0, 0), raw(1, 0, 0, 0, 0)
	delete(missing, "porn")
	extra["other"] = 0
	for name, r := range map[string]map[string]float64{
		"NaN": raw(math.NaN(), 0, 1, 0, 0), "infinite": raw(0, 0, 0, math.Inf(1), 0), "minus infinite": raw(0, 0, 0, math.Inf(-1), 0),
		"above 1": raw(0, 0, 0, 1.01, 0), "below 0": raw(0, 0, 0, -0.01, 0), "missing": missing, "extra": extra, "none": nil,
	} {
		if got, err := validManifest().Scores(r); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
