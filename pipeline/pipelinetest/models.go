package pipelinetest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// strictModel is the model that is used when nothing else is said.
const strictModel = "nsfwjs-mobilenet-v2"

// StrictModels returns a models directory with the default classifier of the directory from, with a threshold that every score passes:
// each picture counts as explicit. So every row of the policy can be seen without a picture that nobody wants in a repository.
func StrictModels(t testing.TB, from string) string {
	t.Helper()
	dir := t.TempDir()
	if err := strictManifest(filepath.Join(from, strictModel, "manifest.json"), filepath.Join(dir, strictModel)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	links := []string{filepath.Join(strictModel, "model.onnx")}
	for _, e := range entries {
		if !e.IsDir() {
			links = append(links, e.Name())
		}
	}
	for _, name := range links {
		if err := os.Symlink(filepath.Join(from, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func strictManifest(from, dir string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var manifest map[string]json.RawMessage
	if err := json.Unmarshal(data, &manifest); err != nil {
		return err
	}
	var thresholds map[string]json.RawMessage
	if err := json.Unmarshal(manifest["thresholds"], &thresholds); err != nil {
		return err
	}
	thresholds["explicit"] = json.RawMessage(`{"low": 1e-9, "high": 1e-9}`)
	if manifest["thresholds"], err = json.Marshal(thresholds); err != nil {
		return err
	}
	if data, err = json.Marshal(manifest); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "manifest.json"), data, 0o600)
}
