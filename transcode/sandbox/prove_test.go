package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// TestSlownessIsNotTheLibraries: a busy machine is told to be busy, not to install other libraries; either way it is not trusted.
func TestSlownessIsNotTheLibraries(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		err  error
		want string
	}{
		"the caller's deadline": {fmt.Errorf("video.mp4: %w", context.DeadlineExceeded), "too busy"},
		"an engine's limit":     {pipeline.Refuse(pipeline.CodeDecodeTimeout, "the file takes too long to process"), "too busy"},
		"another colour":        {errors.New("the top left is grey"), "answer otherwise"},
	} {
		if got := disproved(pipeline.KindVideo, c.err); got.OK || got.Warn || !strings.Contains(got.Detail, c.want) {
			t.Errorf("%s: %+v, want %q", what, got, c.want)
		}
	}
}
