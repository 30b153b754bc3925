// Command ninefold-emoji-font makes the font of emoji that captions are set with. docker/emoji-font.sh calls it.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/ninefold/ninefold/transcode/raster/emojifont"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ninefold-emoji-font:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("want two arguments: the font of SVG drawings, and where to put the font of pictures")
	}
	source, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "ninefold-emoji-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	made, err := emojifont.Build(source, func(svg []byte) (image.Image, error) { return drawSVG(ctx, scratch, svg) })
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return os.WriteFile(args[1], made, 0o644)
}

// drawSVG renders with libvips' own program, at one pixel a unit.
func drawSVG(ctx context.Context, scratch string, svg []byte) (image.Image, error) {
	in, out := filepath.Join(scratch, "sheet.svg"), filepath.Join(scratch, "sheet.png")
	if err := os.WriteFile(in, svg, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "vips", "svgload", in, out+"[compression=1]", "--dpi", "72", "--scale", "1", "--unlimited")
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("vips svgload: %w: %s", err, bytes.TrimSpace(said))
	}
	data, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	return png.Decode(bytes.NewReader(data))
}
