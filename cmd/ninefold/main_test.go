package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/schema"
)

// engineProgram is ninefold-engine with ninefold-voice-engine beside it, built once for all tests.
var engineProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ninefold-engine-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ninefold-engine")
	out, err := exec.Command("go", "build", "-o", dir+"/", "../ninefold-engine", "../ninefold-voice-engine").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// asProgram in the environment makes this test program the program itself: a test that kills it need not link another.
const asProgram = "NINEFOLD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	code := m.Run()
	if path, err := engineProgram(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// fixtures is the folder of real media beside the repository.
const fixtures = "../../../shared/fixtures"

func needFixtures(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(fixtures); err != nil {
		t.Skipf("no real media to try: %v", err)
	}
}

// setUp makes the environment that make build leaves: an engine and models, and a scratch directory of the test's own.
func setUp(t *testing.T) (scratch string) {
	t.Helper()
	engine, err := engineProgram()
	if err != nil {
		t.Fatal(err)
	}
	models, err := filepath.Abs("../../bin/models")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(models, "index.json")); err != nil {
		t.Fatalf("no models: run make models (%v)", err)
	}
	scratch = t.TempDir()
	t.Setenv("NINEFOLD_ENGINE", engine)
	t.Setenv("NINEFOLD_MODELS_DIR", models)
	t.Setenv("NINEFOLD_SCRATCH", scratch)
	return scratch
}

// result is how a command ended.
type result struct {
	code           int
	stdout, stderr string
}

// call runs a command in this process.
func call(ctx context.Context, args ...string) result {
	var out, err bytes.Buffer
	code := run(ctx, args, &out, &err)
	return result{code, out.String(), err.String()}
}

func (r result) want(t *testing.T, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit %d, want %d\n%s\n%s", r.code, code, r.stdout, r.stderr)
	}
	return r
}

// manifest reads a manifest from standard output and holds it against its schema.
func (r result) manifest(t *testing.T) pipeline.Manifest {
	t.Helper()
	if err := fitsSchema(r.stdout); err != nil {
		t.Fatalf("the manifest does not fit its schema: %v\n%s", err, r.stdout)
	}
	var m pipeline.Manifest
	if err := json.Unmarshal([]byte(r.stdout), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func fitsSchema(doc string) error {
	parts, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema.Parts))
	if err != nil {
		return err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("parts.json", parts); err != nil {
		return err
	}
	s, err := c.Compile("parts.json")
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(doc))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// leavesNothing checks that every workspace was removed.
func leavesNothing(t *testing.T, scratch string) {
	t.Helper()
	entries, err := os.ReadDir(scratch)
	if err != nil || len(entries) > 0 {
		t.Errorf("scratch holds %v (%v), want nothing", entries, err)
	}
}

func TestUsage(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"help", []string{"--help"}, exitOK, ""},
		{"version", []string{"--version"}, exitOK, ""},
		{"no command", nil, exitUsage, "expected one of"},
		{"unknown flag", []string{"worker", "--nonsense"}, exitUsage, "--nonsense"},
		{"no files", []string{"process", "--out", "x"}, exitUsage, "name files"},
		{"no out", []string{"process", "x.jpg"}, exitUsage, "--out"},
		{"both", []string{"process", "x.jpg", "--job", "y", "--out", "x"}, exitUsage, "not both"},
		{"no job file", []string{"process", "--job", "absent.json", "--out", "x"}, exitUsage, "absent.json"},
		{"bad level", []string{"status", "x", "--log-level", "loud"}, exitUsage, "--log-level"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := call(t.Context(), tc.args...)
			if r.code != tc.code || !strings.Contains(r.stderr, tc.says) {
				t.Errorf("exit %d, want %d; stderr %q, want %q in it", r.code, tc.code, r.stderr, tc.says)
			}
		})
	}
}
