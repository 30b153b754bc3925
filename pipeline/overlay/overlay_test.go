package overlay_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/memstore"
	"github.com/ninefold/ninefold/pipeline/overlay"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

func TestStore(t *testing.T) {
	pipelinetest.TestStore(t, func(*testing.T) pipeline.Store { return overlay.New(memstore.New(), memstore.New()) })
}

func put(t *testing.T, s pipeline.Store, key, content string) {
	t.Helper()
	if err := s.Put(t.Context(), key, strings.NewReader(content), int64(len(content)), pipelinetest.Digest([]byte(content), "text/plain")); err != nil {
		t.Fatal(err)
	}
}

func keys(t *testing.T, s pipeline.Store) (all []string) {
	t.Helper()
	err := s.List(t.Context(), "", func(o pipeline.Object) error {
		all = append(all, o.Key+" "+o.SHA256[:2])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLowerStoreIsReadAndNeverWritten(t *testing.T) {
	upper, lower := memstore.New(), memstore.New()
	for _, key := range []string{"a", "c", "e"} {
		put(t, lower, key, "lower")
	}
	before := keys(t, lower)
	s := overlay.New(upper, lower)
	put(t, s, "c", "upper")
	put(t, s, "d", "upper")
	put(t, s, "f", "upper")
	made, err := s.PutNew(t.Context(), "a", strings.NewReader("x"), 1, pipelinetest.Digest([]byte("x"), ""))
	if err != nil || made {
		t.Errorf("PutNew over an object of the lower store: %v, %v", made, err)
	}
	if o, err := s.Stat(t.Context(), "c"); err != nil || o.Size != 5 || o.SHA256 == mustStat(t, lower, "c").SHA256 {
		t.Errorf("c is the lower store's: %+v, %v", o, err)
	}
	if got, want := len(keys(t, s)), 5; got != want {
		t.Errorf("%d keys, want %d: %v", got, want, keys(t, s))
	}
	if got := keys(t, s); !slices.IsSorted(got) {
		t.Errorf("not in order: %v", got)
	}
	if after := keys(t, lower); !slices.Equal(before, after) {
		t.Errorf("the lower store changed: %v, was %v", after, before)
	}
}

func mustStat(t *testing.T, s pipeline.Store, key string) pipeline.Object {
	t.Helper()
	o, err := s.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestListEndsWhereItsCallerDoes(t *testing.T) {
	upper, lower := memstore.New(), memstore.New()
	put(t, upper, "b", "1")
	put(t, lower, "a", "1")
	put(t, lower, "c", "1")
	stop, seen := errors.New("stop"), 0
	err := overlay.New(upper, lower).List(t.Context(), "", func(pipeline.Object) error {
		if seen++; seen == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || seen != 2 {
		t.Errorf("%v after %d objects", err, seen)
	}
}
