package pipelinetest

import (
	"os"
	"path/filepath"
	"testing"
)

// Keep writes what a person may want to look at after a test to bin/NAME of the repository, as "screenshots/empty.png".
func Keep(t testing.TB, name string, data []byte) {
	t.Helper()
	path := filepath.Join(repository(), "bin", filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// repository is the nearest directory upwards with a go.mod.
func repository() string {
	dir, _ := os.Getwd()
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	return "."
}
