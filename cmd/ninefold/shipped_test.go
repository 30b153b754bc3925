package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestShippedManifestsRequireTheSandbox: nobody gets less than the whole sandbox without having written so.
func TestShippedManifestsRequireTheSandbox(t *testing.T) {
	t.Parallel()
	required := regexp.MustCompile(`(?m)^\s*NINEFOLD_SANDBOX[=:]\s*required\b`)
	for _, name := range []string{"Dockerfile", "compose.yaml", "kubernetes.yaml"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "docker", name))
		if err != nil {
			t.Fatal(err)
		}
		if !required.Match(data) {
			t.Errorf("docker/%s does not say that the sandbox is required", name)
		}
	}
}
