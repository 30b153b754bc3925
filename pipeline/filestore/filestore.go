// Package filestore keeps objects as plain files in a directory: the embedded default. A person finds media/ab/abcd.jpg where
// its key says.
//
// A key cannot be both a file and a directory: "a" and "a/b" exclude each other here, as on every file system.
package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// temporary is the directory for files not yet complete, on the same file system as their keys. No key can hold a '#'.
const temporary = "#tmp"

// staleAfter is how long the longest write of one file could take, and then some.
const staleAfter = 24 * time.Hour

// Store is a pipeline.Store in a directory, safe for concurrent use by many processes of one machine.
//
//  1. A file appears under its key complete and synced, or not at all.
//  2. Nothing outside the directory is reached, whatever links lie in it: a link is no object.
//  3. Content types are not kept; names carry them.
type Store struct {
	dir   string
	root  *os.Root
	batch int // names of one directory that List holds at a time
}

var _ pipeline.Store = (*Store)(nil)

// Open returns the Store in dir, which is made when it is not there. It must be closed.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("store directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("store directory: %w", err)
	}
	s := &Store{dir: dir, root: root, batch: listBatch}
	return s, s.sweep(time.Now().Add(-staleAfter))
}

// sweep removes the unfinished files of writers that died.
func (s *Store) sweep(before time.Time) error {
	entries, err := fs.ReadDir(s.root.FS(), temporary)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unavailable("sweep", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.ModTime().After(before) {
			continue // a living writer's, or gone by itself
		}
		if err := s.root.Remove(path.Join(temporary, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unavailable("sweep", err)
		}
	}
	return nil
}

// Close releases the directory.
func (s *Store) Close() error { return s.root.Close() }

// Open implements pipeline.SourceStore.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	return pipeline.OpenSource(ctx, s, key)
}

// Get opens the object's file.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, pipeline.Object, error) {
	o, err := s.Stat(ctx, key)
	if err != nil {
		return nil, o, err
	}
	f, err := s.root.OpenFile(key, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, o, readError("open", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, o, errors.Join(readError("open", err), f.Close())
	}
	o.Size, o.Modified = info.Size(), info.ModTime().UTC()
	return pipeline.Content{Size: o.Size}.Verified(f), o, nil
}

// Stat describes the object. Its digest is not known.
func (s *Store) Stat(ctx context.Context, key string) (pipeline.Object, error) {
	if err := pipeline.CheckKey(key); err != nil {
		return pipeline.Object{}, err
	}
	if err := ctx.Err(); err != nil {
		return pipeline.Object{}, unavailable("stat", err)
	}
	info, err := s.lstat(key)
	if err != nil {
		return pipeline.Object{}, readError("stat", err)
	}
	return object(key, info), nil
}

// lstat looks at every component of the key: a link anywhere on the way hides what is behind it.
func (s *Store) lstat(key string) (fs.FileInfo, error) {
	if err := s.plainDir(path.Dir(key)); err != nil {
		return nil, err
	}
	info, err := s.root.Lstat(key)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	return info, err
}

// plainDir reports as absent what is not a directory all the way down.
func (s *Store) plainDir(dir string) error {
	for i, c := range dir + "/" {
		if c != '/' {
			continue
		}
		info, err := s.root.Lstat(dir[:i])
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fs.ErrNotExist
		}
	}
	return nil
}

func object(key string, info fs.FileInfo) pipeline.Object {
	return pipeline.Object{Key: key, Size: info.Size(), Modified: info.ModTime().UTC()}
}

// readError tells an absent object from a disk in trouble. A name too long for the file system cannot have been stored.
func readError(op string, err error) error {
	if err == nil {
		return nil
	}
	for _, absent := range []error{fs.ErrNotExist, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP} {
		if errors.Is(err, absent) {
			return fmt.Errorf("filestore %s: %w", op, pipeline.ErrNotExist)
		}
	}
	return unavailable(op, err)
}

func unavailable(op string, err error) error {
	return pipeline.Trouble(pipeline.CodeStorageUnavailable, "filestore "+op, err)
}

// Check proves that the directory can be written, read and listed.
func (s *Store) Check(ctx context.Context) error {
	if err := pipeline.CheckStore(ctx, s); err != nil {
		return fmt.Errorf("store directory %s: %w; make it writable for this user or choose another", s.dir, err)
	}
	return errors.Join(s.root.Remove(pipeline.CheckObject), s.removeEmpty(path.Dir(pipeline.CheckObject)))
}

// removeEmpty removes a directory unless another check is using it.
func (s *Store) removeEmpty(dir string) error {
	err := s.root.Remove(dir)
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// prefixDir is the deepest directory that holds everything a prefix can match.
func prefixDir(prefix string) string {
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		return prefix[:i]
	}
	return "."
}
