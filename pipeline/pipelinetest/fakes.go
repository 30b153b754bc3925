package pipelinetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// JPEG returns bytes that sniff as a photo and tell a fake processor what to do; see Processors.
func JPEG(text string) []byte { return append([]byte("\xff\xd8\xff\xe0"), text...) }

// Processors is a Processor for tests of what surrounds it. What it does with a file stands in the file:
//
//   - "refuse CODE" is refused with that code when rendered
//   - "trouble" is our own trouble, "panic" a panic, "hang" waits for the context
//   - "unfit" is rendered and does not verify
//   - "film" is identified as a video, with one key frame; it is rendered like anything else. "film 40" costs 40 of the 100 that a message may
//   - "unreadable" is rendered and cannot be read back, "garbled" not where it is judged
//   - anything else becomes one rendition with the same bytes; read back it is one sample of 1×1 pixel, and a safe rendition
type Processors struct {
	Opened, Closed, Identified, Looked, Rendered, Verified, ReadBacks atomic.Int64
	Left                                                              atomic.Int64 // files of items still in the workspace at Close
	// Reads is what today's processor reads in a file of that text: another answer than before is another engine. nil = the text.
	Reads func(text string) string
}

var _ pipeline.Processors = (*Processors)(nil)

// Open counts and returns a processor over ws.
func (p *Processors) Open(_ context.Context, ws *pipeline.Workspace) (pipeline.Processor, error) {
	p.Opened.Add(1)
	return &processor{p, ws}, nil
}

type processor struct {
	*Processors
	ws *pipeline.Workspace
}

type fakePlan string

// Digest is the plan's own text.
func (p fakePlan) Digest() string { return string(p) }

// Within leaves "extra" out of the plan of an item called optional, where there is less than a minute for it.
func (p fakePlan) Within(_ pipeline.Media, budget time.Duration) (pipeline.Plan, []string) {
	if p != "optional" || budget >= time.Minute {
		return p, nil
	}
	return p + " without", []string{"extra"}
}

// Identify calls every file a photo of 1×1 pixel, and a film a video of them.
func (p *processor) Identify(ctx context.Context, f pipeline.File) (pipeline.Media, error) {
	if err := ctx.Err(); err != nil {
		return pipeline.Media{}, err
	}
	p.Identified.Add(1)
	text, err := p.text(f)
	if err != nil {
		return pipeline.Media{}, err
	}
	kind, frames := pipeline.KindPhoto, 1
	if isFilm(text) {
		kind = pipeline.KindVideo
		_, _ = fmt.Sscanf(text, "film %d", &frames)
	}
	return pipeline.Media{MIME: f.Type.MIME, Kind: kind, Width: 1, Height: 1, Frames: frames, Size: f.Size}, nil
}

func isFilm(text string) bool { return strings.HasPrefix(text, "film") }

// KeyFrames counts and gives one frame of a film.
func (p *processor) KeyFrames(ctx context.Context, f pipeline.File, _ pipeline.Plan) ([]pipeline.Sample, error) {
	text, err := p.text(f)
	if err != nil || !isFilm(text) {
		return nil, err
	}
	p.Looked.Add(1)
	name := strings.Replace(f.Path, "in/", "out/", 1) + "/key.rgb"
	if err := p.write(name, "\x00\x00\x00"); err != nil {
		return nil, err
	}
	return []pipeline.Sample{{Path: name, Width: 1, Height: 1}}, ctx.Err()
}

// Plan makes a plan without meaning.
func (p *processor) Plan(item pipeline.Item, m pipeline.Media) (pipeline.Plan, error) {
	if m.Kind == pipeline.KindVideo && m.Frames > 1 {
		return metered{fakePlan(item.ID), int64(m.Frames)}, nil
	}
	return fakePlan(item.ID), nil
}

// metered is a plan of a known cost.
type metered struct {
	fakePlan
	cost int64
}

// Work is out of a hundred for a message.
func (m metered) Work() (cost, message int64) { return m.cost, 100 }

// Render does what the file says.
func (p *processor) Render(ctx context.Context, f pipeline.File, _ pipeline.Plan, progress func(float64)) (*pipeline.Rendered, error) {
	p.Rendered.Add(1)
	text, err := p.text(f)
	if err != nil {
		return nil, err
	}
	progress(50)
	switch word, rest, _ := strings.Cut(text, " "); word {
	case "refuse":
		return nil, pipeline.Refuse(pipeline.Code(rest), "the test refuses it")
	case "trouble":
		return nil, pipeline.Trouble(pipeline.CodeInternal, "fake", fmt.Errorf("as asked"))
	case "panic":
		panic("as asked")
	case "hang":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return p.copy(f, text)
}

func (p *processor) text(f pipeline.File) (string, error) {
	r, _, err := p.ws.Open(f.Path, 1<<20)
	if err != nil {
		return "", err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	text := strings.TrimPrefix(string(data), string(JPEG("")))
	if p.Reads != nil {
		text = p.Reads(text)
	}
	return text, err
}

func (p *processor) copy(f pipeline.File, text string) (*pipeline.Rendered, error) {
	name := strings.Replace(f.Path, "in/", "out/", 1) + "/display"
	if err := p.write(name, string(JPEG("rendition of "+text))); err != nil {
		return nil, err
	}
	kind := pipeline.KindPhoto
	if isFilm(text) {
		kind = pipeline.KindVideo
	}
	return &pipeline.Rendered{
		Part: pipeline.Part{Kind: kind, Width: 1, Height: 1, Renditions: []pipeline.Rendition{
			{Name: "display", Class: pipeline.ClassFull, Path: name, MIME: "image/jpeg", Width: 1, Height: 1, Default: true},
		}},
	}, nil
}

func (p *processor) write(name, text string) error {
	w, err := p.ws.Create(name)
	if err != nil {
		return err
	}
	defer w.Close()
	_, err = io.WriteString(w, text)
	return err
}

// Verify counts, and refuses what is unfit.
func (p *processor) Verify(_ context.Context, r *pipeline.Rendered) error {
	p.Verified.Add(1)
	for _, f := range r.Part.Renditions {
		text, err := p.text(pipeline.File{Path: f.Path})
		if err != nil {
			return err
		}
		if text == "rendition of unfit" {
			return pipeline.Refuse(pipeline.CodeEncodeFailed, "the test refuses it")
		}
	}
	return nil
}

// ReadBack counts, and gives one sample of each file and a safe rendition of the first.
func (p *processor) ReadBack(ctx context.Context, order pipeline.ReadOrder) (*pipeline.ReadBack, error) {
	p.ReadBacks.Add(1)
	back := &pipeline.ReadBack{}
	for i, f := range order.Part.Renditions {
		text, err := p.text(pipeline.File{Path: f.Path})
		if err != nil {
			return nil, err
		}
		if text == "rendition of unreadable" || text == "rendition of garbled" && order.Side > 0 {
			return nil, pipeline.Refuse(pipeline.CodeEncodeFailed, "the test refuses it")
		}
		if err := p.readBack(back, order, text, i); err != nil {
			return nil, err
		}
	}
	return back, ctx.Err()
}

func (p *processor) readBack(back *pipeline.ReadBack, order pipeline.ReadOrder, text string, i int) error {
	if order.Make && i == 0 {
		name := order.Out + "/blurred"
		if err := p.write(name, string(JPEG("nothing of "+text))); err != nil {
			return err
		}
		back.Safe = []pipeline.Rendition{{Name: "blurred", Class: pipeline.ClassSafe, Path: name, MIME: "image/jpeg", Width: 1, Height: 1}}
		back.Placeholder = &pipeline.Placeholder{Blurhash: "00", Thumbhash: "AA==", Color: "#000000"}
	}
	if order.Side == 0 {
		return nil
	}
	name := fmt.Sprintf("%s/sample-%d.rgb", order.Out, i)
	back.Screen.Samples = append(back.Screen.Samples, pipeline.Sample{Path: name, Width: 1, Height: 1})
	back.Screen.Frames, back.Screen.Scored, back.Screen.Covered = i+1, i+1, i+1
	return p.write(name, "\x00\x00\x00")
}

// Close counts, itself and what is left.
func (p *processor) Close() error {
	p.Closed.Add(1)
	for _, dir := range []string{"in", "out"} {
		entries, err := os.ReadDir(filepath.Join(p.ws.Dir(), dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		p.Left.Add(int64(len(entries)))
	}
	return nil
}

// Moderator is a Moderator that says what it is told to.
type Moderator struct {
	Facts    pipeline.Facts // where they are scores and name no evidence, what it was given to look at is added
	Bare     bool           // nothing is added
	Err      error
	Screened atomic.Int64
}

var _ pipeline.Moderator = (*Moderator)(nil)

// Screen returns Facts and Err.
func (m *Moderator) Screen(_ context.Context, _ *pipeline.Workspace, in pipeline.ScreenInput) (pipeline.Facts, error) {
	m.Screened.Add(1)
	f := m.Facts
	if f.Status == pipeline.Scored && f.Evidence == nil && !m.Bare {
		f.Coverage = 1
		f.Evidence = &pipeline.Evidence{
			Renditions: append([]string{}, in.Renditions...), Judge: pipeline.JudgeVersion, Frames: in.Covered, Scored: in.Scored, CoveredMS: in.CoveredMS,
		}
	}
	return f, m.Err
}

// Side asks for samples.
func (m *Moderator) Side() int { return 1 }

// Pictures is one a sample.
func (m *Moderator) Pictures(in pipeline.ScreenInput) int { return len(in.Samples) }

// Most is one picture a file that shows the media.
func (m *Moderator) Most(p pipeline.Part) (most int) {
	for _, r := range p.Renditions {
		if r.Class == pipeline.ClassFull {
			most++
		}
	}
	return most
}

// Model names the model of Facts.
func (m *Moderator) Model() pipeline.ModelRef {
	if m.Facts.Model == nil {
		return pipeline.ModelRef{}
	}
	return *m.Facts.Model
}
