// Package memstore keeps objects in memory: for tests, and for `ninefold process` runs that keep nothing.
package memstore

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// Store is a pipeline.Store in memory, safe for concurrent use.
type Store struct {
	mu      sync.RWMutex
	objects map[string]object
}

var _ pipeline.Store = (*Store)(nil)

// object is never changed once it is in the map.
type object struct {
	pipeline.Object
	contentType string
	data        []byte
}

// New returns an empty Store.
func New() *Store {
	return &Store{objects: map[string]object{}}
}

// Open implements pipeline.SourceStore.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	return pipeline.OpenSource(ctx, s, key)
}

// Put stores the content, over any that is there.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, size int64, opts pipeline.PutOptions) error {
	o, err := read(ctx, key, r, size, opts)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = o
	return nil
}

// PutNew stores the content where the key is free.
func (s *Store) PutNew(ctx context.Context, key string, r io.Reader, size int64, opts pipeline.PutOptions) (bool, error) {
	o, err := read(ctx, key, r, size, opts)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.objects[key]; taken {
		return false, nil
	}
	s.objects[key] = o
	return true, nil
}

func read(ctx context.Context, key string, r io.Reader, size int64, opts pipeline.PutOptions) (object, error) {
	content, err := pipeline.CheckPut(key, size, opts)
	if err != nil {
		return object{}, err
	}
	var data bytes.Buffer
	if err := content.Copy(ctx, &data, r); err != nil {
		return object{}, err
	}
	about := pipeline.Object{Key: key, Size: size, SHA256: opts.SHA256, Modified: time.Now().UTC()}
	return object{Object: about, contentType: opts.ContentType, data: data.Bytes()}, ctx.Err()
}

// Get returns the object's content.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, pipeline.Object, error) {
	o, err := s.find(ctx, key)
	if err != nil {
		return nil, pipeline.Object{}, err
	}
	return io.NopCloser(bytes.NewReader(o.data)), o.Object, nil
}

// Stat describes the object.
func (s *Store) Stat(ctx context.Context, key string) (pipeline.Object, error) {
	o, err := s.find(ctx, key)
	return o.Object, err
}

// ContentType returns what an object was stored as, "" when there is none.
func (s *Store) ContentType(_ context.Context, key string) (string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.objects[key].contentType, nil
}

func (s *Store) find(ctx context.Context, key string) (object, error) {
	if err := pipeline.CheckKey(key); err != nil {
		return object{}, err
	}
	if err := ctx.Err(); err != nil {
		return object{}, pipeline.Trouble(pipeline.CodeStorageUnavailable, "memstore", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.objects[key]
	if !ok {
		return object{}, pipeline.ErrNotExist
	}
	return o, nil
}

// List calls fn for the objects that were there when it began and still are.
func (s *Store) List(ctx context.Context, prefix string, fn func(pipeline.Object) error) error {
	if err := pipeline.CheckPrefix(prefix); err != nil {
		return err
	}
	s.mu.RLock()
	keys := slices.Sorted(maps.Keys(s.objects))
	s.mu.RUnlock()
	for _, key := range keys {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		o, err := s.find(ctx, key)
		if err != nil {
			return err
		}
		if err := fn(o.Object); err != nil {
			return err
		}
	}
	return nil
}

// Check proves that the store works.
func (s *Store) Check(ctx context.Context) error { return pipeline.CheckStore(ctx, s) }
