package filestore

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/ninefold/ninefold/pipeline"
)

// listBatch is the number of names of one directory that are held at a time. A directory with more is read again for each
// further batch: memory stays bounded, at the price of time.
const listBatch = 16384

// List walks the tree in key order. Objects put or removed meanwhile may or may not be seen.
func (s *Store) List(ctx context.Context, prefix string, fn func(pipeline.Object) error) error {
	if err := pipeline.CheckPrefix(prefix); err != nil {
		return err
	}
	w := &walk{store: s, ctx: ctx, prefix: prefix, fn: fn}
	err := readError("list", s.plainDir(prefixDir(prefix)))
	if errors.Is(err, pipeline.ErrNotExist) {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	return w.dir(prefixDir(prefix))
}

type walk struct {
	store  *Store
	ctx    context.Context
	prefix string
	fn     func(pipeline.Object) error
}

// dir lists one directory in key order, batch by batch.
func (w *walk) dir(dir string) error {
	for after := ""; ; {
		names, more, err := w.names(dir, after)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := w.entry(strings.TrimPrefix(dir+"/"+name, "./")); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		after = names[len(names)-1]
	}
}

// entry descends into a directory, whose key ends in a slash, or hands a file to fn.
func (w *walk) entry(key string) error {
	if dir, ok := strings.CutSuffix(key, "/"); ok {
		return w.dir(dir)
	}
	o, err := w.store.Stat(w.ctx, key)
	if errors.Is(err, pipeline.ErrNotExist) {
		return nil // gone since its directory was read
	}
	if err != nil {
		return err
	}
	return w.fn(o)
}

// names returns the first batch of names of dir after the given one, in key order, and whether there may be more.
// A directory's name ends in a slash: so "a.b" comes before what is in "a", as it does among keys.
func (w *walk) names(dir, after string) (names []string, more bool, err error) {
	f, err := w.store.root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err = readError("list", err); errors.Is(err, pipeline.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	for {
		if err := w.ctx.Err(); err != nil {
			return nil, false, unavailable("list", err)
		}
		entries, err := f.ReadDir(1024)
		for _, e := range entries {
			if name := w.name(dir, e); name > after {
				names = append(names, name)
			}
		}
		if batch := w.store.batch; len(names) > 2*batch || err != nil {
			slices.Sort(names)
			more = more || len(names) > batch
			names = names[:min(len(names), batch)]
		}
		if err == io.EOF {
			return names, more, nil
		}
		if err != nil {
			return nil, false, unavailable("list", err)
		}
	}
}

// name is the entry as a segment of a key, "" where it holds nothing that the prefix matches: no name sorts before "".
func (w *walk) name(dir string, e fs.DirEntry) string {
	name := e.Name()
	if e.IsDir() {
		name += "/"
	} else if !e.Type().IsRegular() {
		return ""
	}
	key := path.Join(dir, e.Name())
	if pipeline.ValidateKey(key) != nil {
		return ""
	}
	if e.IsDir() {
		key += "/"
	}
	if strings.HasPrefix(key, w.prefix) || e.IsDir() && strings.HasPrefix(w.prefix, key) {
		return name
	}
	return ""
}
