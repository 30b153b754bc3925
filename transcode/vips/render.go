package vips

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"path"
	"path/filepath"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// Tools draws and reads small rasters for Render.
type Tools interface {
	// Card draws the text of a caption step for a picture of w × h pixels, and says where its top left corner goes.
	Card(step transcode.Step, w, h int) (card *image.NRGBA, x, y int, err error)
	// Placeholder describes a raster of at most 100 pixels a side.
	Placeholder(img *image.NRGBA) (pipeline.Placeholder, error)
}

// Render decodes src once and makes everything the plan asks for: renditions without any metadata, in sRGB, right side up, edited;
// the placeholder; and the classifier's sample. src.Path is inside dir; files are made in dir/out, which must be a local name, and
// the paths in the result are relative to dir.
//
//  1. A picture that is damaged, or cut short before nine tenths of it, is CodeCorrupt; one cut short later is rendered with a warning.
//  2. A picture that no longer is what was probed, and everything of our own making, is CodeInternal.
//  3. When ctx ends, so does the decode, with ctx's error.
func Render(ctx context.Context, dir, out string, src pipeline.File, plan *transcode.PhotoPlan, tools Tools) (*pipeline.Rendered, error) {
	r, err := newRenderer(ctx, dir, out, plan, tools)
	if err != nil {
		return nil, err
	}
	return r.run(func() error {
		return r.decode(source{path: filepath.Join(dir, filepath.FromSlash(src.Path)), typ: src.Type})
	})
}

// RenderPixels is Render for a raster already in memory: w × h packed 8-bit sRGB pixels of three bytes, as a video's poster frame is.
func RenderPixels(ctx context.Context, dir, out string, pix []byte, w, h int, plan *transcode.PhotoPlan, tools Tools) (*pipeline.Rendered, error) {
	if w < 1 || h < 1 || len(pix) != 3*w*h {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "vips.RenderPixels", fmt.Errorf("%d bytes are no %d×%d raster", len(pix), w, h))
	}
	r, err := newRenderer(ctx, dir, out, plan, tools)
	if err != nil {
		return nil, err
	}
	return r.run(func() error {
		p, err := r.arena.fromPixels(pix, w, h, 3)
		if err != nil {
			return err
		}
		return r.toMaster(p, 1)
	})
}

// renderer carries out one plan.
type renderer struct {
	ctx   context.Context
	dir   string // workspace
	out   string // inside dir
	plan  *transcode.PhotoPlan
	tools Tools

	arena   arena
	rasters []picture // in memory, largest first; the first is the master
	result  pipeline.Rendered
	written map[work][]byte
	files   int
}

func newRenderer(ctx context.Context, dir, out string, plan *transcode.PhotoPlan, tools Tools) (*renderer, error) {
	if plan == nil || plan.Width < 1 || plan.Height < 1 || !filepath.IsLocal(filepath.FromSlash(out)) {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "vips.Render", errors.New("a plan without a picture, or a directory that is not local"))
	}
	if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(out)), 0o700); err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "vips.Render", err)
	}
	r := &renderer{ctx: ctx, dir: dir, out: out, plan: plan, tools: tools, written: map[work][]byte{}}
	r.result.Part = pipeline.Part{Kind: pipeline.KindPhoto}
	return r, nil
}

// run shows the whole path of a photo.
func (r *renderer) run(decode func() error) (*pipeline.Rendered, error) {
	err := onThread(func() error {
		defer r.arena.free()
		for _, stage := range []func() error{decode, r.images, r.safe, r.placeholder} {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			if err := stage(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, r.coded(err)
	}
	return &r.result, nil
}

// coded gives errors without a code ours: whatever a decoder can say was turned into a result in decode.
func (r *renderer) coded(err error) error {
	var e *pipeline.Error
	if errors.As(err, &e) {
		return e.In("vips.Render")
	}
	if cause := r.ctx.Err(); cause != nil {
		return fmt.Errorf("vips.Render: %w", cause)
	}
	return pipeline.Trouble(pipeline.CodeInternal, "vips.Render", err)
}

// work is what makes two renditions the same bytes: of a small picture, whatever its renditions are called.
type work struct {
	format        transcode.Format
	fit           transcode.Fit
	width, height int
	quality       int
}

// images makes the plan's pictures, the largest first, so that each can be made from the one before.
func (r *renderer) images() error {
	drawn := r.plan.Flat && graphic(r.rasters[0].pixels(), r.rasters[0].bands())
	made := make([]pipeline.Rendition, len(r.plan.Images))
	for _, i := range bySize(r.plan.Images) {
		im := r.plan.Images[i]
		rendition, err := r.image(im, drawn)
		if err != nil {
			return err
		}
		made[i] = rendition
	}
	r.result.Part.Renditions = append(r.result.Part.Renditions, made...)
	r.describe()
	return nil
}

// bySize orders the indexes of images, the largest first.
func bySize(images []transcode.ImageOut) []int {
	order := make([]int, len(images))
	for i := range order {
		order[i] = i
	}
	for i := 1; i < len(order); i++ { // a handful: insertion keeps equal ones in the plan's order
		for j := i; j > 0 && area(images[order[j]]) > area(images[order[j-1]]); j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
	return order
}

func area(im transcode.ImageOut) int { return im.Width * im.Height }

// image writes one picture. A drawn one keeps its pixels as WebP and its colours as JPEG.
func (r *renderer) image(im transcode.ImageOut, drawn bool) (pipeline.Rendition, error) {
	p, err := r.raster(im)
	if err != nil {
		return pipeline.Rendition{}, err
	}
	if drawn && im.Format == transcode.JPEG {
		im.Quality = max(im.Quality, fullChroma)
	}
	key := work{im.Format, im.Fit, im.Width, im.Height, im.Quality}
	if r.written[key] == nil {
		if r.written[key], err = encode(p, im.Format, im.Quality, drawn && im.Format == transcode.WebP, r.plan.Matte); err != nil {
			return pipeline.Rendition{}, err
		}
	}
	enc, err := within(r.ctx, p, im, r.written[key], r.plan.Matte)
	if err != nil {
		return pipeline.Rendition{}, err
	}
	return r.write(pipeline.Rendition{Name: im.Name, Class: pipeline.ClassFull, Default: im.Default}, im.Format, enc)
}

// raster returns the picture at the image's size.
func (r *renderer) raster(im transcode.ImageOut) (picture, error) {
	if im.Fit != transcode.FitCover {
		return r.sized(im.Width, im.Height)
	}
	w, h := transcode.FitSize(r.plan.Width, r.plan.Height, min(r.plan.Width, r.plan.Height), im.Width)
	p, err := r.sized(w, h)
	if err != nil {
		return picture{}, err
	}
	x, y := (w-im.Width)/2, (h-im.Height)/2
	if p, err = p.crop(image.Rect(x, y, x+im.Width, y+im.Height)); err != nil {
		return picture{}, err
	}
	return p.memory(r.ctx)
}

// sized returns the whole picture at w × h, made from the smallest raster that is large enough, and keeps it for the next.
func (r *renderer) sized(w, h int) (picture, error) {
	from := r.atLeast(w, h)
	if from.width() == w && from.height() == h {
		return from, nil
	}
	p, err := from.resize(w, h)
	if err != nil {
		return picture{}, err
	}
	if p, err = p.memory(r.ctx); err != nil {
		return picture{}, err
	}
	r.rasters = append(r.rasters, p)
	return p, nil
}

// atLeast finds the smallest raster of w × h or more; the master is never too small.
func (r *renderer) atLeast(w, h int) picture {
	best := r.rasters[0]
	for _, p := range r.rasters[1:] {
		if p.width() >= w && p.height() >= h && p.width()*p.height() < best.width()*best.height() {
			best = p
		}
	}
	return best
}

// write puts a finished file into the workspace. Its name is a number: nothing of the sender's, nothing of the profile's.
func (r *renderer) write(rendition pipeline.Rendition, f transcode.Format, enc encoded) (pipeline.Rendition, error) {
	name := fmt.Sprintf("r%02d%s", r.files, formats[f].ext)
	r.files++
	rendition.Path = path.Join(r.out, name)
	rendition.MIME = formats[f].mime
	rendition.Width, rendition.Height, rendition.Size = enc.width, enc.height, int64(len(enc.data))
	return rendition, r.create(rendition.Path, enc.data)
}

func (r *renderer) create(name string, data []byte) error {
	f, err := os.OpenFile(filepath.Join(r.dir, filepath.FromSlash(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// describe sets the part's size: that of the default rendition, or of the first where there is none, as for a poster.
func (r *renderer) describe() {
	part := &r.result.Part
	for i, rendition := range part.Renditions {
		if i == 0 || rendition.Default {
			part.Width, part.Height = rendition.Width, rendition.Height
		}
	}
}
