package main

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/ninefold/ninefold/transcode/sandbox"
	"github.com/ninefold/ninefold/transcode/vips"
)

// Inspect says what this machine's libraries can do, one line each.
func (e *engine) Inspect(ctx context.Context) []sandbox.Check {
	return []sandbox.Check{e.inspectVips(), e.inspectFonts(), e.inspectFFmpeg(ctx)}
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

func (e *engine) inspectFFmpeg(ctx context.Context) sandbox.Check {
	c := sandbox.Check{Name: "ffmpeg"}
	version, err := e.tools.Version(ctx)
	if err != nil {
		c.Detail = fmt.Sprintf("%v; install the ffmpeg package", err)
		return c
	}
	needs, err := e.tools.Check(ctx)
	if err != nil {
		c.Detail = fmt.Sprintf("%v; install the ffmpeg package", err)
		return c
	}
	var missing []string
	for _, n := range needs {
		if !n.OK {
			missing = append(missing, strings.TrimSuffix(n.Kind, "s")+" "+n.Name)
		}
	}
	c.OK, c.Detail = len(missing) == 0, fmt.Sprintf("%s has all %d encoders, decoders, formats and filters needed", version, len(needs))
	if !c.OK {
		c.Detail = fmt.Sprintf("%s lacks %s; install an ffmpeg built with them", version, strings.Join(missing, ", "))
	}
	return c
}
