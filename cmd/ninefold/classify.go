package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/moderation/onnx"
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

// rawSide keeps the sample of a picture at its full size: no picture that passes the limits is larger.
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
	pool, err := c.engines(a, model)
	if err != nil {
		return err
	}
	defer pool.Close()
	screener, err := newScreener(model, policy.Config())
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

// engines starts engines whose plans make hardly more than the classifier's raster.
func (c *classifyCmd) engines(a *app, model *onnx.Classifier) (*sandbox.Pool, error) {
	profile, err := c.profile()
	if err != nil {
		return nil, err
	}
	profile.Photo.Renditions = []transcode.ImageSpec{{Name: "grid", Format: transcode.JPEG, Fit: transcode.FitCover, Side: 32, Quality: 50, Default: true}}
	profile.SampleSide = 2 * model.Model().Input.Size
	if c.Raw {
		profile.SampleSide = rawSide
	}
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
	looks, err := look(a, ws, proc, file)
	var coded *pipeline.Error
	if errors.As(err, &coded) && !coded.Code.Trouble() {
		v.Error = coded.Failure()
		return v, nil
	}
	if err != nil {
		return v, err
	}
	facts, err := screener.Screen(a.ctx, ws, looks)
	if err != nil {
		return v, err
	}
	v.Raw = facts.Raw
	if !c.Raw {
		v.Facts = &facts
	}
	return v, nil
}

// look copies a file into the workspace and has the engine make the classifier's rasters of it.
func look(a *app, ws *pipeline.Workspace, proc pipeline.Processor, file string) (pipeline.Looks, error) {
	src, size, err := pathSource{func(string) (string, bool) { return file, true }}.Open(a.ctx, "")
	if err != nil {
		return pipeline.Looks{}, err
	}
	defer src.Close()
	staged, err := pipeline.StageFile(ws, "in/0", src, size, maxClassifyBytes)
	if err != nil {
		return pipeline.Looks{}, err
	}
	if err := staged.Known(); err != nil {
		return pipeline.Looks{}, err
	}
	media, err := proc.Identify(a.ctx, staged)
	if err != nil {
		return pipeline.Looks{}, err
	}
	plan, err := proc.Plan(pipeline.Item{ID: "file", Kind: pipeline.KindAuto}, media)
	if err != nil {
		return pipeline.Looks{}, err
	}
	if media.Kind == pipeline.KindVoice {
		return pipeline.Looks{}, pipeline.Refuse(pipeline.CodeNoVideo, "a recording shows nothing; name pictures or videos")
	}
	r, err := proc.Render(a.ctx, staged, plan, nil)
	if err != nil {
		return pipeline.Looks{}, err
	}
	return r.Looks(proc, staged, media, plan), nil
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
