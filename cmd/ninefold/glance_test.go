package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/moderation/onnx"
	"github.com/ninefold/ninefold/moderation/tfjs"
	"github.com/ninefold/ninefold/pipeline"
)

// redModel installs a model of somebody's own that calls red pictures explicit: the mean of each channel, weighed. It returns the flags
// that choose it.
func redModel(t *testing.T) []string {
	t.Helper()
	return ownModel(t, "red", 32, []tfjs.Initializer{
		{Name: "w", Dims: []int64{3, 1}, Floats: []float32{20, -20, -20}}, {Name: "b", Dims: []int64{1}, Floats: []float32{-8}},
	}, []tfjs.Node{
		{Op: "GlobalAveragePool", Inputs: []string{"pixels"}, Outputs: []string{"mean"}},
		{Op: "Flatten", Inputs: []string{"mean"}, Outputs: []string{"flat"}},
		{Op: "Gemm", Inputs: []string{"flat", "w", "b"}, Outputs: []string{"answer"}},
	})
}

// spotModel is redModel for the reddest spot of a picture.
func spotModel(t *testing.T) []string {
	t.Helper()
	return ownModel(t, "spot", 64, []tfjs.Initializer{
		{Name: "w", Dims: []int64{1, 3, 1, 1}, Floats: []float32{20, -20, -20}}, {Name: "b", Dims: []int64{1}, Floats: []float32{-8}},
	}, []tfjs.Node{
		{Op: "Conv", Inputs: []string{"pixels", "w", "b"}, Outputs: []string{"red"}},
		{Op: "GlobalMaxPool", Inputs: []string{"red"}, Outputs: []string{"most"}},
		{Op: "Flatten", Inputs: []string{"most"}, Outputs: []string{"answer"}},
	})
}

func ownModel(t *testing.T, id string, side int64, weights []tfjs.Initializer, nodes []tfjs.Node) []string {
	t.Helper()
	graph := tfjs.Graph{
		Name: id, Initializers: weights, Nodes: nodes,
		Input:  tfjs.ValueInfo{Name: "pixels", Dims: []int64{1, 3, side, side}},
		Output: tfjs.ValueInfo{Name: "answer", Dims: []int64{1, 1}},
	}
	data := graph.Encode()
	sum := sha256.Sum256(data)
	m := moderation.Manifest{
		Schema: moderation.ModelSchema, ID: id, SHA256: hex.EncodeToString(sum[:]), Licence: "CC0-1.0",
		Input:      moderation.Input{Layout: moderation.NCHW, Size: int(side), Color: moderation.RGB, Resize: moderation.BilinearHalfPixel, Scale: 255},
		Output:     moderation.Output{Kind: moderation.LogitsSigmoid, Labels: []string{"red"}},
		Categories: moderation.Categories{Explicit: moderation.Category{Labels: []string{"red"}}},
		Thresholds: moderation.Thresholds{Explicit: moderation.Threshold{Low: 0.3, High: 0.5}},
	}
	dir := t.TempDir()
	o := onnx.Options{ModelDir: filepath.Join(dir, m.ID), Library: filepath.Join(os.Getenv("NINEFOLD_MODELS_DIR"), onnx.LibraryName)}
	writeModel(t, o.ModelDir, m, data)
	tests, err := onnx.SelfTest(t.Context(), o, 1e-3)
	if err != nil {
		t.Fatal(err)
	}
	m.SelfTest = tests
	writeModel(t, o.ModelDir, m, data)
	return []string{"--models-dir", dir, "--model", m.ID, "--onnxruntime", o.Library}
}

func writeModel(t *testing.T, dir string, m moderation.Manifest, data []byte) {
	t.Helper()
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"model.onnx": data, "manifest.json": manifest} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// redFor makes a video that has to be transcoded and is red from one moment to another, seconds.
func redFor(t *testing.T, file string, from, to float64) {
	t.Helper()
	picture := fmt.Sprintf("testsrc2=s=320x240:r=24:d=4,drawbox=c=red:t=fill:enable='gte(t,%g)*lt(t,%g)'", from, to)
	tool(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-c:v", "libvpx", "-b:v", "400k", "-g", "24", "-deadline", "realtime", file)
}

// TestKeyFramesSpareTheTranscode sends a video through the real engine with a model of somebody's own: red key frames from a sender of 16
// end it before its render, and so they do where everybody withholds it; a moment of red between key frames is the full scan's to find.
func TestKeyFramesSpareTheTranscode(t *testing.T) {
	setUp(t)
	model := redModel(t)
	for name, c := range map[string]struct {
		sender, recipient pipeline.AgeBand
		from, to          float64 // red
		stage             string  // that the item ended in
		code              pipeline.Code
		method            string
	}{
		"red from a teenager":                {pipeline.Teen, pipeline.Adult, 1.5, 4, "glance", pipeline.CodeBlockedNudity, ""},
		"red for a teenager":                 {pipeline.Adult, pipeline.Teen, 1.5, 4, "glance", "", pipeline.MethodNone},
		"red between a teenager's keyframes": {pipeline.Teen, pipeline.Adult, 1.15, 1.85, "screen", pipeline.CodeBlockedNudity, ""},
		"red among adults":                   {pipeline.Adult, pipeline.Adult, 1.5, 4, "store", "", "transcode"},
		"nothing red from a teenager":        {pipeline.Teen, pipeline.Adult, 9, 9, "store", "", "transcode"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			redFor(t, filepath.Join(dir, "clip.webm"), c.from, c.to)
			job := pipeline.Job{
				Schema: pipeline.JobSchema, JobID: "j", MessageID: "m", Conversation: pipeline.Conversation{ID: "c", Kind: pipeline.Direct},
				Sender:     pipeline.Sender{ID: "s", AgeBand: c.sender},
				Recipients: []pipeline.Recipient{{ID: "r", AgeBand: c.recipient, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterOff}},
				Items:      []pipeline.Item{{ID: "i", Kind: pipeline.KindVideo, Source: pipeline.Source{Key: "clip.webm"}}},
			}
			if err := writeJSON(filepath.Join(dir, "job.json"), job); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"process", "--job", filepath.Join(dir, "job.json"), "--out", filepath.Join(dir, "out"), "--json", "--log-level", "debug"}, model...)
			r := call(t.Context(), args...)
			var m pipeline.Manifest
			if err := json.Unmarshal([]byte(r.stdout), &m); err != nil || len(m.Parts) != 1 {
				t.Fatalf("exit %d: %v\n%s%s", r.code, err, r.stdout, r.stderr)
			}
			p := m.Parts[0]
			if got := p.Error; (got == nil) != (c.code == "") || got != nil && got.Code != c.code || p.Method != c.method {
				t.Errorf("method %q, error %+v, want %q and %q", p.Method, got, c.method, c.code)
			}
			if !strings.Contains(r.stderr, "stage="+c.stage) {
				t.Errorf("it did not end in stage %s:\n%s", c.stage, r.stderr)
			}
		})
	}
}
