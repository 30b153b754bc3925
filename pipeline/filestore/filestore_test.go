package filestore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func put(t *testing.T, s *Store, key string) error {
	t.Helper()
	return s.Put(t.Context(), key, strings.NewReader("x"), 1, pipelinetest.Digest([]byte("x"), ""))
}

func TestStore(t *testing.T) {
	pipelinetest.TestStore(t, func(t *testing.T) pipeline.Store { return open(t, t.TempDir()) })
}

func TestAPersonFindsTheFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on", "demand")
	if err := put(t, open(t, dir), "media/ab/abcd.jpg"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "media", "ab", "abcd.jpg")); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

// A failed Put leaves no unfinished file, a dead writer's is removed by the next start, a living one's is not.
func TestTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Put(t.Context(), "a", strings.NewReader("short"), 100, pipelinetest.Digest([]byte("x"), "")); err == nil {
		t.Fatal("Put accepted a short reader")
	}
	if err := put(t, s, "a"); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, temporary)); len(left) != 0 {
		t.Fatalf("%d temporary files are left", len(left))
	}
	for name, age := range map[string]time.Duration{"dead": staleAfter + time.Hour, "living": time.Minute} {
		path := filepath.Join(dir, temporary, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, time.Time{}, time.Now().Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	left, _ := os.ReadDir(filepath.Join(dir, temporary))
	if len(left) != 1 || left[0].Name() != "living" {
		t.Errorf("left after the sweep: %v", left)
	}
}

// Links of every kind are no objects: what they point to is neither read nor written over nor listed.
func TestLinksAreNotFollowed(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	s := open(t, dir)
	if err := errors.Join(
		os.WriteFile(secret, []byte("secret"), 0o600), put(t, s, "real/file"),
		os.Symlink(secret, filepath.Join(dir, "absolute")), os.Symlink(outside, filepath.Join(dir, "out")),
		os.Symlink("real/file", filepath.Join(dir, "inside")), os.Symlink("real", filepath.Join(dir, "dir")),
	); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"absolute", "out/secret", "inside", "dir/file"} {
		if r, _, err := s.Get(t.Context(), key); !errors.Is(err, pipeline.ErrNotExist) {
			t.Errorf("Get %s: %v, want ErrNotExist", key, err)
			if err == nil {
				r.Close()
			}
		}
	}
	for _, key := range []string{"out/new", "dir/new"} {
		if err := put(t, s, key); err == nil {
			t.Errorf("Put %s went through a link", key)
		}
	}
	if err := put(t, s, "absolute"); err != nil {
		t.Errorf("Put in a link's place: %v", err)
	}
	if got, _ := os.ReadFile(secret); string(got) != "secret" {
		t.Errorf("the file outside now reads %q", got)
	}
	var keys []string
	for _, prefix := range []string{"", "dir/", "out/"} {
		if err := s.List(t.Context(), prefix, func(o pipeline.Object) error { keys = append(keys, o.Key); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(keys, []string{"absolute", "real/file"}) {
		t.Errorf("listed %q", keys)
	}
}

// A directory in the key's place is the store's trouble, never a silent success.
func TestDirectoryInTheWay(t *testing.T) {
	s := open(t, t.TempDir())
	if err := put(t, s, "a/b"); err != nil {
		t.Fatal(err)
	}
	if err := put(t, s, "a"); err == nil {
		t.Error("Put replaced a directory")
	}
	if created, err := s.PutNew(t.Context(), "a", strings.NewReader("x"), 1, pipelinetest.Digest([]byte("x"), "")); err == nil || created {
		t.Errorf("PutNew: %v, %v", created, err)
	}
	err := put(t, s, "a/b/c")
	if code := pipeline.AsError(err).Code; err == nil || code != pipeline.CodeStorageUnavailable {
		t.Errorf("Put below a file: %v", err)
	}
}

// One directory with more names than a batch is still listed whole and in order.
func TestListBeyondOneBatch(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	const objects = 5000
	s.batch = 700
	for i := range objects {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%06d", (i*7919)%objects)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	next := 0
	err := s.List(t.Context(), "", func(o pipeline.Object) error {
		if o.Key != fmt.Sprintf("%06d", next) {
			return fmt.Errorf("got %s in place %d", o.Key, next)
		}
		next++
		return nil
	})
	if err != nil || next != objects {
		t.Errorf("listed %d of %d: %v", next, objects, err)
	}
}

func TestCheckNamesTheDirectory(t *testing.T) {
	if os.Geteuid() == 0 {
		dir := t.TempDir()
		s := open(t, dir)
		if err := os.RemoveAll(dir); err != nil { // root may write everywhere but into what is gone
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("Check: %v, want it to name %s", err, dir)
		}
		return
	}
	dir := t.TempDir()
	s := open(t, dir)
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("Check: %v, want it to name %s", err, dir)
	}
}
