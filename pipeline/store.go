package pipeline

import (
	"context"
	"errors"
	"io"
	"time"
)

// ErrNotExist says that a store holds nothing under a key.
var ErrNotExist = errors.New("no such object")

// Object describes a stored object.
type Object struct {
	Key      string
	Size     int64     // bytes
	SHA256   string    // lower-case hex, "" = the store does not know
	Modified time.Time // UTC
}

// PutOptions says what is stored with an object.
type PutOptions struct {
	ContentType string
	SHA256      string // lower-case hex of the content, required: the store refuses bytes that do not match
}

// Store keeps renditions, records and manifests. Every implementation passes pipelinetest.TestStore.
//
//  1. Put is all or nothing: a reader that ends early, has too many bytes or the wrong digest leaves no object.
//  2. PutNew puts only where the key is free and reports whether it did; of two at once exactly one wins.
//  3. Get and Stat of an absent key wrap ErrNotExist. Any other failure is an *Error with CodeStorageUnavailable.
//  4. Keys pass ValidateKey; any other key is refused without touching the store.
//  5. Every call ends when its context does.
type Store interface {
	SourceStore
	Put(ctx context.Context, key string, r io.Reader, size int64, opts PutOptions) error
	PutNew(ctx context.Context, key string, r io.Reader, size int64, opts PutOptions) (created bool, err error)
	Get(ctx context.Context, key string) (io.ReadCloser, Object, error)
	Stat(ctx context.Context, key string) (Object, error)
	// List calls fn for each object whose key begins with prefix, in key order, until fn returns an error, which it returns.
	// Memory is bounded whatever the number of objects.
	List(ctx context.Context, prefix string, fn func(Object) error) error
	// Check proves that the store can be written, read and listed, and tells what to change where it cannot.
	Check(ctx context.Context) error
}
