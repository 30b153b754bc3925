package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/ninefold/ninefold/pipeline"
)

// pathSource reads originals from the file system: the files named on the command line, or those beside a job file.
type pathSource struct {
	path func(key string) (path string, ok bool)
}

var _ pipeline.SourceStore = pathSource{}

// Open opens a regular file. Anything else, a pipe that would never end for one, is corrupt; nothing there is source_missing.
func (s pathSource) Open(_ context.Context, key string) (io.ReadCloser, int64, error) {
	path, ok := s.path(key)
	if !ok {
		return nil, 0, missing()
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, missing()
	}
	if err != nil {
		return nil, 0, pipeline.Trouble(pipeline.CodeStorageUnavailable, "open source", err)
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, 0, pipeline.Refuse(pipeline.CodeUnsupportedType, "not a regular file; name a photo, video or recording")
	}
	return f, info.Size(), nil
}

func missing() error {
	return pipeline.Refuse(pipeline.CodeSourceMissing, "there is no file under the item's source key; upload it first, or correct the key")
}
