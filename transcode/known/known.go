// Package known holds tiny media whose outcome is known, and holds an engine to it: what a library is able to load says nothing about what
// it makes of it. A release of libvips that answers in 16 bits where 8 were expected gives coloured noise, status ready; this is how it is
// found before the first message is.
//
// The media are made by us, with cmd/known-media. A new kind: a file made there, and a line in Pictures.
package known

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

//go:embed *.jpg *.png *.webp *.heic *.avif *.ogg *.mp4
var media embed.FS

// Engine is what is held to the known answers: the one that serves messages. Decode is its own.
type Engine interface {
	Identify(ctx context.Context, f pipeline.File) (pipeline.Media, error)
	Render(ctx context.Context, f pipeline.File, plan *transcode.Plan, out string, progress func(percent float64)) (*pipeline.Rendered, error)
	Verify(ctx context.Context, r *pipeline.Rendered) error
}

// Decoder decodes what the engine made, as a client does.
type Decoder interface {
	Sounds(ctx context.Context, dir string, a, b pipeline.File) (x, y []float32, err error)
	Playback(ctx context.Context, dir string, f pipeline.File, w, h int) (frames [][]byte, sound []float32, err error)
}

// Bench is where an engine is tried.
type Bench struct {
	Engine  Engine
	Decoder Decoder
	Dir     string // the engine's working directory; what is written below it is removed again
	Out     string // the directory in Dir where the engine may write, slash-separated
}

// answer is one file and what must become of it.
type answer struct {
	file  string
	about string // what it stands for, for the operator
	check func(context.Context, *Bench, *pipeline.Rendered) error
}

// Pictures tries every kind of picture. The error names each that comes out otherwise, and how.
func (b *Bench) Pictures(ctx context.Context) error {
	return b.each(ctx, []answer{
		{"turned.jpg", "JPEG, 8 bits, lying on its side", inColour},
		{"p3.jpg", "JPEG in Display P3", inColour},
		{"srgb.webp", "WebP", inColour},
		{"p3-16.png", "PNG, 16 bits, Display P3", inColour},
		{"grey-alpha-16.png", "PNG, 16 bits of grey with alpha", inGrey},
		{"iphone18.heic", "HEIC of an iPhone of today, Display P3", asAnIPhone},
		{"p3-10.heic", "HEIC, 10 bits, Display P3", inColour},
		{"pq.avif", "AVIF, 10 bits, HDR (PQ)", inColour},
	})
}

// Video tries a video: HEVC with sound, as phones film.
func (b *Bench) Video(ctx context.Context) error {
	return b.each(ctx, []answer{{"video.mp4", "MP4, HEVC and AAC", moves}})
}

// Note tries a voice note.
func (b *Bench) Note(ctx context.Context) error {
	return b.each(ctx, []answer{{"note.ogg", "Ogg/Opus", sounds}})
}

func (b *Bench) each(ctx context.Context, answers []answer) error {
	var wrong []error
	for _, a := range answers {
		if err := b.try(ctx, a); err != nil {
			wrong = append(wrong, fmt.Errorf("%s (%s): %w", a.file, a.about, err))
		}
	}
	return errors.Join(wrong...)
}

func (b *Bench) try(ctx context.Context, a answer) error {
	data, err := media.ReadFile(a.file)
	if err != nil {
		return err
	}
	sniffed, ok := pipeline.Sniff(data)
	if !ok {
		return errors.New("its type is not known")
	}
	dir := path.Join(b.Out, "known")
	if err := os.MkdirAll(b.abs(dir), 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(b.abs(dir))
	f := pipeline.File{Path: path.Join(dir, a.file), Type: sniffed, Size: int64(len(data))}
	if err := os.WriteFile(b.abs(f.Path), data, 0o600); err != nil {
		return err
	}
	r, err := b.render(ctx, f, path.Join(dir, "made"))
	if err != nil {
		return refusal(err)
	}
	if len(r.Part.Warnings) > 0 {
		return fmt.Errorf("warned of: %q", r.Part.Warnings)
	}
	return a.check(ctx, b, r)
}

func (b *Bench) render(ctx context.Context, f pipeline.File, out string) (*pipeline.Rendered, error) {
	m, err := b.Engine.Identify(ctx, f)
	if err != nil {
		return nil, err
	}
	m.MIME = f.Type.MIME
	plan, err := transcode.NewPlan(pipeline.Item{Kind: pipeline.KindAuto}, m, transcode.DefaultProfile())
	if err != nil {
		return nil, err
	}
	r, err := b.Engine.Render(ctx, f, plan, out, func(float64) {})
	if err != nil {
		return nil, err
	}
	return r, b.Engine.Verify(ctx, r)
}

// refusal puts an engine's error into an operator's words: the advice to a sender would mislead.
func refusal(err error) error {
	var e *pipeline.Error
	if errors.As(err, &e) && e.Err != nil {
		return fmt.Errorf("refused as %s: %w", e.Code, e.Err)
	}
	return fmt.Errorf("refused: %w", err)
}

func (b *Bench) abs(name string) string { return filepath.Join(b.Dir, filepath.FromSlash(name)) }
