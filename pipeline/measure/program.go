package measure

import (
	"fmt"
	"io"
	"os"

	"github.com/ninefold/ninefold/pipeline"
)

// Conclude tells w how the benchmark called name ended, and returns its exit code: 0 when every limit held, 1 when one was missed, 2 when
// nothing could be measured.
func Conclude(w io.Writer, name string, missed int, err error) int {
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 2
	case missed > 0:
		fmt.Fprintf(w, "\n%s: %d limits missed\n", name, missed)
		return 1
	}
	fmt.Fprintf(w, "\n%s: every limit held\n", name)
	return 0
}

// Stage puts the file at path, of at most maxBytes, into ws as a message's first original.
func Stage(ws *pipeline.Workspace, path string, maxBytes int64) (pipeline.File, error) {
	src, err := os.Open(path)
	if err != nil {
		return pipeline.File{}, err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return pipeline.File{}, err
	}
	return pipeline.StageFile(ws, "in/0", src, info.Size(), maxBytes)
}
