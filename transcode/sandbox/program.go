package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ninefold/ninefold/pipeline"
)

// RunProgram is the whole of an engine program but what it does with media: it has open make its handler, seals itself, and serves
// the worker until that says goodbye. It returns the exit status. Confined and limited it was by the worker, before it started.
func RunProgram(name string, open func() (Handler, error)) int {
	if err := serveSealed(context.Background(), os.Stdin, os.Stdout, open); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

func serveSealed(ctx context.Context, in io.Reader, out io.Writer, open func() (Handler, error)) error {
	h, err := open()
	if err != nil {
		return err
	}
	if err := seal(); err != nil {
		return err
	}
	return Serve(ctx, in, out, h)
}

// Workplace is the engine's room as the engine sees it: an engine embeds it.
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
