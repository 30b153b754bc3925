package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ninefold/ninefold/pipeline"
)

// partsCmd prints what one person may see of a message.
type partsCmd struct {
	Message   string `arg:"" help:"Manifest file, or the id of a job whose manifest is in the store." name:"manifest|job-id"`
	Recipient string `help:"Whose view: exactly what this recipient's client may receive; null = nothing at all." xor:"view" placeholder:"ID"`
	Sender    bool   `help:"The sender's view: withheld, filtered, blocked and otherwise undelivered read alike." xor:"view"`
	JSON      bool   `help:"The answer is JSON with it and without."`

	StoreSettings `embed:"" group:"store"`
}

func (c *partsCmd) Run(a *app) error {
	if c.Recipient == "" && !c.Sender {
		return &exitError{exitUsage, errors.New("parts: say whose view: --recipient ID, or --sender")}
	}
	m, err := c.manifest(a.ctx)
	if err != nil {
		return err
	}
	if c.Sender {
		return printJSON(a.stdout, pipeline.ViewForSender(m))
	}
	view, err := pipeline.ViewFor(m, c.Recipient)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("--recipient %s: %w", c.Recipient, err)}
	}
	return printJSON(a.stdout, view)
}

// manifest reads the file of that name, or else the store.
func (c *partsCmd) manifest(ctx context.Context) (pipeline.Manifest, error) {
	f, err := os.Open(c.Message)
	if errors.Is(err, os.ErrNotExist) && pipeline.ValidID(c.Message) {
		return c.stored(ctx)
	}
	if err != nil {
		return pipeline.Manifest{}, &exitError{exitUsage, err}
	}
	defer f.Close()
	return readManifest(f)
}

func (c *partsCmd) stored(ctx context.Context) (pipeline.Manifest, error) {
	store, err := c.at("--store", c.Store)
	if err != nil {
		return pipeline.Manifest{}, err
	}
	m, err := pipeline.Current(ctx, store, c.Message)
	if errors.Is(err, pipeline.ErrNotExist) {
		return m, &exitError{exitUsage, fmt.Errorf("%s is no file, and the store has no manifest of a job with that id; set --store", c.Message)}
	}
	return m, err
}

func readManifest(r io.Reader) (pipeline.Manifest, error) {
	var m pipeline.Manifest
	if err := json.NewDecoder(r).Decode(&m); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	return m, m.Validate()
}
