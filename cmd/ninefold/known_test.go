package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An engine that makes something else of known media than it must is given no message: the worker does not start, and doctor says which.
func TestAnEngineThatAnswersOtherwiseIsRefused(t *testing.T) {
	deploy(t)
	engine := filepath.Join(t.TempDir(), "badengine")
	if out, err := exec.Command("go", "build", "-o", engine, "../../transcode/sandbox/testdata/badengine").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("NINEFOLD_ENGINE", engine)
	if r := call(t.Context(), "worker").want(t, exitTrouble); !strings.Contains(r.stderr, "known answers: voice: known.voice: the top left is grey") {
		t.Errorf("the worker ends with: %s", r.stderr)
	}
	r := call(t.Context(), "doctor").want(t, exitTrouble)
	for _, kind := range []string{"voice", "photo", "video"} {
		if !strings.Contains(r.stdout, "FAIL  known answers: "+kind) {
			t.Errorf("no FAIL for %s:\n%s", kind, r.stdout)
		}
	}
}
