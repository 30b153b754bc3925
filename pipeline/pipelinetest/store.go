// Package pipelinetest holds the conformance suites of the pipeline's interfaces and what starts the real servers that tests
// run against. Standard library only.
package pipelinetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/ninefold/ninefold/pipeline"
)

// manyObjects is more than the 1,000 that S3 lists at a time.
const manyObjects = 1005

// TestStore holds a Store to every numbered case of pipeline.Store's comment. open returns a store of its own for each
// call, or one in which nothing else lies.
func TestStore(t *testing.T, open func(t *testing.T) pipeline.Store) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, pipeline.Store)
	}{
		{"round trip", testRoundTrip},
		{"case 1: put is all or nothing", testAllOrNothing},
		{"case 2: put new", testPutNew},
		{"case 2: one of sixteen wins", testPutNewRace},
		{"case 3: absent", testAbsent},
		{"case 4: bad keys", testBadKeys},
		{"case 5: ended context", testContext},
		{"list order and prefix", testList},
		{"list many", testListMany},
		{"content type", testContentType},
		{"large object", testLarge},
		{"check", testCheck},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// Digest returns the PutOptions for content.
func Digest(content []byte, contentType string) pipeline.PutOptions {
	sum := sha256.Sum256(content)
	return pipeline.PutOptions{ContentType: contentType, SHA256: hex.EncodeToString(sum[:])}
}

func put(t *testing.T, s pipeline.Store, key, content string) {
	t.Helper()
	err := s.Put(t.Context(), key, strings.NewReader(content), int64(len(content)), Digest([]byte(content), "text/plain"))
	if err != nil {
		t.Fatalf("Put %s: %v", key, err)
	}
}

func wantContent(t *testing.T, s pipeline.Store, key, want string) {
	t.Helper()
	r, o, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get %s: %v", key, err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || string(got) != want {
		t.Fatalf("Get %s: %d bytes, %v; want %d bytes", key, len(got), err, len(want))
	}
	if o.Key != key || o.Size != int64(len(want)) || o.Modified.IsZero() {
		t.Errorf("Get %s: described as %+v", key, o)
	}
	if o.SHA256 != "" && o.SHA256 != Digest([]byte(want), "").SHA256 {
		t.Errorf("Get %s: SHA256 %q is not the content's", key, o.SHA256)
	}
}

func wantAbsent(t *testing.T, s pipeline.Store, key string) {
	t.Helper()
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, pipeline.ErrNotExist) {
		t.Errorf("Stat %s: %v, want ErrNotExist", key, err)
	}
	if r, _, err := s.Get(t.Context(), key); !errors.Is(err, pipeline.ErrNotExist) {
		t.Errorf("Get %s: %v, want ErrNotExist", key, err)
		if err == nil {
			r.Close()
		}
	}
}

func testRoundTrip(t *testing.T, s pipeline.Store) {
	for _, key := range []string{"a", "media/ab/abcd.jpg", "x/with space/it's (1)+=@~,!*.txt", "dots/a..b/.hidden"} {
		for _, content := range []string{"first", "", "the second, longer than the first"} {
			put(t, s, key, content)
			wantContent(t, s, key, content)
		}
		o, err := s.Stat(t.Context(), key)
		if err != nil || o.Key != key || o.Size != int64(len("the second, longer than the first")) {
			t.Errorf("Stat %s: %+v, %v", key, o, err)
		}
	}
	r, size, err := s.Open(t.Context(), "a")
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || int64(len(got)) != size {
		t.Errorf("Open: said %d bytes, gave %d, %v", size, len(got), err)
	}
}

func testAllOrNothing(t *testing.T, s pipeline.Store) {
	const content = "exactly these bytes"
	good, size := Digest([]byte(content), ""), int64(len(content))
	broken := errors.New("broken disk")
	short := content[:7]
	cases := []struct {
		name string
		r    func() io.Reader
		size int64
		opts pipeline.PutOptions
	}{
		{"short", func() io.Reader { return strings.NewReader(short) }, size, good},
		{"empty", func() io.Reader { return strings.NewReader("") }, size, good},
		{"long", func() io.Reader { return strings.NewReader(content + "!") }, size, good},
		{"other bytes", func() io.Reader { return strings.NewReader(strings.ToUpper(content)) }, size, good},
		{"other size", func() io.Reader { return strings.NewReader(content) }, size - 1, good},
		{"unknown size", func() io.Reader { return strings.NewReader(content) }, -1, good},
		{"no digest", func() io.Reader { return strings.NewReader(content) }, size, pipeline.PutOptions{}},
		{"failing", func() io.Reader { return io.MultiReader(strings.NewReader(short), iotest.ErrReader(broken)) }, size, good},
		{"unexpected end", func() io.Reader {
			return io.MultiReader(strings.NewReader(short), iotest.ErrReader(io.ErrUnexpectedEOF))
		}, size, good},
	}
	for _, c := range cases {
		key := "all-or-nothing/" + strings.ReplaceAll(c.name, " ", "-")
		if err := s.Put(t.Context(), key, c.r(), c.size, c.opts); err == nil {
			t.Errorf("%s: Put accepted it", c.name)
		}
		wantAbsent(t, s, key)
		if created, err := s.PutNew(t.Context(), key, c.r(), c.size, c.opts); err == nil || created {
			t.Errorf("%s: PutNew accepted it", c.name)
		}
		wantAbsent(t, s, key)
		put(t, s, key, "kept")
		if err := s.Put(t.Context(), key, c.r(), c.size, c.opts); err == nil {
			t.Errorf("%s: Put over an object accepted it", c.name)
		}
		wantContent(t, s, key, "kept")
	}
}

func testPutNew(t *testing.T, s pipeline.Store) {
	put2 := func(content string) (bool, error) {
		return s.PutNew(t.Context(), "new/one", strings.NewReader(content), int64(len(content)), Digest([]byte(content), ""))
	}
	if created, err := put2("first"); err != nil || !created {
		t.Fatalf("free key: created %v, %v", created, err)
	}
	if created, err := put2("second"); err != nil || created {
		t.Fatalf("taken key: created %v, %v", created, err)
	}
	wantContent(t, s, "new/one", "first")
}

func testPutNewRace(t *testing.T, s pipeline.Store) {
	const racers, rounds = 16, 5
	for round := range rounds {
		key := fmt.Sprintf("race/%d", round)
		var wins atomic.Int32
		winner := make([]bool, racers)
		start := make(chan struct{})
		var all sync.WaitGroup
		for i := range racers {
			all.Go(func() {
				content := fmt.Sprintf("racer %02d", i)
				<-start
				created, err := s.PutNew(t.Context(), key, strings.NewReader(content), int64(len(content)), Digest([]byte(content), ""))
				if err != nil {
					t.Errorf("racer %d: %v", i, err)
				}
				if winner[i] = created; created {
					wins.Add(1)
				}
			})
		}
		close(start)
		all.Wait()
		if wins.Load() != 1 {
			t.Fatalf("round %d: %d of %d created the object, want 1", round, wins.Load(), racers)
		}
		wantContent(t, s, key, fmt.Sprintf("racer %02d", slices.Index(winner, true)))
	}
}

func testAbsent(t *testing.T, s pipeline.Store) {
	put(t, s, "here/file", "x")
	for _, key := range []string{"nothing", "here", "here/file2", "here/file/below", "not/there", "long/" + strings.Repeat("n", 300)} {
		wantAbsent(t, s, key)
		_, _, err := s.Open(t.Context(), key)
		if code := pipeline.AsError(err).Code; err == nil || code != pipeline.CodeSourceMissing {
			t.Errorf("Open %s: %v, want %s", key, err, pipeline.CodeSourceMissing)
		}
		if err != nil && pipeline.Retryable(err) {
			t.Errorf("Open %s: a missing source would be tried again", key)
		}
	}
}

func testBadKeys(t *testing.T, s pipeline.Store) {
	bad := []string{
		"", "/", "/etc/passwd", "a//b", "a/", "../a", "a/../b", "a/..", ".", "./a", "a/./b", `a\b`, "a:b", "a\x00b", "a\nb", "ä",
		"a#b", "a%2fb", "a?b", strings.Repeat("k", 1025),
	}
	for _, key := range bad {
		if err := s.Put(t.Context(), key, untouched{t}, 1, Digest([]byte("x"), "")); err == nil {
			t.Errorf("Put accepted key %q", key)
		}
		if _, err := s.PutNew(t.Context(), key, untouched{t}, 1, Digest([]byte("x"), "")); err == nil {
			t.Errorf("PutNew accepted key %q", key)
		}
		if _, err := s.Stat(t.Context(), key); err == nil {
			t.Errorf("Stat accepted key %q", key)
		}
		if _, _, err := s.Get(t.Context(), key); err == nil {
			t.Errorf("Get accepted key %q", key)
		}
		if _, _, err := s.Open(t.Context(), key); err == nil {
			t.Errorf("Open accepted key %q", key)
		}
	}
	for _, prefix := range []string{"/", "../", "a//", "a/../", "\x00"} {
		if err := s.List(t.Context(), prefix, func(pipeline.Object) error { return nil }); err == nil {
			t.Errorf("List accepted prefix %q", prefix)
		}
	}
	if keys := list(t, s, ""); len(keys) != 0 {
		t.Errorf("bad keys left %q", keys)
	}
}

// untouched is a reader that must not be read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the content was read for a bad key")
	return 0, io.EOF
}

func testContext(t *testing.T, s pipeline.Store) {
	put(t, s, "there", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, statErr := s.Stat(ctx, "there")
	_, _, getErr := s.Get(ctx, "there")
	_, _, openErr := s.Open(ctx, "there")
	_, newErr := s.PutNew(ctx, "new", strings.NewReader("x"), 1, Digest([]byte("x"), ""))
	calls := map[string]error{
		"Stat": statErr, "Get": getErr, "Open": openErr, "PutNew": newErr,
		"Put":  s.Put(ctx, "new", strings.NewReader("x"), 1, Digest([]byte("x"), "")),
		"List": s.List(ctx, "", func(pipeline.Object) error { return nil }),
	}
	for name, err := range calls {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want it to wrap context.Canceled", name, err)
		}
		if errors.Is(err, pipeline.ErrNotExist) {
			t.Errorf("%s: reads as an absent object", name)
		}
	}
	wantAbsent(t, s, "new")
	testContextMidway(t, s)
}

// testContextMidway ends the context while the content is being read.
func testContextMidway(t *testing.T, s pipeline.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	r := io.MultiReader(bytes.NewReader(content[:len(content)/2]), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, nil
	}), bytes.NewReader(content[len(content)/2:]))
	if err := s.Put(ctx, "midway", r, int64(len(content)), Digest(content, "")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v, want it to wrap context.Canceled", err)
	}
	wantAbsent(t, s, "midway")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func list(t *testing.T, s pipeline.Store, prefix string) []string {
	t.Helper()
	var keys []string
	err := s.List(t.Context(), prefix, func(o pipeline.Object) error {
		if o.Size != 1 {
			t.Errorf("List %q: %s has size %d, want 1", prefix, o.Key, o.Size)
		}
		keys = append(keys, o.Key)
		return nil
	})
	if err != nil {
		t.Fatalf("List %q: %v", prefix, err)
	}
	return keys
}

func testList(t *testing.T, s pipeline.Store) {
	if keys := list(t, s, ""); len(keys) != 0 {
		t.Fatalf("an empty store lists %q", keys)
	}
	// What sorts between a directory's name and its content is what a walk of directories gets wrong.
	all := []string{"a!x", "a-x", "a.b", "a/b", "a/b.c", "a/bd/e", "a0", "aa", "b/1", "b/10", "b/2", "b.x/1", "c", "Z"}
	for _, key := range all {
		put(t, s, key, "x")
	}
	slices.Sort(all)
	for _, prefix := range []string{"", "a", "a/", "a/b", "b", "b/", "b/1", "a.", "c", "c/", "nothing", "nothing/at/all"} {
		var want []string
		for _, key := range all {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		if got := list(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("List %q:\n got %q\nwant %q", prefix, got, want)
		}
	}
	testListStops(t, s)
}

func testListStops(t *testing.T, s pipeline.Store) {
	enough, seen := errors.New("enough"), 0
	err := s.List(t.Context(), "", func(pipeline.Object) error {
		if seen++; seen == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || seen != 3 {
		t.Errorf("List: %v after %d objects, want the callback's error after 3", err, seen)
	}
}

func testListMany(t *testing.T, s pipeline.Store) {
	var want []string
	for i := range manyObjects {
		want = append(want, fmt.Sprintf("many/%02x/%05d.bin", i%7, i))
	}
	slots := make(chan struct{}, 8)
	var all sync.WaitGroup
	for _, key := range want {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if err := s.Put(t.Context(), key, strings.NewReader("x"), 1, Digest([]byte("x"), "")); err != nil {
				t.Errorf("Put %s: %v", key, err)
			}
		})
	}
	all.Wait()
	slices.Sort(want)
	if got := list(t, s, "many/"); !slices.Equal(got, want) {
		t.Errorf("List of %d objects gave %d, or in another order", len(want), len(got))
	}
}

// typed is a store that keeps content types.
type typed interface {
	ContentType(ctx context.Context, key string) (string, error)
}

func testContentType(t *testing.T, s pipeline.Store) {
	store, ok := s.(typed)
	if !ok {
		t.Skip("this store does not keep content types")
	}
	if err := s.Put(t.Context(), "typed.jpg", strings.NewReader("x"), 1, Digest([]byte("x"), "image/jpeg")); err != nil {
		t.Fatal(err)
	}
	if got, err := store.ContentType(t.Context(), "typed.jpg"); err != nil || got != "image/jpeg" {
		t.Errorf("content type %q, %v; want image/jpeg", got, err)
	}
}

// testLarge puts what no store should hold in memory, from a reader that cannot seek.
func testLarge(t *testing.T, s pipeline.Store) {
	const size = 24 << 20
	content := bytes.Repeat([]byte("ninefold"), size/8)
	if err := s.Put(t.Context(), "large.bin", io.MultiReader(bytes.NewReader(content)), size, Digest(content, "")); err != nil {
		t.Fatal(err)
	}
	if created, err := s.PutNew(t.Context(), "large2.bin", bytes.NewReader(content), size, Digest(content, "")); err != nil || !created {
		t.Fatalf("PutNew: %v, %v", created, err)
	}
	for _, key := range []string{"large.bin", "large2.bin"} {
		wantContent(t, s, key, string(content))
	}
}

func testCheck(t *testing.T, s pipeline.Store) {
	for range 2 {
		if err := s.Check(t.Context()); err != nil {
			t.Fatalf("Check: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Check(ctx); err == nil {
		t.Error("Check with an ended context says the store works")
	}
}
