package ffmpeg

import (
	"fmt"
	"os"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// The names of what optional work leaves in a video's directory.
const (
	smallName  = "small.mp4"
	tilesDir   = "tiles"
	tilePrefix = "tile-"
)

// Tile is one frame of a scrub sprite: packed 8-bit sRGB of the plan's Sprite.Width × Sprite.Height.
type Tile struct {
	Path string // inside the workspace
	AtMS int64
}

// wantsAll reports whether a remux has to decode every frame after all.
func (j *videoJob) wantsAll() bool { return j.plan.Sprite != nil || j.plan.Small != nil }

// tileOutput takes the sprite's frames off the grid of ticks.
func (g *graph) tileOutput(grid *ff.Stream, plan *transcode.VideoPlan) *ff.Stream {
	s := plan.Sprite
	every := max(1, s.EveryMS*transcode.SampleHz/1000)
	v := selected(grid, fmt.Sprintf("not(mod(pts,%d))", every)).Filter("scale", nil, ff.KwArgs{"w": s.Width, "h": s.Height, "flags": "area"})
	most := (plan.Time.LimitMS+limitSlackMS)/s.EveryMS + 1
	return ff.Output([]*ff.Stream{rgb(v)}, g.out+"/"+tilesDir+"/"+tilePrefix+"%d.rgb", merge(stillOptions(int(most)), ff.KwArgs{"c:v": "rawvideo"}))
}

// small is the second playback: the first one's pictures, scaled once more, with the same sound.
func (g *graph) small(v *ff.Stream, plan *transcode.VideoPlan, sound *ff.Stream) *ff.Stream {
	s := plan.Small
	if plan.Picture.FPS > 0 {
		v = constantRate(v, plan.Picture.FPS)
	}
	v = v.Filter("scale", nil, ff.KwArgs{"w": s.Width, "h": s.Height, "flags": "bicubic"}).Filter("setsar", ff.Args{"1"})
	streams, opts := encoded(v, s.Encode, sound, plan.Time)
	return ff.Output(streams, g.out+"/"+smallName, opts)
}

// smallRendition reads what became of the second playback; nil where none was asked for.
func (j *videoJob) smallRendition() (*pipeline.Rendition, error) {
	if j.plan.Small == nil {
		return nil, nil
	}
	if err := uprightMP4(j.abs(smallName)); err != nil {
		return nil, j.nothing()
	}
	info, err := readMP4(j.abs(smallName))
	if err != nil || info.track("vide") == nil {
		return nil, j.nothing()
	}
	r, err := j.rendition(info, info.track("vide"), smallName)
	r.Name, r.Default = "small", false
	return &r, err
}

// tiles lists the sprite's frames by time.
func (j *videoJob) tiles() ([]Tile, error) {
	if j.plan.Sprite == nil {
		return nil, nil
	}
	files, err := j.numbered(tilesDir, tilePrefix, ".rgb")
	if err != nil {
		return nil, err
	}
	var tiles []Tile
	for _, f := range files {
		if err := j.checkRaster(f.name, j.plan.Sprite.Width, j.plan.Sprite.Height); err != nil {
			return nil, err
		}
		tiles = append(tiles, Tile{Path: j.rel(f.name), AtMS: f.atMS})
	}
	return tiles, nil
}

func (j *videoJob) makeTilesDir() error {
	if j.plan.Sprite == nil {
		return nil
	}
	return os.MkdirAll(j.abs(tilesDir), 0o700)
}
