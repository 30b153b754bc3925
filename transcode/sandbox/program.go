package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ninefold/ninefold/pipeline"
)

// RunProgram is the whole of an engine program but what it does with media: it takes its limits on, has open make its handler, and
// serves the worker until that says goodbye. Every engine program is limited here and nowhere else. It returns the exit status.
func RunProgram(name string, open func() (Handler, error)) int {
	if err := serveLimited(context.Background(), os.Stdin, os.Stdout, open); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

func serveLimited(ctx context.Context, in io.Reader, out io.Writer, open func() (Handler, error)) error {
	if err := limitSelf(); err != nil {
		return err
	}
	h, err := open()
	if err != nil {
		return err
	}
	return Serve(ctx, in, out, h)
}

// Workplace is the message's workspace as an engine sees it: an engine embeds it.
type Workplace struct {
	Dir string // absolute; empty until Open
}

// Open makes dir the place where everything happens from now on.
func (w *Workplace) Open(dir string) error {
	if w.Dir != "" || !filepath.IsAbs(dir) {
		return fmt.Errorf("open %s: want one absolute directory, once", dir)
	}
	w.Dir = dir
	return os.Chdir(dir)
}

// Prepare makes the directory that a render writes to.
func (w *Workplace) Prepare(out string) error {
	if err := os.MkdirAll(filepath.Join(w.Dir, out), 0o700); err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "engine", err)
	}
	return nil
}
