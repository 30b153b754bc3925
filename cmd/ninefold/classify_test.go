package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/moderation/models"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// parity is how far a score may be from the reference implementation's: its float32 arithmetic differs by about 1e-6.
const parity = 1e-3

func TestClassifyRawEqualsTheReference(t *testing.T) {
	needFixtures(t)
	setUp(t)
	data, err := os.ReadFile(filepath.Join(fixtures, "classifier", "reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	var reference map[string]struct {
		MobileNetV2 map[string]float64
	}
	if err := json.Unmarshal(data, &reference); err != nil {
		t.Fatal(err)
	}
	args := []string{"classify", "--raw", "--json"}
	for name := range reference {
		args = append(args, filepath.Join(fixtures, "classifier", name))
	}
	lines := strings.Split(strings.TrimSpace(call(t.Context(), args...).want(t, exitOK).stdout), "\n")
	if len(lines) != len(reference) {
		t.Fatalf("%d lines for %d files", len(lines), len(reference))
	}
	worst := 0.0
	for _, line := range lines {
		var v verdict
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		want := reference[filepath.Base(v.File)].MobileNetV2
		if len(v.Raw) != len(want) || len(want) == 0 {
			t.Fatalf("%s: classes %v", v.File, v.Raw)
		}
		for class, p := range want {
			worst = math.Max(worst, math.Abs(p-v.Raw[class]))
		}
	}
	t.Logf("largest difference %.2g", worst)
	if worst > parity {
		t.Errorf("largest difference %g, want at most %g", worst, parity)
	}
}

func TestClassifyRefusesWhatShowsNothing(t *testing.T) {
	setUp(t)
	s := newScene(t)
	r := call(t.Context(), "classify", "--json", filepath.Join(s.dir, "text.jpg"), filepath.Join(s.dir, "photo.jpg")).want(t, exitPartial)
	if !strings.Contains(r.stdout, "unsupported_type") || !strings.Contains(r.stdout, `"level":"clear"`) {
		t.Errorf("printed %s", r.stdout)
	}
}

func TestTheRealModelKeepsTheModeratorsContract(t *testing.T) {
	setUp(t)
	m := ModelSettings{ModelsDir: os.Getenv("NINEFOLD_MODELS_DIR"), Model: models.Default}
	c, err := m.openModel(&app{ctx: t.Context()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := moderation.NewScreener(c, moderation.DefaultScreenConfig())
	if err != nil {
		t.Fatal(err)
	}
	pipelinetest.TestModerator(t, s)
}
