package main

import (
	"fmt"
	"io"
	"net/url"
	"sort"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// configCmd prints the settings in force.
type configCmd struct {
	JSON bool `help:"Print one JSON object: settings, the names of those that are hidden, and the policy."`

	AdminSettings  `embed:"" group:"admin"`
	WorkSettings   `embed:"" group:"queue"`
	QueueSettings  `embed:"" group:"queue"`
	StoreSettings  `embed:"" group:"store"`
	EngineSettings `embed:"" group:"engine"`
	ModelSettings  `embed:"" group:"models"`

	AudienceSettings `embed:"" group:"audience"`
	AuditSettings    `embed:"" group:"audience"`
}

// Run prints what flags, environment and file amount to, as a file that --config reads.
func (c *configCmd) Run(a *app, parsed *kong.Context) error {
	values := map[string]any{}
	for _, f := range append(append([]*kong.Flag{}, parsed.Model.Flags...), parsed.Selected().Flags...) {
		if !skipped[f.Name] {
			values[f.Name] = f.Target.Interface()
		}
	}
	names := hidden(parsed.Selected().Flags, values)
	if c.JSON {
		return c.printJSON(a.stdout, values, names)
	}
	for _, name := range names {
		fmt.Fprintf(a.stdout, "# %s is set and not shown: give it in the environment\n", name)
	}
	if err := printYAML(a.stdout, values); err != nil {
		return err
	}
	return c.printPolicy(a.stdout)
}

// printJSON prints the same for programs; a duration is written as a file has it.
func (c *configCmd) printJSON(w io.Writer, values map[string]any, names []string) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	for name, value := range values {
		if d, ok := value.(time.Duration); ok {
			values[name] = d.String()
		}
	}
	return printJSON(w, map[string]any{"settings": values, "hidden": append([]string{}, names...), "policy": policy.Config()})
}

// printPolicy adds the policy that --policy names or leaves at its defaults, as a comment: it has a file of its own.
func (c *configCmd) printPolicy(w io.Writer) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	text, err := yamlOfJSON(policy.Config())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "# the policy in force, %s:\n#   %s\n", policy.Ref().Digest,
		strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n#   "))
	return err
}

// skipped are flags that are no settings.
var skipped = map[string]bool{"help": true, "version": true, "config": true, "json": true}

// hidden takes the settings that hold a secret out of values and names them.
func hidden(flags []*kong.Flag, values map[string]any) (names []string) {
	for _, f := range flags {
		text := fmt.Sprint(f.Target.Interface())
		if !f.Tag.Has("secret") || text == "" {
			continue
		}
		if u, err := url.Parse(text); err == nil && u.Host != "" && u.User == nil {
			continue // an address without a password
		}
		delete(values, f.Name)
		names = append(names, f.Name)
	}
	return names
}

func printYAML(w io.Writer, values map[string]any) error {
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		line, err := yaml.Marshal(map[string]any{k: values[k]})
		if err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}
