package main

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/ninefold/ninefold/transcode/ffmpeg"
	"github.com/ninefold/ninefold/transcode/sandbox"
	"github.com/ninefold/ninefold/transcode/vips"
)

// Inspect says what this machine's libraries can do, one line each.
func (e *engine) Inspect(ctx context.Context) []sandbox.Check {
	return []sandbox.Check{e.inspectVips(), e.inspectFonts(), inspectFFmpeg(ctx, e.tools)}
}

func (e *engine) inspectVips() sandbox.Check {
	var missing, found []string
	for name, ok := range vips.Loaders() {
		if ok {
			found = append(found, name)
		} else {
			missing = append(missing, name)
		}
	}
	sort.Strings(missing)
	sort.Strings(found)
	if len(missing) > 0 {
		return sandbox.Check{Name: "libvips", Detail: fmt.Sprintf("%s lacks %s; install libvips with libheif, libwebp and cgif", vips.Version(),
			strings.Join(missing, ", "))}
	}
	return sandbox.Check{Name: "libvips", OK: true, Detail: vips.Version() + ": " + strings.Join(found, ", ")}
}

func (e *engine) inspectFonts() sandbox.Check {
	if _, err := e.rasters(); err != nil {
		return sandbox.Check{Name: "fonts", Detail: err.Error()}
	}
	return sandbox.Check{Name: "fonts", OK: true, Detail: "found for burned captions"}
}

func inspectFFmpeg(ctx context.Context, tools ffmpeg.Tools) sandbox.Check {
	detail, ok := tools.Examine(ctx)
	return sandbox.Check{Name: "ffmpeg", OK: ok, Detail: detail}
}
