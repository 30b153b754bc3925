package filestore

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/ninefold/ninefold/pipeline"
)

// Put stores the content, over any that is there.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, size int64, opts pipeline.PutOptions) error {
	content, err := pipeline.CheckPut(key, size, opts)
	if err != nil {
		return err
	}
	return s.place(ctx, key, r, content, s.root.Rename)
}

// PutNew stores the content where the key is free; link refuses a name that is taken. Where the key is taken the reader
// is left alone.
func (s *Store) PutNew(ctx context.Context, key string, r io.Reader, size int64, opts pipeline.PutOptions) (bool, error) {
	content, err := pipeline.CheckPut(key, size, opts)
	if err != nil {
		return false, err
	}
	if _, err := s.Stat(ctx, key); !errors.Is(err, pipeline.ErrNotExist) {
		return false, err
	}
	err = s.place(ctx, key, r, content, s.root.Link)
	if errors.Is(err, fs.ErrExist) {
		_, err = s.Stat(ctx, key) // a directory in the key's place is not the object
		return false, err
	}
	return err == nil, err
}

// place writes the content beside its place, syncs it and moves it there.
func (s *Store) place(ctx context.Context, key string, r io.Reader, content pipeline.Content, move func(from, to string) error) error {
	temp, err := s.write(ctx, r, content)
	if err != nil {
		return err
	}
	defer func() { _ = s.root.Remove(temp) }() // after a rename there is nothing to remove
	if err := ctx.Err(); err != nil {
		return unavailable("put", err)
	}
	if err := s.makeDir(path.Dir(key)); err != nil {
		return unavailable("put", err)
	}
	if err := move(temp, key); err != nil {
		return unavailable("put", err)
	}
	if err := s.sync(path.Dir(key)); err != nil {
		return unavailable("put", err)
	}
	return nil
}

// write makes a complete, synced file with a name of its own.
func (s *Store) write(ctx context.Context, r io.Reader, content pipeline.Content) (string, error) {
	if err := s.root.MkdirAll(temporary, 0o700); err != nil {
		return "", unavailable("put", err)
	}
	temp := path.Join(temporary, rand.Text())
	f, err := s.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", unavailable("put", err)
	}
	if err := fill(ctx, f, r, content); err != nil {
		return "", errors.Join(err, s.root.Remove(temp))
	}
	return temp, nil
}

func fill(ctx context.Context, f *os.File, r io.Reader, content pipeline.Content) error {
	if err := content.Copy(ctx, f, r); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return unavailable("put", err)
	}
	return nil
}

// makeDir makes dir and syncs every parent that got a new entry. A link on the way is refused.
func (s *Store) makeDir(dir string) error {
	if dir == "." {
		return nil
	}
	info, err := s.root.Lstat(dir)
	if err == nil && !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: errors.New("a file or a link stands where a directory is needed")}
	}
	if err == nil {
		return s.makeDir(path.Dir(dir))
	}
	if err := s.makeDir(path.Dir(dir)); err != nil {
		return err
	}
	if err := s.root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return s.sync(path.Dir(dir))
}

// sync makes the directory's entries last through a power cut.
func (s *Store) sync(dir string) error {
	f, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
