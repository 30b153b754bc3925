// Package tfjs converts TensorFlow.js image classifiers, as the nsfwjs package ships them, to ONNX.
//
// The package holds UMD scripts: model.min.js exports the model as a JavaScript object, one script per shard exports its weights as a
// base64 string. Both kinds of model are read: layers models (Keras) and graph models (frozen TensorFlow). The result takes one
// picture, NHWC float32, and answers the model's own scores.
//
// A new operator: a case in layer.go or graph.go, and, where ONNX says it differently, a method of builder.
package tfjs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// document is the exported object of model.min.js.
type document struct {
	Format        string          `json:"format"` // "graph-model"; layers models have none or "layers-model"
	ModelTopology json.RawMessage `json:"modelTopology"`
	Weights       []group         `json:"weightsManifest"`
}

// shardName is what a shard may be called: it becomes a file name.
var shardName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

// Convert reads dir/model.min.js and its shards and returns the model as an ONNX graph. The result depends on the input alone.
func Convert(ctx context.Context, dir string) (*Graph, error) {
	data, err := runFile(ctx, dir, "model")
	if err != nil {
		return nil, fmt.Errorf("convert model: %w", err)
	}
	g, err := convert(data, func(path string) (string, error) {
		if !shardName.MatchString(path) {
			return "", fmt.Errorf("shard %.100q: not a plain name", path)
		}
		text, err := runFile(ctx, dir, path)
		if err != nil {
			return "", err
		}
		var s string
		return s, json.Unmarshal(text, &s)
	})
	if err != nil {
		return nil, fmt.Errorf("convert model: %w", err)
	}
	return g, nil
}

func runFile(ctx context.Context, dir, name string) ([]byte, error) {
	f := filepath.Join(dir, name+".min.js")
	info, err := os.Stat(f)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxScriptBytes {
		return nil, fmt.Errorf("%s: %d bytes, at most %d", name, info.Size(), maxScriptBytes)
	}
	source, err := os.ReadFile(f)
	if err != nil {
		return nil, err
	}
	return evaluate(ctx, name+".min.js", source)
}

// convert builds the graph of a model given as JSON.
func convert(data []byte, shard func(path string) (string, error)) (*Graph, error) {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if len(d.ModelTopology) == 0 {
		return nil, errors.New("model: no topology")
	}
	w, err := readWeights(d.Weights, shard)
	if err != nil {
		return nil, err
	}
	b := &builder{graph: Graph{Name: "classifier"}}
	if d.Format == "graph-model" {
		err = convertGraph(b, d.ModelTopology, w)
	} else {
		err = convertLayers(b, d.ModelTopology, w)
	}
	if err != nil {
		return nil, err
	}
	if err := w.unused(); err != nil {
		return nil, err
	}
	return &b.graph, nil
}

// maxNodes bounds layers and operators; InceptionV3 has 313.
const maxNodes = 5000
