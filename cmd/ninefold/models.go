package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ninefold/ninefold/moderation/models"
	"github.com/ninefold/ninefold/moderation/tfjs"
)

// modelsCmd looks after the classifier models.
type modelsCmd struct {
	Fetch  modelsFetchCmd  `cmd:"" help:"Install and convert models, and ONNX Runtime; what is there already is left alone."`
	List   modelsListCmd   `cmd:"" help:"List the models that can be fetched."`
	Verify modelsVerifyCmd `cmd:"" help:"Check fetched models against their digests."`

	Calibrate calibrateCmd `cmd:"" help:"Find thresholds from your own lawful, labelled scores."`
}

type modelsFetchCmd struct {
	IDs  []string `arg:"" optional:"" help:"Models; none = the default." name:"id"`
	JSON bool     `help:"Print what is there in the end, one JSON object a line, as verify does."`
	Dir  string   `env:"NINEFOLD_MODELS_DIR" help:"Where to put them." default:"${models}" placeholder:"DIR"`
}

func (c *modelsFetchCmd) Run(a *app) error {
	err := models.Fetch(a.ctx, c.Dir, convertModel, a.stderr, c.IDs...)
	if err != nil || !c.JSON {
		return err
	}
	return (&modelsVerifyCmd{Dir: c.Dir, JSON: true}).Run(a)
}

// convertModel is the converter that models.Fetch is given.
func convertModel(ctx context.Context, source string) ([]byte, error) {
	graph, err := tfjs.Convert(ctx, source)
	if err != nil {
		return nil, err
	}
	return graph.Encode(), nil
}

type modelsListCmd struct {
	JSON bool `help:"One JSON object a line."`
}

func (c *modelsListCmd) Run(a *app) error {
	for _, k := range models.List() {
		m := k.Manifest
		if c.JSON {
			if err := json.NewEncoder(a.stdout).Encode(m); err != nil {
				return err
			}
			continue
		}
		mark := ""
		if m.ID == models.Default {
			mark = "  (default)"
		}
		fmt.Fprintf(a.stdout, "%-24s %d×%d  %s%s\n", m.ID, m.Input.Size, m.Input.Size, m.Licence, mark)
	}
	return nil
}

type modelsVerifyCmd struct {
	Dir  string `env:"NINEFOLD_MODELS_DIR" help:"Where they are." default:"${models}" placeholder:"DIR"`
	JSON bool   `help:"One JSON object a line."`
}

func (c *modelsVerifyCmd) Run(a *app) error {
	entries, err := models.Verify(c.Dir)
	for _, e := range entries {
		if c.JSON {
			err = errors.Join(err, json.NewEncoder(a.stdout).Encode(e))
			continue
		}
		fmt.Fprintf(a.stdout, "%-24s sha256:%s\n", e.ID, e.Model)
	}
	return err
}
