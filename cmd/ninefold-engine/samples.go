package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/ninefold/ninefold/moderation/screen"
	"github.com/ninefold/ninefold/pipeline"
)

// maxSampleFile is when the next file is begun, bytes: an engine may write files of 256 MiB.
const maxSampleFile = 64 << 20

// sampleFile writes the judge's rasters one after another, into as few files as their size allows.
type sampleFile struct {
	dir, out string
	list     []pipeline.Sample
	file     *os.File
	files    int
	written  int64 // into the file that is open
}

func (s *sampleFile) add(p screen.Pixels, atMS int64, whole bool) error {
	if s.file == nil || s.written+int64(len(p.Pix)) > maxSampleFile {
		if err := s.next(); err != nil {
			return err
		}
	}
	if _, err := s.file.Write(p.Pix); err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "engine", err)
	}
	s.list = append(s.list, pipeline.Sample{Path: s.name(), Offset: s.written, Width: p.W, Height: p.H, AtMS: atMS, Whole: whole})
	s.written += int64(len(p.Pix))
	return nil
}

func (s *sampleFile) name() string { return path.Join(s.out, fmt.Sprintf("samples-%02d.rgb", s.files)) }

func (s *sampleFile) next() error {
	err := s.close()
	s.files++
	s.written = 0
	if err == nil {
		s.file, err = os.OpenFile(filepath.Join(s.dir, filepath.FromSlash(s.name())), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "engine", err)
	}
	return nil
}

func (s *sampleFile) close() error {
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.file.Close())
	s.file = nil
	return err
}
