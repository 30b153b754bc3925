package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
	"github.com/ninefold/ninefold/transcode/ffmpeg"
	"github.com/ninefold/ninefold/transcode/raster"
	"github.com/ninefold/ninefold/transcode/vips"
)

const (
	spriteDir   = "sprite" // inside a video's directory
	spriteIndex = "index.json"
	indexMIME   = "application/json"
)

// sprite lays the tiles row by row into one WebP and writes its index.
func (e *engine) sprite(ctx context.Context, out string, plan *transcode.SpritePlan, tiles []ffmpeg.Tile, tools raster.Tools) ([]pipeline.Rendition, error) {
	if plan == nil || len(tiles) == 0 {
		return nil, nil
	}
	index := transcode.NewSpriteIndex(plan, len(tiles))
	w, h := index.Columns*plan.Width, index.Rows*plan.Height
	pix := make([]byte, 3*w*h)
	for i, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(e.Dir, filepath.FromSlash(tile.Path)))
		if err != nil || len(data) != 3*plan.Width*plan.Height {
			return nil, pipeline.Trouble(pipeline.CodeInternal, "engine", fmt.Errorf("tile %d: %d bytes, %w", i, len(data), err))
		}
		at := 3 * ((i/index.Columns)*plan.Height*w + (i%index.Columns)*plan.Width)
		for row := range plan.Height {
			copy(pix[at+3*row*w:], data[3*row*plan.Width:3*(row+1)*plan.Width])
		}
	}
	dir := path.Join(out, spriteDir)
	r, err := vips.RenderPixels(ctx, e.Dir, dir, pix, w, h, transcode.SpriteSheet(plan, w, h), tools)
	if err != nil {
		return nil, err
	}
	list, err := e.writeIndex(path.Join(dir, spriteIndex), index)
	return append(r.Part.Renditions, list), err
}

func (e *engine) writeIndex(name string, index transcode.SpriteIndex) (pipeline.Rendition, error) {
	data, err := json.Marshal(index)
	if err == nil {
		err = os.WriteFile(filepath.Join(e.Dir, filepath.FromSlash(name)), data, 0o600)
	}
	if err != nil {
		return pipeline.Rendition{}, pipeline.Trouble(pipeline.CodeInternal, "engine", err)
	}
	return pipeline.Rendition{Name: "sprite", Class: pipeline.ClassFull, Path: name, MIME: indexMIME, Size: int64(len(data))}, nil
}

// maxIndex bounds an index that is read back, bytes.
const maxIndex = 4 << 10

// verifyIndex reads an index again: it is one, and nothing else is in the file.
func (e *engine) verifyIndex(r pipeline.Rendition) error {
	data, err := os.ReadFile(filepath.Join(e.Dir, filepath.FromSlash(r.Path)))
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "engine", err)
	}
	var index transcode.SpriteIndex
	again := []byte(nil)
	if len(data) <= maxIndex && json.Unmarshal(data, &index) == nil {
		again, err = json.Marshal(index)
	}
	if err != nil || !bytes.Equal(again, data) || index.Count < 1 || index.Count > index.Columns*index.Rows {
		return pipeline.Refuse(pipeline.CodeEncodeFailed, "the video could not be converted; send it in another format").In("engine")
	}
	return nil
}
