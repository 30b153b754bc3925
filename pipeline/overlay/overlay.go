// Package overlay lays a store that may be thrown away over one that must not change: what a dry run reads and writes.
package overlay

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"

	"github.com/ninefold/ninefold/pipeline"
)

// Store reads from the upper store, and what is not there from the lower one. It writes to the upper one only.
type Store struct {
	upper, lower pipeline.Store
}

var _ pipeline.Store = (*Store)(nil)

// New returns a Store of both.
func New(upper, lower pipeline.Store) *Store { return &Store{upper: upper, lower: lower} }

// Open implements pipeline.SourceStore.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	return pipeline.OpenSource(ctx, s, key)
}

// Put stores the content in the upper store.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, size int64, opts pipeline.PutOptions) error {
	return s.upper.Put(ctx, key, r, size, opts)
}

// PutNew stores the content in the upper store where the key is free in both.
func (s *Store) PutNew(ctx context.Context, key string, r io.Reader, size int64, opts pipeline.PutOptions) (bool, error) {
	_, err := s.lower.Stat(ctx, key)
	if errors.Is(err, pipeline.ErrNotExist) {
		return s.upper.PutNew(ctx, key, r, size, opts)
	}
	return false, err
}

// Get returns the object's content.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, pipeline.Object, error) {
	r, o, err := s.upper.Get(ctx, key)
	if errors.Is(err, pipeline.ErrNotExist) {
		return s.lower.Get(ctx, key)
	}
	return r, o, err
}

// Stat describes the object.
func (s *Store) Stat(ctx context.Context, key string) (pipeline.Object, error) {
	o, err := s.upper.Stat(ctx, key)
	if errors.Is(err, pipeline.ErrNotExist) {
		return s.lower.Stat(ctx, key)
	}
	return o, err
}

// List merges both listings; of a key that is in both, the upper store's object is told.
func (s *Store) List(ctx context.Context, prefix string, fn func(pipeline.Object) error) error {
	var failed error
	nextUpper, stopUpper := iter.Pull(objects(ctx, s.upper, prefix, &failed))
	defer stopUpper()
	nextLower, stopLower := iter.Pull(objects(ctx, s.lower, prefix, &failed))
	defer stopLower()
	u, moreU := nextUpper()
	l, moreL := nextLower()
	for failed == nil && (moreU || moreL) {
		order := cmp.Compare(u.Key, l.Key)
		if !moreL || moreU && order <= 0 {
			if err := fn(u); err != nil {
				return err
			}
			u, moreU = nextUpper()
			if moreL && order == 0 {
				l, moreL = nextLower()
			}
			continue
		}
		if err := fn(l); err != nil {
			return err
		}
		l, moreL = nextLower()
	}
	return failed
}

// errEnough ends a listing of which no more is wanted.
var errEnough = errors.New("enough")

func objects(ctx context.Context, s pipeline.Store, prefix string, failed *error) iter.Seq[pipeline.Object] {
	return func(yield func(pipeline.Object) bool) {
		err := s.List(ctx, prefix, func(o pipeline.Object) error {
			if !yield(o) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			*failed = err
		}
	}
}

// Check proves that the upper store can be written and that the lower one can be listed.
func (s *Store) Check(ctx context.Context) error {
	if err := s.upper.Check(ctx); err != nil {
		return err
	}
	return s.lower.List(ctx, pipeline.CheckObject, func(pipeline.Object) error { return nil })
}
