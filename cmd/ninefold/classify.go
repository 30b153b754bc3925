package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
	"github.com/ninefold/ninefold/transcode/sandbox"
)

// classifyCmd scores files without a message around them.
type classifyCmd struct {
	Files []string `arg:"" help:"Pictures or videos." name:"file"`
	Raw   bool     `help:"Score a picture at its full size, as the model's reference does: for comparing scores, not for verdicts."`
	JSON  bool     `help:"One JSON object a line."`

	EngineSettings `embed:"" group:"engine"`
	ModelSettings  `embed:"" group:"models"`
}

// rawSide keeps a picture at its full size: no picture that passes the limits is larger.
const rawSide = 20_000

// maxClassifyBytes bounds a file to classify; the profile's own limits follow once its kind is known.
const maxClassifyBytes = 256 << 20

// verdict is what classify prints of one file.
type verdict struct {
	File  string             `json:"file"`
	Model string             `json:"model"`
	Raw   map[string]float64 `json:"raw,omitempty"`
	Facts *pipeline.Facts    `json:"facts,omitempty"`
	Error *pipeline.Failure  `json:"error,omitempty"`
}

func (c *classifyCmd) Run(a *app) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	model, err := c.openModel(a)
	if err != nil {
		return err
	}
	defer model.Close()
	pool, err := c.engines(a)
	if err != nil {
		return err
	}
	defer pool.Close()
	screener, err := newScreener(model, policy.Config(), c.Raw)
	if err != nil {
		return err
	}
	failed := 0
	for _, file := range c.Files {
		v, err := c.one(a, pool, screener, file)
		if err != nil {
			return err
		}
		if v.Error != nil {
			failed++
		}
		if err := c.print(a.stdout, v); err != nil {
			return err
		}
	}
	return classified(failed, len(c.Files))
}

func classified(failed, all int) error {
	switch failed {
	case 0:
		return nil
	case all:
		return &exitError{code: exitRejected}
	}
	return &exitError{code: exitPartial}
}

// engines starts engines whose plans make hardly more than what is judged.
func (c *classifyCmd) engines(a *app) (*sandbox.Pool, error) {
	profile, err := c.profile()
	if err != nil {
		return nil, err
	}
	profile.Photo.Renditions = slices.DeleteFunc(slices.Clone(profile.Photo.Renditions), func(s transcode.ImageSpec) bool { return !s.Default })
	c.EngineWarm = 0
	return c.pool(a.log.logger(a), profile, nil)
}

// one scores one file. A file that cannot be taken is a verdict with an error, not an error.
func (c *classifyCmd) one(a *app, pool *sandbox.Pool, screener *moderation.Screener, file string) (verdict, error) {
	v := verdict{File: file, Model: screener.Model().ID}
	ws, err := pipeline.NewWorkspace(c.Scratch)
	if err != nil {
		return v, err
	}
	defer ws.Close()
	proc, err := pool.Open(a.ctx, ws)
	if err != nil {
		return v, err
	}
	defer proc.Close()
	in, err := c.input(a, ws, proc, file, screener.Side())
	var coded *pipeline.Error
	if errors.As(err, &coded) && !coded.Code.Trouble() {
		v.Error = coded.Failure()
		return v, nil
	}
	if err != nil {
		return v, err
	}
	facts, err := screener.Screen(a.ctx, ws, in)
	if err != nil {
		return v, err
	}
	v.Raw = facts.Raw
	if !c.Raw {
		v.Facts = &facts
	}
	return v, nil
}

// input copies a file into the workspace, has it rendered as it would be delivered, and takes from that what the judge must see.
func (c *classifyCmd) input(a *app, ws *pipeline.Workspace, proc pipeline.Processor, file string, side int) (pipeline.ScreenInput, error) {
	staged, err := stage(a, ws, file)
	if err != nil {
		return pipeline.ScreenInput{}, err
	}
	media, err := proc.Identify(a.ctx, staged)
	if err != nil {
		return pipeline.ScreenInput{}, err
	}
	if media.Kind == pipeline.KindVoice {
		return pipeline.ScreenInput{}, pipeline.Refuse(pipeline.CodeNoVideo, "a recording shows nothing; name pictures or videos")
	}
	order := pipeline.ReadOrder{Out: "out/0/read", Side: side}
	if c.Raw {
		order.Side = rawSide
		order.Part, err = asItIs(staged, media)
	} else {
		order.Part, err = delivered(a, proc, staged, media)
	}
	if err != nil {
		return pipeline.ScreenInput{}, err
	}
	back, err := proc.ReadBack(a.ctx, order)
	if err != nil {
		return pipeline.ScreenInput{}, err
	}
	return back.Screen, nil
}

func stage(a *app, ws *pipeline.Workspace, file string) (pipeline.File, error) {
	src, size, err := pathSource{func(string) (string, bool) { return file, true }}.Open(a.ctx, "")
	if err != nil {
		return pipeline.File{}, err
	}
	defer src.Close()
	staged, err := pipeline.StageFile(ws, "in/0", src, size, maxClassifyBytes)
	if err != nil {
		return pipeline.File{}, err
	}
	return staged, staged.Known()
}

// delivered renders a file.
func delivered(a *app, proc pipeline.Processor, f pipeline.File, m pipeline.Media) (pipeline.Part, error) {
	plan, err := proc.Plan(pipeline.Item{ID: "file", Kind: pipeline.KindAuto}, m)
	if err != nil {
		return pipeline.Part{}, err
	}
	r, err := proc.Render(a.ctx, f, plan, nil)
	if err != nil {
		return pipeline.Part{}, err
	}
	return r.Part, nil
}

// asItIs takes a picture's own pixels for what is delivered.
func asItIs(f pipeline.File, m pipeline.Media) (pipeline.Part, error) {
	if m.Kind != pipeline.KindPhoto {
		return pipeline.Part{}, pipeline.Refuse(pipeline.CodeUnsupportedType, "--raw compares still pictures; leave it out for a video")
	}
	own := pipeline.Rendition{Name: "display", Path: f.Path, MIME: f.Type.MIME, Width: m.Width, Height: m.Height, Default: true}
	return pipeline.Part{Kind: pipeline.KindPhoto, Width: m.Width, Height: m.Height, Renditions: []pipeline.Rendition{own}}, nil
}

func (c *classifyCmd) print(w io.Writer, v verdict) error {
	if c.JSON {
		return json.NewEncoder(w).Encode(v)
	}
	if v.Error != nil {
		_, err := fmt.Fprintf(w, "%s: %s: %s\n", v.File, v.Error.Code, v.Error.Message)
		return err
	}
	level := ""
	if v.Facts != nil {
		level = " " + string(v.Facts.Level)
	}
	_, err := fmt.Fprintf(w, "%s:%s %s\n", v.File, level, scoresText(v.Raw))
	return err
}

func scoresText(raw map[string]float64) string {
	var out []string
	for label, p := range raw {
		out = append(out, fmt.Sprintf("%s %.3f", label, p))
	}
	sort.Strings(out)
	return strings.Join(out, "  ")
}
