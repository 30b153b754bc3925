package main

import (
	"fmt"
	"io"
	"sort"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// configCmd prints the settings in force.
type configCmd struct {
	QueueSettings  `embed:"" group:"queue"`
	StoreSettings  `embed:"" group:"store"`
	EngineSettings `embed:"" group:"engine"`
	ModelSettings  `embed:"" group:"models"`
}

// Run prints what flags, environment and file amount to, as a file that --config reads.
func (c *configCmd) Run(a *app, parsed *kong.Context) error {
	values := map[string]any{}
	for _, f := range append(append([]*kong.Flag{}, parsed.Model.Flags...), parsed.Selected().Flags...) {
		if !skipped[f.Name] {
			values[f.Name] = printable(f)
		}
	}
	return printYAML(a.stdout, values)
}

// skipped are flags that are no settings.
var skipped = map[string]bool{"help": true, "version": true, "config": true}

func printable(f *kong.Flag) any {
	v := f.Target.Interface()
	if f.Tag.Has("secret") && fmt.Sprint(v) != "" && fmt.Sprint(v) != f.Default {
		return "(hidden)"
	}
	return v
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
