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

	Policy string `help:"YAML file of the workers' policy settings; empty = the defaults." placeholder:"FILE" group:"models"`

	StoreSettings    `embed:"" group:"store"`
	AudienceSettings `embed:"" group:"audience"`
}

// Help is the long form of the command's help.
func (c *partsCmd) Help() string {
	return `A recipient's view is decided now, by the manifest in force, --policy, and ages, contacts and filters as --audience-url says they are, or
as the kept job says where there is no directory. Of a manifest that is read from a file the view is the one of the moment it was published,
unless --audience-url is given. Where nothing was looked at and the recipient is protected, the view is the stricter one; what to do about
it is said on standard error.`
}

func (c *partsCmd) Run(a *app) error {
	if c.Recipient == "" && !c.Sender {
		return &exitError{exitUsage, errors.New("parts: say whose view: --recipient ID, or --sender")}
	}
	m, audience, err := c.manifest(a.ctx)
	if err != nil {
		return err
	}
	if c.Sender {
		return printJSON(a.stdout, pipeline.ViewForSender(m))
	}
	view, err := c.view(a, m, audience)
	if errors.Is(err, pipeline.ErrNoRecipient) {
		return &exitError{exitUsage, fmt.Errorf("--recipient %s: %w", c.Recipient, err)}
	}
	if err != nil {
		return err
	}
	return printJSON(a.stdout, view)
}

// view decides now where somebody can be asked about the people, and repeats what was decided where nobody can.
func (c *partsCmd) view(a *app, m pipeline.Manifest, audience pipeline.AudienceSource) (*pipeline.RecipientView, error) {
	if c.AudienceURL != "" {
		directory, err := c.open()
		if err != nil {
			return nil, &exitError{exitUsage, err}
		}
		audience = directory
	}
	if audience == nil {
		return pipeline.ViewFor(m, c.Recipient)
	}
	policy, err := ModelSettings{Policy: c.Policy}.policy()
	if err != nil {
		return nil, err
	}
	return pipeline.ViewNow(a.ctx, m, c.Recipient, audience, policy, advised{a.stderr})
}

// advised tells whoever asks for a view how what it lacks can be had.
type advised struct{ w io.Writer }

func (s advised) WantScreening(_ context.Context, o pipeline.RedoOrder) {
	fmt.Fprintf(s.w, "nothing is known of what %s shows, so this is the stricter view; screen it with: "+
		"echo %s | ninefold reprocess --only moderation --screen --ids -\n", o.JobID, o.JobID)
}

// manifest reads the file of that name, or else the store, which also knows who the people were: audience is nil for a file.
func (c *partsCmd) manifest(ctx context.Context) (m pipeline.Manifest, audience pipeline.AudienceSource, err error) {
	f, err := os.Open(c.Message)
	if errors.Is(err, os.ErrNotExist) && pipeline.ValidID(c.Message) {
		return c.stored(ctx)
	}
	if err != nil {
		return m, nil, &exitError{exitUsage, err}
	}
	defer f.Close()
	m, err = readManifest(f)
	return m, nil, err
}

func (c *partsCmd) stored(ctx context.Context) (pipeline.Manifest, pipeline.AudienceSource, error) {
	store, err := c.at("--store", c.Store)
	if err != nil {
		return pipeline.Manifest{}, nil, err
	}
	m, err := pipeline.Current(ctx, store, c.Message)
	if errors.Is(err, pipeline.ErrNotExist) {
		return m, nil, &exitError{exitUsage, fmt.Errorf("%s is no file, and the store has no manifest of a job with that id; set --store", c.Message)}
	}
	return m, pipeline.KeptAudience{Store: store}, err
}

func readManifest(r io.Reader) (pipeline.Manifest, error) {
	var m pipeline.Manifest
	if err := json.NewDecoder(r).Decode(&m); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	return m, m.Validate()
}
