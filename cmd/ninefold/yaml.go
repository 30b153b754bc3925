package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	kongyaml "github.com/alecthomas/kong-yaml"
	"gopkg.in/yaml.v3"
)

// yamlSettings resolves flags from one YAML file. A setting has the same key for every command, and a key that no command
// has is a mistake, not a comment.
type yamlSettings struct {
	kong.Resolver
	keys []string // leaf keys of the file, nesting joined with dashes
}

func loadYAML(r io.Reader) (kong.Resolver, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	values, err := kongyaml.Loader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&tree); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("configuration: one YAML document is read, and here is another")
	}
	keys := leaves("", tree)
	for i := 1; i < len(keys); i++ {
		if keys[i] == keys[i-1] {
			return nil, fmt.Errorf("configuration: %q is set twice, nested and not", keys[i])
		}
	}
	return &yamlSettings{values, keys}, nil
}

// jsonOfYAML translates one YAML document, for a decoder that is strict about its keys.
func jsonOfYAML(text []byte) ([]byte, error) {
	var tree any
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("one YAML document is read, and here is another")
	}
	return json.Marshal(tree)
}

// yamlOfJSON writes v, which has json tags, as YAML with its fields in their order.
func yamlOfJSON(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	plain(&doc)
	return yaml.Marshal(&doc)
}

// plain takes the braces and quotes of JSON off wherever YAML needs none.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plain(child)
	}
}

func leaves(prefix string, tree map[string]any) []string {
	var keys []string
	for k, v := range tree {
		if sub, ok := v.(map[string]any); ok {
			keys = append(keys, leaves(prefix+k+"-", sub)...)
		} else {
			keys = append(keys, prefix+k)
		}
	}
	sort.Strings(keys)
	return keys
}

// Resolve looks a flag up at the top of the file, whichever command it belongs to.
func (y *yamlSettings) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, env := range flag.Envs {
		if _, ok := os.LookupEnv(env); ok {
			return nil, nil // flag, environment, file: in this order
		}
	}
	value, err := y.Resolver.Resolve(ctx, &kong.Path{App: ctx.Model}, flag)
	if _, text := value.(string); err == nil && value != nil && !text && flag.Target.Type() == reflect.TypeFor[time.Duration]() {
		return nil, fmt.Errorf("configuration: %s: want a duration with its unit, as 30s or 24h", flag.Name) // kong would read nanoseconds
	}
	return value, err
}

// Validate refuses keys that are no setting.
func (y *yamlSettings) Validate(app *kong.Application) error {
	known := map[string]bool{}
	collect(app.Node, known)
	var wrong []error
	for _, k := range y.keys {
		if !known[k] {
			wrong = append(wrong, fmt.Errorf("configuration: unknown setting %q%s", k, nearest(k, known)))
		}
	}
	return errors.Join(wrong...)
}

func collect(n *kong.Node, known map[string]bool) {
	for _, f := range n.Flags {
		known[f.Name] = true
	}
	for _, c := range n.Children {
		collect(c, known)
	}
}

// nearest helps with a setting that lost or gained its group.
func nearest(key string, known map[string]bool) string {
	last := key[strings.LastIndex(key, "-")+1:]
	for k := range known {
		if strings.HasSuffix(k, "-"+last) {
			return fmt.Sprintf("; did you mean %q?", k)
		}
	}
	if near := nearestName(key, slices.Sorted(maps.Keys(known))); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}
